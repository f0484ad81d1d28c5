"""What can be set for an inbox, and what is asked of it and of its folders."""

from __future__ import annotations

import grp
import os
import re
import stat
import string
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args

import msgspec
from msgspec import Meta
from msgspec.structs import replace
from pathspec import GitIgnoreSpec

from scriberrd.config.tables import Name
from scriberrd.files.folders import look_at
from scriberrd.settings import Format
from scriberrd.units import Bytes, Seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from scriberrd.toml import Document, Where

EXTENSIONS = (
    *("wav", "mp3", "m4a", "m4b", "aac", "ogg", "oga", "opus", "flac", "webm", "mp4", "m4v", "mov"),
    *("mkv", "mka", "avi", "wma", "wmv", "amr", "aiff", "aif", "caf", "mpg", "mpeg", "ts", "mts"),
    *("3gp", "mp2", "ac3", "wv", "ape", "dss", "au"),
)

OURS = frozenset({*get_args(Format), "toml"})  # what our files and sidecars end in: no recordings
OUTPUT_NAMES = ("stem", "name", "date", "inbox")  # the placeholders of output_name
ARCHIVE_NAMES = (*OUTPUT_NAMES, "folder", "job")  # and of archive
STARS, PATHS = 3, 2  # "*" between two slashes, and "**", that a pattern may have
LONGEST = 200  # bytes of a template

# read() removes a leading dot and capitals.
Extension = Annotated[
    str, Meta(pattern=r"^\.?[A-Za-z0-9_+-]+$", description='extensions such as "wav"')
]
Mode = Annotated[  # its owner must be able to read the transcripts back
    str,
    Meta(
        pattern=r"^(0?[4-7][0-7]{2})?$",
        description='a mode such as "640", in quotes, with which the owner may read',
    ),
]
Watch = Literal["auto", "inotify", "poll"]


class Inbox(msgspec.Struct, frozen=True, kw_only=True):
    """`[[inbox]]`: a watched folder, and the folder for its transcripts."""

    name: Name
    path: Path
    output: Path  # the inbox's own path: beside the recordings
    output_name: str = "{stem}"
    output_mode: Mode = ""
    output_group: str = ""
    profile: str = "default"
    recursive: bool = True
    watch: Watch = "auto"
    settle: Seconds = Seconds(10)
    existing: Literal["process", "ignore"] = "process"
    skip_existing: bool = False
    extensions: tuple[Extension, ...] = EXTENSIONS
    ignore: tuple[str, ...] = ()
    symlinks: Literal["ignore", "files"] = "ignore"
    link_targets: tuple[Path, ...] = ()
    min_duration: Seconds = Seconds(0)
    max_duration: Seconds = Seconds(0)
    max_size: Bytes = Bytes(0)
    after: Literal["keep", "archive", "delete"] = "keep"
    archive: str = ""  # absolute, with its template
    on_failure: Literal["keep", "quarantine"] = "keep"

    @property
    def beside(self) -> bool:
        """Whether its transcripts lie beside the recordings."""
        return self.output == self.path

    @property
    def links(self) -> tuple[Path, ...]:
        """The folders into which links to recordings may lead; none: links are no recordings."""
        if self.symlinks == "ignore":
            return ()
        return self.link_targets or (self.path,)

    @property
    def archiving(self) -> tuple[Path, str] | None:
        """The archive's folder, and the template of the names below it; None: it has no archive."""
        if not self.archive:
            return None
        parts = Path(self.archive).parts
        at = next((n for n, part in enumerate(parts) if "{" in part), len(parts))
        return Path(*parts[:at]), "/".join(parts[at:]) or "{folder}/{name}"


def read(document: Document) -> list[tuple[Where, Inbox]]:
    """All inboxes as every room expects them, with the path to each; their problems are noted."""
    inboxes = [
        (where, _normal(document, where, inbox)) for where, inbox in document.tables(Inbox, "inbox")
    ]
    _check_folders(document, inboxes)
    for where, inbox in inboxes:
        for key, what in (*_conflicts(inbox), *_patterns(inbox), *_templates(inbox)):
            document.problem((*where, key), what)
    return inboxes


def _normal(document: Document, where: Where, inbox: Inbox) -> Inbox:
    extensions = tuple(one.removeprefix(".").lower() for one in inbox.extensions)
    archive = inbox.archive
    if archive:
        archive = os.path.expanduser(archive)
        if "\0" in archive or archive.startswith("~"):  # "~name", and nobody has that name
            document.problem((*where, "archive"), f"{inbox.archive!r} is not a valid path")
            archive = "/"
        archive = str(document.file.parent / archive)
    return replace(
        inbox,
        extensions=extensions,
        archive=archive,
        output=inbox.path if _asks_beside(document, where) else inbox.output,
    )


def _asks_beside(document: Document, where: Where) -> bool:
    """Whether the output is the word; a folder of that name is written "./beside"."""
    value: Any = document.root
    for step in (*where, "output"):
        value = value[step]
    return bool(value == "beside")


