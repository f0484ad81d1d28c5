"""Subtitle cues: a transcript cut into what fits on a screen.

A cue has at most two lines of 42 columns and lasts at most seven seconds; only a single word that
is longer breaks these limits. Cues follow one another and never overlap.
"""

from __future__ import annotations

from itertools import accumulate, chain, pairwise
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import category, combining, east_asian_width

from scriberrd.merging import spelled
from scriberrd.output.formats.format import label, who
from scriberrd.transcript import called

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scriberrd.model import SpeakerLabels
    from scriberrd.transcript import Result, Segment, Transcript, Word

WIDTH = 42  # columns of a line; wide characters take two
LONGEST = 7.0  # seconds
SHORTEST = 800  # milliseconds that a cue is shown when there is room
PAUSE = 2.0  # seconds between two words that end a cue
CLAUSE_ENDS = ",;:.?!\u2026\u3001\u3002\uff0c\uff1f\uff01"


class Cue(NamedTuple):
    """What is shown at a time; start and end in milliseconds."""

    start: int
    end: int
    speaker: str
    lines: Sequence[str]


class _Piece(NamedTuple):
    """What stays on one line: a word, with the space before it."""

    start: float
    end: float
    text: str


class _Draft(NamedTuple):
    pieces: Sequence[_Piece]
    speaker: str


def clock(milliseconds: int, separator: str) -> str:
    """The time as 00:00:00 and the milliseconds behind the separator."""
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{separator}{rest:03d}"


def cues(transcript: Transcript | Result, labels: SpeakerLabels) -> Iterator[Cue]:
    """Cut a transcript into cues.

    Args:
        transcript: what was said; its words, where it has any, say where to cut.
        labels: how the speaker is written into the text where a turn begins.
    """
    end = 0
    for draft, following in pairwise(chain(_drafts(transcript, labels), [None])):
        assert draft is not None  # noqa: S101 - for the type checker
        start = max(_milliseconds(draft.pieces[0].start), end)
        spoken = _milliseconds(draft.pieces[-1].end)
        limit = max(spoken, _milliseconds(transcript.duration))
        if following is not None:
            limit = _milliseconds(following.pieces[0].start)
        end = max(min(max(spoken, start + SHORTEST), limit), start + 1)
        yield Cue(start, end, draft.speaker, _lines(draft.pieces))


def _milliseconds(seconds: float) -> int:
    return max(round(seconds * 1000), 0)


def _drafts(transcript: Transcript | Result, labels: SpeakerLabels) -> Iterator[_Draft]:
    names, turn = called(transcript), ""
    for segment, words in spelled(transcript.segments, transcript.words):
        speaker = who(segment, names)
        pieces = _from_words(segment, words) or _from_text(segment)
        if not pieces:
            continue
        if speaker != turn and (written := label(speaker, labels)):
            start, _, text = pieces[0]
            pieces[0] = pieces[0]._replace(text=f" {text.lstrip()}")
            pieces.insert(0, _Piece(start, start, written))
        turn = speaker
        yield from (_Draft(part, speaker) for part in _cut(pieces))


def _from_words(segment: Segment, words: Sequence[Word]) -> list[_Piece]:
    if "".join(word.word for word in words).split() != segment.text.split():
        return []  # an engine that writes no spaces before its words
    pieces: list[_Piece] = []
    for word in words:
        text = " " * word.word[:1].isspace() + " ".join(word.word.split())
        if not text.strip():
            continue
        if pieces and not _breakable(pieces[-1].text, text):
            before = pieces.pop()
            pieces.append(_Piece(before.start, word.end, before.text + text))
        else:
            pieces.append(_Piece(word.start, word.end, text))
    return pieces


def _from_text(segment: Segment) -> list[_Piece]:
    """The text alone, its time shared out by length."""
    texts: list[str] = []
    for character in " ".join(segment.text.split()):
        if texts and (texts[-1].isspace() or not _breakable(texts[-1], character)):
            texts[-1] += character
        else:
            texts.append(character)
    second = (segment.end - segment.start) / (sum(map(len, texts)) or 1)  # of a character
    ends = [segment.start + second * done for done in accumulate(map(len, texts))]
    return list(map(_Piece, [segment.start, *ends], ends, texts))


def _breakable(before: str, after: str) -> bool:
    """Whether a line may end between the two: at a space, or in a script without spaces."""
    if after[0].isspace():
        return True
    wide = east_asian_width(before[-1]) in "WF" or east_asian_width(after[0]) in "WF"
    return wide and not category(after[0]).startswith(("P", "M"))


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _lines(pieces: Sequence[_Piece]) -> list[str]:
    """One line, or two of about the same width."""
    texts = [piece.text for piece in pieces]
    whole = "".join(texts).strip()
    if _width(whole) <= WIDTH or len(texts) == 1:
        return [whole]
    upto = list(accumulate(map(_width, texts)))
    indents = [text[0].isspace() for text in texts]

    def longer(n: int) -> int:
        return max(upto[n - 1] - indents[0], upto[-1] - upto[n - 1] - indents[n])

    at = min(range(1, len(texts)), key=longer)
    return ["".join(texts[:at]).strip(), "".join(texts[at:]).strip()]


def _fits(pieces: Sequence[_Piece]) -> bool:
    short = pieces[-1].end - pieces[0].start <= LONGEST
    return short and all(_width(line) <= WIDTH for line in _lines(pieces))


def _cut(pieces: Sequence[_Piece]) -> Iterator[Sequence[_Piece]]:
    """Fill cues from the left, and end them where a clause ends if one does so late enough."""
    cue: list[_Piece] = []
    for piece in pieces:
        if cue and piece.start - cue[-1].end >= PAUSE:
            yield cue
            cue = []
        while cue and not _fits([*cue, piece]):
            late = range(len(cue), len(cue) // 2, -1)
            at = next((n for n in late if cue[n - 1].text[-1] in CLAUSE_ENDS), len(cue))
            yield cue[:at]
            cue = cue[at:]
        cue.append(piece)
    if cue:
        yield cue
