"""From TOML to a frozen Config: the only reader of configuration and environment."""

from __future__ import annotations

import grp
import importlib.metadata
import os
import stat
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from scriberrd.config import inboxes
from scriberrd.config.inboxes import Inbox
from scriberrd.config.live import MODELS, Config, Doubt
from scriberrd.config.tables import Api, Daemon, Retention, Retry, Worker
from scriberrd.errors import ConfigError
from scriberrd.files.home import RUNTIME, STATE, home
from scriberrd.settings import Settings, conflicts
from scriberrd.toml import Document, meant, spell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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

T = TypeVar("T", bound=msgspec.Struct)

NO_INBOX = Inbox(name="", path=Path("/"), output=Path("/"))
NO_WORKER = Worker(name="default")

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


class Read(NamedTuple):
    """What a file says, as far as it could be read."""

    config: Config
    problems: list[Doubt]  # why the daemon can't use it
    lost: set[str]  # "inbox[1]": tables that lack what they need, for which others stand in


def load(file: Path, environment: Mapping[str, str]) -> Config:
    """Read and check a configuration.

    Raises:
        ConfigError: with every problem of the file.
    """
    document = Document(file.absolute())
    read = _read(document, environment)
    if document.problems:
        raise ConfigError(document.problems)
    return read.config


def read(file: Path, environment: Mapping[str, str]) -> Read:
    """Read of a configuration what can be read, to look at all of it at once.

    Raises:
        ConfigError: it is no TOML, or can't be read.
    """
    return _read(Document(file.absolute()), environment)


def _read(document: Document, environment: Mapping[str, str]) -> Read:
    for key in document.root.keys() - TABLES.keys():
        hint = meant(key, TABLES) or ";"
        document.problem((key,), f"unknown key{hint} known tables: {', '.join(TABLES.values())}")
    daemon = _table(document, Daemon, "daemon")
    api = _table(document, Api, "api")
    found = inboxes.read(document)
    workers = document.tables(Worker, "worker")
    profiles = _profiles(document)
    _check_names(document, found)
    _check_names(document, workers)
    if profiles:
        _check_profiles(document, profiles)
    if api.group:
        _check_group(document, ("api", "group"), api.group)
    places = _with_places(document, ("daemon",), daemon, *PLACES)
    all_inboxes, lost_inboxes = _in_place(document, "inbox", found, NO_INBOX)
    all_workers, lost_workers = _in_place(document, "worker", workers, NO_WORKER)
    config = Config(
        file=document.file,
        daemon=_placed(places, document.file.parent, environment),
        api=api,
        inboxes=all_inboxes,
        profiles=profiles,
        workers=all_workers or (NO_WORKER,),
        retry=_table(document, Retry, "retry"),
        retention=_table(document, Retention, "retention"),
        keys=_set(document, daemon),
        lines={
            inbox.name: document.lines((*where, "ignore"), inbox.ignore) for where, inbox in found
        },
    )
    return Read(config, [Doubt(*told) for told in document.told], lost_inboxes | lost_workers)


def _table(document: Document, kind: type[T], key: str) -> T:
    """A table that needs nothing: its defaults, if it is none."""
    return document.table(kind, document.root.get(key, {}), (key,)) or kind()


def _in_place(
    document: Document, key: str, found: Sequence[tuple[Where, T]], stand_in: T
) -> tuple[tuple[T, ...], set[str]]:
    """All tables of a list where the file has them, and which are lost, with others for those."""
    tables = document.root.get(key, [])
    read = dict(found)
    wanted = [(key, n) for n in range(len(tables))] if isinstance(tables, list) else []
    lost = {spell(where) for where in wanted if where not in read}
    return tuple(read.get(where, stand_in) for where in wanted), lost


def _profiles(document: Document) -> dict[str, Settings]:
    """All profiles by name; {} if they are none."""
    tables = document.root.get("profile", {})
    if not isinstance(tables, dict) or not all(isinstance(one, dict) for one in tables.values()):
        document.problem(("profile",), "not a table of tables; write [profile.NAME]")
        return {}
    profiles = {"default": Settings()}
    for name, table in tables.items():
        where = ("profile", name)
        settings = document.table(Settings, table, where) or Settings()
        for key, what in conflicts(settings):
            document.problem((*where, key), what)
        settings = _with_places(document, where, settings, *MODELS)
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


def _with_places(document: Document, where: Where, table: T, *keys: str) -> T:
    """The same, with the defaults of those keys that are no valid paths."""
    for key in keys:
        text: str = getattr(table, key)
        try:
            possible = "\0" not in text and Path(text).expanduser()
        except RuntimeError:  # "~name", and nobody has that name
            possible = False
        if not possible:
            document.problem((*where, key), f"{text!r} is not a valid path")
            table = replace(table, **{key: getattr(type(table)(), key)})
    return table


def _check_profiles(document: Document, profiles: Mapping[str, Settings]) -> None:
    """Note the inboxes whose profile there is not, also of those that can't be read."""
    tables = document.root.get("inbox", [])
    for number, table in enumerate(tables if isinstance(tables, list) else []):
        name = table.get("profile") if isinstance(table, dict) else None
        if isinstance(name, str) and name not in profiles:
            hint = meant(name, profiles) or ";"
            what = f"there is no profile {name!r}{hint} known profiles: {', '.join(profiles)}"
            document.problem(("inbox", number, "profile"), what)


def _check_group(document: Document, where: Where, group: str) -> None:
    try:
        grp.getgrnam(group)
    except (KeyError, ValueError):
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
