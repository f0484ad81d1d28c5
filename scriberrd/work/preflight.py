"""Whether the diarizers of the profiles can be used, before a recording needs them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from scriberrd.errors import TaskFailed
from scriberrd.failures import FAILURES
from scriberrd.model import short
from scriberrd.work.process import PRIVATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.config import Daemon, Live
    from scriberrd.settings import Settings

log = logging.getLogger(__name__)

PATIENCE = 20.0  # seconds for one look
GRACE = 1.0  # seconds for the end of a look that was killed
GOOD, BAD = 600.0, 60.0  # seconds after which a finding is too old


class Finding(msgspec.Struct, frozen=True):
    """What came of a look: the failure that a job would have, or none."""

    code: str | None
    detail: str = ""

    def __str__(self) -> str:
        """What is wrong, and what to do; "" if nothing is."""
        if self.code is None:
            return ""
        kind = FAILURES[self.code]
        return f"{kind.message}: {self.detail}; {kind.advice}"


class DiarizerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A diarizer with a model, as profiles name them."""

    name: str
    model: str  # an id of the hub, or the name of its folder
    profiles: tuple[str, ...]
    ready: bool | None  # None: it is being looked at
    error: str | None


class Wanted(NamedTuple):
    """What is looked at: all profiles that name the same share a look."""

    diarizer: str
    model: str

    @classmethod
    def by(cls, settings: Settings) -> Wanted:
        """What `settings` name."""
        return cls(settings.diarizer, settings.diarization_model)


async def ask(settings: Settings, daemon: Daemon) -> Finding:
    """Have a process look whether the diarizer of `settings` can be used.

    Its user and environment are those of this process: the daemon's may have another token.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "scriberrd.worker.preflight"),
            *(*Wanted.by(settings), daemon.model_cache, str(int(daemon.auto_download))),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env={key: value for key, value in os.environ.items() if key not in PRIVATE},
        )
    except OSError as error:
        return Finding("no_worker", error.strerror or str(error))
    try:
        async with asyncio.timeout(PATIENCE):
            line, _ = await process.communicate()
        return msgspec.json.decode(line, type=Finding)
    except TimeoutError:
        model = short(settings.diarization_model)
        detail = f"there was no answer about {model!r} for {PATIENCE:.0f} s"
        return Finding("diarization_model_missing", detail)
    except msgspec.DecodeError:
        detail = f"the look at it ended with status {process.returncode}: see the journal"
        return Finding("diarizer_missing", detail)
    finally:
        if process.returncode is None:
            process.kill()
            with contextlib.suppress(TimeoutError):  # what hangs in the kernel may outlive this
                async with asyncio.timeout(GRACE):
                    await process.wait()


class Preflights:
    """What is known of the diarizers of all profiles, looked at again when it is old."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._known: dict[Wanted, tuple[Finding, float]] = {}  # and when the look began
        self._mended = -math.inf  # when somebody may last have mended what is wrong
        self._looking = asyncio.Lock()  # one look at a time: each is a process

    async def require(self, settings: Settings) -> None:
        """See that the diarizer of `settings` can be used, or could be a moment ago.

        Raises:
            TaskFailed: as it would when it is loaded.
        """
        finding = await self._finding(settings)
        if finding.code is not None:
            raise TaskFailed(finding.code, finding.detail)

    def try_now(self) -> None:
        """Look again at what is wrong when it is next needed: somebody may have mended it."""
        self._mended = time.monotonic()

    def findings(self) -> tuple[DiarizerStatus, ...]:
        """What is known now of each diarizer that a profile names."""
        return tuple(self._findings())

    async def watch(self) -> None:
        """Look at all of them, now and again; never returns."""
        while True:
            for settings, _ in self._named().values():
                await self._finding(settings)
            await asyncio.sleep(BAD)

    def _named(self) -> dict[Wanted, tuple[Settings, list[str]]]:
        """Each one that is wanted, with one of its settings and the names of all its profiles."""
        named: dict[Wanted, tuple[Settings, list[str]]] = {}
        for name, settings in self._live.config.profiles.items():
            if settings.diarize != "off":
                named.setdefault(Wanted.by(settings), (settings, []))[1].append(name)
        return named

    def _findings(self) -> Iterator[DiarizerStatus]:
        for wanted, (_, profiles) in self._named().items():
            finding = self._known[wanted][0] if wanted in self._known else None
            yield DiarizerStatus(
                name=wanted.diarizer,
                model=short(wanted.model),
                profiles=tuple(profiles),
                ready=None if finding is None else finding.code is None,
                error=None if finding is None else str(finding) or None,
            )

    async def _finding(self, settings: Settings) -> Finding:
        wanted = Wanted.by(settings)
        async with self._looking:
            before, began = self._known.get(wanted, (Finding(None), -math.inf))
            now = time.monotonic()
            if began > (now - GOOD if before.code is None else max(now - BAD, self._mended)):
                return before
            finding = await ask(settings, self._live.config.daemon)
            self._known[wanted] = finding, now
        if finding.code is not None and finding != before:
            log.warning("speakers can't be told apart by %s: %s", wanted.diarizer, finding)
        return finding
