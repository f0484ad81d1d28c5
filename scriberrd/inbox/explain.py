"""What becomes of one file, and why: for whoever waits for its transcript."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from scriberrd.errors import InboxUnavailable, NotRegular
from scriberrd.failures import FAILURES, advice
from scriberrd.files import sources
from scriberrd.files.folders import LOOK
from scriberrd.files.names import FOLDER
from scriberrd.inbox import sidecars
from scriberrd.inbox.rules import Rules, Ruling
from scriberrd.model import Identity, JobState, display
from scriberrd.queue.about import about

if TYPE_CHECKING:
    from scriberrd.config import Config, Inbox
    from scriberrd.files.folders import Folders
    from scriberrd.inbox.watch import Watching
    from scriberrd.model import Job
    from scriberrd.queue.about import About
    from scriberrd.queue.store import Store

FileState = Literal[
    "outside",
    "inbox",
    "unavailable",
    "missing",
    "unreadable",
    "ignored",
    "ours",
    "passed",
    "settling",
    "reading",
    "waiting",
    "duplicate",
    "removed",
    "queued",
    "processing",
    "completed",
    "failed",
    "canceled",
]
TAKES = "`scriberrctl submit` takes it"
IGNORED: dict[str, str] = {  # by kind of Ruling
    "hidden": "its name, or that of a folder above it, begins with a dot",
    "partial": "it looks unfinished: it is taken under its final name",
    "litter": "a system or a program has put it there",
    "conflict": "it is the other version of a file, kept by a synchronizer",
    "ours": "scriberrd has written it",
    "extension": "its name does not end as those of recordings do (see extensions)",
    "odd_name": "its name ends in a blank or a dot: rename it",
    "ignored": "a pattern leaves it out",
    "skipped": "its folder is left out",
    "link": "a symbolic link is on the way to it",
    "special": "it is no regular file",
}
PASSED = {
    "existing": f"it was there when its inbox was first watched: {TAKES}",
    "outputs": f"files that look like its transcripts lie there already: {TAKES}",
}


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a file, and why."""

    inbox: str | None = None
    path: str | None = None  # relative to the inbox
    state: FileState
    text: str  # for people
    rule: str | None = None  # that leaves it out
    where: str | None = None  # the rule stands
    job: int | None = None  # the newest about it, or the one that has written it
    of: int | None = None  # an earlier job about the same bytes
    sidecar_changed: bool = False  # since the job was queued


OUTSIDE = Explanation(state="outside", text="it is not below any inbox")


def folder_of(inbox: Inbox) -> Explanation:
    """What is told of an inbox's own folder."""
    text = "it is the folder of an inbox: ask about a file in it"
    return Explanation(state="inbox", text=text, inbox=inbox.name)


class _Seen(NamedTuple):
    """A file as it is now."""

    identity: Identity | None = None  # None: none that could be a recording
    ruling: Ruling | None = None
    astray: str = ""  # where a link leads that is not followed
    mark: str = ""  # of what lies beside it


async def explain(
    config: Config, store: Store, folders: Folders, watching: Watching, inbox: Inbox, path: bytes
) -> Explanation:
    """What becomes of the file at this path, relative to the inbox."""
    known = await store.search(about, inbox.name, path)
    try:
        place = folders.place(inbox.path, path)
        async with asyncio.timeout(LOOK):
            seen = await folders.run(place, _look, config, inbox, path, known.job)
    except (FileNotFoundError, NotADirectoryError):
        found = _missing(watching, known)
    except PermissionError:
        text = "the daemon's user may not read it: let it do so, and it is taken"
        found = Explanation(state="unreadable", text=text)
    except OSError as error:
        found = _unavailable(error.strerror or "its file system does not answer")
    else:
        found = _left_out(inbox, known, seen) or _under_way(config, watching, path, known, seen)
        before = known.job.sidecar.mark if known.job and known.job.sidecar else ""
        if known.job is not None and found.job == known.job.id and seen.mark != before:
            text = f"{found.text}; what lies beside it has changed since: redo the job to use it"
            found = msgspec.structs.replace(found, sidecar_changed=True, text=text)
    if found.job is None and known.job is not None:
        found = msgspec.structs.replace(found, job=known.job.id)
    return msgspec.structs.replace(found, inbox=inbox.name, path=display(path), of=known.copy_of)


