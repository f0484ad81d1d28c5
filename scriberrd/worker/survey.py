"""Look at engines, devices and libraries: `python -m scriberrd.worker.survey`, for the daemon.

It reads a `protocol.Asked` on stdin and prints a `protocol.Surveyed`. It loads no model.
"""

from __future__ import annotations

import ctypes
import os
import sys
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from scriberrd import protocol
from scriberrd.errors import TaskFailed
from scriberrd.worker import environment
from scriberrd.worker.describe import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Foresee = Callable[..., Iterator[tuple[str, str]]]

PACKAGES = (
    *("faster-whisper", "ctranslate2", "av", "onnxruntime", "huggingface-hub"),
    *("pyannote.audio", "torch", "nvidia-cublas-cu12", "nvidia-cudnn-cu12"),
)


def main() -> None:
    """Look, and print what is found."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=protocol.Asked)
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    environment.prepare()
    engines = {one.engine for one in asked.profiles.values()}
    foreseen = {engine: _foresight(engine) for engine in engines}
    problems = [
        (f"profile.{name}", key, what)
        for name, settings in asked.profiles.items()
        if (foresee := getattr(foreseen[settings.engine], "settings", None))
        for key, what in foresee(settings, asked.model_cache)
    ]
    problems += [
        (f"worker[{number}]", key, what)
        for foresight in foreseen.values()
        if (foresee := getattr(foresight, "hardware", None))
        for number, pool in enumerate(asked.pools, 1)
        for key, what in foresee(pool.device, pool.compute_type)
    ]
    found = protocol.Surveyed(problems=problems, gpus=_gpus())
    if asked.libraries:
        found = _with_libraries(found, asked, foreseen)
    os.write(out, msgspec.json.encode(found))


def _with_libraries(
    found: protocol.Surveyed, asked: protocol.Asked, foreseen: dict[str, Any]
) -> protocol.Surveyed:
    import av  # noqa: PLC0415 - in the environment that is prepared
    import ctranslate2  # noqa: PLC0415 - as above

    return replace(
        found,
        packages={name: _version(name) for name in PACKAGES},
        ffmpeg=str(getattr(av, "ffmpeg_version_info", "")),
        cublas=_cublas() if found.gpus else "",
        compute_types=sorted(ctranslate2.get_supported_compute_types("cpu")),
        models=[
            (name, model, lacks)
            for name, settings in asked.profiles.items()
            if (state := getattr(foreseen[settings.engine], "state", None))
            for model in filter(None, (settings.model, settings.fallback_model))
            if (lacks := state(model, asked.model_cache)) is not None
        ],
        telemetry=os.environ.get("ORT_DISABLE_TELEMETRY") != "1",
    )


def _foresight(engine: str) -> Any:
    """What an engine knows before it is loaded: a module "..._foresight" beside its own, if any."""
    entry = next(iter(metadata.entry_points(group="scriberrd.engines", name=engine)), None)
    if entry is None:
        return None
    name = f"{entry.module}_foresight"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            return None
        raise


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _gpus() -> int | str:
    """How many GPUs CTranslate2 can use; or what is wrong with them."""
    import ctranslate2  # noqa: PLC0415 - as above

    try:
        return int(ctranslate2.get_cuda_device_count())
    except RuntimeError as error:  # a driver that is there but does not work
        return describe(error)


def _cublas() -> str:
    """Why CTranslate2 will not find cuBLAS; "" if it will."""
    from scriberrd.worker.engines import whisper_setup  # noqa: PLC0415 - as above

    try:
        whisper_setup.choose_device("cuda")  # loads what comes in a wheel
        for library in whisper_setup.CUBLAS:
            ctypes.CDLL(library)
    except TaskFailed as error:
        return error.detail
    except OSError as error:
        return describe(error)
    return ""


if __name__ == "__main__":
    main()
