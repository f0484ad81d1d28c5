"""From the blocks of a recording, and the turns of its speakers, to its transcript."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from scriberrd import transcript
from scriberrd.assembling import assemble
from scriberrd.errors import TaskFailed
from scriberrd.merging import Merged, channeled, merged
from scriberrd.model import Shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from msgspec import UnsetType

    from scriberrd.model import Job
    from scriberrd.queue.jobs import Work
    from scriberrd.transcript import BlockResult, Diarization, EngineInfo, Result, Turn


def gather(
    work: Work,
    blocks: Iterable[BlockResult],
    job: Job,
    *,
    diarization: Diarization | None = None,
    warnings: tuple[str, ...] = (),
) -> tuple[Result, Shown | None]:
    """Join the blocks of a job that are all done; for a thread, since it goes through all of them.

    Args:
        work: what is done of the job.
        blocks: all of them; they must be there for as long as the result is used.
        job: as it was claimed.
        diarization: who speaks when.
        warnings: what else a reader should know.

    Returns:
        The transcript, and the speakers that it shows.

    Raises:
        TaskFailed: not all is done.
    """
    if work.probe is None or work.engine is None or work.finished is None:
        raise TaskFailed("internal_error", "checkpoints are missing")
    made, shown = _speakers(blocks, job, diarization)
    text = assemble(
        made.blocks,
        duration=work.finished.duration,
        engine=work.engine if diarization is None else _engine(work.engine, diarization),
        source=transcript.SourceInfo(
            name=job.name,
            sha256=job.sha256 or "",
            size=job.identity.size,
            container=work.probe.container,
            codec=work.probe.codec,
            channels=work.probe.channels,
        ),
        processing_seconds=work.finished.seconds + (diarization.seconds if diarization else 0.0),
        word_timestamps=job.settings.word_timestamps,
        warnings=(
            *work.finished.warnings,
            *(diarization.warnings if diarization else ()),
            *_unknown(made),
            *warnings,
        ),
    )
    turns = UNSET if diarization is None else diarization.turns
    return replace(text, turns=turns, speakers=named(job, shown)), shown


def named(job: Job, shown: Shown | None) -> tuple[transcript.Speaker, ...] | UnsetType:
    """The names that people gave to these speakers, and the channels that they stand for.

    Of other turns, a label is somebody else.
    """
    if shown is None:
        return UNSET
    speakers = (
        transcript.Speaker(
            label=label,
            name=job.names.get((shown.turns, label), UNSET),
            channel=shown.channels.get(label, UNSET),
        )
        for label in shown.labels
    )
    return tuple(one for one in speakers if one.name or one.channel) or UNSET


def shown_in(text: transcript.Transcript, job: Job) -> Shown | None:
    """The speakers that a published transcript shows, which may be of another run of the job."""
    if text.turns is UNSET:  # by channels, or without speakers
        return job.shown
    labels = dict.fromkeys(turn.speaker for turn in text.turns)
    return Shown(_digest(text.turns), tuple(labels)) if labels else None


def _speakers(
    blocks: Iterable[BlockResult], job: Job, diarization: Diarization | None
) -> tuple[Merged, Shown | None]:
    if diarization is not None:
        made, turns = merged(blocks, diarization), _digest(diarization.turns)
    elif job.settings.channels == "split":
        made = channeled(blocks)
        turns = " ".join(made.channels)  # who is heard first may be another the next time
    else:
        made, turns = Merged(blocks, ()), ""
    return made, Shown(turns, made.labels) if made.labels else None


def _digest(turns: Iterable[Turn]) -> str:
    """The turns in short; the same for those that differ by what a processor may round."""
    lines = (f"{turn.start:.2f} {turn.end:.2f} {turn.speaker}\n" for turn in turns)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def _engine(engine: EngineInfo, diarization: Diarization) -> EngineInfo:
    fallbacks = tuple(dict.fromkeys((*engine.fallbacks, *diarization.fallbacks)))
    return replace(engine, diarization_model=diarization.model, fallbacks=fallbacks)


def _unknown(made: Merged) -> Iterator[str]:
    if made.unknown:
        words = "1 word" if made.unknown == 1 else f"{made.unknown} words"
        places = "1 place" if made.places == 1 else f"{made.places} places"
        yield f"{words} in {places} {'is' if made.unknown == 1 else 'are'} of no known speaker"
