"""What is said to those who may not use a socket."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scriberrctl.client import Client
from scriberrctl.errors import NoDaemon

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = os.geteuid() == 0
NOBODY = 65534


@pytest.fixture
def path() -> Iterator[Path]:
    """A socket that somebody listens at, where everybody may get to it."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        Path(folder).chmod(0o755)
        (Path(folder) / "run").mkdir(mode=0o755)
        path = Path(folder) / "run/s"
        server.bind(str(path))
        server.listen()
        yield path


def give(place: Path, mode: int, user: int, group: int) -> None:
    """To somebody else, or, since only root can, to an owner who may do nothing himself."""
    if ROOT:
        os.chown(place, user, group)
    place.chmod(mode if ROOT else mode & 0o077)


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    if not ROOT:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def advice(path: Path) -> str:
    with nobody(), pytest.raises(NoDaemon) as caught:
        Client(str(path)).status()
    tried = f"can't connect to scriberrd. Tried:\n  {path}: Permission denied\n"
    assert str(caught.value).startswith(tried)
    return str(caught.value).removeprefix(tried)


def test_a_group_that_may_be_joined_is_named(path: Path) -> None:
    give(path, 0o660, 1, 2)
    owner, group = pwd.getpwuid(path.stat().st_uid), grp.getgrgid(path.stat().st_gid)
    assert advice(path) == (
        f"You have no access to {path}: it belongs to user {owner.pw_name}"
        f", group {group.gr_name}.\nAdd yourself to the group, then log in again:\n"
        f'  sudo usermod --append --groups {group.gr_name} "$USER"'
    )


@pytest.mark.parametrize(("group", "mode"), [(2, 0o600), (0, 0o660)])
def test_a_group_that_does_not_help_is_not_to_be_joined(path: Path, group: int, mode: int) -> None:
    if group == 0 and not ROOT:
        pytest.skip("only root can give something to root's group")
    give(path, mode, 1, group)
    owner = pwd.getpwuid(path.stat().st_uid)
    assert advice(path).endswith(
        f"\nRun scriberrctl as that user:\n  sudo -u {owner.pw_name} scriberrctl ..."
    )


@pytest.mark.skipif(not ROOT, reason="only root can give something to who has no name")
def test_a_folder_that_hides_the_socket_is_named(path: Path) -> None:
    give(path.parent, 0o710, 12345, 23456)
    assert advice(path) == (
        f"You have no access to {path.parent}: it belongs to user 12345, group 23456.\n"
        "Add yourself to the group, then log in again:\n"
        '  sudo usermod --append --groups 23456 "$USER"'
    )


def test_a_socket_that_only_the_configuration_knows_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon) as caught:
        Client(str(tmp_path / "s")).status()
    assert str(caught.value).endswith(
        "its configuration sets `socket`, give that with --socket or SCRIBERRD_SOCKET."
    )
