"""Find what a Whisper model needs before loading: its files, a device, a compute type."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ctranslate2
import huggingface_hub
from faster_whisper.utils import _MODELS
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils.tqdm import tqdm  # shows nothing: see ENVIRONMENT in __main__

from scriberrd.errors import TaskFailed
from scriberrd.worker.describe import describe, is_out_of_memory

if TYPE_CHECKING:
    from scriberrd.worker.engines import Tick, Wanted

PARTS = ("model.bin", "config.json", "tokenizer.json")  # what a folder must hold, and a vocabulary
VOCABULARIES = ("vocabulary.json", "vocabulary.txt")  # the one or the other
OPTIONAL = "preprocessor_config.json"
PATTERNS = [*PARTS, OPTIONAL, "vocabulary.*"]  # what is downloaded
CUBLAS = ("libcublasLt.so.12", "libcublas.so.12")  # the second needs the first


class Files(NamedTuple):
    """The folder of a model, and its name."""

    folder: Path
    name: str
    revision: str | None  # of the hub


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
        TaskFailed: model_missing, model_unreadable, or hub_refused.
    """
    folder = Path(wanted.model).expanduser()
    if folder.is_absolute() or wanted.model.startswith(".") or os.path.isdir(folder):
        missing = _missing(folder, folder.parent)
        if missing:
            lacks = f"lacks {missing}" if folder.is_dir() else "does not exist"
            raise TaskFailed("model_missing", f"the folder {folder.name!r} {lacks}")
        return Files(folder, folder.resolve().name, None)
    repository = wanted.model if "/" in wanted.model else _MODELS.get(wanted.model)
    if repository is None:
        raise TaskFailed(
            "model_missing",
            f"{wanted.model!r} is not a folder, a hub id (owner/name), or one of {_names()}",
        )
    cached = _snapshot(repository, wanted, None)
    if cached is None and wanted.auto_download:
        cached = _snapshot(repository, wanted, tick)
    if cached is None:
        raise TaskFailed(
            "model_missing",
            f"{repository} is not in the cache: download it, or set auto_download = true",
        )
    return Files(cached, wanted.model, cached.name)


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


def _snapshot(repository: str, wanted: Wanted, tick: Tick | None) -> Path | None:
    """The folder of a complete snapshot: from the cache, or downloaded when there is a `tick`."""
    try:
        found = huggingface_hub.snapshot_download(
            repository,
            allow_patterns=PATTERNS,
            cache_dir=wanted.model_cache or None,
            local_files_only=tick is None,
            tqdm_class=_bar(tick or (lambda: None)),
        )
    except Exception as error:  # the hub's clients raise errors of many families
        if is_out_of_memory(error):
            raise
        if tick is None:
            _check_cache(repository, wanted)
            return None
        code = "hub_refused" if _is_refusal(error) else "model_missing"
        raise TaskFailed(code, f"can't download {repository}: {describe(error)}") from error
    folder = Path(found)
    missing = _missing(folder, _cache(wanted))
    if missing and tick is not None:
        raise TaskFailed("model_missing", f"{repository} lacks {missing}: not a CTranslate2 model")
    return None if missing else folder


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the hub denied access."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    return error is not None and _is_refusal(error.__cause__)


def _missing(folder: Path, root: Path) -> str:
    """The missing parts of a model; errors name unreadable files relative to `root`."""
    missing = [part for part in PARTS if not _is_there(folder / part, root)]
    if not [part for part in VOCABULARIES if _is_there(folder / part, root)]:
        missing.append(VOCABULARIES[0])
    _is_there(folder / OPTIONAL, root)
    return ", ".join(missing)


def _is_there(file: Path, root: Path) -> bool:
    try:
        file.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(error, root) from error
    return True


def _unreadable(error: OSError, root: Path) -> TaskFailed:
    name = os.path.relpath(error.filename, root)
    return TaskFailed("model_unreadable", f"{name}: {error.strerror}")


def _cache(wanted: Wanted) -> Path:
    return Path(wanted.model_cache or huggingface_hub.constants.HF_HUB_CACHE)


def _check_cache(repository: str, wanted: Wanted) -> None:
    """Raise if a model may be in the cache, but can't be read."""
    cache = _cache(wanted)

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise _unreadable(error, cache) from error

    for part in ("refs", "snapshots"):
        top = cache / repo_folder_name(repo_id=repository, repo_type="model") / part
        for folder, _, names in os.walk(top, onerror=refuse):
            for name in names:
                _is_there(Path(folder, name), cache)


def _names() -> str:
    return ", ".join(sorted(_MODELS))


def _bar(tick: Tick) -> type[Any]:
    class Bar(tqdm):
        """A progress bar that counts downloaded chunks as work."""

        def update(self, n: float | None = 1) -> None:
            tick()
            super().update(n)

    return Bar


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
