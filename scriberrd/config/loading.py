"""From TOML to a frozen Config: the only reader of configuration and environment."""

from __future__ import annotations

import grp
import importlib.metadata
import os
import stat
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from scriberrd.config import inboxes
from scriberrd.config.live import MODELS, Config
from scriberrd.config.tables import Api, Daemon, Retention, Retry, Worker
from scriberrd.errors import ConfigError
from scriberrd.files.home import RUNTIME, STATE, home
from scriberrd.settings import Settings, conflicts
from scriberrd.toml import Document, meant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scriberrd.config.inboxes import Inbox
    from scriberrd.toml import Where

TABLES = {  # and how each is written
    "daemon": "[daemon]",
    "api": "[api]",
    "inbox": "[[inbox]]",
    "profile": "[profile.NAME]",
    "worker": "[[worker]]",
    "retry": "[retry]",
    "retention": "[retention]",
}

PLACES = ("state_dir", "socket", "model_cache")  # of [daemon]; "" leaves it to the environment


def find(option: Path | None, environment: Mapping[str, str]) -> Path:
    """The configuration file: from the option, the environment, the user's or the system's folder.

    Raises:
        ConfigError: there is none, or it can't be told.
    """
    if option is not None:
        return option
    if "SCRIBERRD_CONFIG" in environment:
        return Path(environment["SCRIBERRD_CONFIG"])
    place = home(environment)
    user = Path(environment.get("XDG_CONFIG_HOME") or place / ".config")
    places = [user / "scriberrd/scriberrd.toml", Path("/etc/scriberrd/scriberrd.toml")]
    closed = []
    for place in places:
        try:
            if stat.S_ISREG(place.stat().st_mode):
                return place
        except PermissionError as error:
            closed.append(f"{place}: {error.strerror}")
        except OSError:
            pass
    if closed:
        raise ConfigError(closed)
    tried = ", ".join(map(str, places))
    raise ConfigError([f"no configuration file (tried {tried}): create one with `scriberrd init`"])


def load(file: Path, environment: Mapping[str, str]) -> Config:
    """Read and check a configuration.

    Raises:
        ConfigError: with every problem of the file.
    """
    file = file.absolute()
    document = Document(file)
    for key in document.root.keys() - TABLES.keys():
        hint = meant(key, TABLES) or ";"
        document.problem((key,), f"unknown key{hint} known tables: {', '.join(TABLES.values())}")
    daemon = document.table(Daemon, document.root.get("daemon", {}), ("daemon",))
    api = document.table(Api, document.root.get("api", {}), ("api",))
    retry = document.table(Retry, document.root.get("retry", {}), ("retry",))
    retention = document.table(Retention, document.root.get("retention", {}), ("retention",))
    read = inboxes.read(document)
    workers = document.tables(Worker, "worker")
    profiles = _profiles(document)
    _check_names(document, read)
    _check_names(document, workers)
    if daemon is not None:
        _check_places(document, ("daemon",), daemon, *PLACES)
    for where, inbox in read:
        if profiles and inbox.profile not in profiles:
            hint = meant(inbox.profile, profiles) or ";"
            what = f"there is no profile {inbox.profile!r}{hint} known profiles: "
            what += ", ".join(profiles)
            document.problem((*where, "profile"), what)
    if api is not None and api.group:
        _check_group(document, ("api", "group"), api.group)
    if document.problems or daemon is None or api is None or retry is None or retention is None:
        raise ConfigError(document.problems)
    return Config(
        file=file,
        daemon=_placed(daemon, file.parent, environment),
        api=api,
        inboxes=tuple(inbox for _, inbox in read),
        profiles={name: profile for name, profile in profiles.items() if profile is not None},
        workers=tuple(worker for _, worker in workers) or (Worker(name="default"),),
        retry=retry,
        retention=retention,
        keys=_set(document, daemon),
        lines={
            inbox.name: document.lines((*where, "ignore"), inbox.ignore) for where, inbox in read
        },
    )


