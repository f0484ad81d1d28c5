"""Who may use the API: root, the daemon's own user, and the members of one group."""

from __future__ import annotations

import array
import errno
import functools
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
from scriberrd.asking import Who, asked_by
from scriberrd.errors import Forbidden
from scriberrd.files.folders import start

if TYPE_CHECKING:
    import asyncio
    from asyncio.trsock import TransportSocket

    from aiohttp.typedefs import Handler, Middleware

    from scriberrd.config import Live

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


def guard(live: Live, path: Path) -> Middleware:
    """Let nobody in who may not, and know of what is done who asks for it.

    Args:
        live: its `[api] group` may do everything.
        path: of the socket, whose own group may do so where none is configured.
    """
    known: WeakKeyDictionary[asyncio.BaseTransport, Peer] = WeakKeyDictionary()

    def admitted(transport: asyncio.BaseTransport) -> Peer:
        if transport not in known:
            peer = Peer.of(transport.get_extra_info("socket"))
            # Whoever a namespace hides looks like nobody: the daemon's user and group may, too.
            if peer.uid not in {0, os.geteuid()} - {NOBODY}:
                _require_member(peer, live.config.api.group, path)
            known[transport] = peer
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
        who = Who(peer.uid, await start(_user, peer.uid))  # a directory may be asked, and be slow
        with asked_by(who), logs.about(by=who.name):
            return await handler(request)

    return admit


class _NoMember(Exception):
    """With the user, and the group that he is not in."""


def _require_member(peer: Peer, name: str, path: Path) -> None:
    try:
        group = _gid(name) if name else path.stat().st_gid
    except (KeyError, OSError):  # of what is gone nobody is a member
        raise _NoMember(peer.uid, None) from None
    if peer.uid == NOBODY or group not in peer.groups - {NOBODY}:
        raise _NoMember(peer.uid, group)


def _supplementary(connected: socket.socket | TransportSocket, uid: int, gid: int) -> list[int]:
    groups = array.array("I")
    try:
        found = connected.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, LARGEST)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)  # he is in more groups than fit
    groups.frombytes(found)
    return groups.tolist()


@functools.lru_cache(maxsize=16)
def _gid(group: str) -> int:
    """The number of a group, which is looked up once: a directory may be far away."""
    return grp.getgrnam(group).gr_gid


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


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
    user = _user(uid)
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
