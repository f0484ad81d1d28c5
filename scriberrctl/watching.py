"""The status again and again: whenever something happens, without asking all the time."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from scriberrctl import render
from scriberrctl.errors import ApiError, ClientError, NoDaemon
from scriberrctl.following import BACK, Following, passes, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scriberrctl.client import Client
    from scriberrctl.session import Session
    from scriberrctl.shapes import Status

BEAT = 5.0  # seconds after which it is shown again though nothing has happened: times pass
PACE = 0.2  # seconds between two looks, however much happens
TERMINATED = 143  # as shells say: 128 + SIGTERM

# Another screen, where lines that are too long do not wrap, and no cursor.
ENTER, LEAVE = "\x1b[?1049h\x1b[?7l\x1b[?25l", "\x1b[?25h\x1b[?7h\x1b[?1049l"


def redraw(session: Session) -> None:
    """Keep a terminal up to date, until interrupted."""
    status, notice = session.client.status(), ""

    def tell(message: str) -> None:
        nonlocal notice
        notice = "" if message == BACK else message

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    sys.stdout.write(ENTER)
    try:
        for now in _statuses(session.client, tell):
            if isinstance(now, str):
                _draw(status, notice or now)
            else:
                status = now
                _draw(status, notice)
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()


def _draw(status: Status, notice: str) -> None:
    screen = render.Screen.of(sys.stdout)
    rows = (screen.rows or 1) - bool(notice)
    lines = render.status(status, screen).split("\n")
    if len(lines) > rows:
        lines[rows - 1 :] = [screen.fit(f"... {len(lines) - rows + 1} lines more")]
    lines += [screen.fit(notice)] if notice else []
    sys.stdout.write("\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")
    sys.stdout.flush()


def log(session: Session) -> None:
    """Write a line whenever something has changed, until interrupted."""
    before = ""
    for status in _statuses(session.client, tell):
        if isinstance(status, str):
            continue  # there is none
        summary = render.summary(status)
        if summary != before:
            session.say(status, lambda: summary)  # noqa: B023 - called at once
            sys.stdout.flush()
        before = summary


def _statuses(client: Client, tell: Callable[[str], None]) -> Iterator[Status | str]:
    """The status whenever it may be another one, or why there is none just now."""
    for _ in _changes(Following(client, tell=tell)):
        try:
            yield client.status()
        except (ApiError, NoDaemon) as error:
            if not passes(error):
                raise
            yield str(error).partition("\n")[0]


def _changes(following: Following) -> Iterator[None]:
    """Comes whenever there may be something else to show."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    failures: list[ClientError] = []
    signal.signal(signal.SIGWINCH, lambda *_: None)  # another size of the terminal rings, too
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    bell = threading.Thread(target=_ring, args=(following, writer, failures.append), daemon=True)
    bell.start()
    while True:
        select.select([reader], [], [], BEAT)
        with contextlib.suppress(BlockingIOError):
            os.read(reader, 1 << 16)
        if failures:
            raise failures[0]
        yield
        time.sleep(PACE)


def _ring(following: Following, writer: int, fail: Callable[[ClientError], None]) -> None:
    try:
        for _ in following.events():
            with contextlib.suppress(BlockingIOError):  # it rings already
                os.write(writer, b".")
    except ClientError as error:
        fail(error)
        os.write(writer, b".")
