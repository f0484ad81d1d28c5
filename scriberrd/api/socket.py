"""The Unix socket that the API listens on."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from typing import TYPE_CHECKING

from aiohttp import web

from scriberrd.errors import AlreadyRunning, ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

MODE = 0o660  # whoever may write to it controls the daemon
LONGEST = 107  # bytes that the kernel leaves for the name of a socket
BACKLOG = 128
FAREWELL = 5.0  # seconds that requests in progress are given at shutdown


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket that listens at `path`; its file goes when it is closed.

    A file that an earlier daemon left behind is replaced, if nobody listens there any more.

    Raises:
        AlreadyRunning: a daemon with another state directory listens there.
        ConfigError: there can be no socket at this path.
    """
    name = os.fsencode(path)
    if len(name) > LONGEST:
        raise ConfigError(
            [f"daemon.socket: {path} has {len(name)} bytes, a socket's path at most {LONGEST}"]
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_stale(path)
            os.fchmod(server.fileno(), MODE)  # bind creates the file with at most these rights
            server.bind(name)
            path.chmod(MODE)  # less the umask until here
        except OSError as error:
            advice = "set it to a place that the daemon may write"
            raise ConfigError([f"daemon.socket: {path}: {error.strerror}; {advice}"]) from error
        server.listen(BACKLOG)
        server.settimeout(0)
        mine = path.lstat()
        try:
            yield server
        finally:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(mine, path.lstat()):
                    path.unlink()


def _remove_stale(path: Path) -> None:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise ConfigError([f"daemon.socket: {path} is there already, and is no socket"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(os.fsencode(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)  # nobody listens
        except TimeoutError:
            raise AlreadyRunning(f"a daemon that does not answer listens at {path}") from None
        else:
            raise AlreadyRunning(f"another daemon listens at {path}: set daemon.socket")


@contextlib.asynccontextmanager
async def serving(app: web.Application, server: socket.socket) -> AsyncIterator[None]:
    """Answer requests on a socket that listens already, be it ours or systemd's."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=FAREWELL)
    await runner.setup()
    try:
        await web.SockSite(runner, server, backlog=BACKLOG).start()
        yield
    finally:
        await runner.cleanup()
