from __future__ import annotations

import random
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from child import AUDIO, MODEL, task
from faster_whisper.audio import decode_audio

from scriberrd.errors import TaskFailed
from scriberrd.settings import Settings
from scriberrd.worker import engines
from scriberrd.worker.audio import RATE, Samples, Source
from scriberrd.worker.blocks import Block, blocks
from scriberrd.worker.clips import Clip, pack
from scriberrd.worker.decoding import Decoded, decode
from scriberrd.worker.engines import Context, Engine, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def nothing() -> None:
    """A tick."""


def block_of(samples: Samples) -> Block:
    (block,) = blocks(Source(iter([samples])), max(len(samples), 4 * RATE))
    return block


def say(engine: Engine, clips: Sequence[Clip], **settings: Any) -> list[Decoded]:
    return decode(clips, engine, Context(Settings(**settings), "en"), nothing)


def wanted(**settings: Any) -> Wanted:
    return Wanted.by(task(**settings))


def refusal(**settings: Any) -> tuple[str, str]:
    with pytest.raises(TaskFailed) as caught:
        engines.load(wanted(**settings), nothing).check(Settings(**settings))
    return caught.value.failure, caught.value.detail


@pytest.fixture(scope="module")
def engine() -> Engine:
    return engines.load(wanted(), nothing)


def test_what_was_used_is_told(engine: Engine) -> None:
    assert engine.info.provider == "faster-whisper"
    assert engine.info.model == "model"  # the folder's name, not its path
    assert engine.info.device == "cpu"
    assert engine.info.compute_type == "int8_float32"


def hard() -> Samples:
    """Speech three times as fast, of which the model understands little."""
    samples = decode_audio(str(AUDIO / "speech.mp3"))
    faster = np.interp(np.arange(0, len(samples) - 1, 3.0), np.arange(len(samples)), samples)
    return faster.astype(np.float32)


class Watched:
    """An engine that notes in which ways it was asked to decode."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.ways, self.tried = engine.ways, list[int]()

    def decode(self, clips: Any, context: Context, way: int, tick: Any) -> Any:
        self.tried.append(way)
        return self.engine.decode(clips, context, way, tick)


def test_bad_clips_end_the_same_every_time(engine: Engine) -> None:
    clips = pack(block_of(hard()))
    watched: Any = Watched(engine)
    first = say(watched, clips)
    assert {1, 2} <= set(watched.tried)  # it is as bad as it should be
    say(engine, pack(block_of(decode_audio(str(AUDIO / "speech.mp3")))))
    assert say(engine, clips) == first
    assert say(engines.load(wanted(), nothing), clips) == first


def test_a_clip_depends_on_itself_alone(engine: Engine) -> None:
    clips = pack(block_of(decode_audio(str(AUDIO / "dialogue.opus"))[: 100 * RATE]))
    assert len(clips) >= 4
    one_by_one = [say(engine, [clip])[0] for clip in clips]
    order = list(range(len(clips)))
    random.Random(5).shuffle(order)
    for number in order:
        assert say(engine, [clips[number]])[0] == one_by_one[number]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda clip: say(engine, [clip])[0], clips)) == one_by_one


def test_the_prompt_matters(engine: Engine) -> None:
    clips = pack(block_of(decode_audio(str(AUDIO / "sentence.wav"))))
    (plain,) = say(engine, clips)
    (prompted,) = say(engine, clips, initial_prompt="The train to Rome leaves.")
    assert plain.segments[0].text == prompted.segments[0].text
    assert plain.segments[0].avg_logprob != prompted.segments[0].avg_logprob


@pytest.mark.parametrize("settings", [{}, {"batch_size": 4}, {"context": "carry"}], ids=str)
def test_no_sentence_is_lost(engine: Engine, settings: dict[str, Any]) -> None:
    samples = decode_audio(str(AUDIO / "dialogue.opus"))[: 60 * RATE]
    found = say(engine, pack(block_of(samples)), **settings)
    text = " ".join(segment.text for clip in found for segment in clip.segments)
    assert "hospital" in text
    assert len(text.split()) > 140
    assert not [gap for clip in found for gap in clip.gaps]


def test_unsupported_settings() -> None:
    assert refusal(model=str(MODEL), language="de")[0] == "unsupported_setting"
    assert "'de'" in refusal(model=str(MODEL), language="de")[1]
    assert refusal(model=str(MODEL), task="translate")[0] == "unsupported_setting"


def test_devices_that_are_not_there() -> None:
    for device in ("cuda:99", "tpu"):
        assert refusal(hardware={"device": device})[0] == "device_unavailable"
    assert refusal(hardware={"compute_type": "int3"})[0] == "device_unavailable"


def test_engines_that_are_not_there() -> None:
    code, detail = refusal(engine="magic")
    assert code == "engine_missing"
    assert "faster-whisper" in detail


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
