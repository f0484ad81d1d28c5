"""Recordings leave their inboxes when their jobs have ended, if their inboxes want it.

What is to become of each is noted in the transaction that ends its job. Here it is carried out, and
gone on with after a crash: see files/leaving.py for the steps. A recording that is not what was
transcribed stays, and so does one whose transcript is not there, whole and as it was published.
"""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from scriberrd import logs
from scriberrd.errors import (
    InboxUnavailable,
    NoAnswer,
    NotRegular,
    SourceChanged,
    SourceUnavailable,
    StoreError,
)
from scriberrd.files import leaving, sources, writers
from scriberrd.files.folders import Heartbeat, start
from scriberrd.files.leaving import Departure
from scriberrd.logs import Event
from scriberrd.model import display
from scriberrd.output import departures, published, staging
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scriberrd.config import Inbox
    from scriberrd.model import Identity
    from scriberrd.queue.jobs import Disposal
    from scriberrd.work.means import Means

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

PAUSE = 5.0  # seconds after an error of the database
DONE = {
    "archive": "archived",
    "quarantine": "quarantined",
    "delete": "deleted",
    "upload": "deleted",
}
WHY = {
    "changed": "another file has its name now",
    "outputs": "its transcript is not there as it was published",
    "archive": "no archive is configured any longer",
    "configuration": "its inbox is configured otherwise by now",
    "incomplete": "its transcript has warnings",
}


class Disposals:
    """Carries out what is noted, one recording of an inbox at a time."""

    def __init__(self, means: Means) -> None:
        self._means, self._store, self._clock = means, means.store, means.clock
        self._busy: set[str] = set()  # inboxes
        self._mended = False  # what hinders some, perhaps

    def try_now(self) -> None:
        """Try those that were put off without waiting any longer."""
        self._mended = True
        self._store.bell.ring()

    async def run(self) -> None:
        """Do so for as long as the daemon runs."""
        async with asyncio.TaskGroup() as group:
            while True:
                seen, now = self._store.bell.rings, self._clock.time()
                inboxes = {one.name: one for one in self._means.live.config.inboxes}
                try:
                    if self._mended:
                        await self._store.run(jobs.leave_now, now)
                        self._mended = False
                    idle = inboxes.keys() - self._busy
                    rows, due = await self._store.read(jobs.leaving, idle, now)
                    pause = None if due is None else due - now
                except StoreError as error:
                    log.error("can't read which recordings are to leave: %s", error)  # noqa: TRY400
                    rows, pause = [], PAUSE
                for row in rows:
                    self._busy.add(row.inbox)
                    with logs.about(job=row.job, inbox=row.inbox, path=display(row.path)):
                        group.create_task(self._carry_out(inboxes[row.inbox], row))
                await self._store.bell.wait(seen, pause)

    async def _carry_out(self, inbox: Inbox, row: Disposal) -> None:
        """Have a recording leave, or stay; or try again later."""
        try:
            async with self._means.publisher.turn(row.inbox, row.path):
                await _Leaving(self._means, inbox, row).go()
        except StoreError as error:
            log.error("can't note where its recording is: %s", error)  # noqa: TRY400
            await asyncio.sleep(PAUSE)
        finally:
            self._busy.discard(inbox.name)
            self._store.bell.ring()


class _Kept(Exception):
    """The recording stays: a key of WHY."""


class _Gone(Exception):
    """Somebody else has taken it."""