def _profiles(document: Document) -> dict[str, Settings | None]:
    """All profiles by name; None for a profile that has problems."""
    tables = document.root.get("profile", {})
    if not isinstance(tables, dict) or not all(isinstance(one, dict) for one in tables.values()):
        document.problem(("profile",), "not a table of tables; write [profile.NAME]")
        return {}
    profiles: dict[str, Settings | None] = {"default": Settings()}
    for name, table in tables.items():
        where = ("profile", name)
        settings = document.table(Settings, table, where)
        if settings is not None:
            for key, what in conflicts(settings):
                document.problem((*where, key), what)
            if _check_places(document, where, settings, *MODELS):
                for key in MODELS:
                    settings = _absolute(settings, key, document.file.parent)
        profiles[name] = settings
        for key in ("engine", "diarizer"):
            _check_installed(document, where, table, key)
    return profiles


def _check_installed(document: Document, where: Where, table: Mapping[str, Any], key: str) -> None:
    """Whether the engine or diarizer of a profile is one that a package has registered."""
    group = importlib.metadata.entry_points(group=f"scriberrd.{key}s")
    if isinstance(name := table.get(key), str) and name not in group.names:
        known, hint = ", ".join(sorted(group.names)), meant(name, group.names) or ";"
        document.problem((*where, key), f"there is no {key} {name!r}{hint} known {key}s: {known}")


def _absolute(settings: Settings, key: str, base: Path) -> Settings:
    # A worker has another working directory. "a/b" is the id of a model on the hub.
    model: str = getattr(settings, key)
    if not model.startswith((".", "~")):
        return settings
    return replace(settings, **{key: str(base / Path(model).expanduser())})


def _check_places(document: Document, where: Where, table: Daemon | Settings, *keys: str) -> bool:
    """Whether all of these are valid paths."""
    before = len(document.problems)
    for key in keys:
        text: str = getattr(table, key)
        try:
            possible = "\0" not in text and Path(text).expanduser()
        except RuntimeError:  # "~name", and nobody has that name
            possible = False
        if not possible:
            document.problem((*where, key), f"{text!r} is not a valid path")
    return len(document.problems) == before


def _check_group(document: Document, where: Where, group: str) -> None:
    try:
        grp.getgrnam(group)
    except KeyError:
        document.problem(where, f"there is no group {group!r}")


def _check_names(document: Document, tables: Sequence[tuple[Where, Inbox | Worker]]) -> None:
    for (_, first), (where, second) in combinations(tables, 2):
        if first.name == second.name:
            document.problem((*where, "name"), f"{second.name!r} is used twice")


def _set(document: Document, daemon: Daemon) -> dict[str, int]:
    """The lines of all keys, without those of places that the file leaves to the environment."""
    left = {f"daemon.{key}" for key in PLACES if not getattr(daemon, key)}
    return {key: line for key, line in document.keys.items() if key not in left}


def _placed(daemon: Daemon, base: Path, environment: Mapping[str, str]) -> Daemon:
    """Fill in the paths of state and socket: from systemd, or the system's, or the user's."""
    place = home(environment)
    if os.geteuid() == 0:
        state, runtime = Path(STATE, "scriberrd"), Path(RUNTIME, "scriberrd")
    else:
        state = Path(environment.get("XDG_STATE_HOME") or place / ".local/state") / "scriberrd"
        runtime = (
            Path(environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}") / "scriberrd"
        )
    state_dir = daemon.state_dir or environment.get("STATE_DIRECTORY") or str(state)
    runtime_dir = environment.get("RUNTIME_DIRECTORY") or str(runtime)
    return replace(
        daemon,
        state_dir=str(base / Path(state_dir).expanduser()),
        socket=str(base / Path(daemon.socket or f"{runtime_dir}/scriberrd.sock").expanduser()),
        model_cache=daemon.model_cache and str(base / Path(daemon.model_cache).expanduser()),
    )
