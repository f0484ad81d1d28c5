"""A machine of its own with a real systemd, in a container; what is written in it goes with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import root
from program import DEADLINE, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SOURCE = "/src"  # where the machine has this source tree
MODEL = f"{SOURCE}/tests/models/whisper-flite/model"


class Machine:
    """A booted machine.

    Args:
        files: its root, as this machine sees it.
    """

    def __init__(self, files: Path) -> None:
        self.files = files
        self._container: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start it, and wait until all its units are up."""
        options = ["--quiet", "--register=no", "--keep-unit", "--boot", "--console=pipe"]
        name = f"scriberrd-{os.getpid()}"
        where = [
            f"--machine={name}",
            f"--directory={self.files}",
            f"--bind-ro={root.SOURCE}:{SOURCE}",
        ]
        with (self.files.parent / "console").open("ab") as console:
            self._container = subprocess.Popen(
                ["systemd-nspawn", *options, *where],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self.wait_booted()

    def wait_booted(self) -> None:
        """Wait until all its units are up, or can't be."""

        def up() -> bool:
            state = self._run("systemctl", "is-system-running").stdout.strip()
            return state in {"running", "degraded"}

        wait_for(up, lambda: self._run("systemctl", "list-jobs").stdout)

    def reboot(self) -> None:
        """Shut it down, and start it anew."""
        self.end()
        self.boot()

    def end(self) -> None:
        """Switch it off."""
        assert self._container is not None
        self.status("systemctl", "poweroff")
        try:
            self._container.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            os.killpg(self._container.pid, signal.SIGKILL)
            self._container.wait()
            raise

    def _init(self) -> int | None:
        assert self._container is not None
        if self._container.poll() is not None:
            return None
        children = Path(f"/proc/{self._container.pid}/task/{self._container.pid}/children")
        found = children.read_text().split()
        return int(found[0]) if found else None

    def _run(self, *words: object, user: str = "root") -> subprocess.CompletedProcess[str]:
        init = self._init()
        if init is None:  # it is about to boot
            return subprocess.CompletedProcess(words, -1, "", "there is no machine")
        enter = [
            "nsenter",
            "--all",
            f"--target={init}",
            "env",
            "-i",
            f"PATH={PATH}",
            "LANG=C.UTF-8",
        ]
        if user == "root":
            enter.append("HOME=/root")
        else:  # with all groups that it is in now, as after a new login
            uid = self._run("id", "-u", user).stdout.strip()
            enter += ["runuser", "-u", user, "--", "env", f"HOME=/home/{user}"]
            enter += [f"XDG_RUNTIME_DIR=/run/user/{uid}"]
        command = [*enter, *map(str, words)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=DEADLINE, check=False
        )

    def status(self, *words: object, user: str = "root") -> int:
        """Run a program in it; gives the exit status."""
        return self._run(*words, user=user).returncode

    def refused(self, *words: object, user: str = "root") -> str:
        """Run a program that has to fail; gives what it says of that."""
        done = self._run(*words, user=user)
        assert done.returncode != 0, done
        return done.stdout + done.stderr

    def run(self, *words: object, user: str = "root") -> str:
        """Run a program in it; gives its output."""
        done = self._run(*words, user=user)
        assert done.returncode == 0, done
        return done.stdout

    def write(self, name: str, content: str | bytes) -> None:
        """Have a file in it."""
        file = self.files / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def kill(self, process: int, name: str = "KILL") -> None:
        """Send a process a signal."""
        self.run("sh", "-c", f"kill -s {name} {process}")

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def journal(self, *matches: str) -> str:
        """What the journal has of the daemon."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--no-pager", "--output=cat", "--unit=scriberrd", *matches)


@contextlib.contextmanager
def booted(folder: Path) -> Iterator[Machine]:
    """A new machine, whose files are in the folder."""
    files = folder / "root"
    with root.mounted(files, root.layers(), folder / "written"):
        machine = Machine(files)
        machine.boot()
        try:
            yield machine
        finally:
            machine.end()
    shutil.rmtree(folder / "written")
