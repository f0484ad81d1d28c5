"""From the checkpoints of a job to its transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from scriberrd import transcript
from scriberrd.errors import TaskFailed
from scriberrd.model import Shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scriberrd.model import Job
    from scriberrd.queue import jobs
    from scriberrd.transcript import BlockResult, Diarization, Result


def gather(
    work: jobs.Work,
    blocks: Iterable[BlockResult],
    job: Job,
    *,
    diarization: Diarization | None = None,
    warnings: tuple[str, ...] = (),
) -> tuple[Result, Shown | None]:
    """Stand-in: no merge."""
    if work.probe is None or work.engine is None or work.finished is None:
        raise TaskFailed("internal_error", "checkpoints are missing")
    result = transcript.assemble(
        blocks,
        duration=work.finished.duration,
        engine=work.engine,
        source=transcript.SourceInfo(
            name=job.name,
            sha256=job.sha256 or "",
            size=job.identity.size,
            container=work.probe.container,
            codec=work.probe.codec,
            channels=work.probe.channels,
        ),
        processing_seconds=work.finished.seconds,
        word_timestamps=job.settings.word_timestamps,
        warnings=(
            *work.finished.warnings,
            *warnings,
            *(diarization.warnings if diarization else ()),
        ),
    )
    if diarization is None:
        return result, None
    result = replace(result, turns=diarization.turns)
    labels = dict.fromkeys(turn.speaker for turn in diarization.turns)
    return result, Shown("stand-in", tuple(labels))
