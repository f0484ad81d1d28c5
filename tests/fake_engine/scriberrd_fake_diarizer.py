"""A diarizer without a model, for tests of everything around diarizers.

Put this folder on PYTHONPATH and ask for diarizer "fake". Two people take turns every 3 s; in the
last half second of each turn, the next one speaks already. What else it does is its script,
`diarization_model`: words joined by "+".

    ok          nothing else
    N=k         k people instead of two
    slow        half a second of sleep for each second of the recording
    crash       kills itself with SIGSEGV
    crash-once  as crash, unless the file named by SCRIBERRD_FAKE_STATE is there; makes it first
    crash-load  kills itself with SIGSEGV as soon as it is loaded
    hang        no more progress, deaf to Stop and to SIGTERM
    babble      prints megabytes on stdout and stderr, from Python and from below it
    oom         raises MemoryError
    oom-big     the same, unless it was told to do with less
    raise       raises RuntimeError, with a path in its message
    deaf        hears nobody
    value       warns when it is asked for more people than there are
    missing     is not installed: diarizer_missing
    absent      fails to load: diarization_model_missing
    refused     fails to load: diarization_refused
    no-device   fails to load: diarization_device
    mute        gives no answer when it is asked whether it can be used
    until       these only until the file named by SCRIBERRD_FAKE_STATE is there
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scriberrd_fake_engine import babble, first_time, hang

from scriberrd.errors import TaskFailed
from scriberrd.transcript import Turn
from scriberrd.worker.audio import RATE, Samples
from scriberrd.worker.diarizers import Tick, Voices, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrd.protocol import Hints

LENGTH, OVERLAP = 3.0, 0.5  # seconds
FAILURES = {
    "missing": "diarizer_missing",
    "absent": "diarization_model_missing",
    "refused": "diarization_refused",
    "no-device": "diarization_device",
}


def script_of(wanted: Wanted) -> list[str]:
    script = wanted.model.split("+")
    if "until" in script and Path(os.environ["SCRIBERRD_FAKE_STATE"]).exists():
        return [word for word in script if word not in FAILURES]
    return script


def check(wanted: Wanted) -> None:
    if "mute" in script_of(wanted):
        time.sleep(3600)
    for word in script_of(wanted):
        if word in FAILURES:
            raise TaskFailed(FAILURES[word], "the script says so")


def load(wanted: Wanted, tick: Tick) -> Fake:
    check(wanted)
    if "crash-load" in script_of(wanted):
        os.kill(os.getpid(), signal.SIGSEGV)
    tick()
    return Fake(wanted.model, script_of(wanted))


class Fake:
    """The diarizer "fake"."""

    revision, device = "1", "cpu"

    def __init__(self, model: str, script: list[str]) -> None:
        self.model, self._script = model, script
        self._small = False

    def smaller(self) -> str | None:
        if self._small:
            return None
        self._small = True
        return "diarization batch_size 2 -> 1"

    def diarize(self, samples: Samples, hints: Hints, progress: Callable[[float], None]) -> Voices:
        seconds = len(samples) / RATE
        self._misbehave()
        steps = int(seconds * 5)
        for step in range(steps):
            if "slow" in self._script:
                time.sleep(0.1)
            progress(step / steps)
        there = next((int(word[2:]) for word in self._script if word.startswith("N=")), 2)
        people = min(hints.speakers or there, there)
        warnings = ()
        if "value" in self._script and hints.speakers > there:
            warnings = (f"{hints.speakers} speakers were asked for, {there} were found",)
        if "deaf" in self._script:
            return Voices((), (), {})
        turns, exclusive = [], []
        for number in range(int(seconds // LENGTH) + 1):
            start, end, who = number * LENGTH, (number + 1) * LENGTH, f"voice{number % people}"
            turns.append(Turn(start=max(start - OVERLAP, 0), end=end, speaker=who))
            exclusive.append(Turn(start=start, end=end, speaker=who))
        voices = {f"voice{n}": [1.0, float(n)] for n in range(people)}
        return Voices(turns, exclusive, voices, warnings)

    def _misbehave(self) -> None:
        script = self._script
        if "babble" in script:
            babble()
        if "hang" in script:
            hang()
        if "crash" in script or ("crash-once" in script and first_time()):
            os.kill(os.getpid(), signal.SIGSEGV)
        if "oom" in script or ("oom-big" in script and not self._small):
            raise MemoryError
        if "raise" in script:
            raise RuntimeError("the script says so: /secret/place/model.bin")
