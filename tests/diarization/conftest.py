from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from child import AUDIO, TESTS, Child

from scriberrd.protocol import Diarize, Diarized, Heartbeat, Hints, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scriberrd.transcript import Diarization

    Spawn = Callable[..., Child]

FLITE = TESTS / "models" / "pyannote-flite"
SAMPLES = FLITE / "samples"
MODEL = FLITE / "model"
DIALOGUE = AUDIO / "dialogue.opus"
LONG = 3600.0  # seconds: all of any recording here

try:
    THERE = find_spec("pyannote.audio") is not None
except ModuleNotFoundError:
    THERE = False
collect_ignore_glob = [] if THERE else ["test_*"]  # see environment.py


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Makes workers of one's own."""
    children: list[Child] = []

    def start(**environment: str) -> Child:
        children.append(Child(env=environment))
        return children[-1]

    yield start
    for child in children:
        child.close()


@pytest.fixture(scope="session")
def worker() -> Iterator[Child]:
    """A worker that all tests share, since to load PyTorch takes its time."""
    child = Child()
    yield child
    child.close()


def order(model: str = str(MODEL), **given: Any) -> Diarize:
    hints = Hints(**given.pop("hints", {}))
    values: dict[str, Any] = {
        "job": 1,
        "lease": 1,
        "diarizer": "pyannote",
        "track": "default",
        "duration": LONG,
        "device": "cpu",
        "threads": 1,
        "share": 1,
        "auto_download": False,
        "model_cache": "",
    }
    return Diarize(**values | given, model=model, hints=hints)


def last(child: Child, recording: Path, order: Diarize) -> Reply:
    """What ends this task."""
    child.send(recording, order)
    return [reply for reply in child.rest() if not isinstance(reply, Heartbeat)][-1]


def diarized(child: Child, recording: Path, order: Diarize) -> Diarization:
    reply = last(child, recording, order)
    assert isinstance(reply, Diarized), reply
    return reply.diarization
