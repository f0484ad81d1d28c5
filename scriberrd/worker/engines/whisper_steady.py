"""faster-whisper's model made deterministic: its output depends on its input alone.

When a window comes out badly (improbable or repetitive), faster-whisper decodes it again with
random sampling. CTranslate2 seeds its generator once for each of its threads, when that thread
first draws from it; `set_random_seed` does not reach one that has begun, so a second run of the
same block would end differently. Here a bad window is decoded again in ways without chance, which
go at the causes: without the text before it (the usual reason of loops), then with repetition
forbidden.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.feature_extractor import FeatureExtractor

if TYPE_CHECKING:
    from collections.abc import Callable

IMPROBABLE = -1.0  # mean log probability; these three are Whisper's own limits
REPETITIVE = 2.4  # compression ratio
SILENT = 0.6  # probability of no speech
AGAINST_LOOPS = {"repetition_penalty": 1.1, "no_repeat_ngram_size": 3}
CLEAN, DOUBTFUL = 0.0, 1.0  # "temperatures": faster-whisper drops its prompt after the second


class SlicedFeatures(FeatureExtractor):  # type: ignore[misc]
    """The features of faster-whisper, computed with half of the memory."""

    def stft(self, sound: Any, n_fft: int, hop_length: int, **how: Any) -> Any:
        """The spectrum of each frame, for 30 s at a time: 5 min at once would take 300 MB.

        The later steps are not split, because rounding depends on the size of a matrix product.
        """
        step = self.nb_max_frames
        padded = np.pad(sound, n_fft // 2, mode="reflect")
        slices = [
            super(SlicedFeatures, self).stft(
                padded[first * hop_length : (first + step - 1) * hop_length + n_fft],
                n_fft,
                hop_length,
                center=False,
                **how,
            )
            for first in range(0, len(sound) // hop_length + 1, step)
        ]
        return np.concatenate(slices, axis=-1)


class SteadyModel(WhisperModel):  # type: ignore[misc]
    """A `faster_whisper.WhisperModel` with reproducible results.

    Attributes:
        tick: called for each window or batch of windows.
        at_once: windows are whole: keep what is said after the last time token. Otherwise the
            next window begins there, and it is decoded with that.
    """

    at_once = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.tick: Callable[[], None] = lambda: None
        super().__init__(*args, **kwargs)
        self.feature_extractor = SlicedFeatures(**self.feat_kwargs)

    def encode(self, features: Any) -> Any:
        """Encode windows: the first step of each."""
        self.tick()
        return super().encode(features)

    def generate_with_fallback(
        self, encoder_output: Any, prompt: list[int], tokenizer: Any, options: Any
    ) -> tuple[Any, float, float, float]:
        """Decode a window: (result, mean log probability, "temperature", compression ratio)."""
        alone = self.get_prompt(
            tokenizer,
            [],
            without_timestamps=options.without_timestamps,
            hotwords=options.hotwords,
        )
        attempts = [(prompt, options)]
        if alone != prompt:
            attempts.append((alone, options))
        attempts.append((alone, replace(options, **AGAINST_LOOPS)))
        results: list[tuple[Any, float, float, float]] = []
        for tokens, how in attempts:
            result, logprob, _, ratio = super().generate_with_fallback(
                encoder_output, tokens, tokenizer, replace(how, temperatures=[CLEAN])
            )
            results.append((result, logprob, DOUBTFUL if results else CLEAN, ratio))
            silent = result.no_speech_prob > SILENT and logprob < IMPROBABLE
            if silent or (logprob >= IMPROBABLE and ratio <= REPETITIVE):
                return results[-1]
        result, logprob, _, ratio = max(
            [r for r in results if r[3] <= REPETITIVE] or results, key=lambda r: r[1]
        )
        return result, logprob, DOUBTFUL, ratio

    def _split_segments_by_timestamps(
        self, tokenizer: Any, tokens: list[int], *, segment_duration: float, **rest: Any
    ) -> Any:
        if self.at_once and tokens and tokens[-1] < tokenizer.timestamp_begin:
            end = tokenizer.timestamp_begin + round(segment_duration / self.time_precision)
            tokens = [*tokens, end]
        return super()._split_segments_by_timestamps(
            tokenizer=tokenizer, tokens=tokens, segment_duration=segment_duration, **rest
        )
