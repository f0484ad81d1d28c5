"""What can be set for an inbox, and what is asked of its folders."""

from __future__ import annotations

import os
import stat
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import Meta

from scriberrd.config.tables import Name
from scriberrd.files.folders import look_at
from scriberrd.toml import Seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scriberrd.toml import Document, Where

EXTENSIONS = (
    *("wav", "mp3", "m4a", "m4b", "aac", "ogg", "oga", "opus", "flac", "webm", "mp4", "m4v", "mov"),
    *("mkv", "mka", "avi", "wma", "wmv", "amr", "aiff", "aif", "caf", "mpg", "mpeg", "ts", "mts"),
    *("3gp", "mp2", "ac3", "wv", "ape", "dss", "au"),
)

# normal() removes a leading dot and capitals.
Extension = Annotated[str, Meta(pattern=r"^\.?[A-Za-z0-9_+-]+$")]


class Inbox(msgspec.Struct, frozen=True, kw_only=True):
    """`[[inbox]]`: a watched folder, and the folder for its transcripts."""

    name: Name
    path: Path
    output: Path
    profile: str = "default"
    recursive: bool = True
    settle: Seconds = Seconds(10)
    extensions: tuple[Extension, ...] = EXTENSIONS


def normal(inbox: Inbox) -> Inbox:
    """The same, as every room expects it."""
    extensions = tuple(one.removeprefix(".").lower() for one in inbox.extensions)
    return msgspec.structs.replace(inbox, extensions=extensions)


def check_folders(document: Document, inboxes: Sequence[tuple[Where, Inbox]]) -> None:
    """Note the inboxes whose folders can't be used beside each other, or are none."""
    places = [place for _, inbox in inboxes for place in (inbox.path, inbox.output)]
    looks = look_at(places, _look)

    def real(place: Path) -> Path:
        look = looks[place]
        return Path(os.path.normpath(place)) if isinstance(look, OSError) else look.real

    for where, inbox in inboxes:
        for key, folder in (("path", inbox.path), ("output", inbox.output)):
            look = looks[folder]
            if not isinstance(look, OSError) and look.no_folder:
                document.problem((*where, key), f"'{folder}' is not a folder")
        if real(inbox.output).is_relative_to(real(inbox.path)):
            what = f"'{inbox.output}' is inside its own inbox; use a folder outside of it"
            document.problem((*where, "output"), what)
    for (_, one), (where, other) in combinations(inboxes, 2):
        first, second = real(one.path), real(other.path)
        if (
            first == second
            or (one.recursive and second.is_relative_to(first))
            or (other.recursive and first.is_relative_to(second))
        ):
            what = f"inbox {one.name!r} watches '{other.path}' too; use a folder of its own"
            document.problem((*where, "path"), what)


class _Look(NamedTuple):
    real: Path  # the folder with all links resolved
    no_folder: bool  # something else is there


def _look(place: Path) -> _Look:
    real = Path(os.path.realpath(place))  # Path.resolve raises when links lead in a circle
    try:
        return _Look(real, not stat.S_ISDIR(os.stat(place).st_mode))
    except OSError:  # it may exist later: `missing` reports it
        return _Look(real, no_folder=False)
