"""Whether somebody is still writing to a file, however long the pause: only the kernel knows."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from typing import TYPE_CHECKING

from scriberrd.files import mounts, sources

if TYPE_CHECKING:
    from pathlib import Path


def require_none(root: Path, path: bytes) -> None:
    """See that nobody has a file open for writing, as far as that can be known.

    It can't be of files of other users, unless scriberrd has the right to (CAP_LEASE); nor on file
    systems that are not this machine's alone.

    Args:
        root: the folder of the inbox.
        path: relative to it.

    Raises:
        OSError: somebody has; or it can't be opened, see `sources.open_source`.
    """
    place = os.path.realpath(os.path.join(os.fsencode(root), os.path.dirname(path)))
    if mounts.of(place, mounts.table()).kind not in mounts.LOCAL:
        return  # a server may refuse for reasons of its own
    source = sources.open_source(root, path)
    try:
        # Who opens it for writing in this moment is told to us by a signal: not by one that kills.
        fcntl.fcntl(source, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(source, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(source, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            raise OSError(errno.ETXTBSY, "somebody has it open for writing") from error
    finally:
        os.close(source)
