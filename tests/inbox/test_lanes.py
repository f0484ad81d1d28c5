"""Nothing small waits behind a terabyte, and nobody reads on what is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

import pytest
from support import eventually
from watched import queueing

from scriberrd.errors import DiskFull, SourceChanged
from scriberrd.files import sources
from scriberrd.inbox import lanes
from scriberrd.inbox.lanes import Lanes
from scriberrd.inbox.scan import Found
from scriberrd.model import Identity
from scriberrd.queue import queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from scriberrd.model import Job
    from scriberrd.queue.store import Store

GIGABYTE = 1 << 30
TERABYTE = 1 << 40


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
async def store(inbox: Path, tmp_path: Path) -> AsyncIterator[Store]:
    async with queueing(inbox, tmp_path) as opened:
        yield opened


async def jobs(store: Store) -> list[Job]:
    return await store.read(queries.find, limit=1000)


async def queued(store: Store, *names: bytes) -> None:
    """Wait until recordings are queued."""
    async with asyncio.timeout(60):
        while not {job.path for job in await jobs(store)}.issuperset(names):
            await asyncio.sleep(0.02)


def sparse(path: Path, size: int) -> None:
    """A file of which no byte is on the disk; it is there at once."""
    hidden = path.with_name(f".{path.name}")
    with hidden.open("wb") as file:
        file.truncate(size)
    hidden.rename(path)


def is_open(path: Path) -> bool:
    """Whether this process reads a file, which may be deleted."""
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{descriptor}").removesuffix(" (deleted)") == str(path):
                return True
    return False


async def test_small_ones_do_not_wait_for_a_large_one(inbox: Path, store: Store) -> None:
    sparse(inbox / "big.wav", TERABYTE)
    await eventually(lambda: is_open(inbox / "big.wav"))
    for n in range(50):
        (inbox / f"{n}.wav").write_bytes(b"%d" % n)
    await queued(store, *(b"%d.wav" % n for n in range(50)))
    assert is_open(inbox / "big.wav")


async def test_what_is_deleted_while_it_is_read_lets_go(
    inbox: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(2):  # the lane is free for the next one
        sparse(inbox / f"{n}.wav", TERABYTE)
        await eventually(lambda n=n: is_open(inbox / f"{n}.wav"))
        (inbox / f"{n}.wav").unlink()
        await eventually(lambda n=n: not is_open(inbox / f"{n}.wav"))
    (inbox / "x.wav").touch()
    await queued(store, b"x.wav")
    assert len(await jobs(store)) == 1
    assert caplog.text == ""


async def test_only_the_new_version_of_what_is_replaced_while_it_is_read(
    inbox: Path, store: Store
) -> None:
    sparse(inbox / "x.wav", TERABYTE)
    await eventually(lambda: is_open(inbox / "x.wav"))
    (inbox / ".new").write_bytes(b"sound")
    (inbox / ".new").rename(inbox / "x.wav")
    await queued(store, b"x.wav")
    (job,) = await jobs(store)
    assert job.identity.size == 5


async def test_what_grows_while_it_is_read_settles_again(inbox: Path, store: Store) -> None:
    sparse(inbox / "x.wav", TERABYTE)
    await eventually(lambda: is_open(inbox / "x.wav"))
    with (inbox / "x.wav").open("r+b") as file:
        file.truncate(5)
    await queued(store, b"x.wav")
    (job,) = await jobs(store)
    assert job.identity.size == 5


def test_the_reading_of_a_file_ends_when_it_is_gone_or_another(tmp_path: Path) -> None:
    """Also where nothing tells of it."""
    path = tmp_path / "x.wav"
    size = 3 * sources.OFTEN * sources.PIECE
    for change in (path.unlink, path.touch):
        sparse(path, size)
        beats = 0

        def beat(change=change) -> None:  # noqa: ANN001 - one of the two
            nonlocal beats
            beats += 1
            if beats == 1:
                change()

        with pytest.raises(SourceChanged):
            sources.fingerprint(tmp_path, b"x.wav", beat=beat)
        assert beats == sources.OFTEN


def found(name: str, size: int, age: int = 0) -> Found:
    return Found(name.encode(), Identity(1, 1, size, age, age))


class Reader:
    """Takes in what lanes hand over, once it may."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.may = asyncio.Event()
        self.trouble: list[Exception] = []
        self.told: list[Exception] = []
        self.ended: list[bytes] = []
        self.lanes = Lanes(
            self._take, lambda file, _: self.ended.append(file.path), self.told.append
        )

    async def _take(self, batch: list[Found]) -> list[Exception | None]:
        self.batches.append([file.path for file in batch])
        await self.may.wait()
        if self.trouble:
            raise self.trouble.pop()
        return [None] * len(batch)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Lanes]:
        task = asyncio.create_task(self.lanes.run())
        yield self.lanes
        task.cancel()
        await asyncio.wait({task})


async def test_who_goes_first() -> None:
    reader = Reader()
    reader.may.set()
    large = [found(f"large {n}", 5 * GIGABYTE, age=n) for n in range(3)]
    middle = [found(f"middle {n}", GIGABYTE, age=n) for n in range(3)]
    small = [found(f"small {n}", 1, age=n) for n in range(100)]
    heavy = [found(f"heavy {n}", 10 << 20, age=100 + n) for n in range(2)]
    reader.lanes.offer([*large, *middle, *small, *heavy], 0.0)
    async with reader.running():
        await eventually(lambda: not reader.lanes)
    names = [file.path for file in small]
    assert [one for one in reader.batches if one[0].startswith((b"small", b"heavy"))] == [
        names[:64],
        [*names[64:], b"heavy 0"],
        [b"heavy 1"],
    ]
    assert [one for one in reader.batches if one[0].startswith((b"large", b"middle"))] == [
        [b"middle 2"],
        [b"large 2"],
        [b"middle 1"],
        [b"large 1"],
        [b"middle 0"],
        [b"large 0"],
    ]


async def test_what_is_dropped_is_not_taken_and_what_is_offered_again_is_taken_once() -> None:
    reader = Reader()
    async with reader.running() as waiting:
        waiting.offer([found("large", GIGABYTE), found("other", GIGABYTE)], 0.0)
        await eventually(lambda: reader.batches == [[b"large"]])
        waiting.drop([b"large", b"other"])
        assert not waiting
        waiting.offer([found("large", GIGABYTE), found("large", GIGABYTE)], 1.0)
        assert waiting.held == {b"large": 1.0}
        assert waiting.holds(found("large", GIGABYTE))
        await eventually(lambda: len(reader.batches) == 2)
        waiting.offer([found("large", 2 * GIGABYTE)], 2.0)  # another version
        await eventually(lambda: len(reader.batches) == 3)
        reader.may.set()
        await eventually(lambda: not waiting)
    assert reader.batches == [[b"large"]] * 3
    assert reader.ended == [b"large"]


async def test_trouble_of_the_queue_is_told_once_and_waited_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "POLL", 0.01)
    reader = Reader()
    reader.may.set()
    reader.trouble = [DiskFull("no space left") for _ in range(3)]
    async with reader.running() as waiting:
        waiting.offer([found("a", 1), found("b", 1)], 0.0)
        await eventually(lambda: not waiting)
    assert reader.batches == [[b"a", b"b"]] * 4
    assert [str(error) for error in reader.told] == ["no space left"]
    assert reader.ended == [b"a", b"b"]
