"""Choose an audio track: by its number, by its mark, or by listening."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import av
import av.error
import numpy as np
from av.audio.resampler import AudioResampler
from av.stream import Disposition

from scriberrd.errors import TaskFailed
from scriberrd.worker.audio.input import opened
from scriberrd.worker.audio.samples import RATE, Samples, rows
from scriberrd.worker.audio.view import View, read_failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet


Track = int | Literal["default", "speech"]
Finder = Callable[[Samples], Sequence[tuple[int, int]]]

LOOKS = 8  # places in the recording that are listened to,
LOOK = 10.0  # seconds each;
SHORT = 2 * LOOKS * LOOK  # seconds: a shorter recording, or one of unknown length, from its start
MOST_TRACKS = 8  # that are listened to
CLEAR = 2.0  # seconds of speech that tell that somebody speaks
SHARE = 0.5  # of the speech of the track with the most that is enough for the default one
FAINT = 1e-3  # a peak (-60 dB) that is silence


class Heard(NamedTuple):
    """What was heard of a track."""

    speech: float  # seconds
    first: float | None  # when speech was first heard, in seconds from the start


def by_mark(streams: tuple[AudioStream, ...], track: Track) -> int:
    """The number of the track that is asked for; "default" is the one marked so, or else the first.

    Raises:
        TaskFailed: no_audio_stream or no_such_track.
    """
    if not streams:
        raise TaskFailed("no_audio_stream")
    if isinstance(track, str):
        marked = (i for i, s in enumerate(streams) if s.disposition & Disposition.default)
        return next(marked, 0)
    if not 0 <= track < len(streams):
        last = len(streams) - 1
        raise TaskFailed("no_such_track", f"no track {track}: audio tracks are 0 to {last}")
    return track


def by_ear(heard: list[Heard], default: int) -> int:
    """The track with the most speech; the default one if it has nearly as much."""
    best = max(range(len(heard)), key=lambda i: heard[i].speech)
    enough = default < len(heard) and heard[default].speech >= SHARE * heard[best].speech
    return default if enough else best


def unheard(heard: list[Heard], taken: int) -> str | None:
    """A warning if another track speaks and the one that was taken does not."""
    best = max(range(len(heard)), key=lambda i: heard[i].speech)
    if taken >= len(heard) or heard[taken].first is not None or heard[best].speech < CLEAR:
        return None
    return (
        f"audio track {taken} was taken, where no speech was heard; audio track {best} has speech "
        f'from {heard[best].first:.1f} s on: audio_track = "speech" takes it'
    )


def listen(view: View, find: Finder) -> list[Heard]:
    """How much speech each audio track has, by a bounded sample of the recording."""
    container = opened(view)
    try:
        tracks = container.streams.audio[:MOST_TRACKS]
        heard = [Heard(0.0, None)] * len(tracks)
        for at, length in looks(container):
            for i, sound in enumerate(look(container, tracks, at, length)):
                samples = _loud(sound[0])
                spans = find(samples) if len(samples) else ()
                first = at + spans[0][0] / RATE if spans else None
                heard[i] = Heard(
                    heard[i].speech + sum(b - a for a, b in spans) / RATE,
                    first if heard[i].first is None else heard[i].first,
                )
        view.check()
    except OSError as error:
        raise read_failed(error) from error
    finally:
        container.close()
    return heard


def looks(container: InputContainer) -> Iterator[tuple[float, float]]:
    """Start and length of what is listened to, in seconds."""
    duration = (container.duration or 0) / av.time_base
    if duration <= SHORT:
        yield 0.0, SHORT
        return
    for i in range(LOOKS):
        yield i * (duration - LOOK) / (LOOKS - 1), LOOK


def look(
    container: InputContainer,
    tracks: Sequence[AudioStream],
    at: float,
    length: float,
    layout: str | None = "mono",
) -> list[Samples]:
    """The sound of each track from `at` seconds on, one row a channel; what can't be read is not.

    The place is only about right: most containers know few places to go to. Without a layout, the
    channels are those that the track has.
    """
    resamplers = {track.index: AudioResampler("s16", layout, RATE) for track in tracks}
    pieces: dict[int, list[Any]] = {track.index: [] for track in tracks}
    start = (container.start_time or 0) / av.time_base + at
    try:
        if at:
            container.seek(int(start * av.time_base))
        for packet in container.demux(tracks):
            if packet.dts is None or packet.time_base is None:
                continue
            if packet.dts * packet.time_base >= start + length:
                break
            for frame in _decoded(cast("Packet[AudioStream]", packet)):
                frame.pts = None
                for out in resamplers[packet.stream.index].resample(frame):
                    pieces[packet.stream.index].append(rows(out))
    except av.error.FFmpegError:
        pass  # damage is told when the recording is read
    return [_joined(pieces[track.index], length) for track in tracks]


def _decoded(packet: Packet[AudioStream]) -> Iterator[AudioFrame]:
    try:
        yield from packet.decode()
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        return


def _joined(pieces: list[Any], length: float) -> Samples:
    if not pieces:
        return np.zeros((1, 0), np.float32)
    whole: Samples = np.concatenate(pieces, axis=1)[:, : int(length * RATE)].astype(np.float32)
    return whole / np.float32(32768.0)


def _loud(samples: Samples) -> Samples:
    """As loud as can be; nothing where nothing is heard."""
    peak = float(np.abs(samples).max(initial=0.0))
    return samples / peak if peak > FAINT else samples[:0]
