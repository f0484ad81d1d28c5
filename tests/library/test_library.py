"""Finished work is not done again, and what the library has lost is."""

from __future__ import annotations

import contextlib
import logging
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import apsw
import msgspec
import pytest
from api_server import ENGINE, TestClock
from support import block

from scriberrd.config import Config, Daemon, Live, Retention, Retry
from scriberrd.errors import DatabaseBusy, WordsNotKept
from scriberrd.library import library, shelf
from scriberrd.library.file import REST, VERSION
from scriberrd.library.gathering import gather
from scriberrd.library.library import Library
from scriberrd.model import Fallback, Identity, Job, Source
from scriberrd.output.formats import FORMATS
from scriberrd.protocol import Finished, Probed
from scriberrd.queue import jobs, queries
from scriberrd.queue.store import Store
from scriberrd.settings import Settings
from scriberrd.transcript import Diarization, Turn
from scriberrd.units import Bytes, Seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scriberrd.transcript import EngineInfo

DAY = 86_400.0
RETRY = Retry(backoff=Seconds(0))


@dataclass
class House:
    """A queue and its library."""

    state: Path
    live: Live
    clock: TestClock = field(default_factory=TestClock)

    def __post_init__(self) -> None:
        self.store = Store(self.state / "queue.db")
        self.library = Library(self.state, self.live, self.clock)

    async def claim(self, name: str, version: int = 1, **settings: Any) -> Job:
        """A recording is dropped, and a worker takes it."""
        source = Source("inbox", name.encode(), Identity(1, 2, 3, version, 5), f"{version:064}")
        how = {"profile": "default", "settings": Settings(**settings), "now": self.clock.now}
        await self.store.run(jobs.submit, source, **how)
        return await self.again()

    async def again(self) -> Job:
        """The next job goes to a worker."""
        times = {"now": self.clock.now, "expires": 1e9, "longest": 3600.0}
        job = await self.store.run(jobs.claim, "cpu", **times)
        assert job is not None
        return job

    async def work(self, job: Job, blocks: int = 3, engine: EngineInfo = ENGINE) -> bytes:
        """A worker does all of it in 7 s, and the library keeps it; gives the transcript."""
        about = {"job": job.id, "lease": job.lease}
        lease = jobs.Lease(job.id, job.lease)
        probe = Probed(**about, container="mp3", codec="mp3", channels=1, duration=None)
        await self.store.run(jobs.probed, lease, probe)
        await self.store.run(jobs.loaded, lease, engine)
        for number in range(blocks):
            one = block(number)
            await self.store.run(jobs.checkpoint, lease, one, expires=1e9, now=self.clock.now)
        self.clock.now += 7
        finished = Finished(**about, duration=blocks * 10.0, warnings=("hiss",))
        await self.store.run(jobs.transcribed, lease, finished, now=self.clock.now)
        await self.library.keep(self.store, job)
        return await self.transcript(job)

    async def transcript(self, job: Job) -> bytes:
        work = await self.store.read(jobs.work, job.id)
        with self.store.reader() as db:
            text, _ = gather(work, queries.Blocks(db, job.id), job)
            return b"".join(FORMATS["json"].render(text))

    async def finish(self, job: Job) -> Job:
        lease = jobs.Lease(job.id, job.lease)
        return await self.store.run(jobs.finish, lease, language=None, now=self.clock.now)

    async def restored(self, job: Job) -> bool:
        return await self.library.restore(self.store, job, lambda _: None)

    def kept(self) -> int:
        """How many results the library has, as another process sees it."""
        path = self.state / library.NAME
        with contextlib.closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as db:
            count: int = db.execute("SELECT count(*) FROM result").get
            return count

    def limit(self, **retention: Any) -> None:
        """The configuration is read again."""
        changed = msgspec.structs.replace(self.live.config, retention=Retention(**retention))
        self.live.config = changed

    def close(self) -> None:
        self.library.close()
        self.store.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    config = Config(
        file=tmp_path / "scriberrd.toml",
        daemon=Daemon(),
        inboxes=(),
        profiles={},
        workers=(),
        retry=RETRY,
    )
    with contextlib.closing(House(tmp_path, Live(config))) as made:
        yield made


