"""Find what a Whisper model needs before loading: its files, a device, a compute type."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import ctranslate2

from scriberrd.errors import TaskFailed
from scriberrd.worker import hub
from scriberrd.worker.describe import describe, is_out_of_memory
from scriberrd.worker.engines import whisper_hub
from scriberrd.worker.steps import step

if TYPE_CHECKING:
    from scriberrd.worker.engines import Tick, Wanted

CUBLAS = ("libcublasLt.so.12", "libcublas.so.12")  # the second needs the first


class Files(NamedTuple):
    """The folder of a model, and its name."""

    folder: Path
    name: str
    revision: str | None  # of the hub
    download_seconds: float | None = None  # None: they were there


class Device(NamedTuple):
    """A device in CTranslate2's terms."""

    kind: str  # cpu or cuda
    number: int

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.number}"


def find_model(wanted: Wanted, tick: Tick) -> Files:
    """The model's files: a folder, or a name or an id of the Hugging Face hub.

    The cache comes first, so that a cached model needs no network.

    Raises:
        TaskFailed: model_missing, model_unreadable, model_altered or hub_refused.
    """
    folder = Path(wanted.model).expanduser()
    if folder.is_absolute() or wanted.model.startswith(".") or os.path.isdir(folder):
        missing = whisper_hub.missing(folder, folder.parent)
        if missing:
            lacks = f"lacks {missing}" if folder.is_dir() else "does not exist"
            raise TaskFailed("model_missing", f"the folder {folder.name!r} {lacks}")
        return Files(folder, folder.resolve().name, None)
    repository = whisper_hub.repository(wanted.model)
    if repository is None:
        raise TaskFailed(
            "model_missing",
            f"{wanted.model!r} is not a folder, a hub id (owner/name),"
            f" or one of {whisper_hub.names()}",
        )
    cache = hub.folder_of_cache(wanted.model_cache)
    snapshot, seconds = whisper_hub.cached(repository, cache), None
    if snapshot is None and wanted.auto_download:
        began = time.monotonic()
        with step("downloading the model"):
            snapshot = whisper_hub.download(repository, cache, lambda _: tick())
        seconds = round(time.monotonic() - began, 3)
    if snapshot is None:
        raise TaskFailed(
            "model_missing",
            f"{repository} is not in the cache: `scriberrctl models pull {wanted.model}`"
            " downloads it, or set auto_download = true",
        )
    return Files(snapshot, wanted.model, snapshot.name, seconds)


def choose_device(asked: str) -> Device:
    """The device for `auto`, `cpu`, `cuda` or `cuda:N`; CUDA's libraries are loaded.

    Raises:
        TaskFailed: device_unavailable.
    """
    kind, _, which = asked.partition(":")
    if kind == "cpu":
        return Device("cpu", 0)
    count = _cuda_devices()
    if kind == "auto" and not count:
        return Device("cpu", 0)
    number = int(which) if which.isdecimal() else 0
    if kind not in ("auto", "cuda") or number >= count:
        raise TaskFailed(
            "device_unavailable", f"{asked!r} is not available; usable CUDA devices: {count}"
        )
    _preload_cublas()
    return Device("cuda", number)


def choose_compute_type(asked: str, device: Device) -> str:
    """The compute type for `auto` or a name of CTranslate2: int8 on a CPU, float16 on a GPU.

    Raises:
        TaskFailed: device_unavailable.
    """
    supported = ctranslate2.get_supported_compute_types(device.kind, device.number)
    if asked == "auto":
        best = "int8" if device.kind == "cpu" else "float16"
        return best if best in supported else "float32"
    if asked == "int8_float16" and asked not in supported and "int8" in supported:
        return "int8"  # where a recording went on that a GPU had no memory for; or an older GPU
    if asked not in supported:
        raise TaskFailed(
            "device_unavailable",
            f"{device} does not support compute_type {asked!r}; "
            f"use {', '.join(sorted(supported))} or auto",
        )
    return asked


def load_failure(error: RuntimeError, device: Device) -> TaskFailed:
    """Why a model could not be loaded or run for the first time."""
    if is_out_of_memory(error):
        code = "out_of_memory"
    elif device.kind == "cuda" and any(
        name in str(error).lower() for name in ("cuda", "cublas", "cudnn", "driver")
    ):
        code = "device_unavailable"
    else:
        code = "model_missing"
    return TaskFailed(code, describe(error))


def _cuda_devices() -> int:
    try:
        return int(ctranslate2.get_cuda_device_count())
    except RuntimeError as error:  # a driver that is there but does not work
        raise TaskFailed("device_unavailable", describe(error)) from error


def _preload_cublas() -> None:
    """Load cuBLAS from its wheel, so that CTranslate2, which asks for it by name, finds it."""
    try:
        spec = importlib.util.find_spec("nvidia.cublas")
    except ModuleNotFoundError:
        return  # then the system's own is used
    for folder in (spec and spec.submodule_search_locations) or ():
        for name in CUBLAS:
            library = Path(folder, "lib", name)
            if library.exists():
                ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
