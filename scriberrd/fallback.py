"""A step down that a job has taken because memory ran out. A pure value."""

from __future__ import annotations

import os
from typing import Literal

import msgspec


class Fallback(msgspec.Struct, frozen=True):
    """One setting that the next run does with less of."""

    setting: Literal["batch_size", "compute_type", "device", "model"]
    before: str
    after: str

    def __str__(self) -> str:
        """As it stands in the transcript; a model's folder by its name only."""
        return f"{self.setting} {short(self.before)} -> {short(self.after)}"


def short(model: str) -> str:
    """A model as others may see it: a folder by its name only."""
    return os.path.basename(model) if model.startswith("/") else model
