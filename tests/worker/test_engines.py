from __future__ import annotations

import random
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from child import AUDIO, MODEL, task
from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio
from faster_whisper.feature_extractor import FeatureExtractor

from scriberrd.errors import TaskFailed
from scriberrd.model import Settings
from scriberrd.worker import engines
from scriberrd.worker.audio import RATE, Samples, Source
from scriberrd.worker.blocks import Block, Span, blocks
from scriberrd.worker.engines import Context, Engine, Phrase, Wanted, whisper
from scriberrd.worker.engines.whisper_steady import SlicedFeatures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def nothing() -> None:
    """A tick."""


def block_of(samples: Samples) -> Block:
    (block,) = blocks(Source(iter([samples])), max(len(samples), 4 * RATE))
    return block


def say(engine: Engine, block: Block, prompt: str = "", **settings: Any) -> list[Phrase]:
    context = Context(Settings(**settings), "en", prompt)
    return list(engine.transcribe(block, context, nothing))


def wanted(**settings: Any) -> Wanted:
    return Wanted.by(task(**settings))


def refusal(**settings: Any) -> tuple[str, str]:
    with pytest.raises(TaskFailed) as caught:
        engines.load(wanted(**settings), nothing).check(Settings(**settings))
    return caught.value.failure, caught.value.detail


@pytest.fixture(scope="module")
def engine() -> Engine:
    return engines.load(wanted(), nothing)


@pytest.fixture(scope="module")
def bare() -> WhisperModel:
    return WhisperModel(str(MODEL), device="cpu", compute_type="int8", cpu_threads=1)


@pytest.mark.parametrize("name", ["sentence.wav", "speech.mp3", "stereo.flac", "dialogue.opus"])
def test_one_block_is_what_bare_faster_whisper_makes(
    name: str, engine: Engine, bare: WhisperModel
) -> None:
    samples = decode_audio(str(AUDIO / name))[: 75 * RATE]  # three windows at the most
    segments, _ = bare.transcribe(samples, language="en", vad_filter=True, word_timestamps=True)
    truth = list(segments)
    got = say(engine, block_of(samples))
    assert [p.segment.text for p in got] == [s.text.strip() for s in truth]
    assert [(p.segment.start, p.segment.end) for p in got] == [(s.start, s.end) for s in truth]
    assert [[(w.start, w.end, w.word) for w in p.words] for p in got] == [
        [(w.start, w.end, w.word) for w in s.words] for s in truth
    ]


@pytest.mark.parametrize("seconds", [0.005, 1, 29.99, 30, 30.01, 60, 61.2345, 140])
def test_features_of_slices_are_those_of_the_whole(seconds: float) -> None:
    samples = decode_audio(str(AUDIO / "dialogue.opus"))[: int(seconds * RATE)]
    assert np.array_equal(SlicedFeatures()(samples), FeatureExtractor()(samples))


def test_what_was_used_is_told(engine: Engine) -> None:
    assert engine.info.provider == "faster-whisper"
    assert engine.info.model == "model"  # the folder's name, not its path
    assert engine.info.device == "cpu"
    assert engine.info.compute_type == "int8_float32"


def hard() -> Samples:
    """Speech so fast that the model stumbles."""
    samples = decode_audio(str(AUDIO / "speech.mp3"))
    faster = np.interp(np.arange(0, len(samples) - 1, 2.0), np.arange(len(samples)), samples)
    return faster.astype(np.float32)


def whole(samples: Samples) -> Block:
    return Block(0, samples, (Span(0, len(samples)),), (Span(0, len(samples)),))


def test_bad_windows_end_the_same_every_time(engine: Engine, bare: WhisperModel) -> None:
    block = whole(hard())
    segments, _ = bare.transcribe(block.samples, language="en")
    assert any(segment.temperature > 0 for segment in segments)  # it is as bad as it should be
    first = say(engine, block)
    say(engine, block_of(decode_audio(str(AUDIO / "speech.mp3"))))
    assert say(engine, block) == first
    assert say(engines.load(wanted(), nothing), block) == first


def test_a_block_does_not_depend_on_those_before(engine: Engine) -> None:
    samples = decode_audio(str(AUDIO / "dialogue.opus"))[: 36 * RATE]
    cuts = list(blocks(Source(iter([samples])), 15 * RATE))
    assert len(cuts) >= 3
    forward = [say(engine, cut) for cut in cuts]
    order = list(range(len(cuts)))
    random.Random(5).shuffle(order)
    for number in order:
        assert say(engine, cuts[number]) == forward[number]


