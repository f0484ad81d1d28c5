"""What to do when no daemon answers."""

from __future__ import annotations

import grp
import os
import pwd
import stat

START = """\
Start the daemon with one of
  sudo systemctl start scriberrd
  scriberrd run
or name its socket with --socket or SCRIBERRD_SOCKET."""


def let_in(path: str) -> str:
    """How to get to use the socket at this path, which may not be opened as things are."""
    place, found = _closed(path)
    owner, group = _user(found.st_uid), _group(found.st_gid)
    closed = f"You may not use {place}: it belongs to the user {owner} and the group {group}."
    needed = stat.S_IXGRP if stat.S_ISDIR(found.st_mode) else stat.S_IWGRP
    if found.st_gid == 0 or not found.st_mode & needed:  # nobody should join root's
        return f"{closed}\nBe that user:\n  sudo -u {owner} scriberrctl ..."
    return (
        f"{closed}\nAdd yourself to the group, then log in again:\n"
        f'  sudo usermod --append --groups {group} "$USER"'
    )


def _closed(path: str) -> tuple[str, os.stat_result]:
    # When not even the socket can be seen, it is in a folder that is closed.
    try:
        return path, os.stat(path)
    except OSError:
        return _closed(os.path.dirname(os.path.abspath(path)))


def _user(id_: int) -> str:
    try:
        return pwd.getpwuid(id_).pw_name
    except KeyError:
        return str(id_)


def _group(id_: int) -> str:
    try:
        return grp.getgrgid(id_).gr_name
    except KeyError:
        return str(id_)
