"""The interface of speech recognition engines.

An engine is a callable `load(wanted, tick) -> Engine`, registered as an entry point of the group
`scriberrd.engines`; other packages can provide one. It gets a block of sound and returns what was
said in it, with times from the start of that block. It knows nothing of recordings, jobs or the
daemon.

Its result must depend on the arguments alone, never on earlier calls: a resumed job continues in
another process, and its transcript must be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, NamedTuple, Protocol

from scriberrd.errors import TaskFailed

if TYPE_CHECKING:
    from scriberrd.model import Settings
    from scriberrd.protocol import Hardware, Task
    from scriberrd.transcript import EngineInfo, Segment, Word
    from scriberrd.worker.blocks import Block

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


class Language(NamedTuple):
    """A language as its code ("en"), and how sure the engine is of it, 0 to 1."""

    code: str
    probability: float


class Context(NamedTuple):
    """The input of a block's transcription, besides its sound."""

    settings: Settings
    language: str  # a code
    prompt: str  # what was said before, or an initial prompt; may be ""


class Phrase(NamedTuple):
    """A segment with its words, times in seconds from the start of the block."""

    segment: Segment
    words: tuple[Word, ...]  # () unless word_timestamps


class Engine(Protocol):
    """A loaded engine. Any method may raise TaskFailed; any other error means engine_failed."""

    @property
    def info(self) -> EngineInfo:
        """What is actually used, for the transcript; no absolute paths."""

    def check(self, settings: Settings) -> None:
        """Raise TaskFailed("unsupported_setting") for what this engine can't do."""

    def identify(self, block: Block, tick: Tick) -> Language:
        """Which language is spoken in `block`; asked once a recording, for "auto" only."""

    def transcribe(self, block: Block, context: Context, tick: Tick) -> Iterator[Phrase]:
        """What is said in the `spans` of `block`, in order of time."""


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
