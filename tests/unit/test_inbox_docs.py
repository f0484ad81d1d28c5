"""docs/inbox.md tells of every key of an inbox."""

from __future__ import annotations

import re
from pathlib import Path

from scriberrd.config import Inbox

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "inbox.md").read_text("utf-8")


def test_every_key_has_its_section() -> None:
    rows = re.findall(r"^\| (`.+) \| .*\[.+\]\(#([a-z-]+)\)", TEXT, flags=re.MULTILINE)
    keys = [key for cell, _ in rows for key in re.findall(r"`(\w+)`", cell)]
    assert sorted(keys) == sorted(Inbox.__struct_fields__)


def anchors(text: str) -> set[str]:
    return {
        heading.lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    }


def test_links_lead_somewhere() -> None:
    for file, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", TEXT):
        target = DOCS / file if file else DOCS / "inbox.md"
        assert target.is_file(), file
        assert not anchor or anchor in anchors(target.read_text("utf-8")), (file, anchor)
