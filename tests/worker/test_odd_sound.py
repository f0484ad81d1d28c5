from __future__ import annotations

import io
import os
import struct
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from child import AUDIO, TESTS, Child, after

sys.path.insert(0, str(TESTS))
from odd_sound import encoded, noise, retimed, stating

from scriberrd.worker.audio import RATE, Recording, Samples
from scriberrd.worker.blocks import find_speech

if TYPE_CHECKING:
    from pathlib import Path

HEADERS = {  # containers that state their length, and options of theirs
    "wav": {},
    "rf64": {"rf64": "always"},
    "w64": {},
    "aiff": {},
    "caf": {},
    "au": {},
}


def decode(data: bytes, track: Any = "default", find: Any = None) -> tuple[Samples, Any]:
    """All samples and the warnings."""
    recording = Recording(io.BytesIO(data), track, find)
    parts = list(recording.samples())
    recording.close()
    return np.concatenate(parts), recording.warnings()


def made(container: str, seconds: float = 6.0) -> bytes:
    box = "wav" if container == "rf64" else container
    return encoded(noise(seconds), box, **HEADERS.get(container, {}))


def speech(seconds: float = 9.0, rate: int = RATE) -> Any:
    """Sound with somebody speaking in it, of one row."""
    heard, _ = decode((AUDIO / "dialogue.opus").read_bytes())
    return (heard[None, : round(seconds * rate)] * 32767).astype(np.int16)


@pytest.mark.parametrize("container", HEADERS)
def test_sound_beyond_what_the_header_states_is_read_and_told(container: str) -> None:
    data = made(container)
    whole, nothing = decode(data)
    got, warnings = decode(stating(data, 2.0))
    assert np.array_equal(got, whole)
    assert nothing == ()
    assert warnings == (
        "the header states 2.0 s, the file holds more: it was read to its end at 6.0 s",
    )


@pytest.mark.parametrize("container", HEADERS)
@pytest.mark.parametrize("share", [0.5, 0.7])
def test_a_header_that_states_more_than_the_file_holds_is_told(
    container: str, share: float
) -> None:
    data = made(container, 10.0)
    got, warnings = decode(data[: int(len(data) * share)])
    assert len(got) / RATE == pytest.approx(10 * share, abs=0.1)
    (warning,) = warnings
    assert warning.startswith("the recording ends at ")
    assert warning.endswith(" s of 10.0 s: it may be truncated")


