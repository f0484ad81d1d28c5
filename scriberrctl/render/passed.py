"""What is too old, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrctl.render.values import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrctl.shapes import Due, Purged

NOTHING = "nothing is older than [retention] of the configuration allows"


def passed(passed: Purged) -> str:
    """What was deleted, or would be: how many of each kind, and their names."""
    kinds = {
        "published files": passed["transcripts"],
        "uploaded copies": passed["uploads"],
        "jobs": passed["jobs"],
        "events": passed["events"],
    }
    verb = "would be deleted" if passed["dry_run"] else "deleted"
    lines = [line for what, due in kinds.items() for line in _lines(what, due, verb)]
    return "\n".join(lines) or NOTHING


def _lines(what: str, due: Due, verb: str) -> Iterator[str]:
    if due["count"]:
        yield f"{due['count']} {what} {verb}{':' if due['names'] else ''}"
    yield from (f"  {plain(name)}" for name in due["names"])
    if due["names"] and (more := due["count"] - len(due["names"])):
        yield f"  ... and {more} more"
