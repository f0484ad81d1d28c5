"""SIGHUP: the configuration is read again while recordings are being worked on.

A bad one is among the drills.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, DEADLINE, MODEL, TALK, Program, wait_for

from scriberrd.errors import ScriberrdError
from scriberrd.signals import Orders

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., Program]

SENTENCE = AUDIO / "sentence.wav"
DIALOGUE = TALK
AGAIN, BEFORE = "reloaded the configuration", "keeping the old configuration"


def rewrite(daemon: Program, pattern: str, new: str) -> None:
    """Change what the configuration says, once."""
    text, changes = re.subn(pattern, new, daemon.config.read_text(), count=1)
    assert changes == 1
    daemon.config.write_text(text)


def reload(daemon: Program, outcome: str = AGAIN) -> None:
    """Have the daemon read its configuration again, and wait until it has."""
    before = daemon.said(outcome)
    assert daemon.daemon is not None
    daemon.daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: daemon.said(outcome) > before, outcome)


async def test_a_fault_while_the_configuration_changes_ends_nothing() -> None:
    orders = Orders()
    failed, done = orders.reload(), orders.reload()
    orders.stop()
    outcomes: list[list[str] | Exception] = [FileNotFoundError("gone"), ["a warning"]]

    async def reload(_: object) -> list[str]:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    await orders.obey(reload)
    assert isinstance(failed.exception(), ScriberrdError)
    assert done.result() == ["a warning"]


def test_what_runs_goes_on_while_an_inbox_comes_and_another_goes(program: Make) -> None:
    daemon = program(model="slow")
    daemon.drop(DIALOGUE, "long.opus")
    daemon.underway("long.opus", 10)
    (worker,) = daemon.workers()
    for name in ("new", "new-out"):
        (daemon.root / name).mkdir()
    rewrite(daemon, r'name = "calm"\npath = "calm"', 'name = "new"\npath = "new"')
    rewrite(daemon, r'output = "calm-out"', 'output = "new-out"')
    reload(daemon)
    assert [one["name"] for one in daemon.ctl("status")["inboxes"]] == ["main", "new"]
    (daemon.root / "calm/unseen.wav").write_bytes(SENTENCE.read_bytes())
    (daemon.root / "new/seen.wav").write_bytes(SENTENCE.read_bytes())
    assert daemon.wait("seen.wav", "completed")["inbox"] == "new"
    assert (daemon.root / "new-out/seen.json").exists()
    job = daemon.wait("long.opus", "completed")
    assert len(daemon.ctl("show", job["id"])["executions"]) == 1
    assert daemon.workers() == [worker]
    assert daemon.job("unseen.wav") is None


def test_a_changed_pool_goes_on_from_the_next_block(program: Make) -> None:
    daemon = program(model="slow")
    daemon.drop(DIALOGUE, "long.opus")
    daemon.underway("long.opus", 10)
    (old,) = daemon.workers()
    daemon.drop(SENTENCE, "next.wav")
    daemon.wait("next.wav", "queued")
    rewrite(daemon, 'name = "cpu"\ncount = 1', 'name = "other"\ncount = 2')
    reload(daemon)
    job = daemon.wait("long.opus", "completed")
    assert job["failures"] == 0
    first, second = daemon.ctl("show", job["id"])["executions"]
    assert (first["worker"], first["outcome"]) == ("cpu", "released")
    assert second["worker"] in {"other-1", "other-2"}
    seconds = first["audio_seconds"] + second["audio_seconds"]
    assert seconds == pytest.approx(daemon.transcript("long.json")["duration"])  # none twice
    assert not old.is_running()
    (run,) = daemon.ctl("show", daemon.wait("next.wav", "completed")["id"])["executions"]
    assert run["started_at"] >= first["finished_at"]  # never two models in memory
    assert [one["name"] for one in daemon.ctl("status")["workers"]] == ["other-1", "other-2"]


def test_new_recordings_get_the_profile_as_it_is_now(program: Make) -> None:
    daemon = program()
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")
    rewrite(daemon, r"formats = .*", 'formats = ["json", "vtt"]')
    reload(daemon)
    daemon.drop(AUDIO / "speech.opus", "two.opus")
    daemon.wait("two.opus", "completed")
    assert [name for name in daemon.files() if name.startswith("two")] == ["two.json", "two.vtt"]


def test_a_pool_that_could_not_work_is_mended_at_once(program: Make) -> None:
    device = 'device = "cuda:99"'
    daemon = program(engine="faster-whisper", model=MODEL, worker=device, backoff="1h")
    daemon.drop(SENTENCE, "one.wav")
    outage = daemon.outage()
    assert (outage["part"], outage["error"]["code"]) == ("pool", "device_unavailable")
    rewrite(daemon, device, 'device = "cpu"')
    reload(daemon)
    daemon.wait("one.wav", "completed")
    assert daemon.ctl("status")["outages"] == []


def test_where_state_and_socket_are_stays_until_the_next_start(program: Make) -> None:
    daemon = program()
    (daemon.root / "elsewhere").mkdir()
    rewrite(daemon, r'socket = ".*"', 'socket = "elsewhere/s"')
    reload(daemon)
    assert f"daemon.socket stays {daemon.socket}" in daemon.log.read_text()
    assert daemon.ctl("status")["state"] == "running"
    daemon.stop()
    daemon.start()
    assert (daemon.root / "elsewhere/s").is_socket()


def test_the_manager_is_told_of_it(program: Make, tmp_path: Path) -> None:
    daemon = program(start=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(DEADLINE)
        manager.bind(str(tmp_path / "notify"))
        statuses = []

        def hear() -> bytes:
            """What comes next that is no status; those are kept."""
            while (heard := manager.recv(1000)).startswith(b"STATUS="):
                statuses.append(heard)
            return heard

        daemon.start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert hear().startswith(b"EXTEND_TIMEOUT_USEC=")
        assert hear() == b"READY=1"
        reload(daemon)
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", hear())
        assert hear() == b"READY=1"
        rewrite(daemon, r"settle = .*", "settle = []")
        reload(daemon, BEFORE)
        assert hear().startswith(b"RELOADING=1")
        assert hear() == b"READY=1"
        idle = b"STATUS=0 processing, 0 queued, 0 failed"
        while statuses[-1:] != [idle + b"; the new configuration was refused: see the journal"]:
            statuses.append(manager.recv(1000))
        rewrite(daemon, r"settle = .*", "settle = 1")
        reload(daemon)
        assert hear().startswith(b"RELOADING=1")
        assert hear() == b"READY=1"
        while statuses[-1:] != [idle]:
            statuses.append(manager.recv(1000))


def test_the_client_reloads_it_and_hears_what_is_wrong_with_it(program: Make) -> None:
    daemon = program()
    rewrite(daemon, r"settle = .*", "settle = []")
    refused = subprocess.run(
        [*daemon.client, "reload"], capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{daemon.config}:" in refused.stderr
    assert "settle" in refused.stderr
    assert daemon.said(BEFORE) > 0
    rewrite(daemon, r"settle = .*", "settle = 1")
    rewrite(daemon, r'socket = ".*"', 'socket = "elsewhere"')
    (warning,) = daemon.ctl("reload")["warnings"]
    assert warning.startswith("daemon.socket stays")
    (event,) = daemon.events("reloaded")
    assert event["by"]["uid"] == os.getuid()
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")


def test_it_is_ready_when_its_inboxes_are_watched_and_its_socket_answers(program: Make) -> None:
    daemon = program()
    before, _, _ = daemon.log.read_text().partition(" is ready")
    for name in ("main", "calm"):
        assert f"inbox {name}: watching" in before


def test_a_terminal_that_is_closed_ends_it_as_sigterm_does(program: Make) -> None:
    daemon = program(start=False)
    controlling, daemon.stdin = os.openpty()
    daemon.start("setsid", "--ctty")
    os.close(daemon.stdin)
    reload(daemon)
    daemon.drop(SENTENCE, "one.wav")
    daemon.wait("one.wav", "completed")
    for worker in daemon.workers():  # the shell tells the whole process group
        worker.send_signal(signal.SIGHUP)
    os.close(controlling)
    assert daemon.wait_dead() == 0
    assert not daemon.socket.exists()
    assert " died" not in daemon.log.read_text()


def test_nohup_is_obeyed(program: Make) -> None:
    daemon = program(start=False)
    daemon.start("nohup")
    assert daemon.daemon is not None
    daemon.daemon.send_signal(signal.SIGHUP)
    assert daemon.stop(signal.SIGTERM) == 0
    assert not daemon.said(AGAIN)
