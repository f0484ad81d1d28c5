"""Who may use the API: root, the daemon's own user, and the members of one group."""

from __future__ import annotations

import array
import contextlib
import errno
import grp
import os
import pwd
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from aiohttp import web

from scriberrd import logs
from scriberrd.api.socket import CREDENTIALS
from scriberrd.asking import Who, asked_by, user_name
from scriberrd.errors import Forbidden
from scriberrd.files.folders import start

if TYPE_CHECKING:
    import asyncio
    from asyncio.trsock import TransportSocket

    from aiohttp.typedefs import Handler, Middleware

    from scriberrd.config import Config, Live

SO_PEERGROUPS = 59  # from asm-generic/socket.h
LARGEST = 1024  # bytes that Python asks the kernel for
NOBODY = 65_534  # what the kernel calls users and groups that a namespace has no number for
READING = {"GET", "HEAD"}  # what changes nothing


class Peer(NamedTuple):
    """Who is connected, as the kernel knew him when he connected."""

    uid: int
    groups: frozenset[int]

    @classmethod
    def of(cls, connected: socket.socket | TransportSocket) -> Peer:
        """The process at the other end of a Unix socket."""
        found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        _, uid, gid = CREDENTIALS.unpack(found)
        return cls(uid, frozenset({gid, *_supplementary(connected, uid, gid)}))


class _Members:
    """The group whose members may."""

    def __init__(self, live: Live, path: Path) -> None:
        self._live, self._path = live, path
        self._config: Config | None = None  # whose group was looked up
        self._gid: int | None = None

    def require(self, peer: Peer) -> None:
        """Raise _NoMember if he may not, as it is now: he may be connected for long."""
        # Whoever a namespace hides looks like nobody: the daemon's user and group may, too.
        if peer.uid in {0, os.geteuid()} - {NOBODY}:
            return
        group = self._group()
        if group is None or peer.uid == NOBODY or group not in peer.groups - {NOBODY}:
            raise _NoMember(peer.uid, group)

    def _group(self) -> int | None:
        """Its number; None if there is none: of what is gone nobody is a member."""
        if self._config is not self._live.config:
            self._config, self._gid = self._live.config, None
        if not self._config.api.group:
            # While the file is gone, those who are connected go on with the group that it had.
            with contextlib.suppress(OSError):
                self._gid = self._path.stat().st_gid
        elif self._gid is None:  # looked up once: a directory may be far away
            with contextlib.suppress(KeyError):
                self._gid = grp.getgrnam(self._config.api.group).gr_gid
        return self._gid


def guard(live: Live, path: Path) -> Middleware:
    """Let nobody in who may not, and know of what is done who asks for it.

    Args:
        live: its `[api] group` may do everything.
        path: of the socket, whose own group may do so where none is configured.
    """
    members = _Members(live, path)
    known: WeakKeyDictionary[asyncio.BaseTransport, Peer] = WeakKeyDictionary()

    def admitted(transport: asyncio.BaseTransport) -> Peer:
        if transport not in known:
            known[transport] = Peer.of(transport.get_extra_info("socket"))
        members.require(known[transport])
        return known[transport]

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.transport is None:
            raise ConnectionResetError("the client has gone")
        try:
            peer = admitted(request.transport)
        except _NoMember as error:
            raise Forbidden(await start(_advice, *error.args)) from None
        if request.method in READING:
            return await handler(request)
        who = Who(peer.uid, await start(user_name, peer.uid))  # a directory may be slow
        with asked_by(who), logs.about(by=who.name):
            return await handler(request)

    return admit


class _NoMember(Exception):
    """With the user, and the group that he is not in."""


def _supplementary(connected: socket.socket | TransportSocket, uid: int, gid: int) -> list[int]:
    groups = array.array("I")
    try:
        found = connected.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, LARGEST)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        try:
            return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)  # he is in more than fit
        except KeyError:  # nobody knows him
            return []
    groups.frombytes(found)
    return groups.tolist()


def _advice(uid: int, group: int | None) -> str:
    """What somebody can do who may not."""
    if uid == NOBODY:
        return _advice_to_nobody(uid)
    if group is None:
        return "nobody but root may use scriberrd: the group of [api] in its configuration is gone"
    if group == 0:
        return "nobody but root may use scriberrd: set group in [api] of its configuration"
    try:
        name = grp.getgrgid(group).gr_name
    except KeyError:
        return f"only members of the group {group} may use scriberrd, and it has no name"
    user = user_name(uid)
    return (
        f"{user} may not use scriberrd: join its group, then log in again:"
        f" sudo usermod -aG {name} {user}"
    )


def _advice_to_nobody(uid: int) -> str:
    own = [line.split() for line in Path("/proc/self/uid_map").read_text("ascii").splitlines()]
    if own != [["0", "0", "4294967295"]]:
        where = "the daemon runs in a user namespace: set PrivateUsers=no in its unit"
    else:
        where = "ask from outside of your user namespace (a rootless container, PrivateUsers=)"
    return f"scriberrd sees you as nobody (uid {uid}), and can't tell who you are: {where}"
