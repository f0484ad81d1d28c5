"""What was there before scriberrd came: recordings, and the transcripts of other programs."""

from __future__ import annotations

import contextlib
import logging
import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from scriberrd.errors import InvalidRequest, OutputUnavailable, StoreError
from scriberrd.files.folders import start
from scriberrd.files.names import FOLDER, sync_folder
from scriberrd.inbox.rules import Ruling
from scriberrd.model import display
from scriberrd.output import naming, published, staging
from scriberrd.queue import jobs

if TYPE_CHECKING:
    from collections.abc import Collection

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


async def require_outputs(store: Store, folders: Folders, inbox: Inbox) -> None:
    """See that the output folder can be asked what has been transcribed, if the inbox wants that.

    Raises:
        OutputUnavailable: it can't: every recording would look as if it had not been.
        StoreError: the database can't be used.
    """
    if not inbox.skip_existing:
        return
    mounts = await store.read(jobs.mounts)
    try:
        await folders.run(inbox.output, _require, inbox.output, mounts)
    except OSError as error:
        why = f"its output folder can't be looked at: {error.strerror or error}"
        raise OutputUnavailable(error.errno, why) from error


def _require(root: Path, mounts: Collection[bytes]) -> None:
    staging.require_mounted(root, [b"file"], mounts)
    os.close(os.open(root, FOLDER))


async def skip(
    config: Config, store: Store, folders: Folders, inbox: Inbox, found: Found
) -> Ruling | None:
    """Pass over a recording whose outputs lie there already, if the inbox asks for it.

    What is scriberrd's own is no reason: it is adopted, if the database does not know it any more.

    Raises:
        InvalidRequest: the output folder can't be looked at.
        StoreError: the database can't be used.
    """
    if not inbox.skip_existing:
        return None
    formats = sorted({"json", *config.profiles[inbox.profile].formats})
    bases = islice(
        naming.candidates(
            found.path, "", inbox.output_name, inbox=inbox.name, date=naming.date(found.identity)
        ),
        USUAL,
    )
    names = [b"%s.%s" % (base, one.encode()) for base in bases for one in formats]
    unlisted = await store.read(jobs.unlisted, inbox.name, names)
    mounts = await store.read(jobs.mounts)
    try:
        name = await folders.run(inbox.output, _of_others, inbox.output, unlisted, mounts)
    except OSError as error:
        raise InvalidRequest(f"its output folder can't be looked at: {error.strerror}") from error
    if name is None:
        return None
    await store.run(jobs.pass_over, inbox.name, [found], "outputs")
    what, why = display(found.path), display(name)
    log.info("%r is passed over: %r is there already", what, why)
    return Ruling("ignored", "skip_existing", "skip_existing")


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
