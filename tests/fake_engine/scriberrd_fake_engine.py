"""An engine without a model, for tests of everything around engines.

Put this folder on PYTHONPATH and ask for engine "fake". It says one word, which is a sentence, for
each whole second of each clip that it is given; with vad on, the worker gives it only those with
speech. What else it does is its script, `settings.model`: words joined by "+".

    ok          nothing else
    slow        0.1 s of sleep before each segment
    crash       kills itself with SIGSEGV in any block but the first of a recording
    crash-load  kills itself with SIGSEGV as soon as it is loaded
    crash-once  as crash, unless the file named by SCRIBERRD_FAKE_STATE is there; makes it first
    exit        in any block but the first: prints a path, and exits with status 3
    killed      dies of SIGKILL in any block but the first, as of the kernel when memory runs out:
                the file proc/vmstat in the folder SABOTAGE_OOM counts it
    killed-big  the same, unless batch_size is 2 or less
    hang        in any block but the first: no more progress, deaf to Stop and to SIGTERM
    hang-first  the same in the first block
    babble      prints megabytes on stdout and stderr, from Python and from below it
    oom         raises MemoryError in any block but the first
    oom-big     the same, unless batch_size is 2 or less
    oom-float   the same, unless compute_type is int8
    raise       raises RuntimeError, with a path in its message, in any block but the first
    odd         fails in any block but the first with a code that nobody knows
    deaf        hears nothing
    share       says how many clips its task may decode at once, instead of the second
    load-slowly loads for as long as the file named by SCRIBERRD_FAKE_STATE is not there
    missing     fails to load: model_missing
    no-device   fails to load: device_unavailable
    no-cuda     the same, unless device is cpu or auto
    until       these three only until the file named by SCRIBERRD_FAKE_STATE is there

SCRIBERRD_FAKE_VOICES=1: in a process that loads this engine, loudness is taken for speech. The true
detector takes longer to load than all that a worker does for this engine.

Language "auto" is "en" with probability 0.5; language "xx" is an unsupported setting.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, NoReturn, cast

import numpy as np

from scriberrd.errors import TaskFailed
from scriberrd.transcript import EngineInfo, Word
from scriberrd.worker.audio import RATE, Samples
from scriberrd.worker.engines import Context, Heard, Tick, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scriberrd.settings import Settings
    from scriberrd.worker.clips import Clip

MEGABYTE = 1 << 20
WINDOW, LOUD = 512, 0.02  # samples that are loud or not together; of 1


def load(wanted: Wanted, tick: Tick) -> Fake:
    """The entry point."""
    if "SCRIBERRD_FAKE_VOICES" in os.environ:
        sys.modules["faster_whisper.vad"] = cast("ModuleType", Loudness)
    script = wanted.model.split("+")
    if "until" in script and Path(os.environ["SCRIBERRD_FAKE_STATE"]).exists():
        script = ["ok"]
    if "missing" in script:
        raise TaskFailed("model_missing", "the script says so")
    cuda = wanted.hardware.device not in {"cpu", "auto"}
    if "no-device" in script or (cuda and "no-cuda" in script):
        raise TaskFailed("device_unavailable", "the script says so")
    if "crash-load" in script:
        os.kill(os.getpid(), signal.SIGSEGV)
    while "load-slowly" in script and not Path(os.environ["SCRIBERRD_FAKE_STATE"]).exists():
        time.sleep(0.05)
        tick()
    tick()
    return Fake(script, wanted.hardware.compute_type)


class Loudness:
    """What the worker needs of `faster_whisper.vad`."""

    VadOptions = SimpleNamespace

    @staticmethod
    def get_vad_model() -> SimpleNamespace:
        return SimpleNamespace(session=None)

    @staticmethod
    def get_speech_timestamps(samples: Samples, options: SimpleNamespace) -> list[dict[str, int]]:
        """Where it is loud; shorter silences than the options say do not count."""
        windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
        loud = np.flatnonzero(np.abs(windows).max(axis=1, initial=0.0) > LOUD) * WINDOW
        pauses = np.flatnonzero(np.diff(loud) > options.min_silence_duration_ms * RATE // 1000)
        return [
            {"start": int(run[0]), "end": int(run[-1]) + WINDOW}
            for run in np.split(loud, pauses + 1)
            if len(run)
        ]


class Fake:
    """The engine "fake"."""

    ways = 1
    download_seconds = None

    def __init__(self, script: list[str], compute_type: str) -> None:
        self._script = script
        self.info = EngineInfo(
            provider="fake",
            model="+".join(script),
            device="cpu",
            compute_type="none" if compute_type == "auto" else compute_type,
        )

    def check(self, settings: Settings) -> None:
        if settings.language == "xx":
            raise TaskFailed("unsupported_setting", "language: no language 'xx'")

    def identify(self, clips: Sequence[Clip], tick: Tick) -> list[Mapping[str, float]]:  # noqa: ARG002
        return [{"en": 0.5} for _ in clips]

    def decode(
        self,
        clips: Sequence[Clip],
        context: Context,
        way: int,  # noqa: ARG002
        tick: Tick,
    ) -> list[Heard]:
        batch_size = context.settings.clips_at_once("cpu")
        return [self._words(clip, batch_size, tick) for clip in clips]

    def _words(self, clip: Clip, batch_size: int, tick: Tick) -> Heard:
        self._misbehave(batch_size, later=clip.block.start > 0)
        words = []
        for second in range(len(clip.samples) // RATE):
            if "slow" in self._script:
                time.sleep(0.1)
            tick()
            text = f" second{int(clip.start) + second}."
            if "share" in self._script:
                text = f" share{tick.__self__.share}."  # type: ignore[attr-defined]
            words.append(Word(start=second, end=second + 0.9, word=text, probability=0.9))
        if "deaf" in self._script:
            words = []
        text = "".join(word.word for word in words)
        return Heard(tuple(words), text, avg_logprob=-0.1, no_speech_prob=0.0)

    def _misbehave(self, batch_size: int, *, later: bool) -> None:
        """Do what the script says; `later`: not in the first block of a recording."""
        script = self._script
        if "babble" in script:
            babble()
        if "hang-first" in script or (later and "hang" in script):
            hang()
        if not later:
            return
        if "crash" in script or ("crash-once" in script and first_time()):
            os.kill(os.getpid(), signal.SIGSEGV)
        if "exit" in script:
            os.write(2, b"my last words: /secret/place\n")
            os._exit(3)
        big, large = batch_size > 2, self.info.compute_type != "int8"
        if "killed" in script or ("killed-big" in script and big):
            run_out_of_memory()
        if "oom" in script or ("oom-big" in script and big) or ("oom-float" in script and large):
            raise MemoryError
        if "odd" in script:
            raise TaskFailed("bad_hair_day", "the script says so")
        if "raise" in script:
            raise RuntimeError("the script says so: /secret/place/model.bin")


def babble() -> None:
    """Print what a chatty library might."""
    line = '{"type":"finished","job":1,"lease":1,"duration":1.0,"warnings":[]}\n'
    for stream in (sys.stdout, sys.stderr):
        stream.write(line * (MEGABYTE // len(line)))
        stream.flush()
    for fd in (1, 2):
        os.write(fd, b"x" * MEGABYTE)


def run_out_of_memory() -> None:
    """Be killed, and counted, by the kernel."""
    counter = Path(os.environ["SABOTAGE_OOM"], "proc/vmstat")
    number = int(counter.read_text().split()[-1])
    counter.write_text(f"oom_kill {number + 1}\n")
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> NoReturn:
    """Never move again."""
    ctypes.CDLL(None).signal(
        signal.SIGTERM, signal.SIG_IGN
    )  # Python's own: in the main thread only
    while True:
        time.sleep(3600)


def first_time() -> bool:
    """Whether this was not called before, in any process with the same SCRIBERRD_FAKE_STATE."""
    try:
        Path(os.environ["SCRIBERRD_FAKE_STATE"]).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
