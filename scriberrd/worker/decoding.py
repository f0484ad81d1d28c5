"""Decode clips, judge what comes out, and decode a bad one again in other ways.

The ways are tried one after the other, each without chance, until one is good; else the best one is
kept, and what is wrong with it is said. So a clip's text depends on the clip alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, cast

from msgspec import UNSET
from msgspec.structs import replace

from scriberrd.transcript import SURE, Gap, Segment, Word
from scriberrd.worker.audio import RATE
from scriberrd.worker.blocks import Span
from scriberrd.worker.clips import Clip
from scriberrd.worker.judging import Verdict, compression_ratio, judge, seconds
from scriberrd.worker.language import choose
from scriberrd.worker.phantoms import is_phantom
from scriberrd.worker.segments import split
from scriberrd.worker.timing import timed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scriberrd.transcript import Suspicion, Why
    from scriberrd.worker.engines import Context, Engine, Heard, Tick

AT_LEAST = 0.3  # seconds of speech; a phantom phrase on less is left out
AROUND = 0.4  # seconds before a hole that are heard with it
WIDER = RATE  # samples more on each side that a clip is decoded with when nothing else helps


class Decoded(NamedTuple):
    """What became of a clip; times in seconds from the start of the recording."""

    segments: tuple[Segment, ...]
    words: tuple[Word, ...]
    gaps: tuple[Gap, ...]


class Attempt(NamedTuple):
    """What an engine made of a clip, with its times put right, and what is wrong with it."""

    heard: Heard
    words: tuple[Word, ...]  # times in seconds from the start of the clip
    verdict: Verdict
    dropped: bool = False  # other attempts had words, and it has none

    @property
    def silent(self) -> bool:
        """Whether its words are likely to be invented for silence."""
        return "maybe_silence" in self.verdict.suspect


def decode(clips: Sequence[Clip], engine: Engine, context: Context, tick: Tick) -> list[Decoded]:
    """Decode clips of one block, at once, or one after the other where the context is carried."""
    if context.settings.context == "carry":
        return list(_carried(clips, engine, context, tick))
    contexts = [_own_language(clip, engine, context, tick) for clip in clips]
    first: dict[int, Heard] = {}
    for language in dict.fromkeys(context.language for context in contexts):
        numbers = [n for n, context in enumerate(contexts) if context.language == language]
        found = engine.decode([clips[n] for n in numbers], contexts[numbers[0]], 0, tick)
        first.update(zip(numbers, found, strict=True))
    return [
        _result(clip, _best(clip, first[n], engine, contexts[n], tick), contexts[n])
        for n, clip in enumerate(clips)
    ]


def _own_language(clip: Clip, engine: Engine, context: Context, tick: Tick) -> Context:
    """The context with the language of the clip, if that is asked for and clear."""
    settings = context.settings
    if not settings.multilingual or settings.language != "auto":
        return context
    votes = engine.identify([clip], tick)
    language, probability = choose(votes, settings.languages)
    return context._replace(language=language) if probability >= SURE else context


def _carried(
    clips: Sequence[Clip], engine: Engine, context: Context, tick: Tick
) -> Iterator[Decoded]:
    """Each clip with the text of the one before, unless that is bad: it would infect this one."""
    before: object = None
    channel = clips[0].block.channel if clips else None
    for clip in clips:
        if clip.block.channel != channel:  # somebody else speaks
            before, channel = None, clip.block.channel
        own = _own_language(clip, engine, context, tick)
        if own.language != context.language:
            before = None
        context = own
        (heard,) = engine.decode([clip], context._replace(before=before), 0, tick)
        best = _best(clip, heard, engine, context, tick)
        before = best.heard.after if best.verdict.good else None
        yield _result(clip, best, context)


def _best(clip: Clip, heard: Heard, engine: Engine, context: Context, tick: Tick) -> Attempt:
    """The first good attempt at a clip, or else the best of all."""
    attempts = [_judged(clip, heard)]
    if attempts[0].verdict.holes and (
        longer := _continued(clip, attempts[0], engine, context, tick)
    ):
        attempts.append(longer)
    others = _others(clip, engine, context, tick)
    while not attempts[-1].verdict.good and (another := next(others, None)) is not None:
        attempts.append(_judged(clip, another))
    # Words are not dropped for nothing, unless nobody seems to speak.
    spoken = [one for one in attempts if one.heard.text.strip() and not one.silent]
    best = min(spoken or attempts, key=lambda attempt: attempt.verdict)
    return best._replace(
        dropped=not best.heard.text.strip() and any(a.heard.text for a in attempts)
    )


def _others(clip: Clip, engine: Engine, context: Context, tick: Tick) -> Iterator[Heard]:
    """Other attempts at a clip: those that the engine knows, and with the sound around it."""
    for way in range(1, engine.ways):
        yield engine.decode([clip], context, way, tick)[0]
    wider = _widened(clip)
    (heard,) = engine.decode([wider], context, min(1, engine.ways - 1), tick)
    if heard.words:
        yield _narrowed(heard, wider, clip)


def _continued(
    clip: Clip, attempt: Attempt, engine: Engine, context: Context, tick: Tick
) -> Attempt | None:
    """The attempt with what is heard after its last word, if that is where words are missing.

    Whisper stops now and then in the middle of a clip. What it skips within a clip can't be heard
    alone: the words around it are drawn into it.
    """
    start = attempt.verdict.holes[0][0]
    if not attempt.words or attempt.words[-1].end > start:
        return None
    begin = clip.span.start + round(max(attempt.words[-1].end, start - AROUND) * RATE)
    rest = Clip(clip.block, Span(begin, clip.span.end))
    (heard,) = engine.decode([rest], context, 0, tick)
    shift = rest.start - clip.start
    words = [replace(w, start=w.start + shift, end=w.end + shift) for w in heard.words]
    before = attempt.heard._replace(words=attempt.words)
    return _judged(clip, _joined([before, heard._replace(words=tuple(words))]))


def _joined(parts: Sequence[Heard]) -> Heard:
    """What was heard in the parts of a clip, one after the other."""
    words = tuple(word for part in parts for word in part.words)
    known = [part for part in parts if part.avg_logprob is not None]
    count = sum(len(part.words) for part in known)
    logprob = sum((part.avg_logprob or 0.0) * len(part.words) for part in known)
    return parts[0]._replace(
        words=words,
        text="".join(part.text for part in parts),
        avg_logprob=logprob / count if count else None,
    )


def _judged(clip: Clip, heard: Heard) -> Attempt:
    voiced = clip.voiced
    words = timed(heard.words, voiced, len(clip.samples) / RATE)
    return Attempt(heard, words, judge(heard, words, voiced))


def _widened(clip: Clip) -> Clip:
    """The clip with some of the sound around it, which helps where a word was cut."""
    start, end = clip.span.start - WIDER, clip.span.end + WIDER
    return Clip(clip.block, Span(max(0, start), min(end, len(clip.block.samples))))


def _narrowed(heard: Heard, wider: Clip, clip: Clip) -> Heard:
    """What of it was said in the clip itself."""
    before, length = clip.start - wider.start, len(clip.samples) / RATE
    words = tuple(
        replace(word, start=max(0.0, word.start - before), end=word.end - before)
        for word in heard.words
        if before <= (word.start + word.end) / 2 < before + length
    )
    return heard._replace(words=words, text="".join(word.word for word in words))


def _result(clip: Clip, best: Attempt, context: Context) -> Decoded:
    """What is kept of the best attempt at a clip."""
    whole = (clip.start, clip.start + len(clip.samples) / RATE)
    text = best.heard.text.strip()
    voiced = clip.voiced
    unheard = voiced is not None and seconds(voiced) < AT_LEAST
    if (unheard and is_phantom(text)) or best.dropped:
        return Decoded((), (), (_gap(*whole, "phantom"),))
    words = tuple(_moved(word, clip) for word in best.words)
    if words:
        said = [(w[0].start, w[-1].end, "".join(word.word for word in w)) for w in split(words)]
    else:  # nothing, or an engine that knows no words
        said = [(*whole, text)] if text else []
    segments = tuple(_segment(start, end, text.strip(), best, context) for start, end, text in said)
    holes = ((clip.start + start, clip.start + end) for start, end in best.verdict.holes)
    return Decoded(segments, words, tuple(_gap(start, end, "no_words") for start, end in holes))


def _segment(start: float, end: float, text: str, best: Attempt, context: Context) -> Segment:
    """A segment; its figures are those of its clip."""
    heard = best.heard
    suspect = (*best.verdict.suspect, *(("phantom",) if is_phantom(text) else ()))
    return Segment(
        start=start,
        end=end,
        text=text,
        avg_logprob=_rounded(heard.avg_logprob),
        no_speech_prob=_rounded(heard.no_speech_prob),
        compression_ratio=_rounded(compression_ratio(heard.text)),
        language=context.language if context.settings.multilingual else UNSET,
        suspect=cast("tuple[Suspicion, ...]", suspect) or UNSET,
    )


def _moved(word: Word, clip: Clip) -> Word:
    """The word with times from the start of the recording, none beyond the block."""
    last = math.floor(clip.block.end / RATE * 1000) / 1000
    end = min(round(clip.start + word.end, 3), last)
    return replace(word, start=min(round(clip.start + word.start, 3), end), end=end)


def _gap(start: float, end: float, why: Why) -> Gap:
    return Gap(start=round(start, 3), end=round(end, 3), why=why)


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)
