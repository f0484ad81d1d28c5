"""Which files of an inbox are recordings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from scriberrd.config import Inbox

RulingKind = Literal[
    "hidden",  # by a dot at its front
    "partial",  # incomplete: something else writes it
    "litter",  # of a system or a program
    "conflict",  # the other version of a file, as a synchronizer keeps it
    "ours",  # a transcript
    "extension",
    "odd_name",  # a recording's but for blanks or dots at its end
    "ignored",  # by a pattern
    "skipped",  # its folder says so
    "link",
    "special",  # a device, a socket ...
]

# Extensions that browsers, download managers and editors give to incomplete files.
IN_PROGRESS = frozenset(
    {"part", "partial", "tmp", "temp", "crdownload", "download", "filepart", "opdownload", "aria2"}
)


def wanted(name: bytes, extensions: Collection[str]) -> bool:
    """Whether a file of this name is a recording.

    Args:
        name: without its folders.
        extensions: in lower case, without the dot.
    """
    stem, _, extension = name.rpartition(b".")
    if not stem or name.startswith(b".") or name.endswith(b"~"):
        return False
    lower = extension.decode("ascii", "replace").lower()
    return lower in extensions and lower not in IN_PROGRESS


class Ruling(NamedTuple):
    """Why a file or folder is none of our business."""

    kind: RulingKind
    rule: str  # what it matches
    where: str = ""  # "inbox[1].ignore, line 12", "talks/.scriberrignore:2"; "": built in


class Rules:
    """What is a recording in one inbox."""

    def __init__(self, inbox: Inbox, lines: Mapping[int, int] | None = None) -> None:
        """Read the patterns of an inbox.

        Args:
            inbox: its section of the configuration.
            lines: which line of the file has which pattern, by the pattern's number from 0.
        """
        self._extensions = frozenset(inbox.extensions)
        self._lines = lines or {}

    def quick(self, name: str) -> bool:
        """Whether a file of this name may be a recording: `file` says whether it is.

        It is asked of every entry of a scan.
        """
        return wanted(os.fsencode(name), self._extensions)

    def file(self, path: bytes) -> Ruling | None:  # noqa: ARG002
        """Why a file is no recording; None: it is one. The path is relative to the inbox."""
        return None

    def folder(self, path: bytes) -> Ruling | None:  # noqa: ARG002
        """Why a folder is not entered; None: it is. The path is relative to the inbox."""
        return None

    def enter(self, folder: bytes, descriptor: int) -> Ruling | None:  # noqa: ARG002
        """Take in what a folder says of itself: its patterns hold below it.

        Args:
            folder: relative to the inbox.
            descriptor: of the folder.

        Returns:
            Why nothing in it is a recording; None: see `file`.
        """
        return None
