"""A small Debian with systemd, and with what scriberrd needs, for machines that tests boot.

python root.py prints the folders that a machine is made of, or on stderr why they can't be had.
They are made once (1 GB, some minutes) below ~/.cache/scriberrd-tests, for each set of packages.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SOURCE = Path(__file__).parent.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scriberrd-tests"
RELEASE, MIRROR = "bookworm", os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd"),
    *("python3", "python3-venv"),
)
PYTHON = (3, 11)  # of that release: what pip fetches here has to work there
NEEDED = ("debootstrap", "systemd-nspawn", "nsenter", "mount")
VENV = "/opt/scriberrd"  # as in the README


def layers() -> tuple[Path, Path]:
    """The folders, the upper one first: what scriberrd needs, and Debian."""
    debian = hashlib.sha256(" ".join((RELEASE, *PACKAGES)).encode()).hexdigest()[:12]
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text("utf-8"))["project"]
    needs = hashlib.sha256(f"{debian} {project['dependencies']}".encode()).hexdigest()[:12]
    return CACHE / f"systemd-venv-{needs}", CACHE / f"systemd-{debian}"


def main() -> None:
    if os.geteuid() != 0:
        _leave_out("only root can boot a machine")
    if missing := [one for one in NEEDED if shutil.which(one) is None]:
        _leave_out(f"there is no {', '.join(missing)} (Debian: debootstrap, systemd-container)")
    if sys.version_info[:2] != PYTHON:
        _leave_out("the Python of the tests is not that of the machine, 3.11")
    venv, debian = layers()
    try:
        if not debian.exists():
            _debian(debian)
        if not venv.exists():
            _venv(venv, debian)
    except subprocess.CalledProcessError as error:
        _leave_out(f"{error.cmd[0]} failed: {''.join(error.stdout.splitlines()[-1:])}")
    print(f"{venv}:{debian}")


def _debian(target: Path) -> None:
    sys.stderr.write(f"fetching Debian {RELEASE} from {MIRROR}\n")
    with _new(target) as new:
        include = f"--include={','.join(PACKAGES)}"
        _run("debootstrap", "--variant=minbase", include, RELEASE, new, MIRROR)


def _venv(target: Path, debian: Path) -> None:
    sys.stderr.write("fetching what scriberrd needs\n")
    with _new(target) as new, _new(target.with_suffix(".wheels")) as wheels:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", wheels]
        _run(*pip, SOURCE)
        root = target.with_suffix(".root")
        with mounted(root, [debian], new):
            shutil.copytree(wheels, root / "wheels")
            _run("chroot", root, "python3", "-m", "venv", VENV)
            install = ["install", "--quiet", "--no-index", "--find-links", "/wheels", "scriberrd"]
            _run("chroot", root, f"{VENV}/bin/pip", *install)
            _run("chroot", root, f"{VENV}/bin/pip", "uninstall", "--quiet", "--yes", "scriberrd")
            shutil.rmtree(root / "wheels")
    shutil.rmtree(target.with_suffix(".wheels"))


@contextlib.contextmanager
def _new(target: Path) -> Iterator[Path]:
    """A folder that gets its name when all is in it."""
    new = target.with_name(f"{target.name}.part")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    yield new
    new.rename(target)


@contextlib.contextmanager
def mounted(root: Path, lower: Sequence[Path], upper: Path) -> Iterator[None]:
    """The folders one above the other; what is written goes into the uppermost."""
    work = upper.with_name(f"{upper.name}.work")
    for one in (root, upper, work):
        one.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={':'.join(map(str, lower))},upperdir={upper},workdir={work}"
    _run("mount", "-t", "overlay", "overlay", "-o", options, root)
    try:
        yield
    finally:
        _run("umount", "--lazy", root)
        shutil.rmtree(work, ignore_errors=True)
        root.rmdir()


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _leave_out(why: str) -> None:
    sys.stderr.write(f"no tests in a real systemd: {why}\n")
    sys.exit()


if __name__ == "__main__":
    main()
