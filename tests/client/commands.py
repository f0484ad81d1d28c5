"""The command line of the client, as a process beside a server of these tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from support import eventually

if TYPE_CHECKING:
    from api_server import Server

COMMAND = [sys.executable, "-m", "scriberrctl"]


class Ended(NamedTuple):
    status: int
    out: str
    err: str


def environment(server: Server, **more: str) -> dict[str, str]:
    return os.environ | {"SCRIBERRD_SOCKET": str(server.socket), "TZ": "UTC"} | more


async def start(server: Server, *args: str, **more: str) -> asyncio.subprocess.Process:
    pipe = subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *COMMAND, *args, env=environment(server, **more), stdout=pipe, stderr=pipe
    )


async def end(process: asyncio.subprocess.Process) -> Ended:
    async with asyncio.timeout(120):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def ctl(server: Server, *args: str, **more: str) -> Ended:
    return await end(await start(server, *args, **more))


async def on_a_terminal(server: Server, *args: str, typed: str) -> tuple[int, str]:
    """Type an answer as soon as something is asked; the status, and all that was shown."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *args, env=environment(server), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    shown = b""

    def asked() -> bool:
        nonlocal shown
        try:
            shown += os.read(ours, 100_000)
        except BlockingIOError:
            return False
        except OSError:  # it has ended
            return True
        return b"[y/N]" in shown

    await eventually(asked)
    os.write(ours, typed.encode())
    async with asyncio.timeout(60):
        status = await process.wait()
    with contextlib.suppress(OSError):
        shown += os.read(ours, 100_000)
    os.close(ours)
    return status, shown.decode()
