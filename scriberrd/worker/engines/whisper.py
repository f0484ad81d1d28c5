"""Whisper through faster-whisper, on CPU or CUDA."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from faster_whisper import BatchedInferencePipeline
from faster_whisper.audio import pad_or_trim
from faster_whisper.transcribe import restore_speech_timestamps
from msgspec import UNSET

from scriberrd.errors import TaskFailed
from scriberrd.transcript import EngineInfo, Segment, Suspicion, Word
from scriberrd.worker.audio import RATE, Samples
from scriberrd.worker.blocks import Block, clips
from scriberrd.worker.engines import Context, Language, Phrase, Tick, Wanted
from scriberrd.worker.engines.whisper_setup import (
    choose_compute_type,
    choose_device,
    find_model,
    load_failure,
)
from scriberrd.worker.engines.whisper_steady import IMPROBABLE, REPETITIVE, SILENT, SteadyModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scriberrd.model import Settings

WINDOW = 30 * RATE  # samples that Whisper hears at once
LANGUAGE_WINDOWS = 5  # at most so many windows decide the language
DOUBTFUL_SPEECH = -0.5  # mean log probability; worse with no_speech_prob high may be silence


def load(wanted: Wanted, tick: Tick) -> Whisper:
    """An entry point of `scriberrd.engines`; `wanted.model` is a folder, a name or a hub id."""
    device = choose_device(wanted.hardware.device)
    compute_type = choose_compute_type(wanted.hardware.compute_type, device)
    files = find_model(wanted, tick)
    tick()
    try:
        model = SteadyModel(
            str(files.folder),
            device=device.kind,
            device_index=device.number,
            compute_type=compute_type,
            cpu_threads=wanted.hardware.threads,
        )
        tick()
        if device.kind == "cuda":  # what is missing shows only when something is computed
            mels = model.feature_extractor.mel_filters.shape[0]
            model.encode(np.zeros((mels, model.feature_extractor.nb_max_frames), np.float32))
            tick()
    except RuntimeError as error:
        raise load_failure(error, device) from error
    info = EngineInfo(
        provider="faster-whisper",
        model=files.name,
        revision=files.revision or UNSET,
        device=str(device),
        compute_type=model.model.compute_type,
    )
    return Whisper(model, info)


class Whisper:
    """The engine "faster-whisper"."""

    def __init__(self, model: SteadyModel, info: EngineInfo) -> None:
        self._model = model
        self.info = info

    def check(self, settings: Settings) -> None:
        """Raise for a language or task that the model does not know."""
        model, code = self._model, settings.language
        if not model.model.is_multilingual:
            if code not in ("auto", "en"):
                raise _unsupported(f"{self.info.model} understands English only, not {code!r}")
            if settings.task == "translate":
                raise _unsupported(f"{self.info.model} understands English only: nothing to do")
        elif code != "auto" and (
            code not in model.supported_languages
            or model.hf_tokenizer.token_to_id(f"<|{code}|>") is None
        ):
            raise _unsupported(f"{self.info.model} knows no language {code!r}; a code is like 'en'")

    def identify(self, block: Block, tick: Tick) -> Language:
        """The most probable language, averaged over windows spread over the speech."""
        if not self._model.model.is_multilingual:
            return Language("en", 1.0)
        self._model.tick = tick
        speech, _ = _collect(block)
        votes = [self._languages(window) for window in spread(speech)]
        return average(votes)

    def transcribe(self, block: Block, context: Context, tick: Tick) -> Iterator[Phrase]:
        """Transcribe windows one by one, each prompted with the text before, or in batches."""
        self._model.tick = tick
        self._model.at_once = context.settings.batch_size > 1
        way = self._batched if self._model.at_once else self._sequential
        for found in way(block, context):
            text = found.text.strip()
            if text:
                yield Phrase(_segment(found, text), _words(found))

    def _sequential(self, block: Block, context: Context) -> Iterable[Any]:
        settings = context.settings
        speech, chunks = _collect(block)
        found, _ = self._model.transcribe(
            speech,
            **_options(context),
            initial_prompt=settings.initial_prompt or None,
            condition_on_previous_text=settings.condition_on_previous_text,
        )
        restored: Iterable[Any] = restore_speech_timestamps(found, chunks, RATE)
        return restored

    def _batched(self, block: Block, context: Context) -> Iterable[Any]:
        settings = context.settings
        found: Iterable[Any]
        found, _ = BatchedInferencePipeline(self._model).transcribe(
            block.samples,
            **_options(context),
            initial_prompt=settings.initial_prompt or None,
            batch_size=settings.batch_size,
            without_timestamps=False,
            vad_filter=False,
            clip_timestamps=[{"start": a / RATE, "end": b / RATE} for a, b in clips(block, WINDOW)],
        )
        return found

    def _languages(self, window: Samples) -> dict[str, float]:
        features = pad_or_trim(self._model.feature_extractor(window)[..., :-1])
        (probabilities,) = self._model.model.detect_language(self._model.encode(features))
        return {token[2:-2]: probability for token, probability in probabilities}


def spread(speech: Samples) -> list[Samples]:
    """Up to five windows of 30 s, evenly spread over `speech`; shorter speech is one window."""
    count = min(LANGUAGE_WINDOWS, max(1, len(speech) // WINDOW))
    last = max(0, len(speech) - WINDOW)
    starts = [last * i // max(1, count - 1) for i in range(count)]
    return [speech[start : start + WINDOW] for start in starts]


def average(votes: list[dict[str, float]]) -> Language:
    """The language with the highest mean probability over all windows."""
    sums: defaultdict[str, float] = defaultdict(float)
    for vote in votes:
        for code, probability in vote.items():
            sums[code] += probability
    best = max(sums, key=lambda code: (sums[code], code))
    return Language(best, round(sums[best] / len(votes), 4))


def suspicions(logprob: float, silence: float, repetition: float) -> tuple[Suspicion, ...]:
    """Why a segment may be wrong.

    Args:
        logprob: mean log probability of its tokens.
        silence: probability that nobody speaks.
        repetition: compression ratio of its text.
    """
    found: list[Suspicion] = []
    if logprob < IMPROBABLE:
        found.append("low_confidence")
    if repetition > REPETITIVE:
        found.append("repetitive")
    if silence > SILENT and logprob < DOUBTFUL_SPEECH:
        found.append("maybe_silence")
    return tuple(found)


def _options(context: Context) -> dict[str, Any]:
    settings = context.settings
    return {
        "language": context.language,
        "task": settings.task,
        "beam_size": settings.beam_size,
        "temperature": 0.0,
        "hotwords": settings.hotwords or None,
        "word_timestamps": settings.word_timestamps,
    }


def _collect(block: Block) -> tuple[Samples, list[dict[str, int]]]:
    """The samples of the spans, without what is between them, and the spans' positions."""
    parts = [block.samples[a:b] for a, b in block.spans]
    return np.concatenate(parts), [{"start": a, "end": b} for a, b in block.spans]


def _segment(found: Any, text: str) -> Segment:
    figures = found.avg_logprob, found.no_speech_prob, found.compression_ratio
    return Segment(
        start=float(found.start),  # now and then they are numpy's
        end=float(found.end),
        text=text,
        avg_logprob=round(float(found.avg_logprob), 4),
        no_speech_prob=round(float(found.no_speech_prob), 4),
        compression_ratio=round(float(found.compression_ratio), 4),
        suspect=suspicions(*figures) or UNSET,
    )


def _words(found: Any) -> tuple[Word, ...]:
    return tuple(
        Word(
            start=float(w.start),
            end=float(w.end),
            word=w.word,
            probability=round(float(w.probability), 4),
        )
        for w in found.words or ()
    )


def _unsupported(detail: str) -> TaskFailed:
    return TaskFailed("unsupported_setting", detail)
