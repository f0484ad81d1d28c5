"""What stands for journald: a socket that hears the same protocol."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def fields(datagram: bytes) -> dict[str, str]:
    """An entry, read as journald does."""
    found = {}
    while datagram:
        name, _, datagram = datagram.partition(b"\n")
        if b"=" in name:
            name, _, value = name.partition(b"=")
        else:
            size, datagram = int.from_bytes(datagram[:8], "little"), datagram[8:]
            value, datagram = datagram[:size], datagram[size + 1 :]
        found[name.decode()] = value.decode()
    return found


@contextlib.contextmanager
def heard(at: Path) -> Iterator[list[dict[str, str]]]:
    """All entries that come while this is open."""
    entries: list[dict[str, str]] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(at))

        def listen() -> None:
            while datagram := listening.recv(1 << 20):
                entries.append(fields(datagram))

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield entries
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.sendto(b"", str(at))
            thread.join()
