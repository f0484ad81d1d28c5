"""Stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scriberrd.config import Live
    from scriberrd.model import Settings


class Preflights:
    """Stand-in."""

    def __init__(self, live: Live) -> None:
        self._live = live

    async def require(self, settings: Settings) -> None:
        """Stand-in."""