async def test_the_same_bytes_with_the_same_settings_need_no_worker(house: House) -> None:
    made = await house.work(await house.claim("a.wav"))
    job = await house.claim("sub/a.wav", formats=("json",), priority="urgent")
    assert await house.restored(job)
    assert await house.transcript(job) == made
    done = await house.finish(job)
    assert (done.duration, done.progress, done.cached) == (30.0, 30.0, True)
    (run,) = await house.store.read(queries.executions, job.id)
    assert run.audio_seconds == 0


async def test_it_tells_how_much_it_has_and_how_often_that_was_of_use(house: House) -> None:
    file = house.state / library.NAME
    file.write_bytes(b"something else")
    assert await house.library.totals() is None
    file.unlink()
    assert await house.library.totals() == shelf.Totals()
    assert not file.exists()
    await house.work(await house.claim("a.wav"))
    await house.work(await house.claim("b.wav", version=2))
    for name in ("c.wav", "d.wav", "e.wav"):
        assert await house.restored(await house.claim(name))
    totals = await house.library.totals()
    assert totals is not None
    assert (totals.results, totals.bytes > 100, totals.hits) == (2, True, 3)


@pytest.mark.parametrize(
    "other", [{"version": 2}, {"language": "de"}, {"model": "small"}, {"beam_size": 1}]
)
async def test_other_bytes_or_settings_are_other_work(house: House, other: dict[str, Any]) -> None:
    await house.work(await house.claim("a.wav"))
    assert not await house.restored(await house.claim("b.wav", **other))


async def test_what_is_redone_takes_the_place_of_what_was(house: House) -> None:
    job = await house.claim("a.wav")
    before = await house.work(job)
    await house.finish(job)
    settings = job.settings
    await house.store.run(jobs.redo, 1, profile="default", settings=settings, now=house.clock.now)
    job = await house.again()
    assert not await house.restored(job)
    made = await house.work(job, blocks=4)
    assert made != before
    assert house.kept() == 1
    other = await house.claim("b.wav")
    assert await house.restored(other)
    assert b'"duration":40' in (await house.transcript(other)).replace(b" ", b"")


async def test_what_was_made_with_less_does_not_serve_for_more(house: House) -> None:
    job = await house.claim("a.wav", batch_size=8)
    lease, step = jobs.Lease(job.id, job.lease), Fallback("batch_size", "8", "4")
    how = {"retry": RETRY, "now": house.clock.now, "step": step}
    await house.store.run(jobs.fail, lease, "out_of_memory", "", **how)
    house.clock.now += 1
    await house.work(await house.again())
    other = await house.claim("b.wav", batch_size=8)
    assert not await house.restored(other)
    lease = jobs.Lease(other.id, other.lease)
    await house.store.run(jobs.fail, lease, "out_of_memory", "", **how)
    house.clock.now += 1
    assert await house.restored(await house.again())


async def test_another_revision_of_the_model_makes_other_results(house: House) -> None:
    first, second = (msgspec.structs.replace(ENGINE, revision=name) for name in ("one", "two"))
    await house.work(await house.claim("a.wav"), engine=first)
    assert await house.restored(await house.claim("b.wav"))
    await house.work(await house.claim("c.wav", version=2), engine=second)
    assert not await house.restored(await house.claim("d.wav"))


