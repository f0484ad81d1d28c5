"""What outlives a restart of the daemon: events that go on where they were, and questions."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TypeVar

import click

from scriberrctl.errors import ApiError, NoDaemon, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from scriberrctl.client import Client
    from scriberrctl.shapes import Event

T = TypeVar("T")

SOON = 0.1  # seconds until the first try to reach the daemon again
LATER = 2.0  # seconds between two tries at most
UNAVAILABLE = 503  # the status of an answer that will be another one later
LOST = "lost the daemon; waiting for it"
BACK = "the daemon is back"


def tell(message: str) -> None:
    """Tell people on stderr, over a line of progress if there is one."""
    click.echo(f"\r\x1b[K{message}" if sys.stderr.isatty() else message, err=True)


class Following:
    """A daemon that was reached once, and is waited for whenever it can't be."""

    def __init__(
        self,
        client: Client,
        *,
        deadline: float | None = None,
        tell: Callable[[str], None] = tell,
    ) -> None:
        """Make it.

        Args:
            client: asks the daemon.
            deadline: when to raise TimedOut, on the monotonic clock.
            tell: is told once when the daemon is lost, and when it is back.
        """
        self._client, self._deadline, self._tell = client, deadline, tell
        self._lost = False
        self._broken = False  # the stream, though it does not know yet
        self._pause = SOON

    def events(self, after: str | None = None, job: int | None = None) -> Generator[Event | None]:
        """What happens, without an end.

        None comes first, and whenever the daemon is back: what came before is to be looked at anew.

        Args:
            after: the cursor or id of the last known event; by default they begin now.
            job: only events of this job.
        """
        reached = False
        while True:
            try:
                with self._client.stream(after=after, job=job, deadline=self._deadline) as stream:
                    reached, self._broken = True, False
                    self._found()
                    yield None
                    for place, event in stream:
                        after = place  # a restart goes on from here
                        if event is not None:
                            yield event
                        if self._broken:
                            break
            except (NoDaemon, ApiError) as error:
                if not reached or not passes(error):
                    raise
                self._broken = False
            if not self._broken:  # otherwise it is back already
                self._wait()

    def ask(self, question: Callable[[], T]) -> T:
        """The answer to a question, whenever there is one.

        Where the daemon was lost, the events have ended, too: it is back once they go on.
        """
        while True:
            try:
                answer = question()
            except (NoDaemon, ApiError) as error:
                if not passes(error):
                    raise
                self._broken |= isinstance(error, NoDaemon)
                self._wait()
            else:
                if not self._broken:
                    self._found()
                return answer

    def _found(self) -> None:
        if self._lost:
            self._tell(BACK)
        self._lost, self._pause = False, SOON

    def _wait(self) -> None:
        if not self._lost:
            self._tell(LOST)
        self._lost = True
        if self._deadline is not None and time.monotonic() + self._pause >= self._deadline:
            time.sleep(max(self._deadline - time.monotonic(), 0))
            raise TimedOut("timed out; the jobs continue")
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, LATER)


def passes(error: NoDaemon | ApiError) -> bool:
    """Whether it may be another answer later; a model that can't be had does not come by itself."""
    if isinstance(error, NoDaemon):
        return True
    return error.status == UNAVAILABLE and error.code != "pull_failed"
