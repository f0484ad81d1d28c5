"""Recordings that went wrong, made from good ones."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Samples = npt.NDArray[np.int16]  # one row a channel
VORBIS = {"strict": "experimental"}  # stereo only
PCM = {"aiff": "pcm_s16be", "au": "pcm_s16be", "caf": "pcm_s16be"}


def noise(seconds: float, rate: int = 16_000, channels: int = 1, seed: int = 1) -> Samples:
    """Sound without a silent sample."""
    made = np.random.default_rng(seed).integers(1000, 9000, (channels, round(seconds * rate)))
    return made.astype(np.int16)


def encoded(
    tracks: Samples | Sequence[Samples],
    box: str = "wav",
    codec: str = "",
    rate: int = 16_000,
    **options: str,
) -> bytes:
    """The bytes of a file with these audio tracks; `options` are those of its container."""
    made = io.BytesIO()
    codec = codec or PCM.get(box, "pcm_s16le")
    with av.open(made, "w", format=box, container_options=options) as file:
        pairs = []
        for track in [tracks] if isinstance(tracks, np.ndarray) else tracks:
            layout = ("mono", "stereo")[len(track) - 1]
            stream = file.add_stream(codec, rate=rate, layout=layout, options=VORBIS)
            pairs.append((stream, track))
        for stream, track in pairs:
            packed = np.ascontiguousarray(track.T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, "s16", stream.layout.name)
            frame.rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
            file.mux([*stream.encode(frame), *stream.encode(None)])
    return made.getvalue()


def retimed(data: bytes, box: str, time: Callable[[float], float | None]) -> bytes:
    """The same packets at other times (seconds); None leaves one out."""
    made = io.BytesIO()
    with av.open(io.BytesIO(data)) as old, av.open(made, "w", format=box) as new:
        stream = new.add_stream_from_template(old.streams.audio[0])
        for packet in old.demux(audio=0):
            if packet.pts is None or packet.time_base is None:
                continue
            at = time(float(packet.pts * packet.time_base))
            if at is not None:
                packet.pts = packet.dts = round(at / packet.time_base)
                packet.stream = stream
                new.mux(packet)
    return made.getvalue()


def stating(data: bytes, seconds: float, rate: int = 16_000) -> bytes:
    """The same file with a header that states another length: 16-bit mono of these containers."""
    size, patched = round(seconds * rate) * 2, bytearray(data)
    if data[:4] == b".snd":
        patched[8:12] = struct.pack(">I", size)
    elif data[:4] == b"FORM":
        _put(patched, data.index(b"SSND") + 4, ">I", size + 8)
        _put(patched, data.index(b"COMM") + 10, ">I", size // 2)
    elif data[:4] == b"caff":
        _put(patched, data.index(b"data") + 4, ">Q", size + 4)
    elif data[:4] == b"riff":
        _put(patched, data.index(b"data") + 16, "<Q", size + 24)
    elif data[:4] == b"RF64":
        _put(patched, data.index(b"ds64") + 16, "<Q", size)
    else:
        _put(patched, data.index(b"data") + 4, "<I", size)
    return bytes(patched)


def _put(data: bytearray, at: int, form: str, value: Any) -> None:
    data[at : at + struct.calcsize(form)] = struct.pack(form, value)
