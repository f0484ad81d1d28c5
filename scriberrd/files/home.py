"""Where the files of a user are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def home(environment: Mapping[str, str]) -> Path:
    """The user's own folder; "/" for one that has none, such as a number without a name."""
    found = environment.get("HOME") or os.path.expanduser("~")
    return Path(found if os.path.isabs(found) else "/")