def _look(config: Config, inbox: Inbox, path: bytes, job: Job | None) -> _Seen:
    """See what a file is now, and what the rules say of it; it blocks.

    Raises:
        OSError: it is missing, may not be read, or its file system is not mounted any more.
    """
    device = None if job is None else job.identity.dev
    opened = partial(sources.open_source, inbox.path, path, device=device, links=inbox.links)
    try:
        ruling = _ruling(config, inbox, path)
    except FileNotFoundError:
        os.close(opened())  # tells what is missing from what is not mounted
        raise
    astray = _astray(inbox, path) if ruling is None and inbox.links else ""
    if astray:
        ruling = Ruling("link", 'symlinks = "files"', f"inbox {inbox.name}")
    if ruling is not None and job is None:
        return _Seen(ruling=ruling, astray=astray)
    try:
        source = opened()
    except OSError as error:
        if ruling is None and not isinstance(error, NotRegular):
            raise
        return _Seen(ruling=ruling or Ruling("link", display(path)), astray=astray)
    with os.fdopen(source) as file:
        identity = Identity.of(os.fstat(file.fileno()))
    return _Seen(identity, ruling, astray, sidecars.read(inbox.path, path, config).mark)


def _ruling(config: Config, inbox: Inbox, path: bytes) -> Ruling | None:
    """Go the way to a file as a scan does: why it is left out, if so.

    Raises:
        OSError: something on the way is missing or may not be entered.
    """
    rules, (*above, name) = Rules(inbox, config.lines.get(inbox.name)), path.split(b"/")
    try:
        folder = os.open(inbox.path, FOLDER)
    except OSError as error:
        raise InboxUnavailable(error.errno, error.strerror) from error
    try:
        ruling = rules.enter(b"", folder)
        for depth, inner in enumerate(above, start=1):
            way = b"/".join(above[:depth])
            if ruling is None and stat.S_ISLNK(_mode(inner, folder)):
                ruling = Ruling("link", display(way))
            ruling = ruling or rules.folder(way)
            if ruling is not None:
                return ruling
            outer, folder = folder, os.open(inner, sources.BELOW, dir_fd=folder)
            os.close(outer)
            ruling = rules.enter(way, folder)
        if above and not inbox.recursive:
            ruling = Ruling("skipped", "recursive = false", f"inbox {inbox.name}")
        mode = _mode(name, folder)
    finally:
        os.close(folder)
    return ruling or _ruled(rules, inbox, path, mode)


def _astray(inbox: Inbox, path: bytes) -> str:
    """Where a link leads that is not followed; "" if it is, or is none.

    Of what lies outside nothing is told, not even whether it is there.
    """
    place = os.path.join(os.fsencode(inbox.path), path)
    if not os.path.islink(place):
        return ""
    real = os.path.realpath(place)
    allowed = (os.path.realpath(os.fsencode(folder)).rstrip(b"/") for folder in inbox.links)
    if not any((real + b"/").startswith(one + b"/") for one in allowed):
        return f"outside of {'link_targets' if inbox.link_targets else 'the inbox'}"
    try:
        return "to a folder" if stat.S_ISDIR(os.stat(real).st_mode) else ""
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            raise
        return "nowhere"


def _mode(name: bytes, folder: int) -> int:
    return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode


