"""What is old goes, and what is kept of it: the recording is no news, its files are known."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from typing import TYPE_CHECKING

import pytest
from support import mounted

from scriberrd import config
from scriberrd.files.folders import Folders
from scriberrd.model import Identity, Job, JobState, Print, Scope, Source
from scriberrd.output.publisher import Publisher
from scriberrd.queue import jobs, queries, retention
from scriberrd.queue.store import Store
from scriberrd.settings import Settings
from scriberrd.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = 86400.0
V1 = Identity(1, 10, 100, 1000, 1000)
TOUCHED = Identity(1, 10, 100, 2000, 2000)
V2 = Identity(1, 11, 200, 3000, 3000)


class Queue:
    """A store, and the moves that the daemon makes."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "queue.db")
        self.publisher = Publisher(self.store, Folders(), time)
        self.out = folder / "out"
        self.out.mkdir()

    async def submit(
        self, now: float, identity: Identity = V1, path: bytes = b"talk.mp3"
    ) -> tuple[Job, bool]:
        source = Source("inbox", path, identity, f"sha{identity.size}")
        return await self.store.run(
            jobs.submit, source, profile="default", settings=Settings(), now=now
        )

    async def claim(self, now: float) -> jobs.Lease:
        job = await self.store.run(jobs.claim, "worker", now=now, expires=1.0, longest=3600.0)
        assert job is not None
        return jobs.Lease(job.id, job.lease)

    async def complete(self, now: float, *names: str) -> Job:
        lease = await self.claim(now)
        text = f"of job {lease.job}"
        print_ = Print(hashlib.sha256(text.encode()).hexdigest(), len(text))
        prints = {name.encode(): print_ for name in names}
        await self.store.run(jobs.reserve, lease, prints)
        await self.store.run(jobs.begin, lease, prints, ())
        for name in names:
            (self.out / name).parent.mkdir(exist_ok=True)
            (self.out / name).write_text(text)
            os.utime(self.out / name, (now, now))
        await self.store.run(jobs.published, lease, now=now)
        return await self.store.run(jobs.finish, lease, language=None, now=now)

    async def fail(self, now: float) -> Job:
        lease = await self.claim(now)
        return await self.store.run(
            jobs.fail, lease, "invalid_media", "", retry=config.Retry(), now=now
        )

    async def prune(self, now: float, **ages: float) -> None:
        ages = {"jobs": 0.0, "events": 0.0, "transcripts": 0.0} | ages
        kept = config.Retention(**{key: Seconds(age) for key, age in ages.items()})
        await self.prune_all(kept, now)

    async def prune_all(
        self, kept: config.Retention, now: float, *, dry: bool = False
    ) -> retention.Passed:
        inbox = config.Inbox(name="inbox", path=self.out.parent / "in", output=self.out)
        every = config.Config(
            file=self.out,
            daemon=config.Daemon(),
            inboxes=(inbox,),
            profiles={},
            workers=(),
            retry=config.Retry(),
            retention=kept,
        )
        delete = self.publisher.is_due if dry else self.publisher.delete
        return await retention.prune(self.store, delete, every, now, dry=dry)

    async def ids(self) -> list[int]:
        return [job.id for job in await self.store.read(queries.find, limit=1000)][::-1]

    async def new(self, identity: Identity) -> bool:
        found = [(b"talk.mp3", identity)]
        news, *_ = await self.store.read(jobs.unknown, "inbox", found)
        return news != []

    def files(self) -> list[str]:
        return sorted(file.name for file in self.out.rglob("*") if file.is_file())


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    made = Queue(tmp_path)
    with contextlib.closing(made.store):
        yield made


