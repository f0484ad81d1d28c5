"""Which files of an inbox are recordings."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from pathspec import GitIgnoreSpec

from scriberrd.files.names import LONGEST

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

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

IGNORE = ".scriberrignore"  # a folder that holds one is skipped, whatever is in it

# Extensions that browsers, download managers, copiers and synchronizers give to incomplete files.
IN_PROGRESS = frozenset(
    {
        *("part", "partial", "tmp", "temp", "crdownload", "download", "filepart", "opdownload"),
        *("aria2", "!qb", "!ut", "bts", "!sync", "ocpart", "fuse_hidden", "unconfirmed"),
    }
)
PARTIAL = (
    "~syncthing~*",
    "in.*.",  # FTP servers, while they receive
)
LITTER = (
    "*~",  # editors
    "~$*",  # office programs
)
# Strict, since what they match is never transcribed.
CONFLICT = (
    "*.sync-conflict-[0-9]*-[0-9]*",  # Syncthing
    "* (*conflicted copy*)*",  # Dropbox, Nextcloud
    "*[_-]conflict-20[0-9][0-9][0-9][0-9][0-9][0-9]*",  # ownCloud, Nextcloud
    "* (sfconflict *)*",  # Seafile
    "*_[a-z][a-z][a-z]-[0-9][0-9]-[0-9]*-[0-9]*_conflict.*",  # Synology
)
FOLDERS = (
    *("@eadir", "#recycle", "@recycle", "@recently-snapshot", "#snapshot", ".snapshot"),  # a NAS
    *("$recycle.bin", "recycler", "system volume information", "lost+found"),
    *(".trash-*", ".trash", ".trashes", ".stversions", ".sync"),
)

# All of these as patterns of names in lower case, for whoever looks through a folder elsewhere.
IGNORED_FILES = (".*", *PARTIAL, *LITTER, *CONFLICT, *(f"*.{one}" for one in sorted(IN_PROGRESS)))
IGNORED_FOLDERS = (".*", *FOLDERS)


def wanted(name: bytes, extensions: Collection[str]) -> bool:
    """Whether a file of this name may be a recording, however it came to be where it is.

    Args:
        name: without its folders.
        extensions: in lower case, without the dot.
    """
    stem, _, extension = name.rpartition(b".")
    if not stem or name.startswith(b".") or name.endswith(b"~"):
        return False
    lower = extension.decode("ascii", "replace").lower()
    return lower in extensions and lower not in IN_PROGRESS


def misnamed(name: bytes, extensions: Collection[str]) -> str:
    """What is wrong with the name of a file that is to be a recording; "": nothing.

    Args:
        name: without its folders.
        extensions: as in `wanted`.
    """
    if wanted(name, extensions):
        long = len(name) > LONGEST
        return f"is too long: {len(name)} bytes, of at most {LONGEST}" if long else ""
    if name.startswith(b"."):
        return "is hidden: it begins with a dot"
    if wanted(name.rstrip(b" ."), extensions):
        return "ends in a blank or a dot"
    return f"has no extension of a recording: {', '.join(extensions)}"


class Ruling(NamedTuple):
    """Why a file or folder is none of our business."""

    kind: RulingKind
    rule: str  # what it matches
    where: str = ""  # "inbox[1].ignore, line 12", "talks/.scriberrignore"; "": built in


class _Globs:
    """Patterns of names in lower case, of which the first that matches counts."""

    def __init__(self, *kinds: tuple[RulingKind, Iterable[str]]) -> None:
        self._rulings = [Ruling(kind, glob) for kind, globs in kinds for glob in globs]
        # `translate` makes groups of its own, and patterns that can't go back and forth for ever.
        parts = (f"(?P<n{n}>{fnmatch.translate(one.rule)})" for n, one in enumerate(self._rulings))
        self._match = re.compile("|".join(parts)).match

    def match(self, name: str) -> Ruling | None:
        found = self._match(name.lower())
        if found is None or found.lastgroup is None:
            return None
        return self._rulings[int(found.lastgroup.removeprefix("n"))]


_FILES = _Globs(("partial", PARTIAL), ("litter", LITTER), ("conflict", CONFLICT))
_FOLDERS = _Globs(("litter", FOLDERS))


class Rules:
    """What is a recording in one inbox."""

    def __init__(self, inbox: Inbox, lines: Mapping[int, int] | None = None) -> None:
        """Read the patterns of an inbox.

        Args:
            inbox: its section of the configuration.
            lines: which line of the file has which pattern, by the pattern's number from 0.
        """
        self._extensions = frozenset(inbox.extensions)
        self._ignore = inbox.ignore
        self._patterns = GitIgnoreSpec.from_lines(inbox.ignore)
        self._lines = lines or {}

    def quick(self, name: str) -> bool:
        """Whether a file of this name may be a recording, or is to be told of.

        It is asked of every entry of a scan: `file` has the last word.
        """
        extension = name.rpartition(".")[2]
        return (extension.lower() in self._extensions or extension[-1:] in " .") and name[0] != "."

    def file(self, path: bytes) -> Ruling | None:
        """Why a file is no recording; None: it is one. The path is relative to the inbox."""
        text = os.fsdecode(path)
        name = text.rpartition("/")[2]
        if name.startswith("."):
            return Ruling("ours" if name.startswith(".scriberrd-") else "hidden", ".*")
        ruling = _FILES.match(name)
        if self._wanted(name):
            return self._by_pattern(text, ruling)
        extension = name.rpartition(".")[2].lower()
        if extension in IN_PROGRESS:
            return Ruling("partial", f"*.{extension}")
        if ruling is None and self._wanted(name.rstrip(" .")):
            return Ruling("odd_name", "it ends in a blank or a dot")
        return ruling or Ruling("extension", "no extension of a recording", "extensions")

    def folder(self, path: bytes) -> Ruling | None:
        """Why a folder is not entered; None: it is. The path is relative to the inbox."""
        text = os.fsdecode(path)
        name = text.rpartition("/")[2]
        ruling = _FOLDERS.match(name)
        if name.startswith("."):
            return ruling or Ruling("hidden", ".*")
        return self._by_pattern(text + "/", ruling)

    def enter(self, folder: bytes, descriptor: int) -> Ruling | None:
        """Look at what a folder says of itself.

        Args:
            folder: relative to the inbox.
            descriptor: of the folder.

        Returns:
            Why nothing in it or below it is a recording; None: see `file`.
        """
        try:
            os.stat(IGNORE, dir_fd=descriptor, follow_symlinks=False)
        except OSError:
            return None
        return Ruling("skipped", IGNORE, os.path.join(os.fsdecode(folder), IGNORE))

    def _by_pattern(self, path: str, built_in: Ruling | None) -> Ruling | None:
        """What the user's patterns say; they have the last word, and "!" takes back a built-in."""
        found = self._patterns.check_file(path)
        if found.index is None:
            return built_in
        if not found.include:
            return None
        line = self._lines.get(found.index)
        where = "ignore" if line is None else f"ignore, line {line}"
        return Ruling("ignored", self._ignore[found.index], where)

    def _wanted(self, name: str) -> bool:
        return wanted(os.fsencode(name), self._extensions)
