"""Whisper through faster-whisper, on CPU or CUDA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ctranslate2 import StorageView
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens, merge_punctuations
from msgspec import UNSET

from scriberrd.errors import TaskFailed
from scriberrd.transcript import EngineInfo, Word
from scriberrd.worker.engines import Context, Heard, Tick, Wanted
from scriberrd.worker.engines.whisper_setup import (
    choose_compute_type,
    choose_device,
    find_model,
    load_failure,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scriberrd.settings import Settings
    from scriberrd.worker.audio import Samples
    from scriberrd.worker.clips import Clip

SUPPRESS = [-1]  # the tokens that stand for no speech, as Whisper does
# Signs that belong to the word after or before them, as Whisper has it.
OPENING, FOLLOWING = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 - of many scripts
AT_ONCE, IN_WINDOWS, AGAINST_LOOPS = WAYS = range(3)
SHORTEST = 10  # features of 10 ms; with less, nothing can be aligned
NO_LOOPS = {"repetition_penalty": 1.1, "no_repeat_ngram_size": 3}


def load(wanted: Wanted, tick: Tick) -> Whisper:
    """An entry point of `scriberrd.engines`; `wanted.model` is a folder, a name or a hub id."""
    device = choose_device(wanted.hardware.device)
    compute_type = choose_compute_type(wanted.hardware.compute_type, device)
    files = find_model(wanted, tick)
    tick()
    try:
        # Clips beside each other scale with the cores, threads within a clip do not, and one
        # thread a clip always computes the same bits.
        model = WhisperModel(
            str(files.folder),
            device=device.kind,
            device_index=device.number,
            compute_type=compute_type,
            cpu_threads=1,
            num_workers=max(1, wanted.hardware.threads),
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
    return Whisper(model, info, files.download_seconds)


class Whisper:
    """The engine "faster-whisper": its state does not change, so that threads can share it.

    CTranslate2 samples with a generator that can't be seeded again, so nothing here is sampled.
    """

    def __init__(
        self, model: WhisperModel, info: EngineInfo, download_seconds: float | None = None
    ) -> None:
        self._model = model
        self.download_seconds = download_seconds
        self.ways = len(WAYS)
        self.info = info

    def check(self, settings: Settings) -> None:
        """Raise for a language or task that the model does not know."""
        model, name = self._model, self.info.model
        english = not model.model.is_multilingual
        for key, codes in (("language", {settings.language}), ("languages", settings.languages)):
            for code in sorted({*codes} - {"auto"}):
                token = model.hf_tokenizer.token_to_id(f"<|{code}|>")
                if english and code != "en":
                    raise _unsupported(key, f"{name} understands English only, not {code!r}")
                if not english and (code not in model.supported_languages or token is None):
                    what = f"{name} knows no language {code!r}; a code is like 'en'"
                    raise _unsupported(key, what)
        if english and settings.task == "translate":
            raise _unsupported("task", f"{name} understands English only: nothing to do")

    def identify(self, clips: Sequence[Clip], tick: Tick) -> list[Mapping[str, float]]:
        """How probable each language is in each of these clips."""
        if not self._model.model.is_multilingual:
            return [{"en": 1.0} for _ in clips]
        votes: list[Mapping[str, float]] = []
        for clip in clips:
            tick()
            # Of sound with silence behind it, as Whisper has learnt: it is surer of short clips so.
            extractor = self._model.feature_extractor
            silence = max(0, extractor.n_samples - len(clip.samples))
            features = extractor(np.pad(clip.samples, (0, silence)))
            encoded = self._model.encode(features[..., : extractor.nb_max_frames])
            (found,) = self._model.model.detect_language(encoded)
            votes.append({token[2:-2]: probability for token, probability in found})
        return votes

    def decode(self, clips: Sequence[Clip], context: Context, way: int, tick: Tick) -> list[Heard]:
        """What is said: at once without time tokens, or in windows, or against repetition."""
        sounds = [clip.samples for clip in clips]
        if way == AGAINST_LOOPS:
            return self._at_once(sounds, context, tick, **NO_LOOPS)
        if way == IN_WINDOWS or context.settings.context == "carry":
            return [self._in_windows(sound, context, tick) for sound in sounds]
        return self._at_once(sounds, context, tick)

    def _at_once(
        self, sounds: Sequence[Samples], context: Context, tick: Tick, **how: Any
    ) -> list[Heard]:
        """Without time tokens: with them, Whisper stops at the last whole phrase of a clip."""
        model, settings = self._model, context.settings
        tokenizer = self._tokenizer(context)
        tick()
        encoded = self._encoded(sounds, tick)
        prompt = model.get_prompt(
            tokenizer,
            self._hint(context, tokenizer),
            without_timestamps=True,
            hotwords=settings.hotwords or None,
        )
        results = model.model.generate(
            encoded,
            [prompt] * len(sounds),
            beam_size=settings.beam_size,
            max_length=model.max_length,
            suppress_blank=True,
            suppress_tokens=get_suppressed_tokens(tokenizer, list(SUPPRESS)),
            return_scores=True,
            return_no_speech_prob=True,
            **how,
        )
        texts = [
            [token for token in result.sequences_ids[0] if token < tokenizer.eot]
            for result in results
        ]
        tick()
        hop = model.feature_extractor.hop_length
        frames = [max(SHORTEST, len(sound) // hop) for sound in sounds]
        aligned = self._aligned(tokenizer, texts, encoded, frames)
        return [
            Heard(
                words=words,
                text=tokenizer.decode(tokens),
                avg_logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
                no_speech_prob=result.no_speech_prob,
            )
            for result, tokens, words in zip(results, texts, aligned, strict=True)
        ]

    def _encoded(self, sounds: Sequence[Samples], tick: Tick) -> StorageView:
        """What the encoder makes of them: a CPU is quicker with one at a time, a GPU with all."""
        model = self._model
        features = [pad_or_trim(model.feature_extractor(sound)[..., :-1]) for sound in sounds]
        tick()
        if len(sounds) == 1 or model.model.device != "cpu":
            return model.encode(np.stack(features))
        encoded = []
        for one in features:
            encoded.append(np.asarray(model.encode(one)))
            tick()
        return StorageView.from_array(np.concatenate(encoded))

    def _aligned(
        self, tokenizer: Tokenizer, texts: Sequence[list[int]], encoded: Any, frames: list[int]
    ) -> list[tuple[Word, ...]]:
        """The words of each text, with their times."""
        found = self._model.find_alignment(tokenizer, texts, encoded, frames)
        for words in found:
            merge_punctuations(words, OPENING, FOLLOWING)
        return [
            tuple(
                _word(w["start"], w["end"], w["word"], w["probability"]) for w in words if w["word"]
            )
            for words in found
        ]

    def _in_windows(self, sound: Samples, context: Context, tick: Tick) -> Heard:
        """As bare faster-whisper does: each window begins where the last whole phrase ended."""
        settings = context.settings
        tick()
        found, _ = self._model.transcribe(
            sound,
            language=context.language,
            task=settings.task,
            beam_size=settings.beam_size,
            temperature=0.0,
            hotwords=settings.hotwords or None,
            initial_prompt=context.before or settings.initial_prompt or None,
            condition_on_previous_text=settings.context == "carry",
            word_timestamps=True,
        )
        segments = []
        for segment in found:
            tick()
            segments.append(segment)
        tokens = [token for segment in segments for token in segment.tokens]
        logprob = sum(segment.avg_logprob * len(segment.tokens) for segment in segments)
        return Heard(
            words=tuple(
                _word(w.start, w.end, w.word, w.probability)
                for segment in segments
                for w in segment.words
            ),
            text="".join(segment.text for segment in segments),
            avg_logprob=logprob / len(tokens) if tokens else None,
            no_speech_prob=max((segment.no_speech_prob for segment in segments), default=None),
            after=tokens,
        )

    def _tokenizer(self, context: Context) -> Tokenizer:
        model = self._model
        return Tokenizer(
            model.hf_tokenizer,
            model.model.is_multilingual,
            task=context.settings.task,
            language=context.language,
        )

    def _hint(self, context: Context, tokenizer: Tokenizer) -> list[int]:
        prompt = context.settings.initial_prompt.strip()
        return tokenizer.encode(f" {prompt}") if prompt else []


def _word(start: Any, end: Any, word: str, probability: Any) -> Word:
    """A word in Python's own numbers: now and then they are numpy's."""
    return Word(
        start=float(start), end=float(end), word=word, probability=round(float(probability), 4)
    )


def _unsupported(key: str, what: str) -> TaskFailed:
    return TaskFailed("unsupported_setting", f"{key}: {what}")
