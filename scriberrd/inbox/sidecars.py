"""What the files beside a recording say of how it is to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd.model import Sidecar

if TYPE_CHECKING:
    from pathlib import Path

    from scriberrd.config import Config


def read(root: Path, path: bytes, config: Config) -> Sidecar:  # noqa: ARG001
    """What applies to a recording: `.scriberr.toml` from the root down, then its own file.

    It blocks. Whatever is wrong with the files is the sidecar's `problem`, never an error.

    Args:
        root: of the inbox.
        path: of the recording, relative to it.
        config: with the profiles that may be named.
    """
    return Sidecar()
