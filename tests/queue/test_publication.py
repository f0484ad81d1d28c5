"""What earlier runs have written is replaced, and what people have written is not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from api_server import TRANSCRIPT
from support import eventually, mounted
from test_machine import block

from scriberrd.config import Inbox, Retry
from scriberrd.errors import LeaseLost, TaskFailed
from scriberrd.files import folders
from scriberrd.files.folders import Folders
from scriberrd.model import Fallback, Identity, Job, Source
from scriberrd.output import staging
from scriberrd.output.publisher import Publisher
from scriberrd.queue import jobs, queries
from scriberrd.queue.store import Store
from scriberrd.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scriberrd.transcript import Transcript


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(tmp_path / "queue.db")) as opened:
        yield opened


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    return Inbox(name="inbox", path=tmp_path / "in", output=tmp_path / "out")


async def submit(store: Store, version: int, path: bytes = b"talk.wav") -> Job:
    source = Source("inbox", path, Identity(1, 2, 3, version, 5), f"{version:064}")
    settings = Settings(formats=("json", "txt"))
    job, _ = await store.run(jobs.submit, source, profile="default", settings=settings, now=1.0)
    return job


async def claim(store: Store) -> Job:
    job = await store.run(jobs.claim, "worker", now=2.0, expires=9.0, longest=3600.0)
    assert job is not None
    return job


async def save(store: Store, inbox: Inbox, text: Transcript) -> Job:
    """A run that publishes a transcript."""
    job = await claim(store)
    await Publisher(store, Folders(), time).publish(inbox, job, text)
    return await finish(store, job)


async def finish(store: Store, job: Job) -> Job:
    lease = jobs.Lease(job.id, job.lease)
    return await store.run(jobs.finish, lease, language="de", now=time.time())


def text(version: int) -> Transcript:
    source = msgspec.structs.replace(TRANSCRIPT.source, sha256=f"{version:064}")
    return msgspec.structs.replace(TRANSCRIPT, text=f"version {version}", source=source)


async def be_fenced_off(
    store: Store, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, *, written: bool
) -> None:
    """A run of version 1 has taken its names when version 2 comes."""
    await submit(store, 1)
    job, real, insist = await claim(store), staging.place, store.insist

    async def replaced(function: Any, *args: Any, **kwargs: Any) -> Any:
        result = await insist(function, *args, **kwargs)
        if function is jobs.begin:
            await submit(store, 2)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(store, "insist", replaced)
        patch.setattr(staging, "place", real if written else lambda *_: None)
        with pytest.raises(LeaseLost):
            await Publisher(store, Folders(), time).publish(inbox, job, text(1))


async def test_a_stale_run_leaves_nothing_under_the_best_name(
    store: Store, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await be_fenced_off(store, inbox, monkeypatch, written=True)
    job = await save(store, inbox, text(2))
    assert job.outputs == (b"talk.json", b"talk.txt")
    assert "version 2" in (inbox.output / "talk.json").read_text()
    assert sorted(file.name for file in inbox.output.iterdir()) == ["talk.json", "talk.txt"]


async def test_a_name_that_was_only_taken_makes_no_file_ours(
    store: Store, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await be_fenced_off(store, inbox, monkeypatch, written=False)
    (inbox.output / "talk.txt").write_text("my notes")
    job = await save(store, inbox, text(2))
    assert (job.outputs, job.edited) == ((b"talk.json", b"talk.new.txt"), (b"talk.txt",))
    assert (inbox.output / "talk.txt").read_text() == "my notes"


async def anew(store: Store, inbox: Inbox, version: int) -> Job:
    """The recording is replaced, and its new version is published."""
    await submit(store, version)
    return await save(store, inbox, text(version))


def content(inbox: Inbox) -> dict[str, str]:
    """All published files, with what they say."""
    return {file.name: file.read_text() for file in inbox.output.iterdir()}


async def test_what_was_edited_stays_and_the_newest_is_beside_it(
    store: Store, inbox: Inbox
) -> None:
    await anew(store, inbox, 1)
    (inbox.output / "talk.json").write_text("corrected by hand")
    for version in (2, 3):
        job = await anew(store, inbox, version)
        there = content(inbox)
        assert there.keys() == {"talk.json", "talk.new.json", "talk.txt"}
        assert there["talk.json"] == "corrected by hand"
        assert f"version {version}" in there["talk.new.json"]
        assert job.outputs == (b"talk.new.json", b"talk.txt")
        assert job.edited == (b"talk.json",)
        event = (await store.read(queries.events, 0, 100, job.id))[-1]
        assert (event.type, event.data) == ("finished", {"edited": "talk.json"})


async def test_an_edited_new_version_stays_too(store: Store, inbox: Inbox) -> None:
    await anew(store, inbox, 1)
    (inbox.output / "talk.json").write_text("corrected")
    await anew(store, inbox, 2)
    (inbox.output / "talk.new.json").write_text("corrected, too")
    job = await anew(store, inbox, 3)
    assert job.outputs == (b"talk.new-2.json", b"talk.txt")
    assert job.edited == (b"talk.json", b"talk.new.json")


async def test_what_was_published_under_other_names_goes(store: Store, inbox: Inbox) -> None:
    await anew(store, inbox, 1)
    (inbox.output / "talk.srt").write_text("somebody's subtitles")
    settings = Settings(formats=("json", "txt", "srt"))
    await store.run(jobs.redo, 1, profile="default", settings=settings, now=3.0)
    job = await save(store, inbox, text(2))
    assert job.outputs == (b"talk.wav.json", b"talk.wav.srt", b"talk.wav.txt")
    assert content(inbox).keys() == {"talk.srt", "talk.wav.json", "talk.wav.srt", "talk.wav.txt"}


async def test_a_stale_run_takes_back_what_nobody_is_to_see(
    store: Store, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await be_fenced_off(store, inbox, monkeypatch, written=True)
    assert content(inbox) == {}


async def test_what_is_given_back_is_replaced_again(store: Store, inbox: Inbox) -> None:
    await anew(store, inbox, 1)
    (inbox.output / "talk.json").write_text("corrected by hand")
    await anew(store, inbox, 2)
    (inbox.output / "talk.new.json").rename(inbox.output / "talk.json")
    job = await anew(store, inbox, 3)
    assert (job.outputs, job.edited) == ((b"talk.json", b"talk.txt"), ())
    assert "version 3" in content(inbox)["talk.json"]
    (inbox.output / "talk.json").write_text("corrected again")
    await anew(store, inbox, 4)
    (inbox.output / "talk.json").unlink()  # not wanted any more
    job = await anew(store, inbox, 5)
    assert (job.outputs, job.edited) == ((b"talk.json", b"talk.txt"), ())
    assert content(inbox).keys() == {"talk.json", "talk.txt"}


async def test_a_slow_publication_is_waited_for_by_the_next_one(
    store: Store, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer version is not overwritten by one that was held up on its way to the disk."""
    await submit(store, 1)
    stale, publisher, real = await claim(store), Publisher(store, Folders(), time), staging.place
    entered, go_on = threading.Event(), threading.Event()

    def slow(*args: Any) -> None:
        if not entered.is_set():
            entered.set()
            go_on.wait()
        real(*args)

    monkeypatch.setattr(staging, "place", slow)
    first = asyncio.create_task(publisher.publish(inbox, stale, text(1)))
    await eventually(entered.is_set)
    await submit(store, 2)
    second = asyncio.create_task(publisher.publish(inbox, await claim(store), text(2)))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not second.done()
    go_on.set()
    with pytest.raises(LeaseLost):
        await first
    await second
    assert "version 2" in content(inbox)["talk.json"]


