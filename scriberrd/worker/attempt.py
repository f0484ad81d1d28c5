"""What all kinds of tasks have in common: the model that is kept, and how it ends."""

from __future__ import annotations

import gc
import os
import time
import traceback
from io import FileIO
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from scriberrd.errors import TaskFailed
from scriberrd.protocol import Failed, Reply, Stopped
from scriberrd.worker import steps
from scriberrd.worker.describe import describe, is_out_of_memory
from scriberrd.worker.run import GivenUp

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrd.worker.run import Run

Wanted = TypeVar("Wanted")
Loaded = TypeVar("Loaded")


class Kept(Generic[Wanted, Loaded]):
    """What the last task had loaded, kept for the next task that wants the same."""

    def __init__(self, load: Callable[[Wanted, Callable[[], None]], Loaded]) -> None:
        self._load = load
        self._wanted: Wanted | None = None
        self._loaded: Loaded | None = None
        self.seconds: float | None = None  # that loading took for the latest task; None: it was had

    def get(self, wanted: Wanted, tick: Callable[[], None]) -> Loaded:
        """What is `wanted`; another one is dropped before this one is loaded."""
        self.seconds = None
        if self._loaded is None or wanted != self._wanted:
            self.drop()
            began = time.monotonic()
            self._loaded, self._wanted = self._load(wanted, tick), wanted
            self.seconds = time.monotonic() - began
        return self._loaded

    def drop(self) -> None:
        """Free its memory."""
        self._loaded = self._wanted = None
        gc.collect()


def attempt(run: Run[Any], kept: Kept[Any, Any], work: Callable[[], Reply], failure: str) -> Reply:
    """Do it, and return the last reply.

    Args:
        run: of the task.
        kept: is dropped after an error that nobody expected: its state is unknown.
        work: what is to be done.
        failure: the code of such an error, unless memory ran out.
    """
    job, lease = run.task.job, run.task.lease
    try:
        with steps.told_to(run.enter):
            run.enter(None)
            return work()
    except GivenUp:
        return Stopped(job=job, lease=lease)
    except TaskFailed as error:
        return Failed(job=job, lease=lease, code=error.failure, detail=error.detail)
    except Exception as error:  # noqa: BLE001 - whatever native code and plug-ins raise
        traceback.print_exc()
        code = "out_of_memory" if is_out_of_memory(error) else failure
        failed = Failed(job=job, lease=lease, code=code, detail=describe(error))
    kept.drop()  # only here, since the traceback above refers to it
    return failed


def opened(run: Run[Any]) -> FileIO:
    """The recording of a task.

    Raises:
        TaskFailed: read_failed.
    """
    try:
        return FileIO(run.descriptor)
    except OSError as error:  # for example a folder
        os.close(run.descriptor)
        raise TaskFailed("read_failed", os.strerror(error.errno or 0)) from error
