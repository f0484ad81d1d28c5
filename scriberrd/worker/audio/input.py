"""One recording as FFmpeg opens it: its facts, and the frames of one of its audio tracks."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any, cast

import av
import av.error

from scriberrd.errors import TaskFailed
from scriberrd.worker.audio.view import View, read_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

    from scriberrd.worker.audio.places import Places

MOST_DAMAGE = 1000  # failed reads in a row before the rest counts as lost
BARE = frozenset(  # formats of bare packets without a stated duration
    ("aac", "ac3", "adx", "amr", "amrnb", "amrwb", "dts", "dtshd", "eac3", "loas", "mlp", "truehd")
)
FIRST_FRAME = 4096  # bytes: of an MP3 file, with padding; it states the number of frames
FRAMES_AND_BYTES = 3  # flags: it states both


def opened(view: View) -> InputContainer:
    """The container of a view, read from its start.

    Raises:
        TaskFailed: invalid_media or read_failed.
    """
    try:
        view.seek(0)
        # No protocols: a playlist posing as a recording must not open other files.
        container = av.open(
            view, mode="r", metadata_errors="ignore", options={"protocol_whitelist": "pipe"}
        )
    except av.error.FFmpegError as error:
        view.check()
        raise TaskFailed("invalid_media", error.strerror or "") from error
    except OSError as error:
        raise read_failed(error) from error
    try:
        view.check()
    except BaseException:
        container.close()
        raise
    return container


def _known(
    container: InputContainer, choose: Callable[[tuple[AudioStream, ...]], int]
) -> AudioStream:
    """The chosen track, if FFmpeg knows its codec."""
    audio = container.streams.audio
    stream = audio[choose(audio)]
    if stream.codec_context is None:
        raise TaskFailed("invalid_media", "the codec of the audio track is unknown")
    return stream


class Input:
    """An open part of a recording, which begins at `base` seconds of the whole.

    Args:
        view: its bytes.
        choose: gives the number of the track.
        damage: takes in where packets are damaged.
        base: seconds.

    Raises:
        TaskFailed: what `opened` and `choose` raise.
    """

    def __init__(
        self,
        view: View,
        choose: Callable[[tuple[AudioStream, ...]], int],
        damage: Places,
        base: float = 0.0,
    ) -> None:
        self._view, self._damage, self._base = view, damage, base
        self.container = opened(view)
        try:
            self.stream = _known(self.container, choose)
        except BaseException:
            self.container.close()
            raise
        self._flac = self.container.format.name == "flac"  # it can tell damage from noise:
        if self._flac:  # by its sums, and packets that its parser finds no time for
            self.stream.codec_context.options = {"err_detect": "crccheck+explode"}
        length = self.container.duration
        known = length and length > 0 and not _guessed(self.container.format.name, view)
        self.duration = cast("int", length) / av.time_base if known else None
        self._start = (self.container.start_time or 0) / av.time_base
        self.ended = base  # seconds: the end of the last packet of any track

    def close(self) -> None:
        """Free the decoder; the file stays open."""
        self.container.close()

    def time_of(self, frame: AudioFrame) -> float | None:
        """When the frame is to be heard, in seconds of the whole."""
        return None if frame.time is None else frame.time - self._start + self._base

    def frames(self) -> Iterator[AudioFrame]:
        """The frames of the track; damage is noted and skipped."""
        partial = None  # the last packet, if not all of it is there: if it is the last, it is cut
        for packet in self._packets():
            if packet.stream is not self.stream:
                continue
            if partial is not None and packet.size:
                self._note_damage(partial)
            partial = packet if packet.is_corrupt else None
            corrupt = self._flac and packet.pts is None and packet.size > 0
            try:
                for frame in cast("Packet[AudioStream]", packet).decode():
                    corrupt |= frame.is_corrupt
                    yield frame
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError:
                corrupt = True
            if corrupt:
                self._note_damage(packet)

    def _packets(self) -> Iterator[Packet[Any]]:
        """All packets of all tracks; reading continues after damage.

        Any error of FFmpeg about the data is damage; a failed read is not.
        """
        failures = 0
        while failures < MOST_DAMAGE:
            try:
                for packet in self.container.demux():
                    failures = 0
                    self.ended = max(self.ended, self._end(packet) or 0.0)
                    yield packet
                self._view.check()  # FFmpeg takes some read errors for the end of the file
            except av.error.EOFError:
                self._view.check()
                return
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError:
                self._view.check()
                failures += 1
                if failures == 1:
                    self._note_damage(None)
            except OSError as error:
                raise read_failed(error) from error
            else:
                return

    def _end(self, packet: Packet[Any]) -> float | None:
        """When a packet ends, in seconds of the whole."""
        if packet.pts is None or packet.time_base is None:
            return None
        last = (packet.pts + (packet.duration or 0)) * float(packet.time_base)
        return last - self._start + self._base

    def _note_damage(self, packet: Packet[Any] | None) -> None:
        end = (packet and self._end(packet)) or self.ended
        length = (packet.duration or 0) * float(packet.time_base) if packet else 0.0
        self._damage.add(end - length, end)


def _guessed(name: str, view: View) -> bool:
    """Whether FFmpeg can only guess the duration: where the bit rate varies, it is nonsense."""
    if name != "mp3":
        return name in BARE
    before, size = view.tell(), view.seek(0, os.SEEK_END)
    view.seek(0)
    head = view.read(10)
    tag = sum(b << 7 * (3 - i) for i, b in enumerate(head[6:10])) if head[:3] == b"ID3" else 0
    view.seek(tag)
    first = view.read(FIRST_FRAME)
    view.seek(before)
    at = max(first.find(b"Xing"), first.find(b"Info"))
    if at < 0:
        return b"VBRI" not in first
    flags, _, stated = struct.unpack_from(">III", first[at + 4 :].ljust(12, b"\0"))
    # With much behind it, several files in a row, FFmpeg does not believe the first one's.
    return bool(flags & FRAMES_AND_BYTES == FRAMES_AND_BYTES and size - tag > stated * 17 / 16)
