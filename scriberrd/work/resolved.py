"""What is in force: every key with its value, and where that comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from scriberrd.files.models import cache
from scriberrd.units import Bytes, Count, Seconds
from scriberrd.work.capacity import fit, on_cpu

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scriberrd.config import Config
    from scriberrd.work.machine import Machine

# Keys that the environment may set, by the variables that do so, the first of them that is set.
VARIABLES = {
    "daemon.state_dir": ("STATE_DIRECTORY", "XDG_STATE_HOME"),
    "daemon.socket": ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"),
    "daemon.model_cache": ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"),
}
UNITS = {86400: "d", 3600: "h", 60: "m", 1: "s"}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the configuration, as it is in force."""

    key: str  # "inbox[1].settle"
    value: object
    origin: str  # "line 12", "default", "$STATE_DIRECTORY" or "this machine"


def resolve(config: Config, machine: Machine, environment: Mapping[str, str]) -> list[Row]:
    """Every key, in the order of the sample configuration.

    Args:
        config: as it was read.
        machine: what counts and threads are left to.
        environment: of the daemon.
    """
    fitted = fit(config, machine)
    models = str(cache(config.daemon.model_cache, environment))
    fitted = replace(fitted, daemon=replace(fitted.daemon, model_cache=models))
    return [
        Row(
            key=f"{table}.{name}",
            value=getattr(now, name),
            origin=_origin(config, f"{table}.{name}", getattr(asked, name), environment),
        )
        for (table, asked), (_, now) in zip(_tables(config), _tables(fitted), strict=True)
        for name in asked.__struct_fields__
    ]


def _tables(config: Config) -> Iterator[tuple[str, msgspec.Struct]]:
    """All tables, each with its key in `Config.keys`."""
    yield "daemon", config.daemon
    yield "api", config.api
    yield from ((f"inbox[{number}]", one) for number, one in enumerate(config.inboxes, 1))
    yield from ((f"profile.{name}", one) for name, one in config.profiles.items())
    yield from ((f"worker[{number}]", one) for number, one in enumerate(config.workers, 1))
    yield "retry", config.retry
    yield "retention", config.retention


def _origin(config: Config, key: str, asked: object, environment: Mapping[str, str]) -> str:
    """Where a value comes from; in some keys, none in the file leaves it to others."""
    if isinstance(asked, Count) and not asked:
        return "this machine"
    if key in config.keys:
        return f"line {config.keys[key]}"
    for variable in VARIABLES.get(key, ()):
        told = environment.get(variable)
        if told and (key == "daemon.model_cache" or str(asked).startswith(told)):
            return f"${variable}"
    return "default"


def written(rows: list[Row]) -> Iterator[str]:
    """The lines of a configuration file that says so, each with where it comes from."""
    table = ""
    for row in rows:
        above, _, name = row.key.rpartition(".")
        if above != table:
            brackets = above.partition("[")
            yield ("" if not table else "\n") + (
                f"[[{brackets[0]}]]" if brackets[1] else f"[{above}]"
            )
            table = above
        yield f"{name} = {_toml(row.value)}  # {row.origin}"


def summary(config: Config, machine: Machine, environment: Mapping[str, str]) -> str:
    """What is in force of what matters most, in one line.

    Args:
        config: with the numbers that fit this machine.
        machine: the one that it is.
        environment: of the daemon.
    """
    pools = "; ".join(
        f"workers {pool.name}: device {pool.device}"
        + (f" ({'cpu' if on_cpu(pool, machine) else 'gpu'})" if pool.device == "auto" else "")
        + f", {pool.count} x {pool.threads} threads"
        for pool in config.workers
    )
    found = "a GPU" if machine.gpu else "no GPU"
    download = "on" if config.daemon.auto_download else "off"
    return (
        f"state in {config.daemon.state_dir}, socket {config.daemon.socket};"
        f" models in {cache(config.daemon.model_cache, environment)}, auto_download {download};"
        f" {machine.cores} cores, {found}; {pools}"
    )


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case Seconds():
            return json.dumps(duration(value))
        case Bytes():
            return size(value)
        case Path() | str():
            return json.dumps(str(value), ensure_ascii=False)
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case _:
            return str(value)


def plain(value: object) -> object:
    """A value for JSON: durations in seconds, sizes in bytes."""
    match value:
        case float():
            return float(value)
        case int():
            return int(value)
        case _:
            return str(value)


def size(number: int) -> str:
    """A size as it is written in a configuration: 4294967296 is "4GiB"."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        least = Bytes.read(f"1{unit}")
        if number and number % least == 0:
            return f'"{number // least}{unit}"'
    return str(int(number))


def duration(seconds: float) -> str:
    """A duration as it is written in a configuration: 90.0 is "90s", 7200.0 "2h"."""
    for size, unit in UNITS.items():
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"
