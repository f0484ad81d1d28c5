"""What a recording is transcribed with when memory does not suffice: one step down a run.

The settings of the job stay as they were; the steps are kept beside them, and applied to the task
that goes to the worker. Pure functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from scriberrd.model import Fallback
from scriberrd.protocol import Hardware

if TYPE_CHECKING:
    from scriberrd.config import Worker
    from scriberrd.model import Job
    from scriberrd.settings import Settings
    from scriberrd.transcript import EngineInfo

LARGE = ("auto", "default", "float", "bfloat", "int16")  # how compute types begin that can shrink


def adapted(job: Job, pool: Worker) -> tuple[Settings, Hardware]:
    """What the next run of a job in this pool is to work with."""
    settings = job.settings
    hardware = Hardware(
        device=pool.device, threads=int(pool.threads), compute_type=pool.compute_type
    )
    for step in job.fallbacks:
        match step.setting:
            case "batch_size":
                settings = replace(settings, batch_size=int(step.after))
            case "compute_type":
                hardware = replace(hardware, compute_type=step.after)
            case "device":
                hardware = replace(hardware, device=step.after, compute_type="int8")
            case "model":
                settings = replace(settings, model=step.after)
    return settings, hardware


def next_step(job: Job, pool: Worker, engine: EngineInfo | None) -> Fallback | None:
    """The step to take after memory ran out in this pool; None at the foot of the fallbacks.

    Args:
        job: with the steps that it has taken already.
        pool: where its run ended.
        engine: what that run had loaded; None when it did not come so far.
    """
    settings, hardware = adapted(job, pool)
    taken = {step.setting for step in job.fallbacks}  # an engine need not heed them
    device = engine.device if engine is not None else hardware.device
    compute_type = engine.compute_type if engine is not None else hardware.compute_type
    if compute_type == "auto" and device == "cpu":
        compute_type = "int8"  # that is what auto means there
    size = settings.clips_at_once(device)
    if size > 1:
        return Fallback("batch_size", str(size), str(size // 2))
    if "compute_type" not in taken and compute_type.startswith(LARGE):
        smallest = "int8_float16" if device.startswith("cuda") else "int8"
        return Fallback("compute_type", compute_type, smallest)
    if pool.cpu_fallback and "device" not in taken and device != "cpu":
        return Fallback("device", device, "cpu")
    if settings.fallback_model not in ("", settings.model):
        return Fallback("model", settings.model, settings.fallback_model)
    return None
