"""Descriptors that are closed, output that is full, and a user without a home."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from program import AUDIO, BIN, DEADLINE, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Program]


def sh(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `scriberrd` through a shell, which can close what it is to have."""
    return subprocess.run(
        ["sh", "-c", command, "sh", BIN / "scriberrd"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        env={"PATH": os.defpath, **environment},
    )


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_descriptors_are_no_reason_to_fail(program: Make, closed: str) -> None:
    daemon = program(start=False)
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    daemon.launch(*shell)
    wait_for(daemon.socket.exists, "its socket")
    daemon.drop(AUDIO / "sentence.wav", "one.wav")
    daemon.wait("one.wav", "completed")
    assert daemon.daemon is not None
    null = os.stat(os.devnull)
    for number in (0, 1, 2):
        opened = os.stat(f"/proc/{daemon.daemon.pid}/fd/{number}")
        if f"{number}<&-" in closed or f"{number}>&-" in closed:
            assert opened.st_rdev == null.st_rdev
    assert daemon.stop(signal.SIGTERM) == 0
    assert not daemon.said("Traceback")


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ('"$1" --help > /dev/full', 1, "scriberrd: can't write: No space left on device\n"),
        ('"$1" --version > /dev/full', 1, "scriberrd: can't write: No space left on device\n"),
        ('"$1" --version > /dev/full 2>&1', 1, ""),
        ('"$1" --version >&-', 0, ""),
        ('("$1" --help; echo $? >&2) | true', 0, None),
    ],
)
def test_output_that_is_full_or_closed_ends_it_quietly(
    command: str, status: int, said: str | None
) -> None:
    done = sh(command, HOME="/")
    assert done.returncode == status
    assert done.stderr == said if said is not None else done.stderr in {"141\n", "0\n"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody without a name")
def test_a_user_without_a_home_and_a_name_gets_a_message() -> None:
    done = sh('exec setpriv --reuid 54321 --regid 54321 --clear-groups "$1" check')
    assert done.returncode == 78
    assert done.stderr.startswith("no configuration file (tried /.config/scriberrd/")
    done = sh('exec setpriv --reuid 54321 --regid 54321 --clear-groups "$1" init')
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
