"""One step down a run, and never the same one twice."""

from __future__ import annotations

import msgspec
import pytest
from support import submitted

from scriberrd.config import Worker
from scriberrd.model import Fallback, Job, JobState
from scriberrd.settings import Settings
from scriberrd.transcript import EngineInfo
from scriberrd.work import fallbacks


def job(**settings: object) -> Job:
    wanted = msgspec.convert(settings, Settings)
    return submitted(state=JobState.PROCESSING, lease=1, settings=wanted)


def engine(device: str, compute_type: str) -> EngineInfo:
    return EngineInfo(provider="test", model="m", device=device, compute_type=compute_type)


def descend(one: Job, pool: Worker, loaded: EngineInfo | None) -> list[str]:
    """All steps of an engine that heeds none of them."""
    steps: list[str] = []
    while (step := fallbacks.next_step(one, pool, loaded)) is not None:
        one = msgspec.structs.replace(one, fallbacks=(*one.fallbacks, step))
        steps.append(str(step))
        assert len(steps) < 20
    return steps


@pytest.mark.parametrize(
    ("pool", "loaded", "steps"),
    [
        (Worker(name="w", device="cpu"), None, []),
        (Worker(name="w", device="cpu"), engine("cpu", "int8_float32"), []),
        (
            Worker(name="w", device="cpu"),
            engine("cpu", "float32"),
            ["compute_type float32 -> int8"],
        ),
        (
            Worker(name="w", device="cuda"),
            engine("cuda:0", "float16"),
            ["compute_type float16 -> int8_float16"],
        ),
        (
            Worker(name="w", device="auto", cpu_fallback=True),
            engine("cuda:0", "float16"),
            ["compute_type float16 -> int8_float16", "device cuda:0 -> cpu"],
        ),
        (
            Worker(name="w", device="cuda:1", cpu_fallback=True),
            None,
            ["compute_type auto -> int8_float16", "device cuda:1 -> cpu"],
        ),
    ],
)
def test_the_steps(pool: Worker, loaded: EngineInfo | None, steps: list[str]) -> None:
    assert descend(job(batch_size=1), pool, loaded) == steps
    batches = ["batch_size 5 -> 2", "batch_size 2 -> 1"]
    models = ["model large -> small"]
    one = job(batch_size=5, model="/private/large", fallback_model="/private/small")
    assert descend(one, pool, loaded) == [*batches, *steps, *models]


def test_auto_is_a_batch_on_a_gpu_and_of_a_small_model() -> None:
    batches = ["batch_size 8 -> 4", "batch_size 4 -> 2", "batch_size 2 -> 1"]
    gpu, cpu = engine("cuda:0", "int8"), engine("cpu", "int8")
    assert descend(job(model="large-v3"), Worker(name="w", device="cuda"), gpu) == batches
    for small in ("base", "distil-whisper/distil-small.en"):
        assert descend(job(model=small), Worker(name="w"), cpu) == batches
    for large in ("large-v3", "base/large", "/models/private"):
        assert descend(job(model=large), Worker(name="w"), cpu) == []


def test_the_task_is_adapted_and_the_settings_stay() -> None:
    steps = (
        Fallback("batch_size", "2", "1"),
        Fallback("compute_type", "float16", "int8_float16"),
        Fallback("device", "cuda:0", "cpu"),
        Fallback("model", "large", "small"),
    )
    one = msgspec.structs.replace(job(batch_size=2, model="large"), fallbacks=steps)
    settings, hardware = fallbacks.adapted(one, Worker(name="w", device="cuda"))
    assert (settings.batch_size, settings.model) == (1, "small")
    assert (hardware.device, hardware.compute_type) == ("cpu", "int8")
    assert (one.settings.batch_size, one.settings.model) == (2, "large")