class _Leaving:
    """One recording that leaves."""

    def __init__(self, means: Means, inbox: Inbox, row: Disposal) -> None:
        self._means, self._store, self._inbox, self._row = means, means.store, inbox, row
        self._going = Departure(inbox.path, row.path, row.token)
        self._place = means.folders.place(inbox.path, row.path)
        self._heartbeat = Heartbeat()
        self._where = ""  # an error comes from, for people

    async def go(self) -> None:
        """Take all steps that are left."""
        row = self._row
        try:
            if not row.begun:
                self._require_wanted()
                await self._look()
                if not await self._store.insist(jobs.hold, row.job):
                    return  # it is wanted again
            to = await self._leave()
        except _Kept as why:
            await self._keep(str(why))
        except _Gone:
            await self._discard()
            was_deleted = row.begun and row.action in {"delete", "upload"}  # before a crash
            await self._done("deleted" if was_deleted else "gone")
        except (OSError, SourceChanged) as error:
            await self._put_off(error)
        except StoreError:
            raise
        except Exception:  # one recording must not hinder all others
            log.exception("an error inside scriberrd")
            await self._put_off(OSError(0, "an error inside scriberrd"))
        else:
            await self._done(DONE[row.action], to)

    def _require_wanted(self) -> None:
        row = self._row
        if not departures.is_wanted(self._means.live.config, row.inbox, row.action):
            raise _Kept("configuration")

    async def _look(self) -> None:
        """See that it is what was transcribed, before it is touched."""
        row, root = self._row, self._inbox.path
        if row.action == "delete" and await self._store.read(jobs.has_warnings, row.job):
            raise _Kept("incomplete")
        try:
            try:
                source = await self._means.folders.open(
                    self._place, sources.open_version, root, row.path, row.identity
                )
                start(os.close, source)
            except SourceChanged:  # or only touched
                beat, size = self._heartbeat.beat, row.identity.size
                read = partial(sources.fingerprint, size=size, beat=beat)
                found = await self._at(self._place, read, root, row.path)
                if found.sha256 != row.sha256:
                    raise
            await self._at(self._place, writers.require_none, root, row.path)
        except (SourceChanged, NotRegular) as error:
            raise _Kept("changed") from error
        except FileNotFoundError as error:
            if await self._at(self._place, sources.gone, root, row.path, row.identity.dev):
                raise _Gone from error
            raise SourceUnavailable(error.errno, "its file system is not mounted") from error

    async def _leave(self) -> bytes | None:
        """Take the steps from the private name on; gives the name in the archive."""
        row, going, beat = self._row, self._going, self._heartbeat.beat
        held = await self._at(self._place, leaving.hold, going, row.identity.dev)
        judged = None
        if held:
            about = row.sha256, row.identity.size
            judged = await self._at(self._place, leaving.judge, going, *about, beat)
        if judged is None or not self._is_ours(judged):
            if row.begun == jobs.AIMED and await self._is_archived():  # before a crash
                if held:
                    await self._put_back()
                return row.target
            raise _Kept("changed") if held else _Gone
        if row.begun != jobs.AIMED:  # it was all held up till now
            self._require_wanted()
        if row.action in {"delete", "upload"}:
            await self._require_outputs()
            await self._at(self._place, leaving.delete, going, judged)
            return None
        return await self._archive(judged)

    def _is_ours(self, judged: Identity) -> bool:
        """Whether it is a file that may go: of an upload only the copy that we have made."""
        return self._row.action != "upload" or judged.inode == self._row.identity.inode

    async def _require_outputs(self) -> None:
        """Read back what was published: only then the recording can be spared.

        An upload goes after its age, so its transcript may have been edited, or deleted for its
        own age.
        """
        root, row = self._inbox.output, self._row
        mounts = await self._store.read(jobs.mounts)
        outputs = [
            one for one in await self._store.read(queries.outputs, row.job) if not one.edited
        ]

        def whole() -> bool:
            staging.require_mounted(root, [one.name for one in outputs], mounts)
            if row.action == "upload":
                names = [one.name for one in outputs]
                return len(published.existing(root, names)) == len(names)
            return all(published.look(root, one.name, one.prints).print for one in outputs)

        told = row.action == "upload" or "json" in {one.suffix for one in outputs}
        if not told or not await self._at(root, whole):
            raise _Kept("outputs")

    async def _archive(self, judged: Identity) -> bytes:
        row, root, beat = self._row, self._archive_root(), self._heartbeat.beat
        name = row.target or b""
        await self._require_mounted(root, name)
        aimed = again = row.begun == jobs.AIMED
        while True:
            if not aimed:
                name = await self._at(root, leaving.free, root, name)
                await self._store.insist(jobs.aim, row.job, name)
            try:
                steps = partial(leaving.move, beat=beat, again=again)
                await self._at(root, steps, self._going, judged, row.sha256, root, name)
            except FileExistsError:
                aimed = again = False
            else:
                return name

    def _archive_root(self) -> Path:
        if self._inbox.archiving is None:
            raise _Kept("archive")
        self._where = f"the archive of inbox {self._inbox.name}: "
        return self._inbox.archiving[0]

    async def _require_mounted(self, root: Path, name: bytes) -> None:
        """See that what was mounted above the archive is so still; remember what is."""
        mounts = await self._store.read(jobs.mounts)
        places = await self._at(root, staging.require_mounted, root, [name], mounts)
        changed = {place: is_ for place, is_ in places.items() if is_ != (place in mounts)}
        if changed:
            await self._store.insist(jobs.note_mounts, changed)

    async def _is_archived(self) -> bool:
        root, row = self._archive_root(), self._row
        beat = self._heartbeat.beat
        return await self._at(root, leaving.found, root, row.target or b"", row.sha256, beat)

    async def _keep(self, why: str) -> None:
        """It stays, under its own name if that is free."""
        try:
            await self._put_back()
            await self._discard()
        except OSError as error:
            await self._put_off(error)
            return
        await self._store.insist(jobs.kept, self._row, why, self._means.clock.time())
        extra = {"event": Event.RECORDING_STAYS}
        log.warning("its recording stays, since %s", WHY[why], extra=extra)

    async def _put_back(self) -> None:
        root, name = self._inbox.path, self._row.path.rpartition(b"/")[2]
        try:
            await self._at(self._place, leaving.put_back, root, self._going.held_path, name)
        except FileNotFoundError:  # it is not held
            return

    async def _discard(self) -> None:
        """Remove an unfinished copy in the archive."""
        if self._row.begun == jobs.AIMED and self._inbox.archiving is not None:
            root, name = self._inbox.archiving[0], self._row.target or b""
            await self._at(root, leaving.discard, self._going, root, name)

    async def _put_off(self, error: OSError | SourceChanged) -> None:
        """Try again later; meanwhile it has its own name, if its folder is there."""
        row, retry = self._row, self._means.live.config.retry
        back = not isinstance(error, InboxUnavailable | SourceUnavailable | NoAnswer)
        try:
            if back:
                await self._put_back()
        except OSError:
            back = False
        text = self._where + str(getattr(error, "strerror", None) or error)
        wait = min(retry.backoff * 2.0 ** min(row.tries, 30), retry.backoff_max)
        due = self._means.clock.time() + wait
        await self._store.insist(jobs.put_off, row.job, text, due, back=back)
        if text != row.error:
            log.warning("its recording can't leave, trying again: %s", text)

    async def _done(self, what: str, to: bytes | None = None) -> None:
        row, now = self._row, self._means.clock.time()
        await self._store.insist(jobs.disposed, row, what, now, to)
        log.info("its recording is %s", what, extra={"event": Event.RECORDING_LEFT})

    async def _at(
        self, folder: Path, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._means.folders.follow(folder, self._heartbeat, function, *args, **kwargs)
