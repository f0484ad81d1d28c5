"""One speaker a channel: a recording is cut on the mix of all, and each channel is heard alone."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from scriberrd.worker import crosstalk
from scriberrd.worker.audio import Recording, Source
from scriberrd.worker.blocks import Block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scriberrd.protocol import Task
    from scriberrd.worker.audio import Samples
    from scriberrd.worker.blocks import Finder
    from scriberrd.worker.run import Run


@contextmanager
def opened(file: BinaryIO, recording: Recording, run: Run[Task]) -> Iterator[dict[int, Source]]:
    """The channels that are to be heard alone, by their numbers: none if that is not asked for.

    There are none, too, if all sound alike. Each is read beside the others from the same file, and
    has the same times as the mix.
    """
    with ExitStack() as stack:
        sources = {}
        for channel in recording.apart() if run.task.settings.channels == "split" else ():
            one = Recording(file, recording.track, tick=run.tick, channel=channel)
            stack.callback(one.close)
            sources[channel] = Source(one.samples(), run.tick)
        yield sources


def split(
    cuts: Iterator[Block], sources: Mapping[int, Source], find: Finder | None
) -> Iterator[Block]:
    """The blocks of the mix, each with the same stretch of every channel as its parts.

    Args:
        cuts: the blocks.
        sources: the channels, from the start of the first block on.
        find: the voice activity detector; None: all is taken for speech.
    """
    for block in cuts:
        parts = []
        for channel, source in sources.items():
            samples = _filled(source.read(len(block.samples)), len(block.samples))
            voiced = None if find is None else tuple(find(samples))
            parts.append(Block(block.start, samples, voiced, channel))
        yield block._replace(parts=tuple(crosstalk.quiet(parts)))


def _filled(samples: Samples, length: int) -> Samples:
    """The samples with silence behind them: resamplers may disagree on the last few."""
    return np.pad(samples, (0, length - len(samples)))
