"""Journald's own protocol: one datagram an entry, with fields that `journalctl JOB_ID=42` finds.

See systemd.journal-fields(7), and "Native Journal Protocol" of systemd's documentation.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from typing import TYPE_CHECKING

from scriberrd.logs.context import subject

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from scriberrd.logs.events import Event

SOCKET = "/run/systemd/journal/socket"
PATIENCE = 0.25  # seconds that a journal which does not read may hold up the daemon ...
PAUSE = 10.0  # ... once in so many seconds; lines that it does not take meanwhile are only counted

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
        # The kernel waits; Python would ask over and over.
        patience = struct.pack("ll", 0, int(PATIENCE * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        self._waits_again = 0.0  # on the monotonic clock
        self.missing = 0  # lines that nobody took

    def send(self, record: logging.LogRecord, text: str) -> bool:
        """Send a line, and the lines of its traceback; False when stderr should have it.

        A line that the journal does not read is counted, and the next that it reads tells of it.
        """
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
            self._tell_missing()
            self._send(fields)
        except BlockingIOError:  # stderr leads to the same journal
            self.missing += 1
        except OSError:  # it is being restarted, or the text is too long for a datagram
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        with self._socket, contextlib.suppress(OSError):
            self._tell_missing()

    def _tell_missing(self) -> None:
        if self.missing:
            text = f"{self.missing} lines are missing before this: the journal did not read them"
            self._send({"MESSAGE": text, "PRIORITY": "4", "SYSLOG_IDENTIFIER": "scriberrd"})
            self.missing = 0

    def _send(self, fields: Mapping[str, str]) -> None:
        waits = time.monotonic() >= self._waits_again
        try:
            self._socket.sendto(
                _encoded(fields), 0 if waits else socket.MSG_DONTWAIT, self._address
            )
        except BlockingIOError:
            if waits:
                self._waits_again = time.monotonic() + PAUSE
            raise


def _encoded(fields: Mapping[str, str]) -> bytes:
    whole = b""
    for name, text in fields.items():
        data = text.encode("utf-8", "backslashreplace")
        if b"\n" in data:
            whole += name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
        else:
            whole += name.encode() + b"=" + data + b"\n"
    return whole
