"""The installed unit: whom it runs as, and with what environment; and to be that user.

Root may read and write everything, so what it sees says nothing of what the service can do.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.asking import user_name
from scriberrd.errors import ConfigError
from scriberrd.files.home import CACHE, LOGS, RUNTIME, STATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

NAME = "scriberrd.service"
FOLDERS = (  # of units, the first one counts
    *("etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system"),
    *("usr/lib/systemd/system", "lib/systemd/system"),
)
KEPT = ("PATH", "PYTHONPATH", "LANG", "TERM", "SCRIBERRD_CONFIG")  # variables of whoever asks
OWN = "systemd/user"  # of a user, in their folder of configurations
# What systemd tells the service of the folders that it makes.
MADE = {
    "StateDirectory": ("STATE_DIRECTORY", STATE),
    "RuntimeDirectory": ("RUNTIME_DIRECTORY", RUNTIME),
    "CacheDirectory": ("CACHE_DIRECTORY", CACHE),
}

SPECIFIERS = {"%C": CACHE, "%S": STATE, "%L": LOGS, "%t": RUNTIME, "%%": "%"}


class Service(NamedTuple):
    """A unit that is installed."""

    file: Path
    user: str
    group: str  # "": the user's own
    groups: tuple[str, ...]  # SupplementaryGroups=
    environment: dict[str, str]
    credentials: dict[str, str]  # LoadCredential=: name and file
    settings: Mapping[str, list[str]]  # all of [Service], as they are written

    @property
    def systemctl(self) -> str:
        """How systemd is asked about it."""
        own = self.file.parent.match(OWN) and not self.file.is_relative_to("/etc")
        return "systemctl --user" if own else "sudo systemctl"


def usual(environment: Mapping[str, str]) -> Service | None:
    """The unit that concerns whoever asks: for a user, their own before that of the system."""
    if os.geteuid() == 0:
        return installed()
    home = Path(environment.get("HOME", "/"))
    own = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / OWN
    found = _read([own])
    if found is None:
        return installed()
    return found._replace(user=user_name(os.geteuid()))


def installed(root: Path = Path("/")) -> Service | None:
    """The unit of the system, with its drop-ins; None if there is none.

    Args:
        root: below which the folders of systemd are.
    """
    return _read([root / folder for folder in FOLDERS])


def _read(folders: Sequence[Path]) -> Service | None:
    file = next((found for folder in folders if (found := folder / NAME).is_file()), None)
    if file is None:
        return None
    more = {
        one.name: one for folder in reversed(folders) for one in folder.glob(f"{NAME}.d/*.conf")
    }
    settings = _settings([file, *(more[name] for name in sorted(more))])
    environment = dict(
        pair.split("=", 1)
        for line in settings["Environment"]
        for pair in shlex.split(re.sub("%[CSLt%]", lambda found: SPECIFIERS[found[0]], line))
        if "=" in pair
    )
    for key, (variable, parent) in MADE.items():
        if names := settings[key]:
            environment[variable] = ":".join(f"{parent}/{name}" for name in names[-1].split())
    return Service(
        file=file,
        user=(settings["User"] or ["root"])[-1],
        group=(settings["Group"] or [""])[-1],
        groups=tuple(" ".join(settings["SupplementaryGroups"]).split()),
        environment=environment,
        credentials=dict(line.split(":", 1) for line in settings["LoadCredential"] if ":" in line),
        settings=settings,
    )


def _settings(files: Iterable[Path]) -> defaultdict[str, list[str]]:
    """The values of each key of [Service]; an empty one forgets those before."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for file in files:
        section = ""
        for line in _lines(file):
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line:
                key, value = (part.strip() for part in line.split("=", 1))
                found[key] = [*found[key], value] if value else []
    return found


def _lines(file: Path) -> Iterator[str]:
    try:
        text = file.read_text("utf-8", "replace").replace("\\\n", " ")
    except OSError:
        return
    for line in map(str.strip, text.splitlines()):
        if line and line[0] not in "#;":
            yield line


def be(user: str | None, service: Service | None) -> str:
    """Be the user whom the daemon runs as, if root asks; gives the name of who it is now.

    Args:
        user: who it is to be; None: the one of the service.
        service: the installed one.

    Raises:
        ConfigError: nobody but root can, or `become` failed.
    """
    if os.geteuid() != 0:
        if user is not None:
            raise ConfigError(["--as is for root: use sudo"])
        return user_name(os.geteuid())
    name = user or (service.user if service is not None else "root")
    if name != "root":
        become(name, service)
    return name


def become(user: str, service: Service | None) -> None:
    """Be this user from now on, with the service's environment, as systemd would start it.

    Raises:
        ConfigError: there is no such user or group, or it can't run this program.
    """
    its = service if service is not None and service.user == user else None
    try:
        about = pwd.getpwnam(user)
    except KeyError:
        where = f"{its.file}: User=" if its is not None else "--as"
        raise ConfigError(
            [f"{where}: there is no user {user!r}: create it, or set another"]
        ) from None
    primary = _group(its.group) if its is not None and its.group else about.pw_gid
    more = map(_group, its.groups) if its is not None else ()
    os.setgroups(sorted({*os.getgrouplist(user, primary), *more}))
    os.setresgid(primary, primary, primary)
    os.setresuid(about.pw_uid, about.pw_uid, about.pw_uid)
    kept = {key: os.environ[key] for key in KEPT if key in os.environ}
    os.environ.clear()
    os.environ.update(kept | {"HOME": about.pw_dir, "USER": user, "LOGNAME": user})
    if service is not None:
        os.environ.update(service.environment)
    if not os.access(sys.executable, os.X_OK) or not os.access(__file__, os.R_OK):
        what = f"{sys.prefix}: user {user} can't run what is installed there"
        raise ConfigError([f"{what}: install it where everybody may read, such as /opt/scriberrd"])


def _group(name: str) -> int:
    import grp  # noqa: PLC0415 - for root only

    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(
            [f"{NAME}: there is no group {name!r}: create it, or set Group="]
        ) from None
