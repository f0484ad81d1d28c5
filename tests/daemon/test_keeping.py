"""The database of the real program: damaged, locked, failing, old; and work that is done anew."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from program import AUDIO, BIN, TALK, Program, wait_for

from scriberrd.assembling import NO_SPEECH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"
DIALOGUE = TALK

HOLD = """
import sys, apsw
db = apsw.Connection(sys.argv[1])
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
db.execute("ROLLBACK")
"""


def damage(daemon: Program, start: int = 8192) -> None:
    """Overwrite the pages of a database from this byte on."""
    path = daemon.root / "state/scriberrd.db"
    db = apsw.Connection(str(path))
    # All of it may still be in the log, which a connection knows of once it has read something.
    db.execute("SELECT 1 FROM sqlite_master").fetchall()
    assert db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE) == (0, 0)
    db.close()
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xa5" * (path.stat().st_size - start))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def configure(daemon: Program, *changes: tuple[str, str]) -> None:
    text = daemon.config.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    daemon.config.write_text(text)


@pytest.mark.parametrize("start", [0, 8192])
def test_after_damage_the_backup_is_restored_and_nothing_is_done_twice(
    program: Make, start: int
) -> None:
    daemon = program()
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")
    daemon.stop()
    for backup in (daemon.root / "state/backups").iterdir():
        backup.unlink()  # of the start, with nothing in it
    daemon.start()
    (backup,) = wait_for(
        lambda: list((daemon.root / "state/backups").glob("scriberrd-*.db")), "the backup"
    )
    daemon.drop(AUDIO / "speech.flac", "sub/two.flac")
    daemon.wait("sub/two.flac", "completed")
    daemon.drop(AUDIO / "silence.wav", "three.wav")
    three = daemon.wait("three.wav", "completed")
    before = {name: (daemon.out / name).stat().st_ino for name in daemon.files()}
    daemon.stop(9)
    damage(daemon, start)
    daemon.start()
    two = daemon.wait("sub/two.flac", "completed")  # not in the backup, found in the inbox
    assert daemon.wait("three.wav", "completed")["warnings"] == three["warnings"] == [NO_SPEECH]
    assert daemon.workers() == []
    assert two["outputs"] == [f"sub/two.{kind}" for kind in ("json", "srt", "txt", "vtt")]
    assert {name: (daemon.out / name).stat().st_ino for name in daemon.files()} == before
    assert {job["path"] for job in daemon.jobs()} == {"one.wav", "sub/two.flac", "three.wav"}
    said = daemon.log.read_text()
    assert "ERROR scriberrd.db" in said
    assert f"restored backup {backup.name}" in said
    assert "found its transcript, nothing to do" in said
    aside = [file.name for file in (daemon.root / "state").glob("*.corrupt-*")]
    assert len([name for name in aside if name[-4] != "-"]) == 1


def test_finished_work_outlasts_its_job_and_its_files(program: Make) -> None:
    daemon = program()
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")
    before = daemon.transcript("one.json")
    daemon.ctl("remove", 1)
    for name in daemon.files():
        (daemon.out / name).unlink()
    daemon.drop(SENTENCE, "sub/two.wav")
    job = daemon.wait("sub/two.wav", "completed")
    (run,) = daemon.ctl("show", job["id"])["executions"]
    assert run["device"] is None  # no worker has loaded a model for it
    source = before["source"] | {"name": "two.wav"}
    assert daemon.transcript("sub/two.json") == before | {"source": source}


def test_what_is_deleted_for_its_age_is_not_kept_in_the_library(program: Make) -> None:
    daemon = program()
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")
    daemon.stop()
    configure(daemon, ("[retry]", '[retention]\ntranscripts = "1ms"\n[retry]'))
    daemon.start()
    wait_for(lambda: daemon.files() == [], "the transcript is deleted")
    daemon.drop(SENTENCE, "two.wav")
    job = daemon.wait("two.wav", "completed")
    (run,) = daemon.ctl("show", job["id"])["executions"]
    assert run["device"] is not None


def test_what_was_read_of_two_versions_is_neither_published_nor_kept(program: Make) -> None:
    daemon = program(start=False, model="slow", block_seconds=5)
    settle = ('settle = "0.2s"\n[profile.default]', 'settle = "1h"\n[profile.default]')
    configure(daemon, settle)
    daemon.start()
    daemon.drop(DIALOGUE, "talk.opus")
    daemon.ctl("submit", daemon.inbox / "talk.opus")
    daemon.underway("talk.opus", 5)
    with (daemon.inbox / "talk.opus").open("ab") as file:  # nobody says so for an hour
        file.write(b"more")

    def refused() -> bool:
        errors = [run["error"] or {} for run in daemon.ctl("show", 1)["executions"]]
        return [error.get("code") for error in errors].count("source_changed") > 1

    wait_for(refused, "the change is noticed by two runs")
    assert daemon.files() == []
    daemon.drop(SENTENCE, "talk.opus")
    daemon.ctl("submit", daemon.inbox / "talk.opus")
    daemon.wait("talk.opus", "completed")
    sha256 = hashlib.sha256(SENTENCE.read_bytes()).hexdigest()
    assert daemon.transcript("talk.json")["source"]["sha256"] == sha256


def test_words_that_another_run_has_finished_are_kept(program: Make) -> None:
    speakers = 'diarize = "auto"\ndiarizer = "fake"\ndiarization_model = "ok"'
    daemon = program(start=False, model="slow", block_seconds=5, profile=speakers)
    settle = ('settle = "0.2s"\n[profile.default]', 'settle = "1h"\n[profile.default]')
    configure(daemon, settle)
    daemon.start()
    daemon.drop(DIALOGUE, "talk.opus")
    daemon.ctl("submit", daemon.inbox / "talk.opus")
    daemon.underway("talk.opus", 5)
    with (daemon.inbox / "talk.opus").open("ab") as file:
        file.write(b"more")
    wait_for(lambda: daemon.ctl("show", 1)["executions"][0]["error"], "the change is noticed")
    os.truncate(daemon.inbox / "talk.opus", DIALOGUE.stat().st_size)  # the same bytes
    daemon.wait("talk.opus", "completed")
    first, *others = daemon.ctl("show", 1)["executions"]
    assert first["error"]["code"] == "source_changed"
    assert {run["device"] for run in others} == {None}
    assert daemon.ctl("redo", 1, "--stage", "diarize")["redo"]


def test_damage_that_a_backup_finds_ends_the_daemon_and_is_mended(program: Make) -> None:
    daemon = program()
    configure(daemon, ("[daemon]", '[daemon]\nbackup = "1s"\nbackups = 2'))
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")
    daemon.stop()  # all is in the file now, and nothing in its log
    folder = daemon.root / "state/backups"
    daemon.start()
    before = set(folder.glob("scriberrd-*"))
    wait_for(lambda: set(folder.glob("scriberrd-*")) - before, "a backup")
    path = daemon.root / "state/scriberrd.db"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xa5" * (path.stat().st_size // 2))
    assert daemon.daemon is not None
    assert daemon.daemon.wait(60) == 1  # systemd starts it again
    assert "damaged" in daemon.log.read_text().splitlines()[-1]
    sound = {file: file.read_bytes() for file in folder.iterdir()}
    assert len(sound) == 2  # what is damaged took the place of none
    daemon.start()
    assert "restored backup" in daemon.log.read_text()
    assert [job["state"] for job in daemon.jobs()] == ["completed"]
    assert daemon.ctl("show", 1)["executions"][0]["outcome"] == "completed"


def test_without_a_backup_finished_work_is_adopted(program: Make) -> None:
    daemon = program()
    configure(daemon, ("[daemon]", '[daemon]\nbackup = "0s"'))
    daemon.stop()
    for backup in (daemon.root / "state/backups").glob("*"):
        backup.unlink()
    daemon.start()
    daemon.drop(SENTENCE, "one.wav")
    daemon.drop(SENTENCE.read_bytes() + b"\0\0", "edited.wav")
    for name in ("one.wav", "edited.wav"):
        daemon.wait(name, "completed")
    (daemon.out / "edited.json").write_text('{"mine": true}')
    daemon.stop(9)
    damage(daemon)
    daemon.start()
    assert daemon.wait("one.wav", "completed")["outputs"][0] == "one.json"
    edited = daemon.wait("edited.wav", "completed")
    assert edited["outputs"][0] == "edited.wav.json"  # done again, and beside what is not ours
    assert (daemon.out / "edited.json").read_text() == '{"mine": true}'
    runs = {name: daemon.ctl("show", daemon.wait(name, "completed")["id"]) for name in ("one.wav",)}
    assert runs["one.wav"]["executions"][0]["audio_seconds"] == 0
    story = daemon.ask.logs(daemon.wait("one.wav", "completed")["id"])
    assert story[-2].endswith("Z found its transcript, nothing to do")
    done = [line for line in daemon.log.read_text().splitlines() if "one.wav: completed in" in line]
    assert ["real-time factor" in line for line in done] == [True, False]
    assert "there is no backup" in daemon.log.read_text()


def served(daemon: Program, id_: int) -> dict[str, Any]:
    """The transcript that the API gives."""
    command = [BIN / "scriberrctl", "--socket", daemon.socket, "transcript", str(id_)]
    done = subprocess.run([*command, "--format", "json"], check=True, capture_output=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_redo_keeps_the_old_transcript_until_the_new_one_is_there(program: Make) -> None:
    daemon = program(block_seconds=5)
    daemon.drop(DIALOGUE, "talk.opus")
    id_ = daemon.wait("talk.opus", "completed")["id"]
    daemon.stop()
    all_four = 'formats = ["json", "txt", "srt", "vtt"]'
    configure(daemon, ('model = "ok"', 'model = "slow"'), (all_four, 'formats = ["json"]'))
    daemon.start()
    old = {name: (daemon.out / name).read_bytes() for name in daemon.files()}

    daemon.ctl("redo", id_)
    wait_for(lambda: daemon.job("talk.opus")["progress"]["seconds"] >= 5, "some of the work")
    assert served(daemon, id_)["engine"]["model"] == "ok"
    daemon.ctl("cancel", id_)
    job = daemon.wait("talk.opus", "canceled")
    assert len(job["outputs"]) == 4
    assert {name: (daemon.out / name).read_bytes() for name in daemon.files()} == old
    assert served(daemon, id_)["engine"]["model"] == "ok"

    daemon.ctl("redo", id_)
    wait_for(lambda: daemon.job("talk.opus")["progress"]["seconds"] >= 5, "some of the work")
    daemon.stop(9)
    daemon.start()
    job = daemon.wait("talk.opus", "completed")
    assert (job["id"], job["redo"], len(job["outputs"])) == (id_, False, 4)
    assert served(daemon, id_)["engine"]["model"] == "slow"
    assert daemon.files() == sorted(old)


def test_old_jobs_are_pruned_and_their_recordings_are_no_news(program: Make) -> None:
    daemon = program()
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")
    daemon.stop()
    configure(daemon, ("[retry]", '[retention]\njobs = "1ms"\n[retry]'))
    daemon.start()
    wait_for(lambda: daemon.jobs() == [], "pruning")
    (daemon.inbox / "one.wav").touch()
    daemon.drop(AUDIO / "speech.flac", "two.flac")  # it settles later
    daemon.wait("two.flac", "completed")
    assert [job["path"] for job in daemon.jobs()] == ["two.flac"]
    job = daemon.ctl("submit", daemon.inbox / "one.wav")
    assert (job["id"], job["outputs"][0], job["started_at"]) == (1, "one.json", None)


def test_a_lock_that_another_process_holds_delays_and_drops_nothing(
    program: Make, tmp_path: Path
) -> None:
    daemon = program(start=False, model="slow", block_seconds=5)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.setblocking(False)  # noqa: FBT003
        manager.bind(str(tmp_path / "notify"))
        daemon.start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="2000000")
        daemon.drop(DIALOGUE, "long.opus")
        daemon.wait("long.opus", "processing")  # and its reports are still to come
        database = daemon.root / "state/scriberrd.db"
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"held\n"
            alive(manager)
            daemon.drop(SENTENCE, "new.wav")
            wait_for(lambda: daemon.said("waiting for it"), "the worker's report")
            # That is tried for seconds each time; who only reads waits for none of it.
            tries = daemon.said("waiting for it")
            for _ in range(20):
                assert status(daemon)["state"] == "running"
            assert daemon.said("waiting for it") - tries < 10
            assert daemon.ctl("status")["state"] == "running"
            refused = subprocess.run(
                [*daemon.client, "cancel", "1"],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert refused.returncode == 1
            assert "another process holds the write lock" in refused.stderr
            alive(manager)
            wait_for(lambda: alive(manager), "WATCHDOG=1")
            other.communicate(b"")
        daemon.wait("new.wav", "completed")
        job = daemon.wait("long.opus", "completed")
        assert job["failures"] == 0
        (run,) = daemon.ctl("show", job["id"])["executions"]
        assert run["outcome"] == "completed"


def alive(manager: socket.socket) -> int:
    """How often the watchdog was told since this was last asked."""
    told = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            told += manager.recv(1000) == b"WATCHDOG=1"
    return told


def status(daemon: Program) -> Any:
    """What the API says, without the time that a client takes to start."""
    connection = http.client.HTTPConnection("localhost", timeout=60)
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.connect(str(daemon.socket))
        connection.request("GET", "/v1/status")
        return json.loads(connection.getresponse().read())
