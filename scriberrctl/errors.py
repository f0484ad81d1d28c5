"""What can go wrong, and the exit status of each.

ClientError
├── ApiError     the daemon refused
├── NoDaemon     nobody answers at the socket
├── Unreadable   a recording can't be read
└── TimedOut     what was waited for did not happen in time
"""

from __future__ import annotations


class ClientError(Exception):
    """The base of all errors here; `str(error)` is for people."""

    exit_code = 1


class ApiError(ClientError):
    """The daemon refused; `code` is stable."""

    def __init__(self, code: str, detail: str, status: int) -> None:
        super().__init__(detail)
        self.code, self.status = code, status
        self.exit_code = 4 if code == "job_not_found" else 1


class NoDaemon(ClientError):
    """Nobody answers at the socket."""

    exit_code = 3


class Unreadable(ClientError):
    """A recording can't be read."""


class TimedOut(ClientError):
    """What was waited for did not happen in time."""

    exit_code = 124
