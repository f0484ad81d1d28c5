from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import pytest
from support import mounted

from scriberrd.inbox.area import AreaWatch
from scriberrd.inbox.areas import areas
from scriberrd.inbox.scan import Found
from scriberrd.inbox.surroundings import Surroundings
from scriberrd.model import Identity, Leaving
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from api_server import Server


async def test_what_lies_in_an_inbox(server: Server) -> None:
    await server.submit("old.mp3")
    server.clock.now += 60
    await server.submit("new.mp3")
    await server.submit("done.mp3", given={"priority": "urgent"})
    await server.complete(await server.claim())
    (one,) = (await server.get("/v1/inboxes"))["inboxes"]
    assert one["extensions"][:2] == ["wav", "mp3"]
    one.pop("extensions")
    assert one == {
        "name": "default",
        "state": "watching",
        "reason": None,
        "settling": 0,
        "mounts": [],
        "output": "folder",
        "watch": "auto",
        "jobs": {"queued": 2, "processing": 0, "completed": 1, "failed": 0, "canceled": 0},
        "ignored": {},
        "passed": {},
        "odd": [],
        "unreadable": [],
        "reading": [],
        "oldest": {"path": "old.mp3", "since": "2023-11-14T22:13:20.000Z", "what": "queued"},
    }
    await server.claim()
    (one,) = (await server.get("/v1/inboxes"))["inboxes"]
    assert (one["jobs"]["processing"], one["oldest"]["path"]) == (1, "new.mp3")


async def test_rescan_names_an_inbox_that_is_there(server: Server) -> None:
    assert len((await server.post("/v1/inboxes/rescan"))["inboxes"]) == 1
    problem = await server.post("/v1/inboxes/rescan", json={"inbox": "x"}, status=422)
    assert problem["detail"] == "inbox: 'x' is not one of default, other"


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/nothing", "{in}/../x.mp3", "{in}x"])
async def test_nothing_is_told_of_what_lies_outside(server: Server, path: str) -> None:
    path = path.replace("{in}", str(server.inbox.path))
    found = await server.get("/v1/explain", params={"path": path})
    assert (found["state"], found["inbox"], found["path"]) == ("outside", None, None)


@pytest.mark.parametrize(
    ("path", "inbox"), [("{in}", None), ("{in}/", "default"), (".", "default")]
)
async def test_the_folder_of_an_inbox(server: Server, path: str, inbox: str | None) -> None:
    asked = {"path": path.replace("{in}", str(server.inbox.path))}
    found = await server.get("/v1/explain", params=asked | ({"inbox": inbox} if inbox else {}))
    assert (found["state"], found["inbox"], found["path"]) == ("inbox", "default", None)


async def explain(server: Server, path: str) -> dict[str, object]:
    found = await server.get("/v1/explain", params={"path": path, "inbox": "default"})
    return {
        key: value for key, value in found.items() if key not in {"inbox", "path", "text"} and value
    }


async def test_the_job_of_a_file(server: Server) -> None:
    states = []
    await server.submit()
    states.append(await explain(server, "talk.mp3"))
    job = await server.claim()
    states.append(await explain(server, "talk.mp3"))
    await server.fail(job)
    states.append(await explain(server, "talk.mp3"))
    await server.post("/v1/jobs/1/retry")
    await server.post("/v1/jobs/1/cancel")
    states.append(await explain(server, "talk.mp3"))
    await server.post("/v1/jobs/1/retry")
    await server.complete(await server.claim())
    states.append(await explain(server, "talk.mp3"))
    states_of_jobs = ["queued", "processing", "failed", "canceled", "completed"]
    assert states == [{"state": state, "job": 1} for state in states_of_jobs]
    (server.inbox.path / "talk.mp3").write_bytes(b"other bytes")
    assert await explain(server, "talk.mp3") == {"state": "waiting", "job": 1}
    (server.inbox.path / "talk.mp3").unlink()
    assert await explain(server, "talk.mp3") == {"state": "missing", "job": 1}


async def test_a_copy_of_another_recording(server: Server) -> None:
    await server.submit()
    (server.inbox.path / "copy.mp3").write_bytes((server.inbox.path / "talk.mp3").read_bytes())
    await server.intake.accept(server.inbox, b"copy.mp3")
    assert await explain(server, "copy.mp3") == {"state": "queued", "job": 2, "of": 1}


