"""What permissions the files of a transcript get."""

from __future__ import annotations

import errno
import grp
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from scriberrd.config import Inbox


class Permissions(NamedTuple):
    """What permissions files get; without, what the process gives to any file."""

    mode: int | None = None
    group: str = ""

    @classmethod
    def of(cls, inbox: Inbox) -> Permissions:
        """That of the files of an inbox."""
        return cls(int(inbox.output_mode, 8) if inbox.output_mode else None, inbox.output_group)

    def give(self, file: int) -> None:
        """Give a new file its permissions.

        Raises:
            PermissionError: it can't get this group.
        """
        if self.group:
            try:
                os.fchown(file, -1, grp.getgrnam(self.group).gr_gid)
            except (PermissionError, KeyError) as error:
                what = f"the daemon's user is not in the group {self.group!r}"
                raise PermissionError(errno.EPERM, what) from error
        if self.mode is not None:
            os.fchmod(file, self.mode)

    def give_folder(self, folder: int) -> None:
        """Give a new folder permissions: who may read files may enter it, and we go on there."""
        mode = None if self.mode is None else 0o700 | self.mode | (self.mode & 0o444) >> 2
        Permissions(mode, self.group).give(folder)


USUAL = Permissions()
