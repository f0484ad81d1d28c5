"""What is purged is gone: job, files and finished work; what people have edited is theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scriberrd.errors import IllegalMove, JobNotFound, PurgeFailed
from scriberrd.library.purging import purge
from scriberrd.queue import queries

if TYPE_CHECKING:
    from api_server import Server

    from scriberrd.model import Job


async def purged(server: Server, id_: int) -> Job:
    rooms = server.rooms
    return await purge(
        rooms.store, rooms.publisher, rooms.library, rooms.live.config, id_, server.clock.now
    )


async def test_job_and_files_are_gone_and_edited_ones_stay(server: Server) -> None:
    await server.submit("talk.mp3")
    job = await server.complete(await server.claim(), formats=("json", "txt", "srt"))
    out = server.inbox.output
    (out / "talk.mp3.txt").write_text("corrected by hand")
    assert (await purged(server, job.id)).id == job.id
    assert [file.name for file in out.iterdir()] == ["talk.mp3.txt"]
    with pytest.raises(JobNotFound):
        await server.store.read(queries.get, job.id)
    assert await server.store.read(queries.outputs_of_recording, "default", b"talk.mp3") == []


async def test_a_job_that_has_not_ended_stays_with_its_files(server: Server) -> None:
    await server.submit("talk.mp3")
    job = await server.complete(await server.claim())
    await server.intake.redo(job.id)
    with pytest.raises(IllegalMove):
        await purged(server, job.id)
    assert len(list(server.inbox.output.iterdir())) == 1


async def test_where_files_can_not_be_deleted_the_job_stays(server: Server) -> None:
    await server.submit("talk.mp3")
    job = await server.complete(await server.claim())
    server.inbox.output.rename(server.inbox.output.with_name("away"))
    with pytest.raises(PurgeFailed, match="No such file"):
        await purged(server, job.id)
    assert (await server.store.read(queries.get, job.id)).outputs == job.outputs