def _ruled(rules: Rules, inbox: Inbox, path: bytes, mode: int) -> Ruling | None:
    if stat.S_ISLNK(mode) and not inbox.links:
        return Ruling("link", 'symlinks = "ignore"', f"inbox {inbox.name}")
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        return Ruling("special", "a folder" if stat.S_ISDIR(mode) else "no regular file")
    if (ruling := rules.file(path)) is not None:
        return ruling
    if not rules.quick(os.path.basename(os.fsdecode(path))):
        return Ruling("extension", ", ".join(inbox.extensions), f"inbox {inbox.name}")
    return None


def _left_out(inbox: Inbox, known: About, seen: _Seen) -> Explanation | None:
    """Why nothing becomes of a file, if so."""
    version = seen.identity and seen.identity.version
    if inbox.beside and known.published_by is not None:
        by = known.published_by
        return Explanation(state="ours", text="scriberrd has written it: a transcript", job=by)
    if known.job is not None and known.job.identity.version == version:
        return None  # somebody asked for it, whatever the rules say
    if seen.ruling is not None:
        kind, rule, where = seen.ruling
        leads = f"it is a symbolic link that leads {seen.astray}"
        text = leads if seen.astray else IGNORED[kind]
        return Explanation(state="ignored", text=text, rule=rule, where=where or None)
    if known.passed is not None and known.passed[0].version == version:
        return Explanation(state="passed", text=PASSED[known.passed[1]])
    if known.removed is not None and known.removed.version == version:
        text = f"its job was removed, or pruned for its age: {TAKES} again"
        return Explanation(state="removed", text=text)
    return None


def _under_way(
    config: Config, watching: Watching, path: bytes, known: About, seen: _Seen
) -> Explanation:
    """How far a recording is."""
    job = known.job
    if (left := watching.settling.get(path)) is not None:
        most = max(math.ceil(left), 1)
        text = f"it has changed a moment ago: it is taken once it stays as it is for {most} s"
        return Explanation(state="settling", text=text)
    if path in watching.reading:
        return Explanation(state="reading", text="it is read, or waits for that, to be queued")
    if job is not None and seen.identity and job.identity.version == seen.identity.version:
        leaving = "" if job.leaving is None else "; it is still to leave its inbox"
        leaving += f": {job.leaving}" if job.leaving else ""
        return Explanation(state=job.state.value, text=f"{_text(job)}{leaving}", job=job.id)
    if watching.state == "unavailable":
        return _unavailable(watching.reason)
    if (twin := watching.twin(path)) is not None:
        text = f"what is mounted there is watched elsewhere: it is found as {display(twin)}"
        return Explanation(state="duplicate", text=text)
    soon = f"it is found at the next scan, within {config.daemon.rescan:.0f} s"
    earlier = "" if job is None else f"; job {job.id} is about an earlier version"
    return Explanation(state="waiting", text=soon + earlier)


def _text(job: Job) -> str:
    """How far the job about a file is."""
    match job.state:
        case JobState.QUEUED:
            return f"it is queued as job {job.id}"
        case JobState.PROCESSING:
            return f"job {job.id} works on it"
        case JobState.COMPLETED:
            cached = ", with the words of the same recording" if job.cached else ""
            return f"job {job.id} has transcribed it{cached}"
        case JobState.CANCELED:
            return f"job {job.id} was canceled: `scriberrctl retry {job.id}` queues it again"
        case JobState.FAILED:
            kind = FAILURES.get(job.error_code or "", FAILURES["internal_error"])
            told = f": {job.error_detail}" if job.error_detail else ""
            to_do = advice(job.error_code, job.disposed)
            return f"job {job.id} failed: {kind.message}{told}" + (f"; {to_do}" if to_do else "")


def _missing(watching: Watching, known: About) -> Explanation:
    if watching.state == "unavailable":
        return _unavailable(watching.reason)
    disposed = f" any more: it was {known.job.disposed}" if known.job and known.job.disposed else ""
    return Explanation(state="missing", text=f"there is no such file{disposed}")


def _unavailable(reason: str | None) -> Explanation:
    return Explanation(state="unavailable", text=f"its folder can't be used: {reason}")
