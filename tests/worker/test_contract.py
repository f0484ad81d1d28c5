"""What the engine takes from faster-whisper and CTranslate2: a release that moves it fails here."""

from __future__ import annotations

import inspect
from importlib.metadata import version

import ctranslate2
import numpy as np
import pytest
from child import MODEL
from faster_whisper import WhisperModel, transcribe
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.utils import _MODELS

from scriberrd.files import models


@pytest.fixture(scope="module")
def model() -> WhisperModel:
    return WhisperModel(str(MODEL), device="cpu", compute_type="int8", cpu_threads=1)


def names(function: object) -> set[str]:
    return set(inspect.signature(function).parameters)  # type: ignore[arg-type]


def test_the_versions() -> None:
    assert version("faster-whisper") == "1.2.1"
    assert tuple(map(int, version("ctranslate2").split(".")[:3])) >= (4, 8, 1)


def test_the_daemon_knows_the_same_names() -> None:
    # It imports neither of the two: a table of its own has them.
    named = models.NAMES | {alias: models.NAMES[name] for alias, name in models.ALIASES.items()}
    assert named == _MODELS


def test_what_is_called_is_there() -> None:
    assert {"cpu_threads", "num_workers", "device_index"} <= names(WhisperModel.__init__)
    assert {"without_timestamps", "hotwords"} <= names(WhisperModel.get_prompt)
    assert {"text_tokens", "encoder_output", "num_frames"} <= names(WhisperModel.find_alignment)
    assert {"condition_on_previous_text", "initial_prompt", "word_timestamps"} <= names(
        WhisperModel.transcribe
    )
    assert names(transcribe.merge_punctuations) == {"alignment", "prepended", "appended"}
    assert callable(ctranslate2.models.Whisper.generate)


def test_features_have_ten_milliseconds_each(model: WhisperModel) -> None:
    extractor = model.feature_extractor
    assert (extractor.n_samples, extractor.nb_max_frames) == (480_000, 3000)
    assert extractor.hop_length == 160
    assert extractor(np.zeros(480_000, np.float32)).shape[-1] >= 3000


def test_alignment_gives_words_with_times(model: WhisperModel) -> None:
    tokenizer = Tokenizer(model.hf_tokenizer, False, task="transcribe", language="en")  # noqa: FBT003
    encoded = model.encode(np.zeros((1, 80, 3000), np.float32))
    tokens = tokenizer.encode(" The train leaves.")
    (words,) = model.find_alignment(tokenizer, [tokens], encoded, [300])
    assert [word["word"] for word in words] == [" The", " train", " leaves", "."]
    assert set(words[0]) == {"word", "tokens", "start", "end", "probability"}
