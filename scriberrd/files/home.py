"""Where the files of a user are, and those of a service of the system."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# In which systemd makes the folders of a service: StateDirectory= and so on.
STATE, RUNTIME, CACHE, LOGS = "/var/lib", "/run", "/var/cache", "/var/log"


def home(environment: Mapping[str, str]) -> Path:
    """The user's own folder; "/" for one that has none, such as a number without a name."""
    found = environment.get("HOME") or os.path.expanduser("~")
    return Path(found if os.path.isabs(found) else "/")
