"""An open recording: what is in its file, as one stream of samples with the times of a player."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import av.error

from scriberrd.errors import TaskFailed
from scriberrd.worker.audio import channels, tracks
from scriberrd.worker.audio.input import Input
from scriberrd.worker.audio.mix import Mix
from scriberrd.worker.audio.parts import parts, truncated
from scriberrd.worker.audio.places import MOST, Places
from scriberrd.worker.audio.samples import RATE, Samples, silence
from scriberrd.worker.audio.timeline import Timeline
from scriberrd.worker.audio.view import Bytes, View, read_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.audio.stream import AudioStream

    from scriberrd.worker.audio.part import Part


class Recording:
    """An open recording: the facts of its container, and one audio track as samples.

    Args:
        file: a seekable file; it is not closed.
        track: the audio track, from 0; "default" is the one marked so, or else the first, and
            "speech" the one with the most speech.
        find: the voice activity detector that listens where there are several tracks; None: nobody
            listens, and "speech" is "default".
        tick: is called while the file is read; what it raises comes through.
        channel: the one that is heard; None: all of them, mixed.

    Raises:
        TaskFailed: empty_file, invalid_media, no_audio_stream, no_such_track or read_failed.
    """

    def __init__(
        self,
        file: BinaryIO,
        track: tracks.Track = "default",
        find: tracks.Finder | None = None,
        tick: Callable[[], None] = lambda: None,
        channel: int | None = None,
    ) -> None:
        self._file, self._tick, self._track, self._channel = file, tick, track, channel
        self._parts = self._found()
        self._damage, self._cancelled, self._timeline = Places(), Places(), Timeline()
        self._said: list[str] = []  # warnings about tracks and headers
        self._ends: list[str] = []  # and about ends that are missing
        self._made = 0  # samples
        self._input = Input(self._view(self._parts[0]), self._choose, self._damage)
        if find is not None and len(self._input.container.streams.audio) > 1:
            self._listen(find)
        first = self._input
        self.track = self._choose(first.container.streams.audio)
        self.container: str = first.container.format.name
        self.codec: str = first.stream.codec_context.codec.canonical_name
        self.channels: int = first.stream.codec_context.channels
        self.duration: float | None = first.duration if len(self._parts) == 1 else None

    def _found(self) -> list[Part]:
        try:
            file = Bytes(self._file, self._tick)
            if not file.size:
                raise TaskFailed("empty_file")
            return parts(file)
        except OSError as error:
            raise read_failed(error) from error

    def _view(self, part: Part) -> View:
        return View(self._file, self._tick, part.start, part.end, part.patches)

    def _choose(self, streams: tuple[AudioStream, ...]) -> int:
        return tracks.by_mark(streams, self._track)

    def _listen(self, find: tracks.Finder) -> None:
        """Listen to all tracks: to choose one, or to warn that another one speaks."""
        self._input.close()
        heard = tracks.listen(self._view(self._parts[0]), find)
        self._input = Input(self._view(self._parts[0]), self._choose, self._damage)
        taken = self._choose(self._input.container.streams.audio)
        if self._track == "speech" and tracks.by_ear(heard, taken) != taken:
            self._track = tracks.by_ear(heard, taken)
            self._input.close()
            self._input = Input(self._view(self._parts[0]), self._choose, self._damage)
        elif warning := tracks.unheard(heard, taken):
            self._said.append(warning)

    def close(self) -> None:
        """Free the decoder; the file stays open."""
        self._input.close()

    def apart(self) -> tuple[int, ...]:
        """The channels of the track that have a sound of their own; none if all sound alike.

        Raises:
            TaskFailed: read_failed.
        """
        if self.channels == 1:
            return ()
        found = channels.apart(self._view(self._parts[0]), self.track)
        if len(found) > channels.MOST:
            self._said.append(
                f"{len(found)} channels differ: at most {channels.MOST} are told apart, so their "
                "mix was taken, without speakers"
            )
        return found if 1 < len(found) <= channels.MOST else ()

    def samples(self) -> Iterator[Samples]:
        """The whole track from its start, in pieces of about a second; to be called once.

        Raises:
            TaskFailed: read_failed, or invalid_media when no packet can be decoded.
        """
        for number, part in enumerate(self._parts):
            if number and not self._open(number, part):
                continue
            self._timeline.begin(self._input.duration, self._made / RATE)
            yield from self._of_input()
            self._note_header(part)
        if self._damage and not self._made:
            raise TaskFailed("invalid_media", "can't decode any of the audio track")

    def warnings(self) -> tuple[str, ...]:
        """Warnings about the recording, once `samples` is exhausted."""
        found = list(self._said)
        if count := self._damage.added:
            are = "packet is" if count == 1 else "packets are"
            found.append(f"{count} {are} damaged, {self._damage}")
        found += self._timeline.warnings()
        if self._cancelled:
            found.append(
                f"the channels cancel each other {self._cancelled}: only one of them was taken"
            )
        return (*found, *self._ends)

    def _of_input(self) -> Iterator[Samples]:
        """The samples of the open input."""
        mix = Mix(self._channel)
        for piece in self._timed(mix):
            fitted = self._timeline.fitted(piece, self._made)
            start, self._made = self._made, self._made + len(fitted)
            if mix.channel is not None:
                self._cancelled.add(start / RATE, self._made / RATE)
            yield fitted

    def _timed(self, mix: Mix) -> Iterator[Samples]:
        """The pieces of the open input, and silence where nothing is."""
        for frame in self._input.frames():
            at = self._input.time_of(frame)
            if at is not None:
                length, made = frame.samples / frame.sample_rate, self._made + mix.held
                damaged = self._damage.reaches(made / RATE)
                missing = self._timeline.missing(at, length, made, damaged=damaged)
                if missing:
                    yield from mix.flush()
                    yield from silence(missing)
            try:
                yield from mix.add(frame)
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError:  # a damaged packet claims a form that can't be
                self._damage.add(self._made / RATE, self._made / RATE)
                mix.restart()
        yield from mix.flush()

    def _open(self, number: int, part: Part) -> bool:
        """Open a further part; one that can't be read harms only itself."""
        self._input.close()
        base = self._made / RATE
        try:
            self._input = Input(self._view(part), self._choose, self._damage, base)
        except TaskFailed as error:
            if error.failure == "read_failed":
                raise
            _say(self._said, f"part {number + 1} of the file, at {base:.1f} s, can't be played")
            return False
        return True

    def _note_header(self, part: Part) -> None:
        """Compare what the header of a part states with its end."""
        base, ended = self._made / RATE, self._input.ended
        duration = self._input.duration if part.stated is None else part.stated
        if part.short and part.stated is not None:
            _say(
                self._said,
                f"the header states {part.stated:.1f} s, the file holds more: it was read to its "
                f"end at {base:.1f} s",
            )
        elif part.short:
            _say(
                self._said,
                f"the file holds more than its header states: it was read to its end at {base:.1f}",
            )
        elif truncated(ended, duration):
            _say(
                self._ends,
                f"the recording ends at {ended:.1f} s of {duration:.1f} s: it may be truncated",
            )
        elif part.cut:
            _say(
                self._ends,
                f"the recording ends at {ended:.1f} s in the middle of its data: "
                "it may be truncated",
            )


def _say(warnings: list[str], warning: str) -> None:
    """Add a warning, unless there are many."""
    if len(warnings) < MOST:
        warnings.append(warning)
