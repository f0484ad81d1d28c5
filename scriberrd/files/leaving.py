"""Take a recording out of its inbox: into an archive, or away. Each step may be the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE = b".scriberrd-leaving-"  # and TOKEN.NAME: what a recording is called on its way


def put_back(root: Path, path: bytes) -> None:
    """Give a recording its own name again, or the next free one, so that the scan takes it.

    It blocks.

    Args:
        root: of the inbox.
        path: its private name, relative to the inbox, which nobody knows of any more.

    Raises:
        OSError: it has to stay as it is for now.
    """