def _conflicts(inbox: Inbox) -> Iterator[tuple[str, str]]:
    """What is wrong with the keys of an inbox, and with those that don't go together."""
    for extension in inbox.extensions:
        if extension in OURS:
            yield "extensions", f"{extension!r} is what transcripts or sidecars end in"
    if inbox.link_targets and inbox.symlinks == "ignore":
        yield "link_targets", 'needs symlinks = "files"'
    if 0 < inbox.max_duration < inbox.min_duration:
        yield "max_duration", "less than min_duration"
    if inbox.after != "keep" and inbox.symlinks == "files":
        yield "after", "not for an inbox of links"
    needs = "after" if inbox.after == "archive" else "on_failure"
    if not inbox.archive and (inbox.after == "archive" or inbox.on_failure == "quarantine"):
        yield "archive", f'missing: {needs} = "{getattr(inbox, needs)}" needs it'
    if inbox.output_group:
        try:
            grp.getgrnam(inbox.output_group)
        except (KeyError, ValueError):
            yield "output_group", f"there is no group {inbox.output_group!r}"


def _patterns(inbox: Inbox) -> Iterator[tuple[str, str]]:
    """What is wrong with the patterns of an inbox."""
    for pattern in inbox.ignore:
        try:
            (compiled,) = GitIgnoreSpec.from_lines([pattern]).patterns
            matches = compiled.regex is not None  # None: a comment, or nothing can match it
        except (ValueError, re.error):
            matches = False
        if not matches:
            yield "ignore", f"{pattern!r}: not a pattern of gitignore"
        # With more, a name that is made for it could keep the daemon busy for hours.
        elif pattern.count("**") > PATHS or any(
            one.count("*") > STARS for one in pattern.split("/")
        ):
            most = f'{STARS} "*" between two slashes, and {PATHS} "**"'
            yield "ignore", f"{pattern!r}: too many wildcards; at most {most}"


def _templates(inbox: Inbox) -> Iterator[tuple[str, str]]:
    """What is wrong with the names that an inbox gives to files."""
    if what := _template_problem(inbox.output_name, OUTPUT_NAMES):
        yield "output_name", what
    if inbox.archiving is not None and (
        what := _template_problem(inbox.archiving[1], ARCHIVE_NAMES)
    ):
        yield "archive", what


def _template_problem(template: str, names: Collection[str]) -> str:
    try:
        parsed = string.Formatter().parse(template)
        used = [
            name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            for _, name, form, conversion in parsed
            if name is not None
        ]
    except ValueError as error:
        return f"{template!r}: {error}"
    if unknown := [one for one in used if one not in names]:
        return f"{{{unknown[0]}}} is not one of {' '.join(f'{{{name}}}' for name in names)}"
    if not {"stem", "name"} & set(used):
        return "it would be the same for all recordings: use {stem} or {name}"
    parts = template.split("/")
    if "" in parts or {".", ".."} & set(parts) or "\0" in template:
        return f"{template!r} is not the path of a file below the folder"
    if len(template.encode("utf-8", "surrogateescape")) > LONGEST:
        return f"longer than {LONGEST} bytes"
    return ""


def _check_folders(document: Document, inboxes: Sequence[tuple[Where, Inbox]]) -> None:
    """Note the inboxes whose folders can't be used beside each other, or are none."""
    places = [place for _, inbox in inboxes for place in (inbox.path, inbox.output)]
    places += [inbox.archiving[0] for _, inbox in inboxes if inbox.archiving is not None]
    looks = look_at(places, _look)

    def real(place: Path) -> Path:
        look = looks[place]
        return Path(os.path.normpath(place)) if isinstance(look, OSError) else look.real

    for where, inbox in inboxes:
        archive = [] if inbox.archiving is None else [("archive", inbox.archiving[0])]
        for key, folder in [("path", inbox.path), ("output", inbox.output), *archive]:
            look = looks[folder]
            if not isinstance(look, OSError) and look.no_folder:
                document.problem((*where, key), f"'{folder}' is not a folder")
        inside = real(inbox.output).is_relative_to(real(inbox.path))
        if inside and not _asks_beside(document, where):
            what = f"'{inbox.output}' is inside its own inbox; use a folder outside of it"
            document.problem((*where, "output"), f'{what}, or "beside"')
    _check_archives(document, inboxes, real)
    for (_, one), (where, other) in combinations(inboxes, 2):
        first, second = real(one.path), real(other.path)
        if (
            first == second
            or (one.recursive and second.is_relative_to(first))
            or (other.recursive and first.is_relative_to(second))
        ):
            what = f"inbox {one.name!r} watches '{other.path}' too; use a folder of its own"
            document.problem((*where, "path"), what)


def _check_archives(
    document: Document, inboxes: Sequence[tuple[Where, Inbox]], real: Callable[[Path], Path]
) -> None:
    """Note the archives out of which, or into which, an inbox would take recordings."""
    archives: dict[Path, Where] = {}  # with the first inbox that has it
    for where, inbox in inboxes:
        if inbox.archiving is not None:
            archives.setdefault(real(inbox.archiving[0]), where)
    for archive, where in archives.items():
        watched = {inbox.name: real(inbox.path) for _, inbox in inboxes}
        takers = [
            repr(name)
            for name, path in watched.items()
            if archive.is_relative_to(path) or path.is_relative_to(archive)
        ]
        if takers:
            by = f"{'inbox' if len(takers) == 1 else 'inboxes'} {', '.join(takers)}"
            what = f"recordings moved to '{archive}' would be taken in again by {by}"
            document.problem((*where, "archive"), what)


class _Look(NamedTuple):
    real: Path  # the folder with all links resolved
    no_folder: bool  # something else is there


def _look(place: Path) -> _Look:
    real = Path(os.path.realpath(place))  # Path.resolve raises when links lead in a circle
    try:
        return _Look(real, not stat.S_ISDIR(os.stat(place).st_mode))
    except OSError:  # it may exist later: `missing` reports it
        return _Look(real, no_folder=False)