async def test_a_publication_tells_that_it_gets_on(store: Store, inbox: Inbox) -> None:
    await submit(store, 1)
    heartbeat = folders.Heartbeat()
    publisher = Publisher(store, Folders(), time)
    await publisher.publish(inbox, await claim(store), text(1), heartbeat=heartbeat)
    assert heartbeat.beats > 0


async def test_an_output_folder_that_does_not_answer_gets_nothing_newer(
    store: Store, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await submit(store, 1)
    stale, publisher, real = await claim(store), Publisher(store, Folders(), time), staging.place
    go_on = threading.Event()

    def hung(*args: Any) -> None:
        go_on.wait()
        real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(folders, "LIMIT", 0.5)
        patch.setattr(staging, "place", hung)
        with pytest.raises(TaskFailed, match="does not answer"):
            await publisher.publish(inbox, stale, text(1))
    await submit(store, 2)
    newer = await claim(store)
    with pytest.raises(TaskFailed, match="output_unwritable: its file system does not answer"):
        await publisher.publish(inbox, newer, text(2))
    go_on.set()
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(TaskFailed):
                await publisher.publish(inbox, newer, text(2))
                break
            await asyncio.sleep(0.01)
    assert "version 2" in content(inbox)["talk.json"]


@pytest.mark.parametrize("below", ["", "sub"])
async def test_where_nothing_is_mounted_nothing_is_written(
    store: Store, inbox: Inbox, below: str
) -> None:
    place = inbox.output / below
    place.mkdir(exist_ok=True)
    name = os.fsencode(below) + b"/talk.wav" if below else b"talk.wav"
    with mounted(place):
        await submit(store, 1, name)
        await save(store, inbox, text(1))
    await submit(store, 2, name)
    job, publisher = await claim(store), Publisher(store, Folders(), time)
    code = "output_blocked" if below else "output_unwritable"
    with pytest.raises(TaskFailed, match=f"{code}: its file system is not mounted"):
        await publisher.publish(inbox, job, text(2))
    assert list(place.iterdir()) == []
    with mounted(place):
        await publisher.publish(inbox, job, text(2))
        assert "version 2" in (place / "talk.json").read_text()
    (place / "notes.txt").write_text("this is a plain folder now")
    await submit(store, 3, name)
    await save(store, inbox, text(3))
    assert "version 3" in (place / "talk.json").read_text()


async def run(store: Store, *, step: Fallback | None = None, blocks: range = range(0)) -> Job:
    """A run that makes these blocks, then is out of memory, or, without a step, has failed."""
    job = await claim(store)
    lease = jobs.Lease(job.id, job.lease)
    await store.run(jobs.loaded, lease, TRANSCRIPT.engine)
    for number in blocks:
        await store.run(jobs.checkpoint, lease, block(number), expires=9.0, now=2.0)
    code = "out_of_memory" if step else "invalid_media"
    return await store.run(jobs.fail, lease, code, "", retry=Retry(backoff=0), now=1.0, step=step)


async def test_a_transcript_tells_what_its_parts_were_made_with(store: Store) -> None:
    await submit(store, 1)
    await run(store, step=Fallback("batch_size", "8", "4"), blocks=range(1))
    await run(store, step=Fallback("batch_size", "4", "2"), blocks=range(1, 2))
    await run(store)  # no part was made with the last step
    job = await store.run(jobs.retry, 1, 2.0)
    assert job.fallbacks == ()
    await run(store, step=Fallback("model", "large", "base"), blocks=range(2, 3))
    await run(store, blocks=range(3, 5))
    engine = (await store.read(jobs.work, 1)).engine
    assert engine is not None
    assert engine.fallbacks == ("batch_size 8 -> 4", "model large -> base")
