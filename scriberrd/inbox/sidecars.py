"""What the files beside a recording say of how it is to be done.

Whoever may drop a recording may write them. So they set no more than an order may, no link is
followed to them, and whatever is wrong with them concerns only the recordings that they are for.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import UNSET

from scriberrd import overrides
from scriberrd.errors import ConfigError, InboxUnavailable, InvalidRequest
from scriberrd.files import sources
from scriberrd.inbox import ordering
from scriberrd.model import Sidecar, display
from scriberrd.toml import Document, locate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scriberrd.config import Config

log = logging.getLogger(__name__)

FOLDER = b".scriberr.toml"  # for all recordings in a folder and below it
SUFFIX = b".toml"  # added to the name of a recording
LARGEST = 8 << 10  # bytes
LONGEST = 300  # characters of a problem

_TYPES = {"profile": str} | {
    key: overrides.TYPES[overrides.ALIASES.get(key, key)] for key in overrides.SETTABLE
}
_Keys = msgspec.defstruct("_Keys", [(key, kind, UNSET) for key, kind in _TYPES.items()])


class _File(NamedTuple):
    """A sidecar as it lies there."""

    name: str  # relative to the inbox, for people
    content: bytes
    trouble: str  # why it can't be read; "": it can


class _Read(NamedTuple):
    """What one sidecar says."""

    given: Mapping[str, str]  # with the profile
    problem: str = ""


def read(
    root: Path, path: bytes, config: Config, folders: dict[bytes, _File | None] | None = None
) -> Sidecar:
    """What applies to a recording: `.scriberr.toml` from the root down, then its own file.

    It blocks. Whatever is wrong with the files is the sidecar's `problem`, never an error.

    Args:
        root: of the inbox.
        path: of the recording, relative to it.
        config: with the profiles that may be named.
        folders: keeps what is for whole folders, for the others that are read at the same time.

    Raises:
        InboxUnavailable: the inbox is out.
    """
    files = list(_files(root, path, {} if folders is None else folders))
    if not files:
        return Sidecar()
    given, problem = _together(files, config, root)
    return Sidecar(
        mark=hashlib.sha256(repr(files).encode()).hexdigest()[:16],
        profile=given.get("profile"),
        given={key: text for key, text in given.items() if key != "profile"},
        problem=_plain(problem)[:LONGEST],
    )


def _plain(text: str) -> str:
    """Whoever reads it in a terminal must not have that controlled by what a stranger wrote."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:LONGEST])


def _files(root: Path, path: bytes, folders: dict[bytes, _File | None]) -> Iterator[_File]:
    above = path.split(b"/")[:-1]
    for depth in range(len(above) + 1):
        name = b"/".join([*above[:depth], FOLDER])
        if name not in folders:
            folders[name] = _file(root, name)
        if file := folders[name]:
            yield file
    if file := _file(root, path + SUFFIX):
        yield file


def _file(root: Path, name: bytes) -> _File | None:
    try:
        with os.fdopen(sources.open_source(root, name), "rb") as file:
            content = file.read(LARGEST + 1)
    except InboxUnavailable:
        raise
    except OSError as error:
        # With this ending, the name of a recording may be longer than any can be.
        if error.errno in {errno.ENOENT, errno.ENAMETOOLONG}:
            return None
        return _File(display(name), b"", error.strerror or type(error).__name__)
    trouble = f"larger than {LARGEST} bytes" if len(content) > LARGEST else ""
    return _File(display(name), content[:LARGEST], trouble)


def _together(files: list[_File], config: Config, root: Path) -> _Read:
    """What all of them set: what is nearer to the recording counts more."""
    given: dict[str, str] = {}
    for file in files:
        if file.trouble:
            return _Read({}, f"{file.name}: {file.trouble}")
        found = _parsed(file.name, file.content)
        if found.problem:
            return found
        given |= found.given
    inbox = next((one.profile for one in config.inboxes if one.path == root), "default")
    over = {key: text for key, text in given.items() if key != "profile"}
    try:
        ordering.order(config, given.get("profile", inbox), over)
    except InvalidRequest as error:
        return _Read({}, _located(files, str(error)))
    return _Read(given)


def _located(files: list[_File], problem: str) -> str:
    """A problem of what all of them set, with the place of its key."""
    key = problem.partition(":")[0]
    for file in reversed(files):
        if key in _parsed(file.name, file.content).given:
            return f"{file.name}:{locate(file.content.decode(), (key,))}: {problem}"
    return f"{files[-1].name}: {problem}"


@lru_cache(maxsize=64)  # one of a folder is for all recordings in it
def _parsed(name: str, content: bytes) -> _Read:
    try:
        return _read(name, content)
    except UnicodeDecodeError:
        return _Read({}, f"{name}: not UTF-8 text")
    except ConfigError as error:
        return _Read({}, error.problems[0])
    except Exception:  # strangers may find what trips the parser
        log.exception("%s: an error inside scriberrd", name)
        return _Read({}, f"{name}: can't be understood")


def _read(name: str, content: bytes) -> _Read:
    document = Document(Path(name), content.decode())
    for key in document.root.keys() & overrides.TYPES.keys() - _TYPES.keys():
        document.problem((key,), "only a profile sets it: name one")
        del document.root[key]
    table = document.table(_Keys, document.root, ())
    if table is None or document.problems:
        return _Read({}, document.problems[0])
    given = {}
    for key in document.root:
        value = getattr(table, key)
        if isinstance(value, tuple) and any("," in one for one in value):
            return _Read({}, f"{name}:{locate(content.decode(), (key,))}: {key}: a comma in a text")
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        given[overrides.ALIASES.get(key, key)] = text
    return _Read(given)