@pytest.mark.parametrize(("container", "codec"), [("avi", "pcm_s16le"), ("ogg", "libopus")])
def test_a_file_that_ends_in_the_middle_of_its_data_is_told(container: str, codec: str) -> None:
    data = encoded(noise(8.0), container, codec)
    _, nothing = decode(data)
    _, warnings = decode(data[: len(data) * 6 // 10])
    assert nothing == ()
    assert "in the middle of its data: it may be truncated" in warnings[-1]


@pytest.mark.parametrize(
    "rest",
    [
        b"LIST" + struct.pack("<I", 8) + b"INFOabcd",
        b"id3 " + struct.pack("<I", 90_000) + b"tag" * 30_000,
        b"TAG" + bytes(125),
        b"abcd" + struct.pack("<I", 4) + b"efgh" + b"ijkl" + struct.pack("<I", 4) + b"mnop",
        bytes(300),
    ],
)
def test_what_follows_the_sound_is_not_heard(rest: bytes) -> None:
    data = made("wav", 2.0)
    got, warnings = decode(data + rest)
    assert (len(got), warnings) == (2 * RATE, ())


def test_recordings_in_a_row_are_heard_one_after_the_other() -> None:
    parts = [made("wav", 2.0), encoded(noise(1.0, 44_100, 2), rate=44_100), made("aiff", 1.5)]
    got, warnings = decode(b"".join(parts))
    assert np.array_equal(got, np.concatenate([decode(part)[0] for part in parts]))
    assert warnings == ()


@pytest.mark.parametrize(("box", "codec"), [("mp4", "aac"), ("mov", "pcm_s16le")])
def test_films_in_a_row_are_heard_one_after_the_other(box: str, codec: str) -> None:
    files = [encoded(noise(2.0, 48_000, 2), box, codec, 48_000), encoded(noise(1.0), box, codec)]
    got, warnings = decode(b"".join(files))
    assert np.array_equal(got, np.concatenate([decode(file)[0] for file in files]))
    assert warnings == ()


def test_the_duration_of_the_first_of_several_files_is_none() -> None:
    first, second = (encoded(noise(3.0, channels=n), "mp3", "libmp3lame") for n in (1, 2))
    recording = Recording(io.BytesIO(first + second))
    assert recording.duration is None
    assert sum(len(piece) for piece in recording.samples()) / RATE == pytest.approx(6.0, abs=0.2)
    assert not any("truncated" in warning for warning in recording.warnings())
    recording.close()


def test_sound_from_4_gigabytes_on_is_read(tmp_path: Path) -> None:
    data = bytearray(made("wav", 1.0))
    path = tmp_path / "long.wav"
    with path.open("w+b", buffering=0) as file:
        file.write(stating(data, 0.5))  # as if 32 bits had wrapped
        file.seek(5 << 30)
        file.write(noise(1.0).tobytes())
        recording = Recording(file)
        assert recording.duration == pytest.approx((5 << 30) / 2 / RATE, rel=0.01)
        recording.close()


def test_a_hole_in_the_timestamps_is_told() -> None:
    data = encoded(noise(20.0), "matroska", "libopus")
    holed = retimed(data, "matroska", lambda t: t if not 5 <= t < 15 else None)
    got, warnings = decode(holed)
    assert len(got) / RATE == pytest.approx(20.0, abs=0.1)
    assert warnings == ("no sound from 5.0 to 15.0 s: silence was put there",)


def test_warnings_stay_short_whatever_is_wrong() -> None:
    data = encoded(noise(100.0), "matroska", "aac")
    holed = retimed(data, "matroska", lambda t: t if t % 4 < 2 else None)
    got, warnings = decode(holed)
    assert len(got) / RATE == pytest.approx(98.0, abs=0.2)
    (warning,) = warnings
    assert warning.startswith("no sound from 2.0 to 4.0 s, from 6.0 to ")
    assert warning.endswith(" s and at 14 more places: silence was put there")


@pytest.mark.parametrize("size", [20, 3000])
def test_damage_in_a_flac_file_is_told_and_is_no_noise(size: int) -> None:
    data = bytearray((AUDIO / "speech.flac").read_bytes())
    whole, _ = decode(bytes(data))
    middle = len(data) // 2
    data[middle : middle + size] = np.random.default_rng(1).bytes(size)
    got, (warning,) = decode(bytes(data))
    assert warning.startswith("1 packet is damaged, at 4.")
    assert len(got) == pytest.approx(len(whole), abs=RATE // 10)
    assert np.abs(got).max() <= np.abs(whole).max()


def test_channels_that_cancel_each_other_are_heard_one_by_one() -> None:
    one = noise(4.0)
    got, warnings = decode(encoded(np.concatenate([one, -one])))
    assert np.array_equal(got, decode(encoded(one))[0])
    assert warnings == (
        "the channels cancel each other from 0.0 to 4.0 s: only one of them was taken",
    )


def test_channels_that_nearly_cancel_each_other_for_a_while() -> None:
    left, other = noise(12.0, 44_100), noise(12.0, 44_100, seed=2)
    right = other.copy()
    right[:, 4 * 44_100 : 8 * 44_100] = (-0.8 * left)[:, 4 * 44_100 : 8 * 44_100]
    got, (warning,) = decode(encoded(np.concatenate([left, right]), rate=44_100))
    assert len(got) == pytest.approx(12 * RATE, abs=4)
    assert warning.startswith("the channels cancel each other from 4.1 to 8.2 s: ")
    power = [float(np.square(second).mean()) for second in np.array_split(got, 12)]
    assert min(power) > max(power) / 4


def test_a_silent_track_beside_one_that_speaks_is_told() -> None:
    silent, spoken = np.zeros((1, 9 * RATE), np.int16), speech()
    data = encoded([silent, spoken], "matroska", "aac")
    got, warnings = decode(data, find=find_speech)
    assert np.abs(got).max() < 0.001
    (warning,) = warnings
    assert warning == (
        "audio track 0 was taken, where no speech was heard; audio track 1 has speech from 0.2 s "
        'on: audio_track = "speech" takes it'
    )
    assert decode(data, 1, find=find_speech)[1] == ()


@pytest.mark.parametrize("seconds", [9.0, 400.0])
def test_the_track_with_speech_is_found_by_listening(seconds: float) -> None:
    spoken = np.tile(speech(8.0), (1, round(seconds / 8)))
    count = spoken.shape[1]
    hum = np.tile((2000 * np.sin(np.arange(RATE) * 0.05)).astype(np.int16), count // RATE)[None]
    data = encoded([hum, spoken // 50, hum], "matroska", "pcm_s16le")
    got, warnings = decode(data, "speech", find_speech)
    assert np.array_equal(got, decode(data, 1)[0])
    assert warnings == ()


def test_the_marked_track_is_kept_where_it_speaks_as_well() -> None:
    data = encoded([speech(9.0)[:, : 8 * RATE], speech(9.0)], "matroska", "pcm_s16le")
    assert np.array_equal(decode(data, "speech", find_speech)[0], decode(data, 0)[0])


@pytest.mark.parametrize(
    ("codec", "rate", "channels"),
    [("vorbis", 44_100, 2), ("vorbis", 22_050, 2), ("libopus", 48_000, 1), ("flac", 16_000, 1)],
)
def test_each_link_of_a_chain_is_heard(codec: str, rate: int, channels: int) -> None:
    links = [
        encoded(noise(3.0, 44_100, 2), "ogg", "vorbis", 44_100),
        encoded(noise(2.0, rate, channels), "ogg", codec, rate),
        encoded(noise(1.0, 16_000, 2), "ogg", "vorbis", 16_000),
    ]
    got, warnings = decode(b"".join(links))
    assert np.array_equal(got, np.concatenate([decode(link)[0] for link in links]))
    assert warnings == ()


def test_a_link_that_cannot_be_played_harms_no_other() -> None:
    good = encoded(noise(3.0), "ogg", "libopus", 48_000)
    bad = bytearray(good)
    bad[28:36] = b"Nonsense"  # the codec's name; the sum of the page is wrong now, too
    got, (warning,) = decode(good + bytes(bad) + good)
    assert len(got) == 2 * len(decode(good)[0])
    assert warning == "part 2 of the file, at 1.0 s, can't be played"


@pytest.mark.parametrize(
    ("box", "codec", "options"), [("adts", "aac", {}), ("mp3", "libmp3lame", {"write_xing": "0"})]
)
def test_a_guessed_duration_is_none(box: str, codec: str, options: dict[str, str]) -> None:
    sound = noise(20.0)
    sound[:, : 8 * RATE] = 0  # what the bit rate is guessed from
    data = encoded(sound, box, codec, **options)
    recording = Recording(io.BytesIO(data))
    assert recording.duration is None
    assert sum(len(piece) for piece in recording.samples()) / RATE == pytest.approx(20.0, abs=0.2)
    assert recording.warnings() == ()
    recording.close()


def test_a_stated_duration_is_kept() -> None:
    recording = Recording(io.BytesIO(encoded(noise(20.0), "mp3", "libmp3lame")))
    assert recording.duration == pytest.approx(20.0, abs=0.2)
    recording.close()


class Counting(io.FileIO):
    """A file that counts what is read of it."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        data: bytes = super().read(size)  # type: ignore[assignment]
        self.count += len(data)
        return data


@pytest.mark.parametrize(
    ("box", "codec"),
    [
        ("wav", "pcm_s16le"),
        ("mp3", "libmp3lame"),
        ("adts", "aac"),
        ("ogg", "libopus"),
        ("matroska", "libopus"),
        ("flac", "flac"),
        ("mp4", "aac"),
    ],
)
def test_zeros_at_the_end_are_read_once_at_most(box: str, codec: str, tmp_path: Path) -> None:
    data, zeros = encoded(noise(3.0), box, codec), 64 << 20
    path = tmp_path / "recording"
    path.write_bytes(data)
    os.truncate(path, len(data) + zeros)
    ticks: list[int] = []
    with Counting(path) as file:
        recording = Recording(file, tick=lambda: ticks.append(1))
        got = np.concatenate(list(recording.samples()))
        recording.close()
    whole, _ = decode(data)
    assert np.array_equal(got[: len(whole)], whole)
    assert len(got) == pytest.approx(len(whole), abs=RATE // 10)
    assert file.count < 1.1 * zeros
    assert len(ticks) >= 10


def test_a_stop_comes_through_while_the_file_is_read() -> None:
    class Stop(BaseException):
        pass

    def tick() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stop

    data = encoded(noise(60.0))
    for calls in (0, 3, 10, 20):
        left = calls
        with pytest.raises(Stop):
            list(Recording(io.BytesIO(data), tick=tick).samples())


@pytest.mark.parametrize("factor", [0.95, 0.99, 1.01, 1.05])
def test_times_are_those_of_a_player_where_timestamps_drift(factor: float) -> None:
    sound = noise(60.0) // 20
    sound[:, 50 * RATE :] *= 20  # a loud end
    data = retimed(encoded(sound, "matroska", "aac"), "matroska", lambda t: t * factor)
    got, (warning,) = decode(data)
    loud = np.flatnonzero(np.abs(got) > 0.1)[0] / RATE
    assert loud == pytest.approx(50 * factor, abs=0.2)
    assert len(got) / RATE == pytest.approx(60 * factor, abs=0.25)
    how = "stretched" if factor > 1 else "shortened"
    assert warning.startswith(f"the timestamps drift: the sound was {how} by ")


def test_timestamps_that_jitter_change_nothing() -> None:
    data = encoded(noise(20.0), "matroska", "aac")
    shaken = retimed(data, "matroska", lambda t: t + (0.03 if int(t * 10) % 2 else 0.0))
    got, warnings = decode(shaken)
    assert np.array_equal(got, decode(data)[0])
    assert warnings == ()


def test_a_resumed_task_gives_the_same_blocks_and_warnings(worker: Child, tmp_path: Path) -> None:
    spoken = speech(60.0)
    data = encoded(np.concatenate([spoken, -spoken]), "matroska", "flac")
    path = tmp_path / "odd.mka"
    path.write_bytes(retimed(data, "matroska", lambda t: 1.01 * t if not 5 < t < 9 else None))
    settings = {"engine": "fake", "model": "ok", "block_seconds": 15.0}
    whole, finished = worker.blocks(path, **settings)
    assert len(whole) >= 4
    assert len(finished.warnings) == 3
    rest, again = worker.blocks(path, after(whole[1]), **settings)
    assert (rest, again) == (whole[2:], finished)
