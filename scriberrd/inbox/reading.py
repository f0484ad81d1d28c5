"""Read settled files: what they are, and what lies beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.errors import InboxUnavailable, InvalidRequest, NoAnswer, SourceChanged
from scriberrd.files import sources
from scriberrd.files.folders import Abandoned, Heartbeat
from scriberrd.inbox import sidecars
from scriberrd.model import Sidecar, Source, display

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    heartbeat = Heartbeat()

    def look() -> list[Read]:
        return [_looked(config, inbox, one, heartbeat) for one in found]

    try:
        return await folders.follow(folders.place(inbox.path, found[0].path), heartbeat, look)
    except NoAnswer as error:
        return [(error, Sidecar())] * len(found)


def _looked(config: Config, inbox: Inbox, found: Found, heartbeat: Heartbeat) -> Read:
    try:
        return _source(inbox, found, heartbeat), sidecars.read(inbox.path, found.path, config)
    except (InboxUnavailable, Abandoned):
        raise
    except Exception as error:  # noqa: BLE001 - logged by the watch; it must not hold up others
        return error, Sidecar()


def _source(inbox: Inbox, found: Found, heartbeat: Heartbeat) -> Source | Exception:
    heartbeat.beat()
    path, identity = found
    unread = Source(inbox.name, path, identity, sha256=None)
    if 0 < inbox.max_size < identity.size:
        return unread  # its job will fail for that
    links, beat = inbox.links, heartbeat.beat
    try:
        read = sources.fingerprint(inbox.path, path, settled=identity, links=links, beat=beat)
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
    return Source(inbox.name, path, *read)
