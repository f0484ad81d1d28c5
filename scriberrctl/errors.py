"""All errors of the client, each with its exit status.

ClientError
├── ApiError     the daemon refused
├── NoDaemon     the daemon can't be reached
├── Unreadable   a recording can't be read
├── NoMatch      nothing is what was asked for
├── NotAgreed    a person has to agree, and does not
└── TimedOut     a wait took too long
"""

from __future__ import annotations


class ClientError(Exception):
    """The base of all errors here; `str(error)` is a message for people."""

    exit_code = 1


class ApiError(ClientError):
    """The daemon refused; `code` is stable."""

    def __init__(self, code: str, detail: str, status: int) -> None:
        super().__init__(detail)
        self.code, self.status = code, status
        self.exit_code = 4 if code == "job_not_found" else 1


class NoDaemon(ClientError):
    """The daemon can't be reached."""

    exit_code = 3


class Unreadable(ClientError):
    """A recording can't be read."""


class NoMatch(ClientError):
    """Nothing is what was asked for."""


class NotAgreed(ClientError):
    """A person has to agree, and does not."""


class TimedOut(ClientError):
    """A wait took too long."""

    exit_code = 124
