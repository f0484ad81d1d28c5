"""What earlier runs have written is replaced, and what people have written is not."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from api_server import TRANSCRIPT
from test_machine import block

from scriberrd import jobs, publish, saving
from scriberrd.config import Inbox, Retry
from scriberrd.errors import LeaseLost
from scriberrd.fallback import Fallback
from scriberrd.model import Identity, Job, Settings, Source
from scriberrd.store import Store

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


def text(version: int) -> Transcript:
    source = msgspec.structs.replace(TRANSCRIPT.source, sha256=f"{version:064}")
    return msgspec.structs.replace(TRANSCRIPT, text=f"version {version}", source=source)


async def be_fenced_off(
    store: Store, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, *, written: bool
) -> None:
    """A run of version 1 has taken its names when version 2 comes."""
    await submit(store, 1)
    job, real, insist = await claim(store), publish.write, store.insist

    async def replaced(function: Any, *args: Any, **kwargs: Any) -> Any:
        result = await insist(function, *args, **kwargs)
        if function is jobs.reserve:
            await submit(store, 2)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(store, "insist", replaced)
        patch.setattr(publish, "write", real if written else lambda *_: None)
        with pytest.raises(LeaseLost):
            await saving.save(store, time, inbox, job, text(1))


async def test_a_stale_run_leaves_nothing_under_the_best_name(
    store: Store, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await be_fenced_off(store, inbox, monkeypatch, written=True)
    assert "version 1" in (inbox.output / "talk.json").read_text()
    job = await saving.save(store, time, inbox, await claim(store), text(2))
    assert job.outputs == (b"talk.json", b"talk.txt")
    assert "version 2" in (inbox.output / "talk.json").read_text()
    assert sorted(file.name for file in inbox.output.iterdir()) == ["talk.json", "talk.txt"]


async def test_a_name_that_was_only_taken_makes_no_file_ours(
    store: Store, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await be_fenced_off(store, inbox, monkeypatch, written=False)
    (inbox.output / "talk.txt").write_text("my notes")
    job = await saving.save(store, time, inbox, await claim(store), text(2))
    assert job.outputs == (b"talk.wav.json", b"talk.wav.txt")
    assert (inbox.output / "talk.txt").read_text() == "my notes"


async def test_a_borrowed_transcript_is_as_it_was_published(store: Store, inbox: Inbox) -> None:
    await submit(store, 1, b"a.wav")
    await saving.save(store, time, inbox, await claim(store), text(1))
    await submit(store, 1, b"b.wav")
    job = await claim(store)
    found = await saving.borrow(store, job)
    assert found is not None
    assert found.text == "version 1"
    file = inbox.output / "a.json"
    file.write_text(file.read_text().replace("version 1", "my words!"))
    assert await saving.borrow(store, job) is None
    done = await saving.save(store, time, inbox, job, found)
    assert (done.duration, done.progress) == (found.duration, found.duration)


async def run(store: Store, *, step: Fallback | None = None, blocks: range = range(0)) -> Job:
    """A run that makes these blocks, then is out of memory, or, without a step, has failed."""
    job = await claim(store)
    hold = jobs.Hold(job.id, job.lease)
    await store.run(jobs.loaded, hold, TRANSCRIPT.engine)
    for number in blocks:
        await store.run(jobs.checkpoint, hold, block(number), expires=9.0, now=2.0)
    code = "out_of_memory" if step else "invalid_media"
    return await store.run(jobs.fail, hold, code, "", retry=Retry(backoff=0), now=1.0, step=step)


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
