"""Read settled files: what they are, and what lies beside them."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from scriberrd.errors import InboxUnavailable, InvalidRequest, NoAnswer, SourceChanged
from scriberrd.files import sources
from scriberrd.files.folders import Abandoned, Heartbeat
from scriberrd.inbox import sidecars
from scriberrd.model import Identity, Sidecar, Source, display

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scriberrd.config import Config, Inbox
    from scriberrd.files.folders import Folders
    from scriberrd.inbox.scan import Found

Read = tuple[Source | Exception, Sidecar]


async def read(
    config: Config, folders: Folders, inbox: Inbox, found: Sequence[Found]
) -> list[Read]:
    """What settled files of one file system are; or SourceChanged, NoAnswer, InvalidRequest.

    Raises:
        InboxUnavailable: the inbox is out.
    """
    if not found:
        return []
    heartbeat, beside = Heartbeat(), partial(sidecars.read, inbox.path, config=config, folders={})

    def look() -> list[Read]:
        return [_looked(inbox, one, heartbeat, beside) for one in found]

    try:
        return await folders.follow(folders.place(inbox.path, found[0].path), heartbeat, look)
    except NoAnswer as error:
        return [(error, Sidecar())] * len(found)


def source(
    inbox: Inbox, path: bytes, heartbeat: Heartbeat, settled: Identity | None = None
) -> Source:
    """What a file is; one that is too large is not read: its job will fail for that. It blocks.

    Args:
        inbox: the inbox.
        path: relative to it.
        heartbeat: tells that reading gets on.
        settled: the version to read, if known.

    Raises:
        SourceChanged: it was changed or deleted meanwhile, or is another version.
        OSError: it can't be read.
    """
    heartbeat.beat()
    links, beat = inbox.links, heartbeat.beat
    if inbox.max_size:
        identity = settled
        if identity is None:
            with os.fdopen(sources.open_source(inbox.path, path, links=links)) as file:
                identity = Identity.of(os.fstat(file.fileno()))
        if identity.size > inbox.max_size:
            return Source(inbox.name, path, identity, sha256=None)
    read = sources.fingerprint(inbox.path, path, settled=settled, links=links, beat=beat)
    return Source(inbox.name, path, *read)


def _looked(
    inbox: Inbox, found: Found, heartbeat: Heartbeat, beside: Callable[[bytes], Sidecar]
) -> Read:
    try:
        return _settled(inbox, found, heartbeat), beside(found.path)
    except (InboxUnavailable, Abandoned):
        raise
    except Exception as error:  # noqa: BLE001 - logged by the watch; it must not hold up others
        return error, Sidecar()


def _settled(inbox: Inbox, found: Found, heartbeat: Heartbeat) -> Source | Exception:
    path, identity = found
    unread = Source(inbox.name, path, identity, sha256=None)
    try:
        return source(inbox, path, heartbeat, identity)
    except SourceChanged as error:
        return error
    except OSError as error:
        meant: dict[str, Source | Exception] = {
            "unreadable": unread,  # the job will report the error: people look there
            "inbox_unavailable": error,
            "source_missing": SourceChanged(path),
        }
        other = InvalidRequest(f"{display(path)!r}: {error.strerror}")
        return meant.get(sources.failure_code(error), other)