async def test_by_default_only_old_events_go(queue: Queue) -> None:
    await queue.submit(0)
    await queue.complete(1, "talk.json")
    await queue.store.run(jobs.pause, [Scope("everything")], reason="", now=1)
    await queue.prune_all(config.Retention(), 89 * DAY)
    assert len(await queue.store.read(queries.events, 0, 100)) == 4
    await queue.prune_all(config.Retention(), 1000 * DAY)
    (event,) = await queue.store.read(queries.events, 0, 100)
    assert event.id == 4  # the latest tells how late it is at least
    assert await queue.ids() == [1]
    assert queue.files() == ["talk.json"]
    assert (await queue.store.read(queries.stream)).pruned == 3


async def test_a_dry_run_tells_what_a_pass_deletes_and_deletes_nothing(queue: Queue) -> None:
    for number in (b"1", b"2"):
        await queue.submit(0, path=number + b".mp3")
        await queue.complete(1, f"{number.decode()}.json", f"{number.decode()}.txt")
    (queue.out / "1.txt").write_text("edited")
    os.utime(queue.out / "2.txt", (100 * DAY, 100 * DAY))  # somebody has copied it back
    await queue.submit(0, path=b"failed.mp3")
    await queue.fail(1)
    kept = config.Retention(
        **{key: Seconds(DAY) for key in ("jobs", "events", "transcripts", "uploads")}
    )
    before = await queue.store.read(queries.events, 0, 100)
    told = await queue.prune_all(kept, 99 * DAY, dry=True)
    assert told.transcripts.names == ["inbox/1.json", "inbox/2.json"]
    assert told.jobs.names == ["inbox/1.mp3", "inbox/2.mp3"]
    assert (told.jobs.count, told.uploads.count) == (2, 0)
    assert told.events.count == len(before) - 1
    assert await queue.ids() == [1, 2, 3]
    assert queue.files() == ["1.json", "1.txt", "2.json", "2.txt"]
    assert await queue.store.read(queries.events, 0, 100) == before

    done = await queue.prune_all(kept, 99 * DAY)
    assert (done.jobs, done.uploads) == (told.jobs, told.uploads)
    assert set(done.transcripts.names) == {*told.transcripts.names, "inbox/1.txt"}  # left to itself
    assert await queue.ids() == [3]
    assert queue.files() == ["1.txt", "2.txt"]


