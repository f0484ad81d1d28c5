"""The permissions of published files."""

from __future__ import annotations

import grp
import os
import stat
from typing import TYPE_CHECKING

import pytest

from scriberrd.output.permissions import Permissions
from scriberrd.output.staging import place, stage, survey

if TYPE_CHECKING:
    from pathlib import Path


def test_files_and_new_folders_get_the_mode(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir(mode=0o700)
    files = {b"old/new/talk.json": [b"{}"], b"old/new/talk.txt": [b"words"]}
    prints = stage(tmp_path, 1, files, permissions=Permissions(0o440))
    place(tmp_path, 1, survey(tmp_path, prints, (), ())[0])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sorted(tmp_path.rglob("*"))}
    assert modes == {"old": 0o700, "new": 0o750, "talk.json": 0o440, "talk.txt": 0o440}


def other_group() -> str | None:
    """A group that this process may give to files."""
    groups = [one.gr_name for one in grp.getgrall() if one.gr_gid != os.getegid()]
    return groups[0] if os.geteuid() == 0 and groups else None


@pytest.mark.skipif(other_group() is None, reason="only root may give files to any group")
def test_files_and_new_folders_get_the_group(tmp_path: Path) -> None:
    name = other_group() or ""
    stage(tmp_path, 1, {b"new/talk.txt": [b"words"]}, permissions=Permissions(group=name))
    gid = grp.getgrnam(name).gr_gid
    assert {path.stat().st_gid for path in tmp_path.rglob("*")} == {gid}


def test_a_group_that_cannot_be_given_is_told(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="not in the group 'nobody_xx'"):
        stage(tmp_path, 1, {b"talk.txt": [b"words"]}, permissions=Permissions(group="nobody_xx"))
    assert list(tmp_path.iterdir()) == []
