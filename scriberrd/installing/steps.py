"""The steps of an installation: each says what it does, and is done when nobody only wants to know.

Each function gives no step where there is nothing to do, so that doing all of it twice is once.
"""

from __future__ import annotations

import functools
import os
import pwd
import shlex
import shutil
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from scriberrd.errors import CannotInstall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OURS = "# Written by `scriberrd install"  # in the first or second line of our files
SHARED = 0o2770  # user and group; the group of the folder becomes that of all in it


class Step(NamedTuple):
    """One thing to do."""

    says: str
    do: Callable[[], object]


def write(target: Path, text: str, *, replace: bool = True) -> Iterator[Step]:
    """Have a file there with this text; what somebody else wrote is kept beside it."""
    if is_masked(target):
        yield _leave(target, "which is masked")
        return
    there = _read(target)
    if there == text or (there is not None and not replace):
        return
    if there is not None and not _is_ours(there):
        former = target.with_name(f"{target.name}.old")
        yield Step(f"rename {target} to {former.name}", functools.partial(target.rename, former))

    def do() -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")

    yield Step(f"write {target}", do)


def readable(*targets: Path) -> Iterator[Step]:
    """Have everybody read these files, which root may have written when others were shut out."""
    for path in sorted({one for target in targets for one in (target, *target.parents)}):
        if not path.exists():
            continue
        mode = path.stat().st_mode
        more = 0o055 if path.is_dir() else 0o044
        if (mode & more) % 8 != more % 8:
            change = functools.partial(path.chmod, stat.S_IMODE(mode | more))
            yield Step(f"let everybody read {path}", change)


def remove(target: Path) -> Iterator[Step]:
    """Have no file there, unless somebody else wrote it."""
    if _is_ours(_read(target) or ""):
        yield Step(f"remove {target}", target.unlink)


def is_masked(unit: Path) -> bool:
    """Whether an administrator wants no unit of this name, as `systemctl mask` writes it."""
    return unit.is_symlink() and os.readlink(unit) == os.devnull


def _leave(path: Path, why: str) -> Step:
    return Step(f"leave {path}, {why}", lambda: None)


def _is_ours(text: str) -> bool:
    return any(OURS in line for line in text.split("\n", 2)[:2])


def link(name: Path, program: Path) -> Iterator[Step]:
    """Have a program in PATH; another one of this name stays."""
    found = shutil.which(program.name)
    if (found and os.path.samefile(found, program)) or (os.path.lexists(name) and name.exists()):
        return

    def do() -> None:
        name.parent.mkdir(parents=True, exist_ok=True)
        name.unlink(missing_ok=True)  # a link that leads nowhere
        name.symlink_to(program)

    yield Step(f"link {name} to {program}", do)


def unlink(name: Path, program: Path) -> Iterator[Step]:
    """Have no link to this program there."""
    if name.is_symlink() and Path(os.readlink(name)) == program:
        yield Step(f"remove {name}", name.unlink)


def account(service: str, described: Path) -> Iterator[Step]:
    """Have this user, and a group of the same name."""
    try:
        pwd.getpwnam(service)
    except KeyError:
        run = functools.partial(_run, "systemd-sysusers", str(described))
        yield Step(f"create user and group {service}", run)


def folder(path: Path, owner: str | None) -> Iterator[Step]:
    """Have a folder; one that is made for a service belongs to it and to its group."""
    if path.exists():
        if owner is not None and not may(owner, "-w", path):
            yield _leave(path, f"where user {owner} can't write: {_cure(path, owner)}")
        return

    def do() -> None:
        path.mkdir(parents=True)
        if owner is not None:
            shutil.chown(path, owner, owner)
            path.chmod(SHARED)

    whose = f" for user and group {owner}" if owner is not None else ""
    yield Step(f"create folder {path}{whose}", do)


def _cure(path: Path, owner: str) -> str:
    for around in reversed(path.parents):
        if not may(owner, "-x", around):
            return f"{around} is closed to it"
    name = shlex.quote(str(path))
    return f"chgrp {owner} {name} && chmod {SHARED:o} {name}"


def may(user: str, what: str, path: Path) -> bool:
    """Whether a user can do with a path what an option of test(1) asks; yes, if nobody can tell."""
    try:
        groups = os.getgrouplist(user, pwd.getpwnam(user).pw_gid)
    except KeyError:  # the user is yet to be made
        return True
    if os.geteuid() != 0:
        return True
    as_them: dict[str, Any] = {"user": user, "group": groups[0], "extra_groups": groups}
    asked = ["test", what, str(path)]  # the kernel knows of lists of access too
    return subprocess.run(asked, **as_them, check=False).returncode == 0


def command(*words: str | Path) -> Iterator[Step]:
    """Run a program."""
    texts = tuple(map(str, words))
    yield Step(f"run {' '.join(texts)}", functools.partial(_run, *texts))


def _run(*words: str) -> None:
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    if done.returncode:
        raise CannotInstall(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")


def _read(target: Path) -> str | None:
    try:
        return target.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None
