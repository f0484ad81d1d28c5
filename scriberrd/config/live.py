"""All settings together, as they are now, and what of them can't be used now."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from scriberrd.config.inboxes import Inbox
from scriberrd.config.tables import Api, Daemon, Retention, Retry, Worker
from scriberrd.files.folders import look_at
from scriberrd.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS = ("model", "fallback_model", "diarization_model")  # keys that may be folders


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of the daemon, checked."""

    file: Path
    daemon: Daemon
    api: Api = Api()
    inboxes: tuple[Inbox, ...]
    profiles: dict[str, Settings]
    workers: tuple[Worker, ...]
    retry: Retry
    retention: Retention = Retention()
    lines: dict[str, dict[int, int]] = {}  # of each inbox: which line of the file has which pattern

    def inbox(self, name: str) -> Inbox | None:
        """The inbox of that name, if there is one."""
        return next((inbox for inbox in self.inboxes if inbox.name == name), None)

    def sharing(self, inbox: Inbox) -> list[str]:
        """The names of the other inboxes that have the same output folder as this one."""
        others = (other for other in self.inboxes if other.name != inbox.name)
        return [other.name for other in others if other.output == inbox.output]


class Live:
    """The configuration as it is now: every room asks this one, and keeps no copy of its own."""

    def __init__(self, config: Config) -> None:
        self.config = config


def missing(config: Config) -> list[str]:
    """What of the configuration may not be as it is meant.

    Folders and models that can't be used now, which may be mounted later; and what is hardly meant.
    """
    places = _places(config)
    found = look_at([place for _, place, _ in places], _enter)
    there = [inbox for inbox in config.inboxes if found[inbox.path] is None]
    writable = look_at([inbox.path for inbox in there], _is_writable)
    return [
        *(
            f"{what}: {place}{_trouble(error, advice)}"
            for what, place, advice in places
            if (error := found[place]) is not None
        ),
        *(
            f"inbox {inbox.name}, path: {inbox.path}: can't be written: `scriberrctl submit` can't"
            " copy files into it"
            for inbox in there
            if writable[inbox.path] is False
        ),
        *(
            f"inbox {inbox.name}, {what}"
            for inbox in config.inboxes
            for what in _odd(config, inbox)
        ),
    ]


def _places(config: Config) -> list[tuple[str, Path, str]]:
    """What must be there: which key says so, where, and what to do if it is not."""
    folders = [
        (f"inbox {inbox.name}, {key}", place, "create it, or mount it")
        for inbox in config.inboxes
        for key, place in (
            ("path", inbox.path),
            ("output", inbox.output),
            *([] if inbox.archiving is None else [("archive", inbox.archiving[0])]),
            *(("link_targets", target) for target in inbox.link_targets),
        )
    ]
    return folders + [
        (f"profile {name}, {key}", Path(model), "copy the model there, or set another")
        for name, profile in config.profiles.items()
        for key in MODELS
        if os.path.isabs(model := getattr(profile, key))
    ]


def _odd(config: Config, inbox: Inbox) -> Iterator[str]:
    """What can be done as it is set, but is hardly meant so."""
    if inbox.archive and inbox.after != "archive" and inbox.on_failure == "keep":
        yield "archive: nothing is moved there: set after or on_failure"
    if config.retention.transcripts and inbox.after == "delete":
        yield (
            'after = "delete" and retention.transcripts: in the end neither recording nor text is'
            " left"
        )


def _enter(place: Path) -> None:
    if stat.S_ISDIR(os.stat(place).st_mode):
        os.stat(os.path.join(place, "."))  # needs the permission to enter it


def _is_writable(place: Path) -> bool:
    return os.access(place, os.W_OK)


def _trouble(error: OSError, advice: str) -> str:
    match error:
        case FileNotFoundError():
            return f" does not exist: {advice}"
        case PermissionError():
            return ": permission denied: give the daemon's user access"
        case _:
            return f": {error.strerror}"
