"""The interface of speech recognition engines.

An engine is a callable `load(wanted, tick) -> Engine`, registered as an entry point of the group
`scriberrd.engines`; other packages can provide one. It gets clips of sound and returns what was
said in each, with times from the start of that clip. It knows nothing of jobs or the daemon.

What it can't do with some settings may be known before anything is loaded: beside the module of the
entry point, a module of its name and "_foresight" may have `settings(wanted, model_cache)`,
`hardware(device, compute_type)` and `state(model, model_cache)`: see whisper_foresight.py.

Its result must depend on the arguments alone, never on earlier calls: a resumed job continues in
another process, and its transcript must be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, NamedTuple, Protocol

from scriberrd.errors import TaskFailed

if TYPE_CHECKING:
    from scriberrd.protocol import Hardware, Task
    from scriberrd.settings import Settings
    from scriberrd.transcript import EngineInfo, Word
    from scriberrd.worker.clips import Clip

GROUP = "scriberrd.engines"

Tick = Callable[[], None]
"""To be called whenever work has progressed; it raises when the task is to stop."""


class Wanted(NamedTuple):
    """Which engine, model and hardware: tasks that want the same share a loaded engine."""

    engine: str
    model: str
    hardware: Hardware
    model_cache: str  # a directory; "" is the engine's own choice
    auto_download: bool

    @classmethod
    def by(cls, task: Task) -> Wanted:
        """What `task` wants."""
        settings = task.settings
        return cls(
            settings.engine, settings.model, task.hardware, task.model_cache, task.auto_download
        )


class Context(NamedTuple):
    """What clips are decoded with, besides their sound."""

    settings: Settings
    language: str  # a code
    before: object = None  # `Heard.after` of the clip before, where the context is carried


class Heard(NamedTuple):
    """What an engine makes of a clip. Figures that it does not have are None."""

    words: tuple[Word, ...]  # in order; times in seconds from the start of the clip
    text: str
    avg_logprob: float | None = None  # of the tokens
    no_speech_prob: float | None = None
    after: object = None  # what it wants to be given with the next clip


class Engine(Protocol):
    """A loaded engine. Any method may raise TaskFailed; any other error means engine_failed.

    Several threads call `identify` and `decode` at once.
    """

    @property
    def info(self) -> EngineInfo:
        """What is actually used, for the transcript; no absolute paths."""

    @property
    def download_seconds(self) -> float | None:
        """How long its model took to come; None: it was on this machine."""

    @property
    def ways(self) -> int:
        """How many ways it knows to decode a clip; the first one is for all clips."""

    def check(self, settings: Settings) -> None:
        """Raise TaskFailed("unsupported_setting") for what this engine can't do.

        Its detail begins with the key, as "language: ...": a file beside the recording may set it.
        """

    def identify(self, clips: Sequence[Clip], tick: Tick) -> list[Mapping[str, float]]:
        """How probable each language is in each of these clips, 0 to 1."""

    def decode(self, clips: Sequence[Clip], context: Context, way: int, tick: Tick) -> list[Heard]:
        """What is said in each of these clips, each heard alone.

        Args:
            clips: several only in the first way.
            context: what they have in common.
            way: below `ways`; a later one is tried where the result of those before was bad.
            tick: to be called now and then.
        """


Load = Callable[[Wanted, Tick], Engine]


def load(wanted: Wanted, tick: Tick) -> Engine:
    """Find the engine and load its model.

    Raises:
        TaskFailed: engine_missing, model_missing, model_unreadable, device_unavailable or
            unsupported_setting.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if wanted.engine not in found:
        names = ", ".join(sorted(found)) or "none"
        raise TaskFailed("engine_missing", f"no engine {wanted.engine!r}; installed: {names}")
    try:
        start: Load = found[wanted.engine].load()
    except ImportError as error:
        raise TaskFailed(
            "engine_missing", f"{wanted.engine!r} can't be imported: {error.msg}"
        ) from error
    return start(wanted, tick)
