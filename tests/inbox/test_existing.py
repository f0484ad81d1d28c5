"""What lies in an inbox before it is watched, and what other programs have transcribed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from api_server import TRANSCRIPT
from support import mounted
from taken import Taken, taking

from scriberrd import transcript
from scriberrd.errors import InvalidRequest, OutputUnavailable, StoreError
from scriberrd.files.folders import Folders
from scriberrd.inbox import existing
from scriberrd.queue import jobs

if TYPE_CHECKING:
    from pathlib import Path


async def begin(taken: Taken, *names: str) -> list[str]:
    """Begin to watch an inbox in which these files lie; which of them are to be taken in."""
    await taken.arrivals.first(taken.inbox, taken.found(*names))
    return await taken.unknown(*names)


async def passed(taken: Taken, path: bytes) -> str | None:
    """Why a file was passed over, if it was."""
    query = "SELECT why FROM passed WHERE inbox = 'main' AND path = ?"
    why: str | None = await taken.store.read(lambda db: db.execute(query, (path,)).get)
    return why


def put(root: Path, *names: str) -> None:
    (root / "in").mkdir(exist_ok=True)
    for name in names:
        (root / "in" / name).write_bytes(name.encode())


async def test_what_was_there_is_left_alone_and_what_comes_is_not(tmp_path: Path) -> None:
    put(tmp_path, "a.wav", "b.wav")
    with taking(tmp_path, existing="ignore") as taken:
        assert await begin(taken, "a.wav", "b.wav") == []
        put(tmp_path, "c.wav")
        assert await taken.unknown("a.wav", "b.wav", "c.wav") == ["c.wav"]
        assert await passed(taken, b"a.wav") == "existing"


async def test_another_version_of_what_was_there_is_news(tmp_path: Path) -> None:
    """Among them a copy that was still going on."""
    put(tmp_path, "a.wav", "b.wav")
    with taking(tmp_path, existing="ignore") as taken:
        await begin(taken, "a.wav", "b.wav")
        with (taken.folder / "a.wav").open("ab") as file:
            file.write(b"more")
        (taken.folder / "b.wav").chmod(0o600)
        assert await taken.unknown("a.wav", "b.wav") == ["a.wav"]
        await taken.take("a.wav")
        assert await passed(taken, b"a.wav") is None
        assert await taken.unknown("a.wav", "b.wav") == []


async def test_only_the_first_time_counts(tmp_path: Path) -> None:
    with taking(tmp_path, existing="ignore") as taken:
        assert await begin(taken) == []
    put(tmp_path, "a.wav")  # while no daemon runs
    with taking(tmp_path, existing="ignore") as taken:
        assert await begin(taken, "a.wav") == ["a.wav"]


async def test_an_inbox_that_was_watched_already_has_no_first_time(tmp_path: Path) -> None:
    put(tmp_path, "a.wav")
    with taking(tmp_path, existing="process") as taken:
        assert await begin(taken, "a.wav") == ["a.wav"]
    with taking(tmp_path, existing="ignore") as taken:
        assert await begin(taken, "a.wav") == ["a.wav"]


async def test_another_folder_is_watched_for_the_first_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        put(tmp_path / name, "a.wav")
    with taking(tmp_path / "one", existing="ignore") as taken:
        assert await begin(taken, "a.wav") == []
    (tmp_path / "one/state").rename(tmp_path / "two/state")
    with taking(tmp_path / "two", existing="ignore") as taken:
        assert await begin(taken, "a.wav") == []


async def test_after_a_lost_database_everything_is_news(tmp_path: Path) -> None:
    """Among it may be what came since: to transcribe too much is better than to lose one."""
    put(tmp_path, "old.wav")
    with taking(tmp_path, existing="ignore") as taken:
        await begin(taken, "old.wav")
        put(tmp_path, "new.wav")
        await taken.take("new.wav")
    for file in tmp_path.glob("queue.db*"):
        file.unlink()
    with taking(tmp_path, existing="ignore") as taken:
        assert await begin(taken, "old.wav", "new.wav") == ["old.wav", "new.wav"]


async def test_a_daemon_that_dies_meanwhile_begins_again(tmp_path: Path) -> None:
    put(tmp_path, "a.wav", "b.wav")
    with taking(tmp_path, existing="ignore") as taken:
        await taken.store.run(jobs.pass_over, "main", taken.found("a.wav"), "existing")
    with taking(tmp_path, existing="ignore") as taken:
        assert await begin(taken, "a.wav", "b.wav") == []
    assert (tmp_path / "state/watched/main").read_text() == str(tmp_path / "in")


async def test_nothing_is_noted_as_watched_before_it_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "a.wav")
    with taking(tmp_path, existing="ignore") as taken:
        taken.store.close()
        with pytest.raises((StoreError, RuntimeError)):
            await begin(taken, "a.wav")
    assert not (tmp_path / "state/watched/main").exists()


async def test_submit_takes_one_that_was_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "a.wav", "b.wav")
    with taking(tmp_path, existing="ignore") as taken:
        await begin(taken, "a.wav", "b.wav")
        job, new = await taken.intake.accept(taken.inbox, b"a.wav")
        assert (job.state, new) == ("queued", True)
        assert await passed(taken, b"a.wav") is None
        await taken.store.run(jobs.cancel, job.id, 1.0)
        await taken.store.run(jobs.remove, job.id, 2.0)
        assert await taken.unknown("a.wav", "b.wav") == []


async def test_what_is_known_is_not_passed_over(tmp_path: Path) -> None:
    """An earlier version noted nothing of the inboxes that it watched."""
    put(tmp_path, "a.wav", "b.wav")
    with taking(tmp_path, existing="ignore") as taken:
        await taken.take("a.wav")
        await begin(taken, "a.wav", "b.wav")
        assert await passed(taken, b"a.wav") is None
        assert await passed(taken, b"b.wav") is not None


async def skipped(taken: Taken, name: str) -> bool:
    found = taken.found(name)
    live, store, folders = taken.live, taken.store, Folders()
    outcomes = await existing.skip(live.config, store, folders, taken.inbox, found)
    assert list(outcomes.values()) in ([], [None])
    return bool(outcomes)


@pytest.mark.parametrize("output", ["a.txt", "a.srt", "a.json", "a.wav.vtt", "A.TXT"])
async def test_a_recording_that_another_program_has_transcribed(
    tmp_path: Path, output: str
) -> None:
    put(tmp_path, "a.wav", "b.wav")
    with taking(tmp_path, skip_existing=True) as taken:
        (taken.inbox.output / output).write_text("{}")
        skips = await skipped(taken, "a.wav")
        assert skips == (output != "A.TXT")
        assert not await skipped(taken, "b.wav")
        if skips:
            assert await taken.unknown("a.wav", "b.wav") == ["b.wav"]
            assert await passed(taken, b"a.wav") == "outputs"


async def test_nothing_is_skipped_unless_it_is_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "a.wav")
    with taking(tmp_path) as taken:
        (taken.inbox.output / "a.txt").touch()
        assert not await skipped(taken, "a.wav")


async def test_only_formats_that_are_asked_for_count(tmp_path: Path) -> None:
    put(tmp_path, "a.wav")
    with taking(tmp_path, skip_existing=True) as taken:
        (taken.inbox.output / "a.rttm").touch()
        (taken.inbox.output / "a.docx").touch()
        assert not await skipped(taken, "a.wav")


async def test_our_own_transcripts_are_no_reason(tmp_path: Path) -> None:
    """Those that the database knows, and those that it has lost, which are adopted."""
    put(tmp_path, "a.mp3", "a.wav", "b.wav")
    with taking(tmp_path, skip_existing=True) as taken:
        for name in ("a.txt", "a.json", "b.txt"):
            (taken.inbox.output / name).write_bytes(b"".join(transcript.encode(TRANSCRIPT)))
        await taken.take("a.mp3")
        lease = await taken.claim()
        await taken.store.run(jobs.reserve, lease, [b"a.txt", b"a.json"])
        assert not await skipped(taken, "a.wav")
        await taken.store.run(jobs.unreserve, lease, [b"a.txt", b"a.json"])
        assert not await skipped(taken, "a.wav")
        assert await skipped(taken, "b.wav")  # which has no canonical one


async def test_where_the_outputs_cannot_be_looked_at_nothing_is_queued(tmp_path: Path) -> None:
    put(tmp_path, "a.wav")
    with taking(tmp_path, skip_existing=True) as taken:
        taken.inbox.output.rmdir()
        with pytest.raises(OutputUnavailable, match="its output folder can't be looked at"):
            await skipped(taken, "a.wav")
        assert await taken.unknown("a.wav") == ["a.wav"]


async def test_what_was_mounted_at_the_output_folder_and_is_not_passes_nothing_to_the_queue(
    tmp_path: Path,
) -> None:
    """A library that other programs transcribed would look as if nobody had."""
    put(tmp_path, "old.wav", "new.wav")
    with taking(tmp_path, skip_existing=True) as taken:
        out = taken.inbox.output
        with mounted(out):
            (out / "old.srt").touch()
            await taken.store.run(jobs.note_mounts, {os.fsencode(out): True})
            await taken.take("new.wav")
        with pytest.raises(OutputUnavailable, match="its file system is not mounted"):
            await taken.take("old.wav")
        out.rmdir()
        with pytest.raises(OutputUnavailable, match="output folder can't be looked at"):
            await taken.take("old.wav")
        assert [job.path for job in await taken.jobs()] == [b"new.wav"]
        assert await taken.unknown("old.wav") == ["old.wav"]


async def test_a_subfolder_of_the_outputs_that_is_not_mounted_holds_up_its_own_only(
    tmp_path: Path,
) -> None:
    put(tmp_path, "a.wav")
    with taking(tmp_path, skip_existing=True) as taken:
        (taken.folder / "sub").mkdir()
        (taken.folder / "sub/b.wav").touch()
        below = taken.inbox.output / "sub"
        below.mkdir()
        await taken.store.run(jobs.note_mounts, {os.fsencode(below): True})
        await taken.take("a.wav")
        with pytest.raises(InvalidRequest, match="its file system is not mounted"):
            await taken.take("sub/b.wav")
