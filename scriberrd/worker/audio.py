"""A recording as a stream of samples: 16 kHz, mono, float32 from -1 to 1.

Only the current piece is in memory, so that memory does not depend on the duration. The samples are
the same as from `faster_whisper.decode_audio`, except where that would lose time (a track that
starts late, a gap in the timestamps): there silence is inserted, so that all times are those of a
player.
"""

from __future__ import annotations

import errno
import math
import os
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.audio.fifo import AudioFifo
from av.audio.resampler import AudioResampler
from av.stream import Disposition

from scriberrd.errors import TaskFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

RATE = 16_000  # samples a second
Samples = npt.NDArray[np.float32]

LATE_START = 0.1  # seconds; smaller ones are priming that containers and codecs account for
GAP = 0.5  # seconds without samples that become silence; smaller ones may add up to this
MOST_SILENCE = 24 * 3600.0  # seconds; no timestamp makes us invent more
MOST_DAMAGE = 1000  # failed reads in a row before the rest counts as lost
TRUNCATED = 2.0  # seconds that may be missing at the end without a warning, and
TRUNCATED_SHARE = 0.02  # the share of the duration


class Recording:
    """An open recording: the facts of its container, and one audio track as samples.

    Args:
        file: a seekable file, read from its start; it is not closed.
        track: the audio track, from 0; "default" is the one marked so, or else the first.

    Raises:
        TaskFailed: empty_file, invalid_media, no_audio_stream, no_such_track or read_failed.
    """

    def __init__(self, file: BinaryIO, track: int | Literal["default"] = "default") -> None:
        self._file = _File(file)
        self._input = self._open()
        try:
            self._stream = _choose(self._input.streams.audio, track)
        except TaskFailed:
            self._input.close()
            raise
        context = self._stream.codec_context
        self.container: str = self._input.format.name
        self.codec: str = context.codec.canonical_name
        self.channels: int = context.channels
        self._start = (self._input.start_time or 0) / av.time_base
        length = self._input.duration
        self.duration: float | None = length / av.time_base if length and length > 0 else None
        self._damaged = 0  # packets
        self._ended = 0.0  # seconds: the end of the last packet of any track

    def _open(self) -> InputContainer:
        try:
            if not self._file.seek(0, os.SEEK_END):
                raise TaskFailed("empty_file")
            self._file.seek(0)
            # No protocols: a playlist posing as a recording must not open other files.
            return av.open(
                self._file,
                mode="r",
                metadata_errors="ignore",
                options={"protocol_whitelist": "pipe"},
            )
        except av.error.FFmpegError as error:
            self._file.check()
            raise TaskFailed("invalid_media", error.strerror or "") from error
        except OSError as error:
            raise _read_failed(error) from error

    def close(self) -> None:
        """Free the decoder; the file stays open."""
        self._input.close()

    def samples(self) -> Iterator[Samples]:
        """The whole track from its start, in pieces of about a second; to be called once.

        Raises:
            TaskFailed: read_failed, or invalid_media when no packet can be decoded.
        """
        made, pieces = 0, _Pieces()
        for frame in self._frames():
            missing = self._missing(frame, made + pieces.held)
            if missing:
                for piece in (*pieces.flush(), *_silence(missing)):
                    made += len(piece)
                    yield piece
            for piece in pieces.add(frame):
                made += len(piece)
                yield piece
        for piece in pieces.flush():
            made += len(piece)
            yield piece
        if self._damaged and not made:
            raise TaskFailed("invalid_media", "can't decode any of the audio track")

    def warnings(self) -> tuple[str, ...]:
        """Warnings about the recording, once `samples` is exhausted."""
        found = []
        if self._damaged:
            were = "packet was" if self._damaged == 1 else "packets were"
            found.append(f"{self._damaged} damaged {were} skipped")
        if self.duration is not None:
            missing = self.duration - self._ended
            if missing > max(TRUNCATED, self.duration * TRUNCATED_SHARE):
                found.append(
                    f"the recording ends at {self._ended:.1f} s of {self.duration:.1f} s: "
                    "it may be truncated"
                )
        return tuple(found)

    def _frames(self) -> Iterator[AudioFrame]:
        for packet in self._packets():
            if packet.stream is not self._stream:
                continue
            try:
                yield from cast("Packet[AudioStream]", packet).decode()
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError:
                self._damaged += 1

    def _packets(self) -> Iterator[Packet[Any]]:
        """All packets of all tracks; reading continues after damage.

        Any error of FFmpeg about the data is damage; a failed read is not.
        """
        failures = 0
        while failures < MOST_DAMAGE:
            try:
                for packet in self._input.demux():
                    failures = 0
                    self._note_end(packet)
                    yield packet
                self._file.check()  # FFmpeg takes some read errors for the end of the file
            except av.error.EOFError:
                self._file.check()
                return
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError:
                self._file.check()
                failures += 1
                self._damaged += failures == 1
            except OSError as error:
                raise _read_failed(error) from error
            else:
                return

    def _note_end(self, packet: Packet[Any]) -> None:
        if packet.pts is not None and packet.time_base is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base) - self._start
            self._ended = max(self._ended, end)

    def _missing(self, frame: AudioFrame, made: int) -> int:
        """The number of samples of silence to insert before `frame`, after `made` samples."""
        if frame.time is None:
            return 0
        at = frame.time - self._start
        gap = at - made / RATE
        most = MOST_SILENCE if self.duration is None else min(self.duration, MOST_SILENCE)
        if not math.isfinite(at) or at > most or gap < (GAP if made else LATE_START):
            return 0
        return round(gap * RATE)


