"""The Unix socket that the API listens on: systemd's (sd_listen_fds(3)), or one of its own."""

from __future__ import annotations

import contextlib
import grp
import logging
import os
import socket
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from scriberrd.errors import AlreadyRunning, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

MODE = 0o660  # whoever may write to it controls the daemon
LONGEST = 107  # bytes that the kernel leaves for the name of a socket
BACKLOG = 1024  # clients that may wait until they are accepted; to one more it looks like a fault
CREDENTIALS = struct.Struct("3i")  # process, user and group, as SO_PEERCRED gives them
ADVICE = "have the daemon's user join it, or name a group that it is in"
FIRST = 3  # the first descriptor that systemd hands over


class Listener:
    """A socket that listens at a path. Its file may be taken away while it does.

    Raises:
        AlreadyRunning: a daemon with another state directory listens there.
        ConfigError: there can be no socket at this path.
    """

    def __init__(self, path: Path, group: str = "") -> None:
        self.path, self._group = path, ""
        self.socket = _bound(path)
        self._file = _identity(path.lstat())
        self.share(group)

    def share(self, group: str) -> None:
        """Let the members of a group connect; "" is the daemon's own group."""
        if group == self._group:
            return
        try:
            os.chown(self.path, -1, grp.getgrnam(group).gr_gid if group else os.getegid())
            self._file = _identity(self.path.lstat())
        except FileNotFoundError:
            pass  # it was removed: the one that is made instead is given to the group
        except (KeyError, OSError) as error:
            why = getattr(error, "strerror", None) or "there is no such group"
            log.warning("api.group: can't give the socket to %s: %s; %s", group, why, ADVICE)
        self._group = group

    def lost(self) -> bool:
        """Whether nobody reaches this socket by its path any more.

        Raises:
            OSError: that can't be told.
        """
        try:
            there = _identity(self.path.lstat())
        except (FileNotFoundError, NotADirectoryError):
            return True
        # Only its rights may have changed; or it has gone, and another has the number that it had.
        if there != self._file and _who_listens(self.path) == _peer(self.socket)[0]:
            self._file = there
        return there != self._file

    def again(self) -> socket.socket:
        """Listen at the path anew; gives the socket of before, at which somebody may still wait.

        Raises:
            AlreadyRunning: another daemon listens there.
            ConfigError: there can be no socket at this path.
        """
        new = _bound(self.path)
        self._file, former, self.socket = _identity(self.path.lstat()), self.socket, new
        group, self._group = self._group, ""
        self.share(group)
        return former

    def close(self) -> None:
        """Listen no longer; the file goes, if it is still that of this socket."""
        with self.socket, contextlib.suppress(OSError):
            if not self.lost():
                self.path.unlink()


class Inherited(Listener):
    """A socket at which systemd listens, for this daemon and for its successor."""

    def __init__(self, server: socket.socket, group: str) -> None:
        self.path, self.socket = Path(os.fsdecode(server.getsockname())), server
        try:
            self._file = _identity(self.path.lstat())
        except OSError:
            self._file = (
                0,
                0,
                0,
            )  # it was removed: the daemon works, and says so until it is there
        self.share(group)

    def share(self, group: str) -> None:
        """Only systemd can give its socket to a group: tell where that is another one."""
        try:
            same = not group or grp.getgrnam(group).gr_gid == self.path.stat().st_gid
        except KeyError:
            log.warning("api.group: there is no group %s", group)
        except OSError:
            pass  # the file was removed, which is said elsewhere
        else:
            if not same:
                what = "api.group is %s, but the socket %s has another: set SocketGroup= to it"
                log.warning(what, group, self.path)

    def again(self) -> socket.socket:
        """Only systemd can make its socket anew.

        Raises:
            ConfigError: always.
        """
        manager = "systemctl" if _peer(self.socket)[1] == 0 else "systemctl --user"
        advice = f"`{manager} restart scriberrd.socket` makes it anew"
        raise ConfigError([f"the socket {self.path} was removed: {advice}"])

    def close(self) -> None:
        """Leave the socket, and who waits there, to the next daemon."""
        self.socket.close()


@contextlib.contextmanager
def listening(path: Path, group: str = "") -> Iterator[Listener]:
    """The socket that systemd hands over; without one, a socket at `path`.

    The members of the group may connect; "" leaves that as it is. The file of our own socket goes
    when it is closed. One that an earlier daemon left behind is replaced, if nobody listens there
    any more.

    Raises:
        AlreadyRunning: a daemon with another state directory listens there.
        ConfigError: there can be no socket at this path.
    """
    server = _handed_over()
    listener = Listener(path, group) if server is None else Inherited(server, group)
    if listener.path != path:
        log.warning(
            "listening at %s, as systemd says, not at daemon.socket: %s", listener.path, path
        )
    with contextlib.closing(listener):
        yield listener


def _handed_over() -> socket.socket | None:
    """The socket at which systemd listens for this daemon, if there is one."""
    for_pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "0")
    if for_pid != str(os.getpid()) or int(count) < 1:
        return None
    server = socket.socket(fileno=FIRST)
    if (server.family, server.type) != (socket.AF_UNIX, socket.SOCK_STREAM):
        raise ConfigError(
            ["scriberrd.socket: the first ListenStream= must be the path of a socket"]
        )
    os.set_inheritable(FIRST, False)  # noqa: FBT003 - os's way
    server.settimeout(0)
    return server


def unfit(path: Path) -> str:
    """Why there can't be a socket of this path; "" if that is not known before it is made."""
    if (length := len(os.fsencode(path))) > LONGEST:
        return f"{path} has {length} bytes, a socket's path at most {LONGEST}"
    try:
        there = path.lstat()
    except OSError:
        return ""
    return "" if stat.S_ISSOCK(there.st_mode) else f"{path} is there already, and is no socket"


def _bound(path: Path) -> socket.socket:
    if what := unfit(path):
        raise ConfigError([f"daemon.socket: {what}"])
    with contextlib.ExitStack() as failed:
        server = failed.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_stale(path)
            os.fchmod(server.fileno(), MODE)  # bind creates the file with at most these rights
            server.bind(os.fsencode(path))
            path.chmod(MODE)  # less the umask until here
        except OSError as error:
            advice = "set it to a place that the daemon may write"
            raise ConfigError([f"daemon.socket: {path}: {error.strerror}; {advice}"]) from error
        server.listen(BACKLOG)
        server.settimeout(0)
        failed.pop_all()
    return server


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_dev, status.st_ino, status.st_ctime_ns


def _remove_stale(path: Path) -> None:
    if _who_listens(path) is not None:
        raise AlreadyRunning(f"another daemon listens at {path}: set daemon.socket")
    path.unlink(missing_ok=True)


def _who_listens(path: Path) -> int | None:
    """The process that listens at a socket, 0 if it can't be told; None if there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(os.fsencode(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        except BlockingIOError:  # too many wait there
            return 0
        return _peer(probe)[0]


def _peer(connected: socket.socket) -> tuple[int, int]:
    """Process and user at the other end; of a socket that listens, those that have it do so."""
    found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    process, user, _ = CREDENTIALS.unpack(found)
    return process, user
