"""The names that the files of a transcript may have. Pure functions of bytes."""

from __future__ import annotations

import hashlib
import os
import re
import time
from itertools import chain, count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.config import Inbox
    from scriberrd.model import Identity, Job

LONGEST = 235  # bytes of a base name
PLACEHOLDER = re.compile(rb"\{(\w+)\}")
LEADING = re.compile(rb"^\.+")
CONTINUATION = range(0x80, 0xC0)  # bytes of UTF-8 within a character


def of(inbox: Inbox, job: Job) -> Iterator[bytes]:
    """The base names that the outputs of a job may have, see `candidates`."""
    day, sha256 = date(job.identity), job.sha256 or ""
    return candidates(job.path, sha256, inbox.output_name, inbox=inbox.name, date=day)


def candidates(
    path: bytes, sha256: str, template: str = "{stem}", *, inbox: str = "", date: str = ""
) -> Iterator[bytes]:
    """The base names that the outputs of a recording may have, the best first; without end.

    Args:
        path: of the recording, relative to its inbox; its folder is mirrored.
        sha256: of the recording, in hexadecimal.
        template: of the name; a "/" in it makes folders below the mirrored one.
        inbox: what its {inbox} stands for.
        date: what its {date} stands for.
    """
    folder, slash, name = path.rpartition(b"/")
    named = {"stem": name.rpartition(b".")[0] or name, "name": name}
    named |= {"inbox": os.fsencode(inbox), "date": os.fsencode(date)}
    first = filled(template, **named)
    second = filled(template, **named | {"stem": name})  # the same, if the stem is not in it
    marked = b"%s-%s" % (first, sha256[:8].encode())
    numbers = (b"%s-%d" % (marked, number) for number in count(2))
    for base in chain(dict.fromkeys((first, second)), [marked], numbers):
        yield folder + slash + b"/".join(map(_shortened, base.split(b"/")))


def filled(template: str, *, folder: bytes = b"", **values: bytes) -> bytes:
    """A relative name, from a template; whatever the values are, it leads nowhere else.

    Args:
        template: with placeholders in braces.
        folder: what {folder} stands for: a relative name that may be empty.
        values: what the others stand for; a "/" in them, and dots that they begin with, become "_".
    """

    def value(placeholder: re.Match[bytes]) -> bytes:
        key = placeholder[1].decode()
        return (
            folder
            if key == "folder"
            else LEADING.sub(_low, values.get(key, placeholder[0])).replace(b"/", b"_")
        )

    parts = PLACEHOLDER.sub(value, os.fsencode(template)).split(b"/")
    return b"/".join(part for part in parts if part not in {b"", b".", b".."})


def _low(dots: re.Match[bytes]) -> bytes:
    return b"_" * len(dots[0])


def date(identity: Identity) -> str:
    """The local day on which a recording was last written, as 2026-01-31."""
    try:
        return time.strftime("%Y-%m-%d", time.localtime(identity.mtime_ns // 10**9))
    except (OverflowError, ValueError, OSError):  # a file may have any time
        return "undated"


def _shortened(name: bytes) -> bytes:
    """A name that leaves room for what is added to it; still unique, and UTF-8 if it was."""
    if len(name) <= LONGEST:
        return name
    mark = b"-" + hashlib.sha256(name).hexdigest()[:16].encode()
    end = LONGEST - len(mark)
    while end > LONGEST - len(mark) - 3 and name[end] in CONTINUATION:
        end -= 1
    return name[:end] + mark


def newer(name: bytes) -> Iterator[bytes]:
    """The names for a new version of a file that was edited, the best first; without end."""
    base, _, suffix = name.rpartition(b".")
    for mark in chain([b".new"], (b".new-%d" % number for number in count(2))):
        yield b"%s%s.%s" % (base, mark, suffix)


def is_newer(name: bytes, edited: bytes) -> bool:
    """Whether a name is one for a new version of a file of that other name."""
    base, _, suffix = edited.rpartition(b".")
    pattern = re.escape(base) + rb"\.new(-\d+)?\." + re.escape(suffix)
    return re.fullmatch(pattern, name) is not None