def test_the_prompt_matters(engine: Engine) -> None:
    block = block_of(decode_audio(str(AUDIO / "sentence.wav")))
    plain, prompted = say(engine, block), say(engine, block, "The train to Rome leaves.")
    assert plain[0].segment.text == prompted[0].segment.text
    assert plain[0].segment.avg_logprob != prompted[0].segment.avg_logprob


def test_words_are_optional(engine: Engine) -> None:
    block = block_of(decode_audio(str(AUDIO / "sentence.wav")))
    assert say(engine, block)[0].words
    assert say(engine, block, word_timestamps=False)[0].words == ()


def test_batches_keep_what_follows_the_last_time_token(engine: Engine) -> None:
    samples = decode_audio(str(AUDIO / "dialogue.opus"))[: 60 * RATE]
    text = " ".join(p.segment.text for p in say(engine, whole(samples), batch_size=4))
    assert "hospital" in text
    assert len(text.split()) > 120


def test_unsupported_settings() -> None:
    assert refusal(model=str(MODEL), language="de")[0] == "unsupported_setting"
    assert "'de'" in refusal(model=str(MODEL), language="de")[1]
    assert refusal(model=str(MODEL), task="translate")[0] == "unsupported_setting"


def test_devices_that_are_not_there() -> None:
    for device in ("cuda:99", "tpu"):
        assert refusal(hardware={"device": device})[0] == "device_unavailable"
    assert refusal(hardware={"compute_type": "int3"})[0] == "device_unavailable"


def test_engines_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    code, detail = refusal(engine="magic")
    assert code == "engine_missing"
    assert "faster-whisper" in detail
    monkeypatch.setitem(sys.modules, "scriberrd.worker.engines.whisper", None)
    code, detail = refusal()
    assert (code, "'faster-whisper' can't be imported" in detail) == ("engine_missing", True)


def test_models_that_are_not_there(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    torn = tmp_path / "torn"
    shutil.copytree(MODEL, torn)
    with (torn / "model.bin").open("r+b") as file:
        file.truncate(100_000)
    for model in (empty, torn, tmp_path / "nowhere"):
        code, detail = refusal(model=str(model))
        assert code == "model_missing"
        assert str(tmp_path) not in detail
    assert refusal(model="gigantic")[0] == "model_missing"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of the hub, and no hub."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_the_cache_is_looked_at_first(cache: Path) -> None:
    want = wanted(model="someone/tiny")._replace(model_cache=str(cache))
    with pytest.raises(TaskFailed) as caught:
        engines.load(want, nothing)
    assert caught.value.failure == "model_missing"
    assert "auto_download" in caught.value.detail
    revision = "0123456789012345678901234567890123456789"
    repository = cache / "models--someone--tiny"
    shutil.copytree(MODEL, repository / "snapshots" / revision)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    info = engines.load(want, nothing).info
    assert (info.model, info.revision) == ("someone/tiny", revision)


class Refusing(BaseHTTPRequestHandler):
    """A hub that gives nothing to us."""

    status = 0

    def do_GET(self) -> None:
        self.send_error(self.status)

    do_HEAD = do_GET  # noqa: N815 - as the library calls it


@pytest.mark.parametrize(
    ("status", "code"), [(401, "hub_refused"), (403, "hub_refused"), (404, "model_missing")]
)
def test_what_the_hub_refuses(
    status: int, code: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refusing, "status", status)
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        hub = threading.Thread(target=server.serve_forever)
        hub.start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
        want = wanted(model="someone/tiny")._replace(model_cache=str(cache), auto_download=True)
        with pytest.raises(TaskFailed) as caught:
            engines.load(want, nothing)
        server.shutdown()
        hub.join()
    assert caught.value.failure == code
    assert "can't download someone/tiny" in caught.value.detail


def test_suspicions() -> None:
    assert whisper.suspicions(-0.2, 0.9, 1.5) == ()
    assert whisper.suspicions(-1.2, 0.1, 1.5) == ("low_confidence",)
    assert whisper.suspicions(-0.2, 0.1, 2.6) == ("repetitive",)
    assert whisper.suspicions(-0.7, 0.7, 1.0) == ("maybe_silence",)


def test_language_windows_spread_over_the_speech() -> None:
    seconds = np.arange(200 * RATE) // RATE
    windows = whisper.spread(seconds.astype(np.float32))
    assert [int(w[0]) for w in windows] == [0, 42, 85, 127, 170]
    assert {len(w) for w in windows} == {30 * RATE}
    assert [len(w) for w in whisper.spread(np.zeros(5 * RATE, np.float32))] == [5 * RATE]


def test_the_language_is_the_most_probable_on_average() -> None:
    votes = [{"en": 0.9, "de": 0.1}, {"en": 0.1, "de": 0.8}, {"en": 0.2, "de": 0.7}]
    assert whisper.average(votes) == ("de", 0.5333)
