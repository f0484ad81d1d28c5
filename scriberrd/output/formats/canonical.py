"""JSON: the canonical transcript itself."""

from __future__ import annotations

from scriberrd.transcript import encode as render

__all__ = ["render"]
