"""A configuration to begin with, and the folders that a configuration names."""

from __future__ import annotations

import os
from importlib import resources
from typing import TYPE_CHECKING

from scriberrd import config

if TYPE_CHECKING:
    from pathlib import Path

    from scriberrd.installing.places import Places


def text(places: Places) -> str:
    """The commented sample, with the folders of these places."""
    sample = resources.files("scriberrd").joinpath("scriberrd.toml").read_text("utf-8")
    sample = sample.replace('\npath = "inbox"\n', f'\npath = "{places.recordings}"\n', 1)
    return sample.replace('\noutput = "transcripts"\n', f'\noutput = "{places.transcripts}"\n', 1)


def folders(places: Places) -> tuple[Path, ...]:
    """The inboxes and outputs of the configuration that is there, or of the sample.

    Raises:
        ConfigError: the one that is there can't be used.
    """
    if not places.config.exists():
        return places.folders
    inboxes = config.load(places.config, os.environ).inboxes
    return tuple(dict.fromkeys(path for one in inboxes for path in (one.path, one.output)))
