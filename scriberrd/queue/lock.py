"""One daemon at a time uses a state directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from scriberrd.errors import AlreadyRunning, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def held(state: Path) -> Iterator[Path]:
    """Hold the state directory: nobody else touches database, leases and socket meanwhile.

    Raises:
        AlreadyRunning: another daemon uses it.
        ConfigError: there can be no such directory.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise ConfigError([f"daemon.state_dir: {state}: {error.strerror}"]) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"another daemon uses {state}: stop it, or wait if it is stopping;"
                " or set daemon.state_dir"
            ) from None
        yield state
    finally:
        os.close(descriptor)
