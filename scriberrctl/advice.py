"""What to do when the daemon can't be reached."""

from __future__ import annotations

import grp
import os
import pwd
import stat

START = """\
Start the daemon with one of
  sudo systemctl start scriberrd
  scriberrd run
or, if its configuration sets `socket`, give that with --socket or SCRIBERRD_SOCKET."""


def let_in(path: str) -> str:
    """How to get access to the socket at this path."""
    place, found = _closed(path)
    owner, group = _user(found.st_uid), _group(found.st_gid)
    closed = f"You have no access to {place}: it belongs to user {owner}, group {group}."
    needed = stat.S_IXGRP if stat.S_ISDIR(found.st_mode) else stat.S_IWGRP
    if found.st_gid == 0 or not found.st_mode & needed:  # nobody should join root's
        return f"{closed}\nRun scriberrctl as that user:\n  sudo -u {owner} scriberrctl ..."
    return (
        f"{closed}\nAdd yourself to the group, then log in again:\n"
        f'  sudo usermod --append --groups {group} "$USER"'
    )


def _closed(path: str) -> tuple[str, os.stat_result]:
    # A socket that can't even be seen is in a closed folder.
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