async def test_another_policy_of_decoding_makes_other_results(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.work(await house.claim("a.wav"))
    monkeypatch.setattr(shelf, "POLICY", shelf.POLICY + 1)
    assert not await house.restored(await house.claim("b.wav"))


async def test_what_has_gone_on_the_way_is_done_again(house: House) -> None:
    await house.work(await house.claim("a.wav"))
    job = await house.claim("b.wav")
    with contextlib.closing(apsw.Connection(str(house.state / library.NAME))) as db:
        db.execute("DELETE FROM part WHERE number = 2")
    assert not await house.restored(job)
    work = await house.store.read(jobs.work, job.id)
    assert (work.last, work.finished) == (None, None)


async def test_what_is_tried_again_is_restored_from_the_start(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await house.work(await house.claim("a.wav"))
    job, run, tries = await house.claim("sub/a.wav"), house.store.run, []

    async def busy_at_first(function: Any, lease: Any, work: Any, blocks: Any) -> Any:
        tries.append(len(list(blocks)))
        if len(tries) == 1:
            raise DatabaseBusy("another process holds the write lock")
        return await run(function, lease, work, blocks)

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "run", busy_at_first)
        assert await house.restored(job)
    assert tries == [3, 3]
    assert await house.transcript(job) == made


async def test_a_library_that_is_lost_or_damaged_begins_anew(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.work(await house.claim("a.wav"))
    house.library.close()
    for suffix in ("-wal", "-shm"):
        (house.state / f"{library.NAME}{suffix}").unlink(missing_ok=True)
    (house.state / library.NAME).write_bytes(b"no database " * 1000)
    house.library = Library(house.state, house.live, house.clock)
    assert not await house.restored(await house.claim("b.wav"))
    assert "the library is damaged, setting it aside and beginning anew" in caplog.text
    await house.work(await house.claim("c.wav", version=2))
    assert house.kept() == 1


async def test_a_library_that_is_deleted_while_it_is_open_begins_anew(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.work(await house.claim("a.wav"))
    for file in house.state.glob(f"{library.NAME}*"):
        file.unlink()
    job = await house.claim("b.wav")
    assert not await house.restored(job)
    assert "the library is gone and begins anew" in caplog.text
    await house.work(job)
    assert house.kept() == 1
    assert await house.restored(await house.claim("c.wav"))


async def test_a_library_that_can_not_be_written_holds_nothing_up(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    (house.state / library.NAME).mkdir()
    for name in ("a.wav", "b.wav"):
        job = await house.claim(name)
        assert not await house.restored(job)
        await house.work(job)
    warnings = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "can't use the library" in warnings[0].message


@pytest.mark.parametrize(
    "tables", ["PRAGMA user_version = 1; CREATE TABLE x (y)", "CREATE TABLE result (z)"]
)
async def test_a_library_that_is_something_else_is_set_aside(house: House, tables: str) -> None:
    path = house.state / library.NAME
    with contextlib.closing(apsw.Connection(str(path))) as db:
        db.execute(tables)
    job = await house.claim("a.wav")
    assert not await house.restored(job)
    await house.library.prune(house.clock.now)
    await house.work(job)
    assert house.kept() == 1
    with contextlib.closing(apsw.Connection(f"{path}.damaged")) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master").get == 1


async def test_nothing_waits_for_the_lock_of_a_library_again_and_again(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.work(await house.claim("a.wav"))
    with contextlib.closing(apsw.Connection(str(house.state / library.NAME))) as db:
        db.execute("BEGIN IMMEDIATE")
        assert not await house.restored(await house.claim("b.wav"))
        db.execute("ROLLBACK")
    assert not await house.restored(await house.claim("c.wav"))  # it is not even looked at
    assert caplog.text.count("can't use the library") == 1
    house.clock.now += REST
    assert await house.restored(await house.claim("d.wav"))


@pytest.mark.parametrize("forgotten", ["the result", "all of the library"])
async def test_no_words_of_another_recording_are_given(
    house: House, monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    await house.work(await house.claim("a.wav"))
    copy, other = await house.claim("copy.wav"), await house.claim("b.wav", version=2)
    insist = house.store.insist

    async def meanwhile(function: Any, *args: Any) -> Any:
        if function is jobs.restore:  # between the find and the look at what was found
            monkeypatch.undo()
            if forgotten == "the result":
                await house.library.forget([copy.sha256 or ""])
            else:
                for file in house.state.glob(f"{library.NAME}*"):
                    file.unlink()
            await house.work(other)
        return await insist(function, *args)

    monkeypatch.setattr(house.store, "insist", meanwhile)
    assert not await house.restored(copy)
    assert (await house.store.read(jobs.work, copy.id)).finished is None


async def test_what_is_no_block_is_no_hit(house: House) -> None:
    await house.work(await house.claim("a.wav"))
    with contextlib.closing(apsw.Connection(str(house.state / library.NAME))) as db:
        db.execute("UPDATE part SET content = ?", (zlib.compress(b'{"number": 0}'),))
    job = await house.claim("b.wav")
    assert not await house.restored(job)
    assert (await house.store.read(jobs.work, job.id)).finished is None


async def test_a_library_of_another_version_begins_anew(house: House) -> None:
    await house.work(await house.claim("a.wav"))
    house.library.close()
    with contextlib.closing(apsw.Connection(str(house.state / library.NAME))) as db:
        db.pragma("user_version", VERSION + 1)
    house.library = Library(house.state, house.live, house.clock)
    assert not await house.restored(await house.claim("b.wav"))


async def test_what_is_not_used_is_forgotten(house: House) -> None:
    house.limit(library=Seconds(3 * DAY))
    await house.work(await house.claim("a.wav"))
    await house.work(await house.claim("b.wav", version=2))
    house.clock.now += 2 * DAY
    assert await house.restored(await house.claim("c.wav"))
    house.clock.now += 2 * DAY
    await house.library.prune(house.clock.now)
    assert house.kept() == 1
    assert await house.restored(await house.claim("d.wav"))


async def test_a_library_that_is_too_large_forgets_what_was_not_used_for_longest(
    house: House,
) -> None:
    for version, name in enumerate(("a.wav", "b.wav", "c.wav"), 1):
        await house.work(await house.claim(name, version))
    house.clock.now += 1
    assert await house.restored(await house.claim("d.wav", version=1))
    with contextlib.closing(apsw.Connection(str(house.state / library.NAME))) as db:
        size: int = db.execute("SELECT max(size) FROM result").get
    house.limit(library_size=Bytes(2 * size))
    await house.library.prune(house.clock.now)
    found = [await house.restored(await house.claim(f"{n}.mp3", version=n)) for n in (1, 2, 3)]
    assert found == [True, False, True]


async def test_a_recording_can_be_forgotten(house: House) -> None:
    job = await house.claim("a.wav")
    await house.work(job)
    await house.work(await house.claim("b.wav", beam_size=1))
    assert await house.library.forget([job.sha256 or ""])
    assert house.kept() == 0


OLD = {  # keys as an earlier version has written them
    """[{"engine":"faster-whisper","model":"base","fallback_model":"","language":"auto",\
"languages":[],"multilingual":false,"task":"transcribe","audio_track":"default",\
"word_timestamps":true,"vad":true,"beam_size":5,"batch_size":"auto","context":"none",\
"initial_prompt":"","hotwords":"","block_seconds":300.0,"show_gaps":false,"formats":[],\
"priority":"normal"},[]]""": (Settings(), ()),
    """[{"engine":"fake","model":"ok","fallback_model":"","language":"de",\
"languages":["de","en"],"multilingual":false,"task":"transcribe","audio_track":2,\
"word_timestamps":true,"vad":true,"beam_size":5,"batch_size":"auto","context":"none",\
"initial_prompt":"x","hotwords":"","block_seconds":300.0,"show_gaps":false,"formats":[],\
"priority":"normal"},["batch_size 8 -> 4","model ok -> small"]]""": (
        Settings(
            engine="fake",
            model="ok",
            language="de",
            languages=("de", "en"),
            initial_prompt="x",
            formats=("json",),
            priority="urgent",
            word_timestamps=False,
            audio_track=2,
            show_gaps=True,
            diarize="auto",
            speakers=3,
            speaker_labels="none",
        ),
        ("batch_size 8 -> 4", "model ok -> small"),
    ),
}


@pytest.mark.parametrize("text", OLD)
def test_what_earlier_versions_have_kept_is_found(text: str) -> None:
    settings, steps = OLD[text]
    key = shelf.Key.words("0" * 64, settings, steps)
    assert key.settings == text
    other = msgspec.structs.replace(settings, diarize="off", channels="split")
    assert shelf.Key.words("0" * 64, other, steps).settings != text


VOICES = {"SPEAKER_00": (0.25, -1.0), "SPEAKER_01": (1e-9, 3.0)}


def diarization(revision: str = "one") -> Diarization:
    turns = (
        Turn(start=0.0, end=2.5, speaker="SPEAKER_00"),
        Turn(start=2.0, end=9.125, speaker="SPEAKER_01"),
    )
    return Diarization(
        model="ours",
        revision=revision,
        device="cpu",
        turns=turns,
        exclusive=turns,
        embeddings=VOICES,
        warnings=("odd",),
        seconds=1.5,
    )


async def test_who_spoke_is_kept_with_the_voices(house: House) -> None:
    job = await house.claim("a.wav", diarize="auto", diarizer="fake")
    assert await house.library.turns(job) is None
    await house.library.keep_turns(job, diarization())
    assert await house.library.turns(job) == diarization()
    copy = await house.claim("b.wav", diarize="required", diarizer="fake", language="de")
    assert await house.library.turns(copy) == diarization()
    house.clock.now += 1
    later = await house.claim("c.wav", version=2, diarize="auto", diarizer="fake")
    assert await house.library.turns(later) is None
    await house.library.keep_turns(later, diarization("two"))  # the model has come anew
    assert await house.library.turns(copy) is None


@pytest.mark.parametrize(
    "other",
    [
        *({"speakers": 2}, {"min_speakers": 1}, {"max_speakers": 9}, {"audio_track": 1}),
        *({"diarizer": "other"}, {"diarization_model": "other"}, {"version": 2}),
    ],
)
async def test_with_other_hints_others_may_have_spoken(house: House, other: dict[str, Any]) -> None:
    await house.library.keep_turns(await house.claim("a.wav", diarize="auto"), diarization())
    assert await house.library.turns(await house.claim("b.wav", diarize="auto", **other)) is None


async def redone(house: House, stage: Any, **today: Any) -> Job:
    job = await house.store.read(queries.get, 1)
    settings = msgspec.structs.replace(job.settings, **today)
    how = {"profile": "default", "settings": settings, "now": house.clock.now, "stage": stage}
    await house.store.run(jobs.redo, 1, **how)
    return await house.again()


@pytest.mark.parametrize("stage", ["diarize", None])
async def test_who_spoke_is_found_out_anew_once(house: House, stage: Any) -> None:
    job = await house.claim("a.wav", diarize="auto")
    await house.work(job)
    await house.library.keep_turns(job, diarization())
    await house.finish(job)
    house.clock.now += 1
    job = await redone(house, stage)
    assert await house.library.turns(job) is None
    house.clock.now += 1
    await house.library.keep_turns(job, diarization())
    lease = jobs.Lease(job.id, job.lease)  # but the publication fails
    await house.store.run(jobs.release, lease, now=house.clock.now)
    assert await house.library.turns(await house.again()) == diarization()


async def test_a_stage_is_redone_with_the_words_of_before(house: House) -> None:
    first, second = (msgspec.structs.replace(ENGINE, revision=name) for name in ("one", "two"))
    made = await house.work(job := await house.claim("a.wav", diarize="auto"), engine=first)
    await house.library.keep_turns(job, diarization())
    await house.finish(job)
    await house.work(await house.claim("b.wav", version=2), engine=second)
    job = await redone(house, "diarize", speakers=2)
    assert await house.restored(job)  # those of the revision that it was made with
    assert await house.transcript(job) == made
    await house.finish(job)
    job = await redone(house, "merge", speakers=0)
    assert await house.library.turns(job) == diarization()
    kept = await house.library.words(job, await house.store.read(jobs.work, job.id))
    assert kept is not None
    assert [one.number for one in kept.blocks] == [0, 1, 2]


async def test_who_has_forgotten_the_words_says_so(house: House) -> None:
    job = await house.claim("a.wav")
    with pytest.raises(WordsNotKept):
        await house.library.require_words(house.store, job)
    await house.work(job)
    await house.library.require_words(house.store, job)
    job = await house.finish(job)
    await house.library.require_words(house.store, job)
    await house.library.forget([job.sha256 or ""])
    with pytest.raises(WordsNotKept):
        await house.library.require_words(house.store, job)


async def test_turns_are_not_mixed_with_the_words_of_an_unknown_track(house: House) -> None:
    await house.work(await house.claim("a.wav", audio_track="speech"))
    other = await house.claim("b.wav", audio_track="speech", diarize="auto")
    assert not await house.restored(other)
    assert await house.restored(await house.claim("c.wav", audio_track="speech"))
