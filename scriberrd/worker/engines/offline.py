"""PocketSphinx: English only, far less exact than Whisper, but its model comes inside the wheel."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from pocketsphinx import Config, Decoder

from scriberrd.errors import TaskFailed
from scriberrd.transcript import EngineInfo, Segment, Word
from scriberrd.worker.audio import RATE, Samples
from scriberrd.worker.blocks import clips
from scriberrd.worker.engines import Context, Language, Phrase, Tick, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.model import Settings
    from scriberrd.worker.blocks import Block

LONGEST = 30 * RATE  # samples at a time: the decoder's memory grows with it
PAUSE = 0.5  # seconds; a longer one ends a segment


def load(wanted: Wanted, tick: Tick) -> Offline:
    """An entry point of `scriberrd.engines`; there is one model, whatever is asked for."""
    if wanted.hardware.device not in ("auto", "cpu"):
        raise TaskFailed("device_unavailable", "the offline engine runs on the CPU only")
    decoder = Decoder(Config(samprate=float(RATE), loglevel="FATAL", cmn="batch"))
    tick()
    return Offline(decoder)


class Offline:
    """The engine "offline"."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._frames = decoder.config["frate"]  # a second
        self.info = EngineInfo(
            provider="pocketsphinx",
            model="en-us",
            revision=version("pocketsphinx"),
            device="cpu",
            compute_type="float32",
        )

    def check(self, settings: Settings) -> None:
        """It transcribes English, and that is all."""
        if settings.task != "transcribe":
            raise TaskFailed("unsupported_setting", "the offline engine can't translate")
        if settings.language not in ("auto", "en"):
            raise TaskFailed(
                "unsupported_setting",
                f"the offline engine understands English only, not {settings.language!r}",
            )

    def identify(self, block: Block, tick: Tick) -> Language:  # noqa: ARG002
        """English: it knows no other."""
        return Language("en", 1.0)

    def transcribe(self, block: Block, context: Context, tick: Tick) -> Iterator[Phrase]:
        """One phrase for each run of words without a longer pause."""
        for clip in clips(block, LONGEST):
            tick()
            words = self._words(block.samples[clip.start : clip.end], clip.start / RATE)
            for phrase in _phrases(words):
                segment = Segment(
                    start=phrase[0].start,
                    end=phrase[-1].end,
                    text="".join(word.word for word in phrase).strip(),
                )
                yield Phrase(segment, tuple(phrase) if context.settings.word_timestamps else ())

    def _words(self, samples: Samples, offset: float) -> list[Word]:
        decoder = self._decoder
        # Its estimate of the noise would carry over from one utterance to the next.
        decoder.reinit_feat()
        decoder.start_utt()
        raw = np.clip(samples * 32768.0, -32768, 32767).astype(np.int16).tobytes()
        decoder.process_raw(raw, no_search=False, full_utt=True)
        decoder.end_utt()
        return [
            Word(
                start=offset + found.start_frame / self._frames,
                end=offset + (found.end_frame + 1) / self._frames,
                word=" " + found.word.partition("(")[0],  # "to(2)" is a way to pronounce "to"
                probability=round(min(found.prob, 1.0), 4),  # its logarithms are coarse
            )
            for found in decoder.seg() or ()
            if found.word[0] not in "<["  # <s>, <sil>, [NOISE]
        ]


def _phrases(words: list[Word]) -> Iterator[list[Word]]:
    phrase: list[Word] = []
    for word in words:
        if phrase and word.start - phrase[-1].end >= PAUSE:
            yield phrase
            phrase = []
        phrase.append(word)
    if phrase:
        yield phrase
