"""Pipelines of pyannote.audio 4, on CPU or CUDA."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scriberrd.errors import TaskFailed
from scriberrd.transcript import Turn
from scriberrd.worker.audio import RATE, Samples
from scriberrd.worker.describe import describe, is_out_of_memory
from scriberrd.worker.diarizers import Tick, Voices, Wanted, pyannote_setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scriberrd.protocol import Hints

# Step of the pipeline -> its part of all the work, from and to; the rest is clustering.
STEPS = {"segmentation": (0.0, 0.3), "embeddings": (0.3, 0.95), "discrete_diarization": (0.97, 1.0)}
LESS = 4  # by which batches are divided when a GPU has too little memory


def check(wanted: Wanted) -> None:
    """See whether `wanted` could be loaded, as `load` does; the device is not looked at."""
    pyannote_setup.check_package()
    pyannote_setup.check(wanted)


def load(wanted: Wanted, tick: Tick) -> Pyannote:
    """Of the entry point in `scriberrd.diarizers`; `wanted.model` is a folder or a hub id."""
    pyannote_setup.check_package()
    found = pyannote_setup.find(wanted, tick)
    tick()
    with _quiet():
        try:
            import torch  # noqa: PLC0415 - torch takes seconds, and gigabytes of disk
            from pyannote.audio import Pipeline  # noqa: PLC0415
        except (ImportError, OSError, RuntimeError) as error:  # of native libraries, too
            detail = f"pyannote.audio can't be imported: {describe(error)}"
            raise TaskFailed("diarizer_missing", detail) from error
        tick()
        torch.set_num_threads(max(1, wanted.threads))
        device = _device(wanted.device)
        try:
            pipeline = Pipeline.from_pretrained(found.folder, cache_dir=found.cache)
        except Exception as error:  # what a file that is damaged or of another version leads to
            if is_out_of_memory(error):
                raise
            detail = f"{found.name} can't be loaded: {describe(error)}"
            raise TaskFailed("diarization_model_missing", detail) from error
        tick()
        try:
            pipeline.to(torch.device(device))
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise TaskFailed("diarization_device", describe(error)) from error
    return Pyannote(pipeline, found.name, found.revision, device)


class Pyannote:
    """The diarizer "pyannote"."""

    def __init__(self, pipeline: Any, model: str, revision: str, device: str) -> None:
        self._pipeline = pipeline
        self.model, self.revision, self.device = model, revision, device

    def diarize(self, samples: Samples, hints: Hints, progress: Callable[[float], None]) -> Voices:
        """As in the interface; without the hints where the recording is too short for them."""
        asked = {
            "num_speakers": hints.speakers,
            "min_speakers": hints.min_speakers,
            "max_speakers": hints.max_speakers,
        }
        asked = {key: number for key, number in asked.items() if number}
        try:
            found = self._apply(samples, progress, asked)
        except ValueError as error:  # fewer voices can be compared than speakers are asked for
            if not asked:
                raise
            sys.stderr.write(f"asking again without hints: {describe(error)}\n")
            found = self._apply(samples, progress, {})
        regular = getattr(found, "speaker_diarization", found)  # of an old pipeline: these alone
        exclusive = getattr(found, "exclusive_speaker_diarization", None)
        embeddings = getattr(found, "speaker_embeddings", None)
        labels = regular.labels()
        return Voices(
            turns=_turns(regular),
            exclusive=None if exclusive is None else _turns(exclusive),
            embeddings={} if embeddings is None else dict(zip(labels, embeddings, strict=False)),
            warnings=tuple(_unlike(hints, len(labels))),
        )

    def smaller(self) -> str | None:
        """Batches of a fraction, at last one by one; then the CPU instead of a GPU."""
        pipeline, sizes = self._pipeline, ("segmentation_batch_size", "embedding_batch_size")
        largest = max(getattr(pipeline, size) for size in sizes)
        if largest > 1:
            most = 1 if self.device == "cpu" else max(1, largest // LESS)
            for size in sizes:
                setattr(pipeline, size, min(most, getattr(pipeline, size)))
            step = f"diarization batch_size {largest} -> {most}"
        elif self.device != "cpu":
            step, self.device = f"diarization device {self.device} -> cpu", "cpu"
        else:
            return None
        import torch  # noqa: PLC0415

        pipeline.to(torch.device(self.device))
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return step

    def _apply(
        self, samples: Samples, progress: Callable[[float], None], asked: dict[str, int]
    ) -> Any:
        import torch  # noqa: PLC0415

        def hook(
            step: str, _: object, *, total: int | None = None, completed: int = 1, **__: object
        ) -> None:
            first, last = STEPS.get(step, (0.0, 0.0))
            progress(float(first + (last - first) * min(1.0, completed / (total or 1))))

        sound = {"waveform": torch.from_numpy(samples)[None], "sample_rate": RATE}
        with _quiet():
            return self._pipeline(sound, hook=hook, **asked)


def _device(asked: str) -> str:
    """The device for `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        TaskFailed: diarization_device.
    """
    import torch  # noqa: PLC0415

    kind, _, which = asked.partition(":")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cpu" or (kind == "auto" and not count):
        return "cpu"
    number = int(which or 0)
    if number >= count:
        build = "" if torch.version.cuda else " (this PyTorch is one without CUDA)"
        detail = f"{asked!r} is not available; usable CUDA devices: {count}{build}"
        raise TaskFailed("diarization_device", detail)
    return f"cuda:{number}"


def _turns(annotation: Any) -> list[Turn]:
    return [
        Turn(start=float(segment.start), end=float(segment.end), speaker=str(label))
        for segment, _, label in annotation.itertracks(yield_label=True)
    ]


def _unlike(hints: Hints, found: int) -> Iterator[str]:
    """What is said if another number of speakers was found than was asked for."""
    least = hints.speakers or hints.min_speakers
    most = hints.speakers or hints.max_speakers or found
    if not least <= found <= most:
        asked = least if found < least else most
        yield f"{asked} speakers were asked for, {found} found: it may be too short to tell more"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of its libraries, which say nothing to whoever reads the journal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