class _Pieces:
    """Gathers frames into pieces of about a second, resampled to 16 kHz mono."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._fifo, self._resampler = AudioFifo(), AudioResampler("s16", "mono", RATE)
        self._form: tuple[str, str, int] | None = None  # of the frames since the last flush

    @property
    def held(self) -> int:
        """The number of samples in the waiting frames, after resampling."""
        return self._fifo.samples * RATE // self._form[2] if self._form else 0

    def add(self, frame: AudioFrame) -> Iterator[Samples]:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form:  # some streams change their form midway
            yield from self.flush()
            self._form = form
        frame.pts = None  # the resampler would complain of gaps
        self._fifo.write(frame)
        if self._fifo.samples >= frame.sample_rate:
            yield from self._resampled(self._fifo.read())

    def flush(self) -> Iterator[Samples]:
        """The samples held back; the next frame starts a new piece."""
        if self._form is not None:
            if self._fifo.samples:
                yield from self._resampled(self._fifo.read())
            yield from self._resampled(None)
            self._start()

    def _resampled(self, frame: AudioFrame | None) -> Iterator[Samples]:
        for out in self._resampler.resample(frame):
            yield out.to_ndarray().reshape(-1).astype(np.float32) / 32768.0


class Source:
    """The samples of a recording in order, in pieces of any size.

    `tick` is called for each piece that is decoded; what it raises comes through.
    """

    def __init__(self, pieces: Iterator[Samples], tick: Callable[[], None] = lambda: None) -> None:
        self._pieces, self._tick = pieces, tick
        self._rest: Samples = np.zeros(0, np.float32)
        self.position = 0  # samples that were read or skipped

    def read(self, count: int) -> Samples:
        """The next `count` samples; fewer only at the end."""
        arrays = list(self._next(count))
        return np.concatenate(arrays) if arrays else np.zeros(0, np.float32)

    def skip(self, count: int) -> None:
        """Skip `count` samples."""
        for _ in self._next(count):
            pass

    def _next(self, count: int) -> Iterator[Samples]:
        while count:
            if not len(self._rest):
                piece = next(self._pieces, None)
                if piece is None:
                    return
                self._tick()
                self._rest = piece
            part, self._rest = self._rest[:count], self._rest[count:]
            count -= len(part)
            self.position += len(part)
            yield part


class _File:
    """The file that PyAV reads; it keeps a read error, which FFmpeg may take for the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            self._error = error
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return -errno.EINVAL  # damaged data has sent FFmpeg to a position that can't exist
            self._error = error
            raise

    def tell(self) -> int:
        return self._file.tell()

    def check(self) -> None:
        if self._error is not None:
            raise _read_failed(self._error) from self._error


def _choose(streams: tuple[AudioStream, ...], track: int | Literal["default"]) -> AudioStream:
    if not streams:
        raise TaskFailed("no_audio_stream")
    if track == "default":
        marked = (s for s in streams if s.disposition & Disposition.default)
        return next(marked, streams[0])
    if not 0 <= track < len(streams):
        last = len(streams) - 1
        raise TaskFailed("no_such_track", f"no track {track}: audio tracks are 0 to {last}")
    return streams[track]


def _silence(count: int) -> Iterator[Samples]:
    for at in range(0, count, RATE):
        yield np.zeros(min(RATE, count - at), np.float32)


def _read_failed(error: OSError) -> TaskFailed:
    return TaskFailed("read_failed", os.strerror(error.errno) if error.errno else "")
