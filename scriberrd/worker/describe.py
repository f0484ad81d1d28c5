"""Describe an exception in one line, without absolute paths."""

from __future__ import annotations

import re

LONGEST = 300  # characters
# The name after the folders stays. A folder's name may have spaces, and so does text between two
# paths: better lose that text than show a folder. URLs of hosts stay, URLs of files do not.
FOLDERS = re.compile(
    r"(?:file://[^/\s]*|(?<![\w.:/~-])~?)/+(?:(?:[^/'\":]|:(?!\s)|(?<=\w)'(?=\w))+/+)+"
)


def describe(error: BaseException) -> str:
    """The kind of `error` and the first line of its message, absolute paths cut to their names."""
    message = without_folders(str(error)).strip()
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def without_folders(text: str) -> str:
    """The first line of `text`, bounded, with absolute paths cut to their last part."""
    first = next(iter(text.strip().splitlines()), "")
    return FOLDERS.sub("", first)[:LONGEST]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the CPU or the GPU."""
    if isinstance(error, MemoryError):
        return True
    said = str(error).lower()  # the second is how PyTorch says it of the CPU
    return isinstance(error, RuntimeError) and (
        "out of memory" in said or "can't allocate memory" in said
    )
