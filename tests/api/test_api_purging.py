"""What is too old is deleted when somebody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from scriberrd.config import Retention
from scriberrd.units import Seconds

if TYPE_CHECKING:
    from api_server import Server

NOTHING = {"count": 0, "names": []}


async def test_without_ages_nothing_goes(server: Server) -> None:
    await server.submit("old.mp3")
    await server.complete(await server.claim())
    passed = await server.post("/v1/purge", json={"dry_run": True})
    kinds = ("transcripts", "uploads", "jobs", "events")
    assert passed == {"dry_run": True} | dict.fromkeys(kinds, NOTHING)


async def test_what_is_told_goes_when_it_is_no_dry_run(server: Server) -> None:
    server.rooms.live.config = replace(
        server.config, retention=Retention(jobs=Seconds(60), transcripts=Seconds(60))
    )
    await server.submit("old.mp3")
    await server.complete(await server.claim())
    server.clock.now += 3600
    await server.submit("new.mp3")
    await server.complete(await server.claim())
    for dry in (True, False):
        passed = await server.post("/v1/purge", json={"dry_run": dry})
        assert passed["jobs"] == {"count": 1, "names": ["default/old.mp3"]}
        assert passed["transcripts"] == {"count": 1, "names": ["default/old.mp3.json"]}
        assert (server.inbox.output / "old.mp3.json").exists() == dry
    assert [job["path"] for job in (await server.get("/v1/jobs"))["jobs"]] == ["new.mp3"]
