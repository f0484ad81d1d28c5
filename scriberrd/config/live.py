"""All settings together, as they are now, and what of them can't be used now."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from scriberrd.config.inboxes import Inbox
from scriberrd.config.tables import Api, Daemon, Retention, Retry, Worker
from scriberrd.files.folders import look_at
from scriberrd.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MODELS = ("model", "fallback_model", "diarization_model")  # keys that may be folders
NO_INBOX = "there is none, so no folder is watched: add [[inbox]]"


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
    keys: dict[str, int] = {}  # which line of the file has which: "inbox[1].path" and "inbox[1]"
    lines: dict[str, dict[int, int]] = {}  # of each inbox: which line of the file has which pattern

    def inbox(self, name: str) -> Inbox | None:
        """The inbox of that name, if there is one."""
        return next((inbox for inbox in self.inboxes if inbox.name == name), None)

    def line(self, key: str) -> int:
        """The line of the file with a key, or with what is nearest to it."""
        while key and key not in self.keys:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return self.keys.get(key, 1)

    def at(self, key: str, what: str, level: str = "") -> str:
        """What is to be said of a key, with its place; a level is like "warning: "."""
        return f"{self.file}:{self.line(key)}: {level}{key}: {what}"

    def sort(self, doubts: Iterable[Doubt]) -> list[Doubt]:
        """Doubts in the order of the lines that they are about."""
        return sorted(doubts, key=lambda doubt: self.line(doubt.key))

    def sharing(self, inbox: Inbox) -> list[str]:
        """The names of the other inboxes that have the same output folder as this one."""
        others = (other for other in self.inboxes if other.name != inbox.name)
        return [other.name for other in others if other.output == inbox.output]


class Live:
    """The configuration as it is now: every room asks this one, and keeps no copy of its own."""

    def __init__(self, config: Config) -> None:
        self.config = config


class Doubt(NamedTuple):
    """What of the configuration can't be used now, or is hardly meant so."""

    key: str  # as in `Config.keys`
    what: str


def missing(config: Config) -> list[str]:
    """Each doubt about the configuration, with its place in the file, in the order of the lines."""
    return [config.at(doubt.key, doubt.what) for doubt in config.sort(doubts(config))]


def doubts(config: Config) -> list[Doubt]:
    """What of the configuration may not be as it is meant.

    Folders and models that can't be used now, which may be mounted later; and what is hardly meant.
    It blocks for a moment where a file system does not answer.
    """
    places = _places(config)
    found = look_at([place for _, place, _ in places], _enter)
    entered = [(key, place) for key, place, _ in places if found[place] is None]
    lacking = look_at([place for _, place in entered], _lacks)
    return [
        *(
            Doubt(key, f"{place}{_trouble(error, advice)}")
            for key, place, advice in places
            if (error := found[place]) is not None
        ),
        *(
            Doubt(key, f"{place}: {what}")
            for key, place in entered
            if (what := _denied(key, lacking[place]))
        ),
        *(
            Doubt(f"inbox[{number}].{key}", what)
            for number, inbox in enumerate(config.inboxes, 1)
            for key, what in _odd(config, inbox)
        ),
        *([] if config.inboxes else [Doubt("inbox", NO_INBOX)]),
    ]


def _places(config: Config) -> list[tuple[str, Path, str]]:
    """What must be there: which key says so, where, and what to do if it is not."""
    folders = [
        (f"inbox[{number}].{key}", place, "create it, or mount it")
        for number, inbox in enumerate(config.inboxes, 1)
        for key, place in (
            ("path", inbox.path),
            ("output", inbox.output),
            *([] if inbox.archiving is None else [("archive", inbox.archiving[0])]),
            *(("link_targets", target) for target in inbox.link_targets),
        )
    ]
    return folders + [
        (f"profile.{name}.{key}", Path(model), "copy the model there, or set another")
        for name, profile in config.profiles.items()
        for key in MODELS
        if os.path.isabs(model := getattr(profile, key))
    ]


def _odd(config: Config, inbox: Inbox) -> Iterator[tuple[str, str]]:
    """What can be done as it is set, but is hardly meant so: its key, and why."""
    if inbox.archive and inbox.after != "archive" and inbox.on_failure == "keep":
        yield "archive", "nothing is moved there: set after or on_failure"
    if config.retention.transcripts and inbox.after == "delete":
        yield (
            "after",
            '"delete" beside retention.transcripts: in the end neither recording nor text is left',
        )


def _enter(place: Path) -> None:
    if stat.S_ISDIR(os.stat(place).st_mode):
        os.stat(os.path.join(place, "."))  # needs the permission to enter it


def _lacks(place: Path) -> str:
    """What is not allowed there: "r", "w", both or nothing."""
    return "".join(
        letter for letter, mode in (("r", os.R_OK), ("w", os.W_OK)) if not os.access(place, mode)
    )


def _denied(key: str, lacks: str | OSError) -> str:
    """What is wrong with a place, of which the key tells what it is for."""
    if isinstance(lacks, OSError):
        return ""
    match key.rpartition(".")[2]:
        case "output" | "archive" if "w" in lacks:
            return "can't be written: give the daemon's user access"
        case "path" if "w" in lacks and "r" not in lacks:
            return "can't be written: `scriberrctl submit` can't copy files into it"
        case _ if "r" in lacks:
            return "can't be read: give the daemon's user access"
    return ""


def _trouble(error: OSError, advice: str) -> str:
    match error:
        case FileNotFoundError():
            return f" does not exist: {advice}"
        case PermissionError():
            return ": permission denied: give the daemon's user access"
        case _:
            return f": {error.strerror}"
