"""What transcribes: libraries, GPUs, models, and the token of the hub."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from scriberrd.doctor.report import Line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scriberrd.config import Config
    from scriberrd.doctor.report import State
    from scriberrd.doctor.service import Service
    from scriberrd.protocol import Surveyed

OPTIONAL = {
    "pyannote.audio": "only telling speakers apart needs it",
    "torch": "only telling speakers apart needs it",
    "nvidia-cublas-cu12": "only a GPU needs it",
    "nvidia-cudnn-cu12": "only telling speakers apart on a GPU needs it",
}
# Holes in FFmpeg that a file can use, and the first version without it of each line of versions.
# Those before them all have it, those after them have not.
HOLES = {
    "CVE-2026-8461": ((5, 1, 10), (6, 1, 6), (7, 1, 5), (8, 1, 2)),
    "CVE-2026-40962": ((8, 1),),
}
SERVED, FAST = (5, 0), (7, 0)  # compute capabilities: CTranslate2's wheels; and its float16


def libraries(found: Surveyed) -> Iterator[Line]:
    """The libraries that are installed, with their versions."""
    for name, version in found.packages.items():
        if version:
            more = (
                f": {', '.join(found.compute_types)} on this CPU" if name == "ctranslate2" else ""
            )
            if name == "onnxruntime":
                more = f", its telemetry is {'ON' if found.telemetry else 'off'}"
            state: State = "problem" if name == "onnxruntime" and found.telemetry else "ok"
            yield Line("libraries", state, f"{name} {version}{more}")
        elif name in OPTIONAL:
            yield Line("libraries", "ok", f"{name} is not installed: {OPTIONAL[name]}")
        else:
            advice = "install scriberrd again: pip install --force-reinstall scriberrd"
            yield Line("libraries", "problem", f"{name} is not installed", advice)
    yield ffmpeg(found.ffmpeg)


def ffmpeg(version: str) -> Line:
    """The FFmpeg that reads recordings, by what is known of it; it comes inside PyAV."""
    numbers = tuple(map(int, re.findall(r"\d+", version.partition("-")[0])[:3]))
    if not numbers:
        return Line("libraries", "ok", "FFmpeg inside PyAV: of an unknown version")
    open_ = [name for name, mended in HOLES.items() if _is_open(numbers, mended)]
    if not open_:
        return Line("libraries", "ok", f"FFmpeg {version} inside PyAV, no known hole")
    what = f"FFmpeg {version} inside PyAV has known holes: {', '.join(open_)}"
    return Line("libraries", "warning", what, "pip install --upgrade av, then restart the daemon")


def _is_open(version: tuple[int, ...], mended: Sequence[tuple[int, ...]]) -> bool:
    of_line = next((one for one in mended if one[0] == version[0]), None)
    if of_line is not None:
        return version < of_line
    return version[0] < mended[-1][0]


def devices(
    found: Surveyed, config: Config, gpus: Sequence[str], *, driver: bool
) -> Iterator[Line]:
    """The GPUs, and whether the wheels serve them.

    Args:
        found: what CTranslate2 sees.
        config: which pools want one.
        gpus: as the driver tells them: name, compute capability, version of the driver.
        driver: there are files of NVIDIA's driver.
    """
    wanted = any(pool.device.startswith("cuda") for pool in config.workers)
    for gpu in gpus:
        name, capability, version = (part.strip() for part in gpu.rsplit(",", 2))
        number = tuple(int(part) for part in capability.split(".") if part.isdecimal())
        what = f"{name}, compute capability {capability}, driver {version}"
        if number < SERVED:
            yield Line("gpu", "problem", what, "too old for CTranslate2's wheels: use the CPU")
        elif number < FAST:
            yield Line("gpu", "warning", what, 'float16 is slow there: set compute_type = "int8"')
        else:
            yield Line("gpu", "ok", what)
    if isinstance(found.gpus, str):
        advice = "the driver is there but does not work: nvidia-smi may say why"
        yield Line("gpu", "problem" if wanted else "warning", found.gpus, advice)
    elif found.cublas:
        what = f"cuBLAS can't be loaded: {found.cublas}"
        yield Line("gpu", "problem", what, "pip install 'scriberrd[cuda]'")
    elif found.gpus:
        yield Line("gpu", "ok", f"CTranslate2 can use {found.gpus}")
    elif driver:
        what = "there is a driver of NVIDIA, but CTranslate2 finds no GPU"
        yield Line("gpu", "problem" if wanted else "warning", what, "nvidia-smi may say why")
    else:
        yield Line("gpu", "ok", "none: the CPU does the work")


def models(found: Surveyed, config: Config) -> Iterator[Line]:
    """The models of the profiles: whether each is there, and whole."""
    profiles: dict[tuple[str, str], list[str]] = {}
    for profile, model, lacks in found.models:
        profiles.setdefault((model, lacks), []).append(profile)
    for (model, lacks), names in profiles.items():
        what = f"{model} (profile {', '.join(names)})"
        if not lacks:
            yield Line("models", "ok", f"{what} is on this machine")
        elif lacks == "not in the cache" and config.daemon.auto_download:
            advice = f"`scriberrctl models pull {model}` fetches it now, the first job otherwise"
            yield Line("models", "warning", f"{what} is not on this machine yet", advice)
        else:
            pull = "copy it anew" if os.path.isabs(model) else f"`scriberrctl models pull {model}`"
            advice = f"{pull}; jobs wait until it is there"
            yield Line("models", "problem", f"{what}: {lacks}", advice)


def token(service: Service | None, environment: Mapping[str, str]) -> str:
    """Where the token of the hub comes from; "" if there is none. It is not read.

    Asked before root becomes the user of the service, who may not see the file: systemd passes it.
    """
    credential = service.credentials.get("hf_token", "") if service is not None else ""
    if credential and os.path.exists(credential):
        return f"the credential hf_token, {credential}"
    told = {**environment, **(service.environment if service is not None else {})}
    if told.get("HF_TOKEN"):
        return "HF_TOKEN"
    home = told.get("HF_HOME") or Path(told.get("HOME", "/"), ".cache/huggingface")
    file = Path(told.get("HF_TOKEN_PATH") or Path(home, "token"))
    return str(file) if os.path.exists(file) else ""


def hub(source: str, config: Config) -> Line:
    """Whether there is a token, where one is needed."""
    if source:
        return Line("hub token", "ok", f"there is one: {source}")
    gated = [
        name
        for name, one in config.profiles.items()
        if one.diarize != "off" and not os.path.isabs(one.diarization_model)
    ]
    if not gated:
        return Line("hub token", "ok", "there is none, and nothing needs one")
    what = f"there is none; profile {', '.join(gated)} names a model that may need one"
    return Line("hub token", "warning", what, "see LoadCredential=hf_token in docs/systemd.md")