async def test_old_events_go_behind_those_that_a_clock_that_was_ahead_has_dated(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    for number, day in enumerate((*[4000] * 3, *[1] * 4, 200)):
        scope = Scope("worker", f"{number}")
        await queue.store.run(jobs.pause, [scope], reason="", now=day * DAY)
    await queue.prune(200 * DAY, events=90 * DAY)
    left = await queue.store.read(queries.events, 0, 100)
    assert [event.at // DAY for event in left] == [4000, 4000, 4000, 200]


async def test_one_pass_takes_a_part_of_what_there_is(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retention, "LEAST", 2)
    for number in range(30):
        await queue.submit(number, path=b"%d.mp3" % number)
        await queue.complete(number, f"{number}.json")
    await queue.prune(10 * DAY, jobs=DAY, transcripts=DAY, events=DAY)
    assert (len(await queue.ids()), len(queue.files())) == (27, 27)
    left = await queue.store.read(queries.events, 0, 100)
    assert len(left) == 90 + 3 - 9  # of the runs, and of jobs that went
    assert caplog.text.count("no more at once") == 3
    for _ in range(20):
        await queue.prune(10 * DAY, jobs=DAY, transcripts=DAY)
    assert (await queue.ids(), queue.files()) == ([], [])


async def test_a_file_that_is_younger_than_its_job_stays(queue: Queue) -> None:
    await queue.submit(0)
    await queue.complete(1, "talk.json")
    os.utime(queue.out / "talk.json", (9 * DAY, 9 * DAY))
    await queue.prune(10 * DAY, transcripts=5 * DAY)
    assert queue.files() == ["talk.json"]
    await queue.prune(15 * DAY, transcripts=5 * DAY)
    assert queue.files() == []


def test_a_clock_that_is_ahead_is_believed_when_it_goes_on_like_that() -> None:
    known, hour = retention.Known(100 * DAY, 1000.0), 3600.0
    assert known.now(100.5 * DAY, 1000.0) == 100.5 * DAY  # the daemon did not run for half a day
    for looks in range(1, 4):  # ahead for one look, then right again, then behind
        assert known.now(4000 * DAY, 1000.0 + looks * hour) == 100.5 * DAY + looks * hour
        right = 100.5 * DAY + (looks + 0.5) * hour
        assert known.now(right, 1000.0 + (looks + 0.5) * hour) == right
        assert known.now(5.0, 1000.0 + (looks + 0.5) * hour) == 5.0
    known = retention.Known(100 * DAY, 0.0)  # the daemon did not run for a hundred days
    for looks in range(6):
        assert known.now(200 * DAY + looks * hour, looks * hour) == 100 * DAY + looks * hour
    assert known.now(200 * DAY + 6 * hour, 6 * hour) == 200 * DAY + 6 * hour
    known = retention.Known(100 * DAY, 0.0)
    for looks in range(20):  # it jumps again and again
        now = looks * 50 * DAY
        assert known.now(200 * DAY + now, looks * hour) == 100 * DAY + looks * hour


async def test_ended_jobs_go_when_they_are_old_and_not_failed(queue: Queue) -> None:
    await queue.submit(0, path=b"old.mp3")
    await queue.complete(1, "old.json")
    await queue.submit(2, path=b"canceled.mp3")
    await queue.store.run(jobs.cancel, 2, 3.0)
    await queue.submit(4, path=b"young.mp3")
    await queue.complete(9 * DAY, "young.json")
    await queue.submit(5, path=b"processing.mp3")
    await queue.claim(6)
    await queue.submit(7, path=b"failed.mp3")
    await queue.fail(8)
    await queue.submit(9, path=b"queued.mp3")
    await queue.prune(10 * DAY, jobs=5 * DAY)
    assert await queue.ids() == [3, 4, 5, 6]
    counts = await queue.store.read(queries.counts)
    assert (counts[JobState.COMPLETED], counts[JobState.FAILED]) == (1, 1)
    told = (await queue.store.read(queries.events, 0, 100))[-2:]
    assert {(event.job, event.type, event.at) for event in told} == {(None, "pruned", 10 * DAY)}
    assert [event.data["path"] for event in told] == ["old.mp3", "canceled.mp3"]
    for table in ("execution", "checkpoint"):
        query = f"SELECT count(*) FROM {table} WHERE job IN (1, 2)"
        assert await queue.store.read(lambda db, query=query: db.execute(query).get) == 0
    assert queue.files() == ["old.json", "young.json"]


async def test_batches_are_small_and_all_go(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    for number in range(10):
        await queue.submit(number, path=b"%d.mp3" % number)
        await queue.complete(number, f"{number}.json")
    await queue.prune(10 * DAY, jobs=DAY, transcripts=DAY)
    assert (await queue.ids(), queue.files()) == ([], [])
    for number in range(10):
        job, new = await queue.submit(number, path=b"%d.mp3" % number)
        assert (job.id, new) == (number + 1, False)


async def test_the_recording_of_a_pruned_job_is_no_news(queue: Queue) -> None:
    await queue.submit(0)
    await queue.complete(1, "talk.json")
    await queue.prune(DAY, jobs=1)
    assert await queue.ids() == []
    assert not await queue.new(V1)
    assert await queue.new(TOUCHED)
    job, new = await queue.submit(DAY, TOUCHED)
    assert (job.id, job.state, job.outputs, new) == (1, JobState.COMPLETED, (b"talk.json",), False)
    assert await queue.ids() == []
    assert not await queue.new(TOUCHED)
    await queue.prune(2 * DAY, transcripts=1)  # its files are still known
    assert queue.files() == []


async def test_a_removed_job_takes_the_earlier_ones_about_its_recording_along(queue: Queue) -> None:
    await queue.submit(0)
    await queue.complete(1)
    await queue.submit(2, V2)
    await queue.complete(3)
    await queue.submit(4, path=b"other.mp3")
    await queue.complete(5)
    removed = await queue.store.run(jobs.remove, 2, 6.0)
    assert (removed.id, await queue.ids()) == (2, [3])
    assert not await queue.new(V2)
    *_, first, second = await queue.store.read(queries.events, 0, 100)
    assert {(event.job, event.type, event.at) for event in (first, second)} == {
        (None, "removed", 6.0)
    }
    assert (first.data["id"], second.data["id"]) == (1, 2)
    assert second.data == {"id": 2, "inbox": "inbox", "path": "talk.mp3"}


async def test_a_new_version_of_it_is_and_may_replace_its_files(queue: Queue) -> None:
    await queue.submit(0)
    await queue.complete(1, "talk.json")
    await queue.prune(DAY, jobs=1)
    job, new = await queue.submit(DAY, V2)
    assert (job.id, job.state, new) == (2, JobState.QUEUED, True)
    await queue.prune(2 * DAY, jobs=1)
    assert await queue.ids() == [2]
    lease = await queue.claim(2 * DAY)
    (known,) = (await queue.store.run(jobs.reserve, lease, [b"talk.json"]) or {}).values()
    assert known.published


async def test_the_files_of_a_pruned_job_are_not_given_to_another_recording(queue: Queue) -> None:
    await queue.submit(0)
    await queue.complete(1, "talk.json")
    await queue.prune(DAY, jobs=1)
    await queue.submit(DAY, V2, path=b"talk.wav")
    lease = await queue.claim(DAY)
    assert await queue.store.run(jobs.reserve, lease, [b"talk.json"]) is None


async def test_a_removed_one_that_failed_is_tried_again_when_it_is_touched(queue: Queue) -> None:
    await queue.submit(0)
    await queue.fail(1)
    await queue.store.run(jobs.remove, 1, 2.0)
    assert not await queue.new(V1)
    job, new = await queue.submit(DAY, TOUCHED)
    assert (job.id, job.state, new) == (1, JobState.QUEUED, True)


async def test_one_that_failed_stays_and_keeps_the_later_ones_about_its_recording(
    queue: Queue,
) -> None:
    await queue.submit(0)
    await queue.fail(1)
    await queue.submit(2, V2)
    await queue.complete(3, "talk.json")
    await queue.prune(DAY, jobs=1)
    assert await queue.ids() == [1, 2]
    await queue.store.run(jobs.remove, 1, DAY)
    await queue.prune(DAY, jobs=1)
    assert await queue.ids() == []
    assert not await queue.new(V2)


async def test_of_several_versions_the_oldest_goes_first(queue: Queue) -> None:
    await queue.submit(0)
    await queue.complete(9 * DAY, "talk.json", "talk.txt")  # the clock was wrong
    await queue.submit(1, V2)
    await queue.complete(2, "talk.json")
    await queue.prune(5 * DAY, jobs=1)
    assert await queue.ids() == [1, 2]
    assert not await queue.new(V2)
    await queue.prune(11 * DAY, jobs=1)
    await queue.prune(11 * DAY, jobs=1)
    assert await queue.ids() == []
    assert not await queue.new(V2)
    await queue.prune(11 * DAY, transcripts=1)  # the text of the first is still known
    assert queue.files() == []


async def test_transcripts_go_only_when_asked_and_only_those_that_are_listed(
    queue: Queue, tmp_path: Path
) -> None:
    await queue.submit(0)
    await queue.complete(1, "sub/talk.json", "sub/talk.txt", "sub/link.srt", "sub/dir.vtt")
    (queue.out / "sub/mine.txt").write_text("mine")
    private = tmp_path / "private.srt"
    private.write_text("private")
    (queue.out / "sub/link.srt").unlink()
    (queue.out / "sub/link.srt").symlink_to(private)
    (queue.out / "sub/dir.vtt").unlink()
    (queue.out / "sub/dir.vtt").mkdir()
    await queue.prune(DAY, jobs=1)
    assert queue.files() == ["link.srt", "mine.txt", "talk.json", "talk.txt"]
    await queue.prune(DAY, transcripts=1)
    assert queue.files() == ["link.srt", "mine.txt"]
    assert private.read_text() == "private"
    assert (queue.out / "sub/dir.vtt").is_dir()
    assert await queue.store.read(jobs.unlisted, "inbox", [b"sub/talk.json"])


async def test_what_people_have_written_is_left_to_them(queue: Queue) -> None:
    await queue.submit(0)
    await queue.complete(1, "talk.json", "talk.srt", "talk.txt")
    (queue.out / "talk.srt").write_text("corrected by hand")
    (queue.out / "talk.txt").unlink()
    (queue.out / "talk.txt").write_text("notes")
    await queue.prune(DAY, transcripts=1)
    assert queue.files() == ["talk.srt", "talk.txt"]
    assert await queue.store.read(jobs.unlisted, "inbox", [b"talk.srt"])


async def test_files_below_a_mount_point_where_nothing_is_mounted_are_kept_in_mind(
    queue: Queue,
) -> None:
    with mounted(queue.out):
        await queue.submit(0)
        await queue.complete(1, "talk.json")
        await queue.store.run(jobs.note_mounts, {bytes(queue.out): True})
        await queue.store.run(jobs.remove, 1, 2.0)
        there = (queue.out / "talk.json").read_bytes()
    await queue.prune(DAY, transcripts=1)
    assert not await queue.store.read(jobs.unlisted, "inbox", [b"talk.json"])
    with mounted(queue.out):
        (queue.out / "talk.json").write_bytes(there)
        os.utime(queue.out / "talk.json", (1, 1))
        await queue.prune(DAY, transcripts=1)
        assert queue.files() == []


async def test_what_is_published_anew_meanwhile_stays(queue: Queue) -> None:
    await queue.submit(0)
    await queue.complete(1, "talk.json", "talk.txt")
    async with queue.publisher.turn("inbox", b"talk.mp3"):  # its new version is on its way
        pruning = asyncio.create_task(queue.prune(DAY, transcripts=1))
        for _ in range(100):
            await asyncio.sleep(0.001)
        await queue.store.run(jobs.redo, 1, profile="default", settings=Settings(), now=DAY)
        await queue.complete(DAY, "talk.json", "talk.txt")
    await pruning
    assert queue.files() == ["talk.json", "talk.txt"]
    assert (await queue.store.read(queries.get, 1)).outputs == (b"talk.json", b"talk.txt")


async def test_the_time_that_is_believed_outlasts_a_restart(queue: Queue) -> None:
    """Not even an event that a wrong clock has dated tells a later daemon how late it is."""
    await queue.submit(100 * DAY)
    await queue.store.run(jobs.believe, 100 * DAY)
    await queue.submit(4000 * DAY, path=b"other.mp3")
    known = await retention.known(queue.store, time)
    assert known.now(4000 * DAY, time.monotonic()) < 101 * DAY


async def test_files_of_an_output_folder_that_is_not_there_are_kept_in_mind(queue: Queue) -> None:
    await queue.submit(0)
    await queue.complete(1, "talk.json")
    queue.out.rename(queue.out.with_name("elsewhere"))
    await queue.prune(DAY, transcripts=1)
    queue.out.with_name("elsewhere").rename(queue.out)
    assert queue.files() == ["talk.json"]
    await queue.prune(DAY, transcripts=1)
    assert queue.files() == []
    assert (await queue.store.read(queries.get, 1)).outputs == ()


async def test_a_job_that_is_done_anew_keeps_its_transcript(queue: Queue) -> None:
    await queue.submit(0)
    await queue.complete(1, "talk.json")
    await queue.store.run(jobs.redo, 1, profile="default", settings=Settings(), now=2.0)
    await queue.prune(DAY, jobs=1, transcripts=1)
    assert (await queue.ids(), queue.files()) == ([1], ["talk.json"])
