"""A recording as a stream of samples: 16 kHz, mono, float32 from -1 to 1.

Only the current piece is in memory, so that memory does not depend on the duration. The samples are
those of `faster_whisper.decode_audio`, except where that would lose sound or time: what a file has
beyond its header, more parts of a chain, channels that cancel each other, holes and drift. So all
times are those of a player, and `Recording.warnings` says what was not as it should be.

From the bytes up: `view` reads a file, `parts` finds what is in it (by `headers` and `ogg`),
`input` decodes one part, `tracks` chooses in it, `mix` makes it mono, `timeline` keeps its times,
`recording` does all of it, and `samples` says what comes out.
"""

from scriberrd.worker.audio.recording import Recording
from scriberrd.worker.audio.samples import RATE, Samples, Source

__all__ = ["RATE", "Recording", "Samples", "Source"]
