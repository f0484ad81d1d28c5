from __future__ import annotations

import errno
import io
import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

import av
import numpy as np
import pytest
from child import AUDIO
from faster_whisper.audio import decode_audio

from scriberrd.errors import TaskFailed
from scriberrd.worker.audio import RATE, Recording, Samples, Source

if TYPE_CHECKING:
    from pathlib import Path

EVERY = sorted(p.name for p in AUDIO.iterdir() if p.suffix not in (".json", ".md"))


def decode(file: BinaryIO | Path, track: Any = "default") -> tuple[Samples, tuple[str, ...]]:
    """All samples and the warnings."""
    opened = file if isinstance(file, io.IOBase) else file.open("rb", buffering=0)
    with opened:
        recording = Recording(opened, track)
        parts = list(recording.samples())
        warnings = recording.warnings()
        recording.close()
    return np.concatenate(parts) if parts else np.zeros(0, np.float32), warnings


def failure(data: bytes, track: Any = "default") -> str:
    with pytest.raises(TaskFailed) as caught:
        decode(io.BytesIO(data), track)
    return caught.value.failure


def container(
    packets: list[tuple[float, int]], name: str = "matroska", rate: int = RATE
) -> io.BytesIO:
    """A PCM track of noise: (start in seconds, samples) of each packet."""
    made = io.BytesIO()
    noise = np.random.default_rng(3)
    with av.open(made, "w", format=name) as box:
        stream = box.add_stream("pcm_s16le", rate=rate, layout="mono")
        for start, count in packets:
            samples = noise.integers(1000, 9000, (1, count), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            frame.rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round(start * rate)
            box.mux(stream.encode(frame))
    made.seek(0)
    return made


def silences(samples: Samples) -> list[tuple[float, float]]:
    """Runs of zeros of more than 10 ms, in seconds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], samples != 0, [1]])))
    pairs = [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
    return [(round(a / RATE, 2), round(b / RATE, 2)) for a, b in pairs if b - a > 160]


@pytest.mark.parametrize("name", EVERY)
def test_the_samples_are_those_of_faster_whisper(name: str) -> None:
    got, warnings = decode(AUDIO / name)
    assert np.array_equal(got, decode_audio(str(AUDIO / name)))
    assert got.dtype == np.float32
    assert warnings == ()


@pytest.mark.parametrize("name", EVERY)
def test_the_duration_is_the_true_one(name: str, expected: dict[str, Any]) -> None:
    truth = expected[name]["tracks"][0]["duration"] if "tracks" in expected[name] else None
    got, _ = decode(AUDIO / name)
    assert len(got) / RATE == pytest.approx(truth or expected[name]["duration"], abs=0.06)


def test_probe() -> None:
    with (AUDIO / "stereo.flac").open("rb") as file:
        recording = Recording(file)
        assert (recording.container, recording.codec, recording.channels) == ("flac", "flac", 2)
        assert recording.duration == pytest.approx(12.845)
        recording.close()


def test_a_shared_offset_does_not_matter() -> None:
    with (AUDIO / "sentence.wav").open("rb", buffering=0) as file:
        file.seek(1000)
        recording = Recording(file)
        assert sum(len(piece) for piece in recording.samples()) == 42480
        recording.close()


def test_tracks_and_the_late_start_of_the_second() -> None:
    first, _ = decode(AUDIO / "tracks.mkv", 0)
    default, _ = decode(AUDIO / "tracks.mkv")
    second, _ = decode(AUDIO / "tracks.mkv", 1)
    assert np.array_equal(first, default)
    assert silences(second)[0][0] == 0.0
    assert silences(second)[0][1] == pytest.approx(1.5, abs=0.15)
    assert len(second) / RATE == pytest.approx(8.05, abs=0.05)


@pytest.mark.parametrize("track", [2, 17])
def test_a_track_that_is_not_there(track: int) -> None:
    assert failure((AUDIO / "tracks.mkv").read_bytes(), track) == "no_such_track"


def test_a_gap_in_the_timestamps_becomes_silence() -> None:
    box = container([(0.0, 8000), (0.5, 8000), (4.0, 8000), (4.5, 8000)])
    got, _ = decode(box)
    assert silences(got) == [(1.0, 4.0)]
    assert len(got) == 5 * RATE


def test_small_gaps_add_up() -> None:
    got, _ = decode(container([(0.6 * i, 8000) for i in range(12)]))
    assert len(got) / RATE == pytest.approx(12 * 0.6, abs=0.5)


def test_timestamps_that_go_back_or_far_away_make_no_silence() -> None:
    box = container([(0.0, 8000), (0.0, 8000), (1.0, 8000), (1e7, 8000)], "nut")
    got, _ = decode(box)
    assert len(got) == 4 * 8000


def test_empty_and_foreign_files(tmp_path: Path) -> None:
    assert failure(b"") == "empty_file"
    assert failure(b"\0" * 5000) == "invalid_media"
    assert failure(b"The quick brown fox. " * 500) == "invalid_media"
    (tmp_path / "picture.mp4").write_bytes(picture().getvalue())
    assert failure(picture().getvalue()) == "no_audio_stream"


def picture() -> io.BytesIO:
    """A film without sound."""
    made = io.BytesIO()
    with av.open(made, "w", format="mp4") as box:
        stream = box.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            image = np.zeros((48, 64, 3), np.uint8)
            box.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        box.mux(stream.encode(None))
    return made


def test_a_wave_file_without_samples_is_empty_audio() -> None:
    got, _ = decode(io.BytesIO((AUDIO / "sentence.wav").read_bytes()[:44]))
    assert not len(got)


@pytest.mark.parametrize(
    "playlist",
    [b"ffconcat version 1.0\nfile speech.mp3\n", b"ffconcat version 1.0\nfile '/etc/passwd'\n"],
)
def test_a_playlist_opens_no_other_file(playlist: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(AUDIO)
    assert failure(playlist) == "invalid_media"


@pytest.mark.parametrize(("name", "share"), [("speech.mp3", 0.5), ("speech.webm", 0.6)])
def test_a_truncated_recording_is_told(name: str, share: float) -> None:
    data = (AUDIO / name).read_bytes()
    got, warnings = decode(io.BytesIO(data[: int(len(data) * share)]))
    assert 3 * RATE < len(got) < 7 * RATE
    assert any("it may be truncated" in warning for warning in warnings)


def test_a_film_cut_off_before_its_index_is_invalid() -> None:
    assert failure((AUDIO / "speech.mp4").read_bytes()[:30000]) == "invalid_media"


@pytest.mark.parametrize("name", ["speech.mp3", "speech.flac", "speech.opus", "speech.m4a"])
def test_damage_in_the_middle_is_skipped_and_counted(name: str) -> None:
    data = bytearray((AUDIO / name).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(1).bytes(3000)
    got, warnings = decode(io.BytesIO(bytes(data)))
    assert 8 * RATE < len(got) <= 10 * RATE
    assert len([w for w in warnings if "damaged" in w]) <= 1


def test_damaged_packets_are_counted() -> None:
    data = bytearray((AUDIO / "speech.m4a").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    _, warnings = decode(io.BytesIO(bytes(data)))
    assert warnings == ("23 packets are damaged, from 4.9 to 5.4 s",)


class Failing(io.FileIO):
    """A file of a share that goes away."""

    def __init__(self, path: Path, number: int, good: int) -> None:
        super().__init__(path)
        self.number, self.good = number, good

    def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        if self.tell() + (size or 0) > self.good:
            raise OSError(self.number, "gone")
        return super().read(size)  # type: ignore[return-value]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("name", ["dialogue.opus", "speech.flac", "speech.m4a", "sentence.wav"])
@pytest.mark.parametrize("good", [0, 40000])
def test_a_read_that_fails_is_no_end(name: str, number: int, good: int) -> None:
    with pytest.raises(TaskFailed) as caught:
        decode(Failing(AUDIO / name, number, good))
    assert caught.value.failure == "read_failed"
    assert caught.value.detail == os.strerror(number)


def test_a_place_that_is_none_is_damage_and_no_failed_read() -> None:
    data = bytearray((AUDIO / "speech.m4a").read_bytes())
    offset = data.index(b"stco") + 12  # of the only chunk, in an index of 32 bits
    data[offset : offset + 4] = b"\xff\xff\xff\xf0"
    _, warnings = decode(io.BytesIO(bytes(data)))
    assert "it may be truncated" in warnings[-1]


def test_what_ffmpeg_calls_an_error_of_reading_may_be_damage() -> None:
    assert failure((AUDIO / "speech.webm").read_bytes()[:177]) == "invalid_media"


def test_source_reads_and_skips_exactly() -> None:
    samples = np.arange(10_000, dtype=np.float32)
    ticks: list[int] = []
    source = Source(iter(np.split(samples, 10)), lambda: ticks.append(1))
    source.skip(1500)
    assert np.array_equal(source.read(2345), samples[1500:3845])
    assert source.position == 3845
    assert np.array_equal(source.read(99_999), samples[3845:])
    assert len(source.read(5)) == 0
    assert len(ticks) == 10
