"""The files of one transcript on their way into place."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from itertools import chain
from typing import TYPE_CHECKING

from scriberrd.errors import NameTaken, OutputChanged, TaskFailed
from scriberrd.model import Print, display
from scriberrd.output import naming, published, staging
from scriberrd.output.formats import FORMATS
from scriberrd.output.formats.gaps import marked
from scriberrd.output.permissions import Permissions
from scriberrd.queue import jobs, queries

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from scriberrd.config import Inbox
    from scriberrd.files.folders import Folders, Heartbeat
    from scriberrd.model import Job
    from scriberrd.output.staging import Target
    from scriberrd.queue.columns import Output
    from scriberrd.queue.store import Store
    from scriberrd.settings import Format
    from scriberrd.transcript import Result, Transcript

log = logging.getLogger(__name__)

EMPTY = Print(hashlib.sha256().hexdigest(), 0)
EDITS = 3  # times that a file may be edited between two looks at it before the job waits


class Publication:
    """One transcript, by the run that holds its job."""

    def __init__(
        self,
        store: Store,
        folders: Folders,
        inbox: Inbox,
        job: Job,
        sharing: Sequence[str],
        heartbeat: Heartbeat,
    ) -> None:
        self._store, self._folders, self._sharing = store, folders, sharing
        # A day of speech takes a slow machine longer than a call may.
        self._heartbeat = heartbeat
        self._inbox, self._root = inbox, inbox.output
        self._job, self._lease = job, jobs.Lease(job.id, job.lease)
        self._earlier: set[bytes] = set()  # the names that this job has published before
        self._new: dict[bytes, Print] = {}  # what it has published where nothing was

    async def publish(self, text: Transcript | Result) -> None:
        """Find names that are free or ours, and bring the files there."""
        # What was published of an earlier run is replaced, whatever today's profile says of it.
        earlier = await self._store.read(queries.outputs, self._job.id)
        self._earlier = {output.name for output in earlier}
        suffixes = {output.suffix for output in earlier}
        formats = dict.fromkeys((*self._job.settings.formats, *FORMATS.keys() & suffixes, "json"))
        # A new version of what was edited has a longer name.
        base = min((output.name for output in earlier if output.suffix == "json"), default=None)
        bases = [] if base is None else [base.removesuffix(b".json")]
        for base in chain(bases, naming.of(self._inbox, self._job)):
            names = {base + b"." + suffix.encode(): suffix for suffix in formats}
            known = await self._reserve(list(names))
            if known is None:
                continue
            try:
                await self._bring_again(text, names)
            except NameTaken:
                foreign = [n for n in names if n not in known or not _began(known[n])]
                await self._store.insist(jobs.unreserve, self._lease, foreign)
            else:
                return

    async def take_back(self) -> None:
        """Remove what nobody is to see: the recording was replaced meanwhile."""
        for name, print_ in self._new.items():
            with contextlib.suppress(OSError):
                await self._folders.run(self._root, published.remove, self._root, name, [print_])

    async def _bring_again(self, text: Transcript | Result, names: Mapping[bytes, Format]) -> None:
        """Bring the files into place, anew where somebody edits one of them meanwhile."""
        for _ in range(EDITS):
            try:
                await self._bring(text, names)
            except OutputChanged as error:
                log.info("%s", error)
            else:
                return
        raise TaskFailed("output_blocked", "a published file is being edited")

    async def _reserve(self, names: Sequence[bytes]) -> dict[bytes, Output] | None:
        return await self._store.insist(jobs.reserve, self._lease, names, sharing=self._sharing)

    async def _bring(self, text: Transcript | Result, names: Mapping[bytes, Format]) -> None:
        job, mounts = self._job, await self._store.read(jobs.mounts)
        to_read = marked(text) if self._job.settings.show_gaps else text
        labels = self._job.settings.speaker_labels
        files = {
            name: FORMATS[format_].render(text if format_ == "json" else to_read, labels)
            for name, format_ in names.items()
        }

        def stage() -> tuple[dict[bytes, bool], dict[bytes, Print]]:
            places = staging.require_mounted(self._root, names, mounts)
            return places, staging.stage(
                self._root,
                self._job.id,
                files,
                self._heartbeat.beat,
                Permissions.of(self._inbox),
            )

        places, prints = await self._folders.follow(self._root, self._heartbeat, stage)
        try:
            await self._note_mounts(places, mounts)
            known = await self._store.read(
                queries.outputs_of_recording, job.inbox, job.path, job.sha256
            )
            targets, edited = await self._survey(names, prints, known)
            begun = {target.name: prints[target.staged] for target in targets}
            await self._store.insist(jobs.begin, self._lease, begun, edited)
            await self._folders.run(self._root, staging.place, self._root, self._job.id, targets)
        except BaseException:
            with contextlib.suppress(OSError):
                await self._folders.run(
                    self._root, staging.discard, self._root, self._job.id, list(names)
                )
            raise
        self._new = {one.name: begun[one.name] for one in targets if one.there is None}
        self._tell_edited(targets, edited)
        await self._clear([o for o in known if o.name not in {*begun, *edited}], names)

    async def _survey(
        self, names: Collection[bytes], prints: Mapping[bytes, Print], known: Sequence[Output]
    ) -> tuple[list[Target], list[bytes]]:
        """Find where each file is to go, and take the names beside edited files."""
        mine = {print_ for output in known for print_ in output.prints}
        ever = {output.name for output in known if _began(output)}
        if any(output.prints and not output.published for output in known):
            mine.add(EMPTY)  # where files can't have two names, a crash leaves one of these
        taken: set[bytes] = set()
        while True:
            targets, edited = await self._folders.run(
                self._root, staging.survey, self._root, prints, mine, ever, taken
            )
            beside = {*(target.name for target in targets), *edited}.difference(names)
            refused = [name for name in beside if await self._reserve([name]) is None]
            if not refused:
                return targets, edited
            taken.update(refused)

    async def _note_mounts(self, places: Mapping[bytes, bool], known: Sequence[bytes]) -> None:
        """Remember where something is mounted: nothing is to be written there without it."""
        changed = {place for place, mounted in places.items() if mounted != (place in known)}
        for place in changed.intersection(known):
            log.warning("%s is no longer a mount point: writing files there anyway", display(place))
        if changed:
            await self._store.insist(jobs.note_mounts, {p: places[p] for p in changed})

    def _tell_edited(self, targets: Sequence[Target], edited: Sequence[bytes]) -> None:
        for target in targets:
            if target.staged in edited:
                log.warning(
                    "%r was edited after it was published: keeping it, the new one is %r",
                    display(target.staged),
                    display(target.name),
                )

    async def _clear(self, others: Sequence[Output], names: Collection[bytes]) -> None:
        """Remove what is not the newest any more.

        That is what stood beside an edited file, what this job has published under other names,
        and what it has only begun.
        """
        for output in others:
            beside = any(naming.is_newer(output.name, name) for name in names)
            if beside or output.name in self._earlier or not output.published:
                await self._folders.run(
                    self._root, published.remove, self._root, output.name, output.prints
                )
                await self._reserve([output.name])
                await self._store.insist(jobs.unreserve, self._lease, [output.name])


def _began(output: Output) -> bool:
    """Whether there is, or may be, a file of ours of this name."""
    return output.published or bool(output.prints)
