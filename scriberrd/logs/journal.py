"""Journald's own protocol: one datagram an entry, with fields that `journalctl JOB_ID=42` finds.

See systemd.journal-fields(7), and "Native Journal Protocol" of systemd's documentation.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from scriberrd.logs.context import subject

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from scriberrd.logs.events import Event

SOCKET = "/run/systemd/journal/socket"
PATIENCE = 1.0  # seconds that a journal which does not read may hold up the daemon

# syslog's, which sd-daemon(3) explains.
PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
FIELDS = {
    "job": "JOB_ID",
    "inbox": "INBOX",
    "execution": "EXECUTION",
    "worker": "WORKER",
    "stage": "STAGE",
    "by": "ASKED_BY",
}


class Journal:
    """The journal of this machine."""

    def __init__(self, address: str | None = None) -> None:
        """Open a socket to it.

        Args:
            address: of its own socket, if that is not where it always is.

        Raises:
            OSError: there is none, or no descriptor is free.
        """
        self._address = address or SOCKET
        os.stat(self._address)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE)

    def send(self, record: logging.LogRecord, text: str) -> bool:
        """Send a line, and the lines of its traceback; False when that is not possible."""
        event: Event | None = getattr(record, "event", None)
        about = subject(record)
        fields = {
            "MESSAGE": text,
            "PRIORITY": str(PRIORITIES.get(record.levelname, 6)),
            "SYSLOG_IDENTIFIER": "scriberrd",
            **{name: str(about[key]) for key, name in FIELDS.items() if key in about},  # type: ignore[literal-required]
            **({} if event is None else {"MESSAGE_ID": event.value}),
        }
        try:
            self._socket.sendto(_encoded(fields), self._address)
        except OSError:  # it is being restarted, or the text is too long for a datagram
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _encoded(fields: Mapping[str, str]) -> bytes:
    whole = b""
    for name, text in fields.items():
        data = text.encode("utf-8", "backslashreplace")
        if b"\n" in data:
            whole += name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
        else:
            whole += name.encode() + b"=" + data + b"\n"
    return whole
