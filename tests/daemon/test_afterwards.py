"""Recordings that are archived, deleted or set aside when they are done."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, DEADLINE, TALK, TESTS, Program, wait_for
from support import mounted

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]

SABOTEUR = (sys.executable, TESTS / "drills/saboteur.py")
SENTENCE = AUDIO / "sentence.wav"
ARCHIVE = 'after = "archive"\narchive = "archive/{folder}/{date}-{name}"'


def configured(program: Make, keys: str, **settings: object) -> Program:
    daemon = program(start=False, **settings)
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('output = "out"', f'output = "out"\n{keys}', 1))
    (daemon.root / "archive").mkdir()
    return daemon


def gone(daemon: Program, name: str) -> dict[str, object]:
    """The job, once its recording has left."""

    def left() -> dict[str, object] | None:
        job = daemon.job(name)
        return job if job is not None and job["disposed"] else None

    found: dict[str, object] = wait_for(left, lambda: f"{name}: {daemon.jobs()}")
    return found


def archived(daemon: Program) -> dict[str, bytes]:
    folder = daemon.root / "archive"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def events(daemon: Program) -> list[tuple[str, dict[str, str]]]:
    """The type and data of all events, oldest first."""
    with contextlib.closing(sqlite3.connect(daemon.root / "state/scriberrd.db")) as db:
        rows = db.execute("SELECT type, data FROM event ORDER BY id").fetchall()
    return [(type_, json.loads(data)) for type_, data in rows]


def inbox(daemon: Program) -> list[str]:
    return sorted(path.name for path in daemon.inbox.rglob("*") if path.is_file())


def source(daemon: Program, name: str) -> str:
    """The SHA-256 of the recording of a transcript."""
    sha256: str = json.loads((daemon.out / name).read_bytes())["source"]["sha256"]
    return sha256


def test_what_is_done_goes_into_the_archive(program: Make) -> None:
    daemon = configured(program, ARCHIVE)
    daemon.start()
    daemon.drop(SENTENCE, "a/talk.wav")
    os.utime(daemon.inbox / "a/talk.wav", (1_000_000_000, 1_000_000_000))
    assert gone(daemon, "a/talk.wav")["disposed"] == "archived a/2001-09-09-talk.wav"
    assert archived(daemon) == {"a/2001-09-09-talk.wav": SENTENCE.read_bytes()}
    assert inbox(daemon) == []
    assert "a/talk.json" in daemon.files()
    daemon.drop(SENTENCE, "a/talk.wav")  # the same again
    os.utime(daemon.inbox / "a/talk.wav", (1_000_000_000, 1_000_000_000))
    wait_for(lambda: inbox(daemon) == [], "the inbox is empty again")
    wait_for(lambda: len(archived(daemon)) == 2, "and nothing is lost")
    assert len(daemon.jobs()) == 1
    to = "a/2001-09-09-talk-2.wav"
    wait_for(lambda: events(daemon)[-1] == ("disposed", {"action": "archived", "to": to}), "told")
    daemon.ctl("remove", daemon.jobs()[0]["id"])
    (daemon.root / "archive" / to).rename(daemon.inbox / "a/talk.wav")
    wait_for(lambda: inbox(daemon) == [], "also when its job is forgotten")
    wait_for(lambda: events(daemon)[-1][1].get("to") == to, "it is told")
    assert daemon.jobs() == []


def test_in_the_archive_it_keeps_its_extension(program: Make) -> None:
    daemon = configured(program, 'after = "archive"\narchive = "archive/{inbox}/{stem}-{job}"')
    daemon.start()
    daemon.drop(SENTENCE, "talk.wav")
    assert gone(daemon, "talk.wav")["disposed"] == "archived main/talk-1.wav"
    assert archived(daemon) == {"main/talk-1.wav": SENTENCE.read_bytes()}


def test_what_is_done_is_deleted(program: Make) -> None:
    daemon = configured(program, 'after = "delete"')
    daemon.start()
    daemon.drop(SENTENCE, "talk.wav")
    assert gone(daemon, "talk.wav")["disposed"] == "deleted"
    assert inbox(daemon) == []
    assert "talk.json" in daemon.files()


def test_what_has_left_is_not_redone_but_stays_completed(program: Make) -> None:
    daemon = configured(program, 'after = "delete"')
    daemon.start()
    daemon.drop(SENTENCE, "talk.wav")
    id_ = gone(daemon, "talk.wav")["id"]
    for options in ((), ("--stage", "diarize", "--set", "diarize=auto")):
        refused = redo(daemon, id_, *options)
        assert "its recording was deleted" in refused.stderr
        assert refused.returncode != 0
    job = daemon.ctl("redo", id_, "--stage", "merge", "--set", "formats=json,rttm")
    assert job["state"] == "completed"


def test_what_was_archived_is_redone_when_it_is_put_back(program: Make) -> None:
    daemon = configured(program, ARCHIVE.replace("{date}-", ""))
    daemon.start()
    daemon.drop(SENTENCE, "a/talk.wav")
    id_ = gone(daemon, "a/talk.wav")["id"]
    refused = redo(daemon, id_)
    assert "its recording was archived as a/talk.wav: put it back first" in refused.stderr
    assert daemon.job("a/talk.wav")["state"] == "completed"  # type: ignore[index]
    daemon.stop()
    daemon.config.write_text(
        daemon.config.read_text().replace('settle = "0.2s"', 'settle = "1h"', 1)
    )
    daemon.start()
    (daemon.root / "archive/a/talk.wav").rename(daemon.inbox / "a/talk.wav")
    daemon.ctl("redo", id_)
    gone(daemon, "a/talk.wav")
    runs = daemon.ctl("show", id_)["executions"]
    assert [run["outcome"] for run in runs] == ["completed", "completed"]
    assert archived(daemon) == {"a/talk.wav": SENTENCE.read_bytes()}


def redo(daemon: Program, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*daemon.client, "redo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)


@pytest.mark.parametrize("after", ["archive", "delete"])
def test_the_next_recording_of_that_name_leaves_the_transcript_of_the_last(
    program: Make, after: str
) -> None:
    daemon = configured(program, f'after = "{after}"\narchive = "archive"')
    daemon.start()
    takes = [SENTENCE.read_bytes()[:-1] + bytes([number]) for number in range(4)]
    for number, take in enumerate(takes[:3], 1):
        daemon.drop(take, "memo.wav")  # as a recorder does that has one name for all

        def left(number: int = number) -> bool:
            jobs = daemon.jobs()
            return len(jobs) == number and all(job["disposed"] for job in jobs)

        wait_for(left, lambda: str(daemon.jobs()))
    names = ["memo.json", "memo.wav.json", f"memo-{hashlib.sha256(takes[2]).hexdigest()[:8]}.json"]
    taken = [hashlib.sha256(take).hexdigest() for take in takes[:3]]
    assert [source(daemon, name) for name in names] == taken
    daemon.ctl("remove", 3, "--purge", "--yes")  # with which the others are forgotten
    assert [(daemon.out / name).exists() for name in names] == [True, True, False]
    daemon.drop(takes[3], "memo.wav")
    wait_for(lambda: [bool(job["disposed"]) for job in daemon.jobs()] == [True], "it has left")
    assert [source(daemon, name) for name in names[:2]] == taken[:2]


def test_what_failed_is_set_aside_and_tried_again_when_it_is_put_back(program: Make) -> None:
    daemon = configured(program, 'on_failure = "quarantine"\narchive = "archive"')
    daemon.start()
    daemon.drop(b"no sound", "a/talk.wav")
    job = gone(daemon, "a/talk.wav")
    assert (job["state"], job["disposed"]) == ("failed", "quarantined failed/a/talk.wav")
    assert archived(daemon) == {"failed/a/talk.wav": b"no sound"}
    assert inbox(daemon) == []
    (daemon.root / "archive/failed/a/talk.wav").rename(daemon.inbox / "a/talk.wav")
    wait_for(lambda: archived(daemon) and not inbox(daemon), "it is set aside again")
    runs = [run["error"]["code"] for run in daemon.ctl("show", job["id"])["executions"]]
    assert runs == ["just_written", "invalid_media", "invalid_media"]
    daemon.drop(SENTENCE, "good.wav")
    daemon.wait("good.wav", "completed")
    assert inbox(daemon) == ["good.wav"]


def test_it_waits_for_the_archive_and_its_transcript_can_be_changed(program: Make) -> None:
    daemon = configured(program, ARCHIVE)
    (daemon.root / "archive").rmdir()
    daemon.start()
    daemon.drop(SENTENCE, "talk.wav")
    job = daemon.wait("talk.wav", "completed")
    why = "the archive of inbox main: No such file or directory"
    wait_for(lambda: daemon.said(f"its recording can't leave, trying again: {why}"), "it is told")
    assert daemon.ctl("show", job["id"])["leaving"] == why
    told = daemon.ctl("explain", daemon.inbox / "talk.wav")["text"]
    assert told.endswith(f"; it is still to leave its inbox: {why}")
    outage = daemon.outage()
    assert (outage["part"], outage["name"]) == ("leaving", "main")
    assert (outage["error"]["code"], outage["error"]["detail"]) == ("cannot_leave", why)
    assert outage["since"] <= outage["next_try"]
    daemon.ctl("redo", job["id"])
    wait_for(lambda: len(daemon.ctl("show", job["id"])["executions"]) == 2, "it is done again")
    daemon.wait("talk.wav", "completed")
    (daemon.root / "archive").mkdir()
    gone(daemon, "talk.wav")
    assert list(archived(daemon).values()) == [SENTENCE.read_bytes()]
    assert inbox(daemon) == []
    assert daemon.ctl("status")["outages"] == []


def test_a_reload_tries_at_once_what_can_not_leave(program: Make) -> None:
    daemon = configured(program, ARCHIVE, backoff="1h")
    (daemon.root / "archive").rmdir()
    daemon.start()
    daemon.drop(SENTENCE, "talk.wav")
    assert daemon.outage()["part"] == "leaving"
    (daemon.root / "archive").mkdir()
    daemon.ctl("reload")
    gone(daemon, "talk.wav")


def test_what_takes_the_daemon_down_is_set_aside(program: Make) -> None:
    keys = 'on_failure = "quarantine"\narchive = "archive"'
    daemon = configured(program, keys, retry="interruptions = 1")
    daemon.start(*SABOTEUR, SABOTAGE_CRASH="after:claim:1")
    daemon.drop(SENTENCE, "talk.wav")
    daemon.wait_dead()
    daemon.start()
    job = gone(daemon, "talk.wav")
    assert job["error"]["code"] == "interrupted_too_often"  # type: ignore[index]
    assert archived(daemon) == {"failed/talk.wav": SENTENCE.read_bytes()}


def reconfigure(daemon: Program, old: str, new: str) -> None:
    text = daemon.config.read_text()
    assert old in text
    daemon.config.write_text(text.replace(old, new))


def test_what_has_not_left_stays_once_the_configuration_says_so(program: Make) -> None:
    daemon = configured(program, ARCHIVE)
    (daemon.root / "archive").rmdir()
    daemon.start()
    daemon.drop(SENTENCE, "talk.wav")
    wait_for(lambda: daemon.said("its recording can't leave"), "it is told")
    daemon.stop()
    reconfigure(daemon, 'after = "archive"', 'after = "keep"')
    (daemon.root / "archive").mkdir()
    daemon.start()
    wait_for(lambda: events(daemon)[-1] == ("kept", {"why": "configuration"}), "it is told")
    assert inbox(daemon) == ["talk.wav"]
    assert archived(daemon) == {}


def test_what_is_about_to_be_deleted_stays_once_the_configuration_says_so(program: Make) -> None:
    daemon = configured(program, 'after = "delete"')
    daemon.start(*SABOTEUR, SABOTAGE_CRASH="after:files.leaving.judge:1")
    daemon.drop(SENTENCE, "talk.wav")
    daemon.wait_dead()
    assert inbox(daemon) != ["talk.wav"]
    reconfigure(daemon, 'after = "delete"', 'after = "keep"')
    daemon.start()
    wait_for(lambda: events(daemon)[-1] == ("kept", {"why": "configuration"}), "it is told")
    assert inbox(daemon) == ["talk.wav"]


def test_what_was_leaving_an_inbox_that_has_another_name_now_lies_there(program: Make) -> None:
    daemon = configured(program, 'after = "delete"')
    daemon.start(*SABOTEUR, SABOTAGE_CRASH="after:files.leaving.judge:1")
    daemon.drop(SENTENCE, "talk.wav")
    daemon.wait_dead()
    reconfigure(daemon, 'name = "main"', 'name = "talks"')
    reconfigure(daemon, 'after = "delete"', 'after = "keep"')
    daemon.start()
    wait_for(lambda: inbox(daemon) == ["talk.wav"], lambda: str(inbox(daemon)))
    assert daemon.ctl("status")["leaving"] == 0


def test_what_is_not_mounted_any_more_is_not_gone(program: Make) -> None:
    daemon = configured(program, ARCHIVE)
    (daemon.root / "archive").rmdir()
    share = daemon.inbox / "share"
    share.mkdir()
    (share / "notes.txt").touch()
    with mounted(share):
        daemon.start()
        daemon.drop(SENTENCE, "share/talk.wav")
        daemon.wait("share/talk.wav", "completed")
        wait_for(lambda: daemon.said("its recording can't leave"), "it is told")
    wait_for(lambda: daemon.said("its file system is not mounted"), "it is told")
    job = daemon.job("share/talk.wav")
    assert job is not None
    assert job["disposed"] is None


@pytest.mark.parametrize("harm", ["edited", "missing"])
def test_without_its_transcript_it_is_not_deleted(program: Make, harm: str) -> None:
    daemon = configured(program, 'after = "delete"')
    hold = daemon.root / "hold"
    hold.touch()
    daemon.start(*SABOTEUR, SABOTAGE_HOLD=f"files.leaving.judge:{hold}")
    daemon.drop(SENTENCE, "talk.wav")
    daemon.wait("talk.wav", "completed")
    wait_for(lambda: any(n.startswith(".scriberrd-leaving-") for n in inbox(daemon)), "it is held")
    if harm == "edited":
        with (daemon.out / "talk.txt").open("a") as file:
            file.write("mine")
    else:
        (daemon.out / "talk.json").unlink()
    hold.unlink()
    wait_for(lambda: daemon.said("its recording stays"), "it is told")
    assert inbox(daemon) == ["talk.wav"]
    assert daemon.job("talk.wav")["disposed"] is None  # type: ignore[index]
    assert events(daemon)[-1] == ("kept", {"why": "outputs"})


def test_what_is_not_whole_is_not_deleted(program: Make) -> None:
    daemon = configured(program, 'after = "delete"')
    daemon.start()
    daemon.drop(SENTENCE.read_bytes()[:-20_000], "cut.wav")
    daemon.wait("cut.wav", "completed")
    wait_for(lambda: events(daemon)[-1] == ("kept", {"why": "incomplete"}), "it is told")
    assert inbox(daemon) == ["cut.wav"]


@pytest.mark.parametrize("after", ["archive", "delete"])
def test_what_somebody_still_writes_to_stays(program: Make, after: str) -> None:
    daemon = configured(program, f'after = "{after}"\narchive = "archive"')
    daemon.start()
    with (daemon.inbox / "talk.wav").open("wb") as file:  # a copy that pauses for long
        file.write(SENTENCE.read_bytes())
        file.flush()
        daemon.wait("talk.wav", "completed")
        wait_for(lambda: daemon.said("open for writing"), "it is told")
        assert inbox(daemon) == ["talk.wav"]
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    wait_for(lambda: len(daemon.jobs()) == 2, "it is another recording")
    wait_for(lambda: any(job["disposed"] for job in daemon.jobs()), "which leaves")


def test_another_file_under_its_name_stays(program: Make) -> None:
    daemon = configured(program, 'after = "delete"')
    hold = daemon.root / "hold"
    hold.touch()
    daemon.start(*SABOTEUR, SABOTAGE_HOLD=f"files.leaving.hold:{hold}")
    daemon.drop(SENTENCE, "talk.wav")
    daemon.wait("talk.wav", "completed")
    speech = (AUDIO / "speech.flac").read_bytes()
    (daemon.root / "new").write_bytes(speech)
    (daemon.root / "new").rename(daemon.inbox / "talk.wav")
    hold.unlink()
    wait_for(lambda: daemon.said("its recording stays"), "it is told")

    def both() -> bool:
        return [job["state"] for job in daemon.jobs()] == ["completed", "completed"]

    wait_for(both, lambda: str(daemon.jobs()))
    found = json.loads((daemon.out / "talk.json").read_bytes())
    assert found["source"]["size"] == len(speech)


@pytest.mark.parametrize(
    ("after", "crash"),
    [
        *(
            ("archive", f"{when}:{what}")
            for when in ("before", "after")
            for what in ("hold", "aim")
        ),
        ("archive", "before:finish"),
        ("archive", "after:finish"),
        ("archive", "after:files.leaving.hold"),
        ("archive", "after:files.leaving.move"),
        ("archive", "after:disposed"),
        ("delete", "after:files.leaving.judge"),
        ("delete", "after:files.leaving.delete"),
    ],
)
def test_it_leaves_once_whenever_the_daemon_is_killed(
    program: Make, after: str, crash: str
) -> None:
    daemon = configured(program, f'after = "{after}"\narchive = "archive"')
    daemon.start(*SABOTEUR, SABOTAGE_CRASH=f"{crash}:1")
    daemon.drop(SENTENCE, "a/talk.wav")
    daemon.wait_dead()
    files = [*daemon.inbox.rglob("*"), *(daemon.root / "archive").rglob("*")]
    whole = [path for path in files if path.is_file()]
    assert after == "delete" or whole
    daemon.start()
    job = gone(daemon, "a/talk.wav")
    assert job["state"] == "completed"
    assert inbox(daemon) == []
    if after == "archive":
        assert archived(daemon) == {"a/talk.wav": SENTENCE.read_bytes()}
        assert job["disposed"] == "archived a/talk.wav"
    else:
        assert job["disposed"] == "deleted"
    assert len(daemon.jobs()) == 1


def test_our_copies_of_uploads_go_after_their_age_and_nobodys_own_file(program: Make) -> None:
    daemon = program()
    daemon.drop(SENTENCE, "own.wav")
    daemon.wait("own.wav", "completed")
    for source, name in ((TALK, "talk.opus"), (AUDIO / "speech.flac", "speech.flac")):
        (daemon.root / name).write_bytes(source.read_bytes())
        daemon.ctl("submit", daemon.root / name)
        assert daemon.wait(name, "completed")["uploaded"]
    (daemon.root / "speech.flac").rename(daemon.inbox / "speech.flac")  # by the same, of a person
    daemon.stop()
    text = daemon.config.read_text()
    kept = '[retention]\nuploads = "1ms"\njobs = "1ms"\n[retry]'
    daemon.config.write_text(text.replace("[retry]", kept))
    daemon.start()
    wait_for(lambda: inbox(daemon) == ["own.wav", "speech.flac"], lambda: str(inbox(daemon)))
    wait_for(lambda: ("disposed", {"action": "deleted"}) in told(daemon), "it is told")
    wait_for(lambda: ("kept", {"why": "changed"}) in told(daemon), "it is told")
    assert sorted(name for name in daemon.files() if name.endswith("json")) == [
        "own.json",
        "speech.json",
        "talk.json",
    ]


def told(daemon: Program) -> list[tuple[str, dict[str, str]]]:
    return [
        (type_, {key: data[key] for key in ("action", "why") if key in data})
        for type_, data in events(daemon)
    ]


def test_an_archive_on_another_file_system_that_is_full_or_not_there(program: Make) -> None:
    daemon = configured(program, 'after = "archive"\narchive = "archive"')
    archive = daemon.root / "archive"
    with mounted(archive, "-o", "size=256k"):
        daemon.start()
        daemon.drop(SENTENCE, "one.wav")
        assert gone(daemon, "one.wav")["disposed"] == "archived one.wav"
        daemon.drop(AUDIO / "stereo.flac", "two.flac")  # too large for what is left
        daemon.wait("two.flac", "completed")
        wait_for(lambda: daemon.said("No space left on device"), "it is told")
        wait_for(lambda: inbox(daemon) == ["two.flac"], "it has its name")
        assert archived(daemon) == {"one.wav": SENTENCE.read_bytes()}
    wait_for(lambda: daemon.said("two.flac") and daemon.said("not mounted"), "it is told")
    assert archived(daemon) == {}
    wait_for(lambda: inbox(daemon) == ["two.flac"], "it has its name")
    with mounted(archive):
        assert gone(daemon, "two.flac")["disposed"] == "archived two.flac"
        assert archived(daemon) == {"two.flac": (AUDIO / "stereo.flac").read_bytes()}
        daemon.stop()


def test_an_archive_that_hangs_holds_up_nothing_else(program: Make) -> None:
    daemon = configured(program, 'after = "archive"\narchive = "archive"')
    hang = daemon.root / "hang"
    daemon.start(*SABOTEUR, SABOTAGE_HANG=f"{daemon.root / 'archive'}:{hang}")
    hang.touch()
    daemon.drop(SENTENCE, "one.wav")
    wait_for(lambda: daemon.said("its recording can't leave"), "it is told")
    daemon.drop(AUDIO / "speech.flac", "two.flac")
    daemon.wait("two.flac", "completed")
    hang.unlink()
    for name in ("one.wav", "two.flac"):
        assert gone(daemon, name)["disposed"] == f"archived {name}"
    assert sorted(archived(daemon)) == ["one.wav", "two.flac"]
    assert inbox(daemon) == []
