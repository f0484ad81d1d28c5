"""A transcript that lies where it would be published is taken over, if it is of the same bytes."""

from __future__ import annotations

import contextlib
import tracemalloc
from typing import TYPE_CHECKING

import msgspec
import pytest
from api_server import TRANSCRIPT
from msgspec.structs import replace

from scriberrd import transcript
from scriberrd.config import Inbox
from scriberrd.files.folders import Folders
from scriberrd.library import adoption
from scriberrd.model import Identity, Job, Source
from scriberrd.queue import jobs
from scriberrd.queue.store import Store
from scriberrd.settings import Settings
from scriberrd.transcript import Turn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scriberrd.transcript import Transcript

SHA256 = "a" * 64
OURS = msgspec.structs.replace(
    TRANSCRIPT, source=msgspec.structs.replace(TRANSCRIPT.source, sha256=SHA256)
)
CONTENT = b"".join(transcript.encode(OURS))


async def known(store: Store, inbox: Inbox, job: Job) -> Transcript | None:
    return await adoption.adopt(store, Folders(), inbox, job)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(tmp_path / "queue.db")) as opened:
        yield opened


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    (tmp_path / "in").mkdir()
    (tmp_path / "out/sub").mkdir(parents=True)
    return Inbox(name="inbox", path=tmp_path / "in", output=tmp_path / "out")


async def submit(store: Store, path: bytes = b"sub/talk.mp3") -> Job:
    source = Source("inbox", path, Identity(1, 2, 3, 4, 5), SHA256)
    job, _ = await store.run(jobs.submit, source, profile="default", settings=Settings(), now=1.0)
    return job


@pytest.mark.parametrize("name", ["talk.json", "talk.mp3.json", "talk-aaaaaaaa.json"])
async def test_any_of_the_usual_names_is_found(store: Store, inbox: Inbox, name: str) -> None:
    (inbox.output / "sub" / name).write_bytes(CONTENT)
    assert await known(store, inbox, await submit(store)) == OURS


@pytest.mark.parametrize(
    "content", [b"".join(transcript.encode(TRANSCRIPT)), b'{"mine": true}', b"\xff"]
)
async def test_of_other_bytes_or_by_others_it_is_not(
    store: Store, inbox: Inbox, content: bytes
) -> None:
    (inbox.output / "sub/talk.json").write_bytes(content)
    assert await known(store, inbox, await submit(store)) is None


async def test_one_without_speakers_does_not_do_where_they_are_required(
    store: Store, inbox: Inbox
) -> None:
    (inbox.output / "sub/talk.json").write_bytes(CONTENT)
    job = await submit(store)
    required = replace(job, settings=Settings(diarize="required"))
    assert await known(store, inbox, required) is None
    assert await known(store, inbox, replace(job, settings=Settings(diarize="auto"))) == OURS
    for more in (
        {"turns": (Turn(start=0.0, end=1.0, speaker="SPEAKER_00"),)},
        {"words": (), "segments": ()},
    ):
        found = replace(OURS, **more)
        (inbox.output / "sub/talk.json").write_bytes(b"".join(transcript.encode(found)))
        assert await known(store, inbox, required) == found


async def test_one_that_a_job_has_published_is_that_jobs(store: Store, inbox: Inbox) -> None:
    (inbox.output / "talk.json").write_bytes(CONTENT)
    await submit(store, b"talk.wav")
    job = await store.run(jobs.claim, "worker", now=2.0, expires=9.0, longest=3600.0)
    assert job is not None
    lease = jobs.Lease(job.id, job.lease)
    await store.run(jobs.reserve, lease, [b"talk.json"])
    other = await submit(store, b"talk.mp3")
    assert await known(store, inbox, other) is None


async def test_no_link_is_followed(store: Store, inbox: Inbox, tmp_path: Path) -> None:
    (tmp_path / "private.json").write_bytes(CONTENT)
    (inbox.output / "sub/talk.json").symlink_to(tmp_path / "private.json")
    assert await known(store, inbox, await submit(store)) is None


async def test_what_is_to_be_done_anew_takes_nothing_over(store: Store, inbox: Inbox) -> None:
    (inbox.output / "sub/talk.json").write_bytes(CONTENT)
    await submit(store)
    await store.run(jobs.cancel, 1, 2.0)
    job = await store.run(jobs.redo, 1, profile="default", settings=Settings(), now=3.0)
    assert await known(store, inbox, job) is None


async def test_what_is_none_is_not_read_whole(store: Store, inbox: Inbox) -> None:
    """Anybody may put a file of any size where a transcript would be."""
    with (inbox.output / "sub/talk.json").open("wb") as file:
        file.truncate(1 << 40)
    with (inbox.output / "sub/talk.mp3.json").open("wb") as file:
        file.write(CONTENT)
        file.truncate(1 << 40)
    job = await submit(store)
    tracemalloc.start()
    assert await known(store, inbox, job) is None
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
