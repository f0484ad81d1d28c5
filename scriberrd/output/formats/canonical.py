"""JSON: the canonical transcript itself."""

from __future__ import annotations

from scriberrd.output.formats.format import Format
from scriberrd.transcript import encode

FORMAT = Format("json", "application/json", encode)
