"""What of the configuration can't work on this machine, before the first recording shows it."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from scriberrd import protocol
from scriberrd.api.socket import unfit
from scriberrd.config import doubts
from scriberrd.files.folders import look_at
from scriberrd.files.models import cache
from scriberrd.work.preflight import Finding as Preflight
from scriberrd.work.preflight import Wanted, ask
from scriberrd.work.process import PRIVATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scriberrd.config import Config, Read

PATIENCE = 60.0  # seconds for the libraries to be imported
MADE = ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CACHE_DIRECTORY")

Level = Literal["warning", "problem"]


class Finding(NamedTuple):
    """Something that a key of the configuration asks for and can't have."""

    level: Level  # a problem: no recording that needs it can be done
    key: str  # "worker[1].device"
    what: str


def look(
    config: Config, surveyed: protocol.Surveyed | str, environment: Mapping[str, str]
) -> list[Finding]:
    """All that is found, in the order of the lines; as the user that this process is.

    Args:
        config: to look at.
        surveyed: what `survey` gave.
        environment: of the daemon.
    """
    found = [Finding("warning", doubt.key, doubt.what) for doubt in doubts(config)]
    for key, what in _places(config, environment):
        # Without a cache, models that are folders can still be used.
        found.append(Finding("warning" if key == "daemon.model_cache" else "problem", key, what))
    if isinstance(surveyed, str):
        found.append(Finding("problem", "profile", surveyed))
    else:
        found += (
            Finding("problem", f"{table}.{key}", what) for table, key, what in surveyed.problems
        )
        found += (Finding("problem", key, what) for key, what in _gpus(config, surveyed.gpus))
    found += (Finding("warning", key, what) for key, what in _diarizers(config))
    return sorted(found, key=lambda one: config.line(one.key))


def check(read: Read, environment: Mapping[str, str]) -> list[Finding]:
    """The problems of a file and what `look` finds beside them, in the order of the lines."""
    config = read.config
    found = look(config, survey(config, libraries=False), environment)
    told = {problem.key for problem in read.problems} | read.lost
    beside = [one for one in found if not any(f"{one.key}.".startswith(f"{key}.") for key in told)]
    problems = [Finding("problem", *problem) for problem in read.problems]
    return sorted(problems + beside, key=lambda one: config.line(one.key))


def survey(config: Config, *, libraries: bool) -> protocol.Surveyed | str:
    """What engines and devices can do; or why that can't be told. It takes some seconds.

    Args:
        config: whose profiles and pools are looked at.
        libraries: tell their versions, too.
    """
    asked = protocol.Asked(
        model_cache=config.daemon.model_cache,
        profiles=config.profiles,
        pools=[
            protocol.Pool(device=pool.device, compute_type=pool.compute_type)
            for pool in config.workers
        ],
        libraries=libraries,
    )
    try:
        done = subprocess.run(
            [sys.executable, "-m", "scriberrd.worker.survey"],
            input=protocol.encode(asked),
            env={key: value for key, value in os.environ.items() if key not in PRIVATE},
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return msgspec.json.decode(done.stdout, type=protocol.Surveyed)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"engines can't be looked at: {error}"
    except msgspec.DecodeError:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return f"engines can't be loaded: {last or f'exit status {done.returncode}'}"


def _places(config: Config, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The places of the daemon itself that it can't have."""
    daemon, models = config.daemon, cache(config.daemon.model_cache, environment)
    state, socket = Path(daemon.state_dir), Path(daemon.socket)
    places = {
        "daemon.state_dir": state,
        "daemon.socket": socket.parent,
        **({"daemon.model_cache": models} if daemon.auto_download else {}),
    }
    denied = look_at(places.values(), _denied)
    for key, place in places.items():
        what = denied[place]
        if not what or _made_by_systemd(place, environment):
            continue
        advice = _no_runtime(config, environment) if key == "daemon.socket" else ""
        yield key, advice or str(getattr(what, "strerror", None) or what)
    if isinstance(what := look_at([socket], unfit)[socket], str) and what:
        yield "daemon.socket", what


def _made_by_systemd(place: Path, environment: Mapping[str, str]) -> bool:
    """Whether systemd makes this folder, or one around it, when it starts the daemon."""
    told = ":".join(environment.get(name, "") for name in MADE)
    made = [Path(folder) for folder in told.split(":") if folder]
    return any(
        place == one or (place.is_relative_to(one) and not os.path.lexists(one)) for one in made
    )


def _no_runtime(config: Config, environment: Mapping[str, str]) -> str:
    """What to do where nobody says where the sockets of this user belong."""
    said = environment.get("RUNTIME_DIRECTORY") or environment.get("XDG_RUNTIME_DIR")
    if said or "daemon.socket" in config.keys or os.geteuid() == 0:
        return ""
    return (
        f"XDG_RUNTIME_DIR is not set, and {Path(config.daemon.socket).parent} can't be made:"
        " set daemon.socket, or log in as this user (`loginctl enable-linger` keeps the folder)"
    )


def _denied(place: Path) -> str:
    """Why a folder can't be used or made; "" if it can."""
    there = place
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not stat.S_ISDIR(os.stat(there).st_mode):
        return f"{there} is not a folder"
    if not os.access(there, os.W_OK | os.X_OK):
        what = "can't be written" if there == place else f"can't be made in {there}"
        return f"{place} {what}: give the daemon's user access, or set another"
    return ""


def _gpus(config: Config, gpus: int | str) -> Iterator[tuple[str, str]]:
    """The pools that are to tell speakers apart on a GPU that is not there."""
    if isinstance(gpus, str) or all(one.diarize == "off" for one in config.profiles.values()):
        return
    for number, pool in enumerate(config.workers, 1):
        kind, _, which = pool.diarize_device.partition(":")
        if kind == "cuda" and int(which or 0) >= gpus:
            what = f"{pool.diarize_device!r} is not available; usable CUDA devices: {gpus}"
            yield f"worker[{number}].diarize_device", what


def _diarizers(config: Config) -> Iterator[tuple[str, str]]:
    """The profiles whose diarizer can't be used, each with the reason."""
    found: dict[Wanted, Preflight] = {}  # each is asked for once: the hub may be slow to answer
    for name, settings in config.profiles.items():
        if settings.diarize == "off":
            continue
        wanted = Wanted.by(settings)
        if wanted not in found:
            found[wanted] = asyncio.run(ask(settings, config.daemon))
        if found[wanted].code is not None:
            yield f"profile.{name}.diarize", str(found[wanted])
