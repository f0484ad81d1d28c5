"""The interface of diarizers, which tell the speakers of a recording apart.

A diarizer is a module with `check(wanted)` and `load(wanted, tick)`, registered as an entry point
of the group `scriberrd.diarizers`; other packages can provide one. To import it must be cheap: what
is heavy waits for `load`. It gets the whole sound of a recording and says who speaks when. It knows
nothing of jobs or the daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from scriberrd.errors import TaskFailed

if TYPE_CHECKING:
    from scriberrd.protocol import Diarize, Hints
    from scriberrd.transcript import Turn
    from scriberrd.worker.audio import Samples

GROUP = "scriberrd.diarizers"

Tick = Callable[[], None]
"""To be called whenever work has progressed; it raises when the task is to stop."""


class Wanted(NamedTuple):
    """Which diarizer, model and hardware: tasks that want the same share a loaded diarizer."""

    diarizer: str
    model: str
    device: str  # auto, cpu, cuda or cuda:N
    threads: int  # the cores that it may use
    model_cache: str  # a directory; "" is the diarizer's own choice
    auto_download: bool

    @classmethod
    def by(cls, task: Diarize) -> Wanted:
        """What `task` wants."""
        return cls(
            task.diarizer,
            task.model,
            task.device,
            task.threads,
            task.model_cache,
            task.auto_download,
        )


class Voices(NamedTuple):
    """What a diarizer makes of a recording; its labels may be any."""

    turns: Sequence[Turn]  # in any order; those of different labels may overlap
    exclusive: Sequence[Turn] | None  # the same without overlaps; None: it has none
    embeddings: Mapping[str, Sequence[float]]  # label -> voice; those that it has
    warnings: tuple[str, ...] = ()  # for the reader of the transcript


class Diarizer(Protocol):
    """A loaded diarizer. Any method may raise TaskFailed; other errors are diarization_failed."""

    @property
    def model(self) -> str:
        """What is used, for the transcript; no absolute path."""

    @property
    def revision(self) -> str:
        """Of the model; "" when it is not known."""

    @property
    def device(self) -> str:
        """What it runs on now: cpu, or cuda and a number."""

    def diarize(self, samples: Samples, hints: Hints, progress: Callable[[float], None]) -> Voices:
        """Who speaks when.

        Args:
            samples: of the whole recording, one-dimensional, 16 kHz; not to be changed.
            hints: how many speakers there are, as far as that is known.
            progress: to be called with how much is done, 0 to 1, whenever work has progressed; it
                raises when the task is to stop.
        """

    def smaller(self) -> str | None:
        """After memory ran out: do with less from now on.

        Returns:
            The step, for the transcript, such as "batch_size 32 -> 16"; None: there is no less.
        """


class Provider(Protocol):
    """What an entry point leads to: a module, or something like it."""

    def check(self, wanted: Wanted) -> None:
        """See in a moment whether it could be loaded; raises as `load` does."""

    def load(self, wanted: Wanted, tick: Tick) -> Diarizer:
        """Load the model, and download it before where that is wanted."""


def check(wanted: Wanted) -> None:
    """See whether a diarizer could be loaded, without anything heavy.

    Raises:
        TaskFailed: as `load`.
    """
    _find(wanted.diarizer).check(wanted)


def load(wanted: Wanted, tick: Tick) -> Diarizer:
    """Find the diarizer and load its model.

    Raises:
        TaskFailed: diarizer_missing, diarization_model_missing, diarization_refused or
            diarization_device.
    """
    return _find(wanted.diarizer).load(wanted, tick)


def _find(name: str) -> Provider:
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        names = ", ".join(sorted(found)) or "none"
        raise TaskFailed("diarizer_missing", f"no diarizer {name!r}; installed: {names}")
    try:
        return cast("Provider", found[name].load())
    except ImportError as error:
        raise TaskFailed("diarizer_missing", f"{name!r} can't be imported: {error.msg}") from error
