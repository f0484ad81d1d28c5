"""What was there before scriberrd came: recordings, and the transcripts of other programs."""

from __future__ import annotations

import contextlib
import logging
import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from scriberrd.errors import InvalidRequest, OutputUnavailable, StoreError
from scriberrd.files.folders import Heartbeat, start
from scriberrd.files.names import FOLDER, sync_folder
from scriberrd.model import display
from scriberrd.output import naming, published, staging
from scriberrd.queue import jobs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import apsw

    from scriberrd.config import Config, Inbox
    from scriberrd.files.folders import Folders
    from scriberrd.inbox.scan import Found
    from scriberrd.queue.store import Store

log = logging.getLogger(__name__)

WATCHED = "watched"  # in the state folder: has a file of each inbox that was watched, with its path
JSON = b".json"
BATCH = 1000  # files that are passed over in one transaction
USUAL = 2  # names that outputs have unless several recordings want them


async def first(config: Config, store: Store, inbox: Inbox, found: list[Found]) -> None:
    """Pass over what is there, if the inbox is watched for the first time and asks for it.

    That it was watched is noted outside of the database: after that was lost or restored, what
    came meanwhile must not be taken for what was there before.

    Raises:
        StoreError: the database can't be used; or, with files that are passed over, it can't be
            noted that they were.
    """
    marker = Path(config.daemon.state_dir) / WATCHED / inbox.name
    path = os.fsencode(inbox.path)
    if await start(_read, marker) == path:
        return
    if inbox.existing == "ignore":
        passed = 0
        for at in range(0, len(found), BATCH):
            batch = found[at : at + BATCH]
            passed += await store.run(jobs.pass_over, inbox.name, batch, "existing")
        log.info("watched for the first time, %d files ignored", passed)
    try:
        await start(_write, marker, path)
    except OSError as error:
        what = f"can't note that inbox {inbox.name} is watched: {error.strerror}"
        if inbox.existing == "ignore":  # new ones would be passed over at the next start
            raise StoreError(what) from error
        log.warning("%s", what)


def _read(marker: Path) -> bytes | None:
    try:
        return marker.read_bytes()
    except FileNotFoundError:
        return None


def _write(marker: Path, content: bytes) -> None:
    """All of the file, or nothing; durable on return."""
    marker.parent.mkdir(exist_ok=True)
    new = marker.with_name(f".{marker.name}.new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(marker)
    sync_folder(marker.parent)


async def skip(
    config: Config, store: Store, folders: Folders, inbox: Inbox, found: Sequence[Found]
) -> dict[bytes, InvalidRequest | None]:
    """Pass over recordings whose outputs lie there already, if the inbox asks for it.

    What is scriberrd's own is no reason: it is adopted, if the database does not know it any more.

    Returns:
        path -> None: it is passed over; or why that can't be seen. The others are to be queued.

    Raises:
        OutputUnavailable: the output folder can't be asked what has been transcribed: every
            recording would look as if it had not been.
        StoreError: the database can't be used.
    """
    if not inbox.skip_existing:
        return {}
    names = {one.path: _names(config, inbox, one) for one in found}
    mounts, unlisted = await store.read(_listed, inbox.name, names)
    heartbeat = Heartbeat()
    try:
        there = await folders.follow(
            inbox.output, heartbeat, _look, inbox.output, mounts, unlisted, heartbeat
        )
    except OSError as error:
        why = f"its output folder can't be looked at: {error.strerror or error}"
        raise OutputUnavailable(error.errno, why) from error
    over = [one for one in found if isinstance(there[one.path], bytes)]
    if over:
        await store.run(jobs.pass_over, inbox.name, over, "outputs")
    skipped: dict[bytes, InvalidRequest | None] = {}
    for path, name in there.items():
        if isinstance(name, OSError):
            why = f"its output folder can't be looked at: {name.strerror}"
            skipped[path] = InvalidRequest(why)
        elif name is not None:
            skipped[path] = None
            what, why = display(path), display(name)
            log.info("%r is passed over: %r is there already", what, why)
    return skipped


def _listed(
    db: apsw.Connection, inbox: str, names: Mapping[bytes, list[bytes]]
) -> tuple[list[bytes], dict[bytes, list[bytes]]]:
    """Where something was mounted, and the names under which no job has an output."""
    unlisted = {path: jobs.unlisted(db, inbox, some) for path, some in names.items()}
    return jobs.mounts(db), unlisted


def _names(config: Config, inbox: Inbox, found: Found) -> list[bytes]:
    """The names that its outputs have, usually."""
    formats = sorted({"json", *config.profiles[inbox.profile].formats})
    date = naming.date(found.identity)
    bases = naming.candidates(found.path, "", inbox.output_name, inbox=inbox.name, date=date)
    return [b"%s.%s" % (base, one.encode()) for base in islice(bases, USUAL) for one in formats]


def _look(
    root: Path, mounts: Collection[bytes], names: Mapping[bytes, list[bytes]], heartbeat: Heartbeat
) -> dict[bytes, bytes | OSError | None]:
    """For each recording the first of its names that somebody else's file has.

    Raises:
        OSError: the folder of the outputs can't be looked at.
    """
    staging.require_mounted(root, [b"file"], mounts)
    os.close(os.open(root, FOLDER))
    found: dict[bytes, bytes | OSError | None] = {}
    for path, some in names.items():
        heartbeat.beat()
        try:
            found[path] = _of_others(root, some, mounts)
        except OSError as error:
            found[path] = error
    return found


def _of_others(root: Path, names: Collection[bytes], mounts: Collection[bytes]) -> bytes | None:
    """The first of these names that somebody else's file has, in the folder of the outputs."""
    staging.require_mounted(root, names, mounts)
    ours = {name[: -len(JSON)] for name in names if name.endswith(JSON) and _is_ours(root, name)}
    others = (name for name in names if name.rpartition(b".")[0] not in ours)
    return next(iter(published.existing(root, others)), None)


def _is_ours(root: Path, name: bytes) -> bool:
    with contextlib.suppress(OSError):
        return published.is_ours(root, name)
    return False