async def test_a_recording_whose_sidecar_has_changed_or_that_is_to_leave(server: Server) -> None:
    await server.submit()
    sidecar = """UPDATE job SET sidecar = '{"mark": "another"}'"""
    await server.store.run(lambda db: db.execute(sidecar))
    found = await explain(server, "talk.mp3")
    assert found == {"state": "queued", "job": 1, "sidecar_changed": True}
    leaving = Leaving("archive", b"/archive/talk.mp3")
    job = await server.store.read(queries.get, 1)
    await server.store.run(jobs.leave, job, leaving, server.clock.now)
    await server.store.run(lambda db: db.execute("UPDATE disposal SET error = 'No space left'"))
    found = await server.get("/v1/explain", params={"path": "talk.mp3", "inbox": "default"})
    assert "it is still to leave its inbox: No space left; what lies beside it" in found["text"]
    assert (await server.get("/v1/status"))["leaving"] == 1


async def test_a_job_that_was_removed(server: Server) -> None:
    await server.submit()
    await server.fail(await server.claim())
    await server.call("DELETE", "/v1/jobs/1")
    assert await explain(server, "talk.mp3") == {"state": "removed"}
    (server.inbox.path / "talk.mp3").write_bytes(b"other bytes")
    assert await explain(server, "talk.mp3") == {"state": "waiting"}


@pytest.mark.parametrize("why", ["existing", "outputs"])
async def test_a_file_that_was_passed_over(server: Server, why: str) -> None:
    file = server.inbox.path / "talk.mp3"
    file.write_bytes(b"sound")
    identity = jobs.rows.encode(Identity.of(file.stat()))
    row = ("default", b"talk.mp3", identity, why)
    await server.store.run(lambda db: db.execute("INSERT INTO passed VALUES (?, ?, ?, ?)", row))
    assert await explain(server, "talk.mp3") == {"state": "passed"}
    assert (await server.get("/v1/inboxes"))["inboxes"][0]["passed"] == {why: 1}
    file.write_bytes(b"other bytes")
    assert await explain(server, "talk.mp3") == {"state": "waiting"}


async def test_a_job_comes_before_the_rule_that_leaves_its_file_out(server: Server) -> None:
    await server.submit(".talk.mp3")
    assert await explain(server, ".talk.mp3") == {"state": "queued", "job": 1}
    (server.inbox.path / ".talk.mp3").write_bytes(b"other bytes")
    found = await explain(server, ".talk.mp3")
    assert found == {"state": "ignored", "rule": ".*", "job": 1}


async def test_a_file_whose_file_system_is_not_mounted_any_more(server: Server) -> None:
    share = server.inbox.path / "share"
    with mounted(share):
        await server.submit("share/talk.mp3")
        (share / "talk.mp3").unlink()
        assert await explain(server, "share/talk.mp3") == {"state": "missing", "job": 1}
    assert await explain(server, "share/talk.mp3") == {"state": "unavailable", "job": 1}


async def test_how_long_a_file_is_to_stay_as_it_is(server: Server) -> None:
    file = server.inbox.path / "talk.mp3"
    file.write_bytes(b"sound")
    rooms, nobody = server.rooms, cast("Any", None)  # nothing is found or taken here
    around = Surroundings(
        server.inbox, nobody, nobody, 60.0, server.clock, rooms.folders, server.watching.looking
    )
    server.watching.areas = [AreaWatch(areas(server.inbox)[0], around)]
    talk = Found(b"talk.mp3", Identity.of(file.stat()))
    seen = server.clock.monotonic() + 0.4 - server.inbox.settle
    server.watching.areas[0].settling.update([talk], seen)
    found = await server.get("/v1/explain", params={"path": "talk.mp3", "inbox": "default"})
    assert found["text"].endswith("stays as it is for 1 s")


async def test_what_no_recording_is(server: Server) -> None:
    folder = server.inbox.path
    (folder / "talks").mkdir()
    (folder / "talks/a.mp3").write_bytes(b"sound")
    (folder / "notes.pdf").write_bytes(b"text")
    (folder / "link.mp3").symlink_to(folder / "talks/a.mp3")
    (folder / "linked").symlink_to(folder / "talks")
    os.mkfifo(folder / "fifo.mp3")
    paths = ["notes.pdf", "link.mp3", "linked/a.mp3", "fifo.mp3", "talks"]
    found = [await explain(server, path) for path in paths]
    assert {one["state"] for one in found} == {"ignored"}
    rules = [one["rule"] for one in found]
    assert rules[1:] == ['symlinks = "ignore"', "linked", "no regular file", "a folder"]
    assert await explain(server, "talks/a.mp3") == {"state": "waiting"}
    assert await explain(server, "talks/a.mp3/b.mp3") == {"state": "missing"}
    assert await explain(server, "linked/gone.mp3") == found[2]


async def test_an_inbox_that_is_not_there(server: Server) -> None:
    await server.submit()
    server.inbox.path.rename(server.inbox.path.with_name("away"))
    assert await explain(server, "talk.mp3") == {"state": "unavailable", "job": 1}
