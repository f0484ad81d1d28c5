"""Subtitle cues: a transcript cut into what fits on a screen.

A cue has at most two lines of 42 columns and lasts at most seven seconds; only a single word that
is longer breaks these limits. Cues come by their starts; those of one speaker follow one another,
and where people speak at once, those of different speakers are shown at once.
"""

from __future__ import annotations

from collections import deque
from itertools import accumulate, chain
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import category, combining, east_asian_width

from scriberrd.merging import spelled
from scriberrd.output.formats.format import label, who
from scriberrd.transcript import called

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scriberrd.settings import SpeakerLabels
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
    speaker: str
    pieces: list[_Piece]

    @property
    def start(self) -> int:
        return _milliseconds(self.pieces[0].start)


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
    drafts, ahead = _drafts(transcript, labels), deque[_Draft]()
    begun, ends = 0, dict[str, int]()
    while draft := ahead.popleft() if ahead else next(drafts, None):
        begun = start = max(draft.start, begun, ends.get(draft.speaker, 0))
        spoken = _milliseconds(draft.pieces[-1].end)
        end = max(spoken, min(start + SHORTEST, _milliseconds(transcript.duration)))
        end = _until(end, draft.speaker, ahead, drafts)
        end = ends[draft.speaker] = max(end, start + 1)
        yield Cue(start, end, draft.speaker, _lines(draft.pieces))


def _until(end: int, speaker: str, ahead: deque[_Draft], coming: Iterator[_Draft]) -> int:
    """The end, or where the speaker goes on before; drafts that are read for it go ahead."""
    at = 0
    while True:
        if at == len(ahead):
            if (draft := next(coming, None)) is None:
                return end
            ahead.append(draft)
        if ahead[at].start >= end:
            return end
        if ahead[at].speaker == speaker:
            return ahead[at].start
        at += 1


def _milliseconds(seconds: float) -> int:
    return max(round(seconds * 1000), 0)


def _drafts(transcript: Transcript | Result, labels: SpeakerLabels) -> Iterator[_Draft]:
    """What is shown at once, by its start; what one speaker says stays in its order."""
    waiting: dict[str, deque[list[_Piece]]] = {}
    turn = ""
    for segment in chain(_texts(transcript), [None]):
        while waiting:
            speaker = min(waiting, key=lambda one: waiting[one][0][0].start)
            own = waiting[speaker]
            if segment is not None and own[0][0].start > segment.pieces[0].start:
                break
            pieces = own.popleft()
            if speaker != turn and (written := label(speaker, labels)):
                start, _, text = pieces[0]
                pieces[0] = pieces[0]._replace(text=f" {text.lstrip()}")
                pieces.insert(0, _Piece(start, start, written))
            turn = speaker
            count = _count(pieces)
            yield _Draft(speaker, pieces[:count])
            if rest := pieces[count:]:
                own.appendleft(rest)
            if not own:
                del waiting[speaker]
        if segment is not None:
            waiting.setdefault(segment.speaker, deque()).append(segment.pieces)


def _texts(transcript: Transcript | Result) -> Iterator[_Draft]:
    """The segments, uncut."""
    names = called(transcript)
    for segment, words in spelled(transcript.segments, transcript.words):
        if pieces := _from_words(segment, words) or _from_text(segment):
            yield _Draft(who(segment, names), pieces)


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


def _count(pieces: Sequence[_Piece]) -> int:
    """How many fill a cue, which ends where a clause ends if one does so late enough."""
    for count in range(1, len(pieces)):
        if pieces[count].start - pieces[count - 1].end >= PAUSE:
            return count
        if not _fits(pieces[: count + 1]):
            late = range(count, count // 2, -1)
            return next((n for n in late if pieces[n - 1].text[-1] in CLAUSE_ENDS), count)
    return len(pieces)
