"""From TOML to a frozen Config: the only reader of configuration and environment."""

from __future__ import annotations

import importlib.metadata
import os
import stat
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from scriberrd.errors import ConfigError
from scriberrd.files.folders import look_at
from scriberrd.hours import Hours
from scriberrd.model import Positive, Settings, conflicts
from scriberrd.toml import Bytes, Count, Document, Seconds, Span, Where

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXTENSIONS = (
    *("wav", "mp3", "m4a", "m4b", "aac", "ogg", "oga", "opus", "flac", "webm", "mp4", "m4v", "mov"),
    *("mkv", "mka", "avi", "wma", "wmv", "amr", "aiff", "aif", "caf", "mpg", "mpeg", "ts", "mts"),
    *("3gp", "mp2", "ac3", "wv", "ape", "dss", "au"),
)

# load() removes a leading dot and capitals.
Extension = Annotated[str, Meta(pattern=r"^\.?[A-Za-z0-9_+-]+$")]
# Those of CTranslate2, which checks which of them the device supports.
COMPUTE_TYPE = r"^(auto|int8|int16|(int8_)?(float32|float16|bfloat16))$"
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


Device = Annotated[str, Meta(pattern=r"^(auto|cpu|cuda|cuda:\d+)$")]
MODELS = ("model", "fallback_model", "diarization_model")  # keys that may be folders


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """`[daemon]`: settings for all inboxes and workers."""

    state_dir: str = ""  # databases and lock; load() fills in the default
    socket: str = ""  # of the API; load() fills in the default
    auto_download: bool = True
    model_cache: str = ""
    rescan: Span = Span(60)
    ageing: Seconds = Seconds(3600)
    stop_timeout: Seconds = Seconds(30)
    max_upload: Bytes = Bytes(4 << 30)
    backup: Seconds = Seconds(86400)
    backups: Positive = 7
    log_level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$")] = "info"


class Inbox(msgspec.Struct, frozen=True, kw_only=True):
    """`[[inbox]]`: a watched folder, and the folder for its transcripts."""

    name: Name
    path: Path
    output: Path
    profile: str = "default"
    recursive: bool = True
    settle: Seconds = Seconds(10)
    extensions: tuple[Extension, ...] = EXTENSIONS


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """`[[worker]]`: a pool of worker processes on one device."""

    name: Name
    device: Device = "auto"
    diarize_device: Device = "auto"
    count: Count = Count(0)  # 0: auto, until the daemon has looked at the machine
    threads: Count = Count(0)
    compute_type: Annotated[str, Meta(pattern=COMPUTE_TYPE)] = "auto"
    cpu_fallback: bool = False
    hours: Hours = Hours()
    idle_unload: Seconds = Seconds(300)
    heartbeat_timeout: Span = Span(60)
    stall_timeout: Span = Span(600)


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """`[retry]`: how often and how soon a recording is tried again."""

    attempts: Positive = 3
    backoff: Seconds = Seconds(30)
    backoff_max: Seconds = Seconds(3600)
    interruptions: Positive = 5
    soft_limit: Annotated[float, Meta(ge=0, le=1000)] = 10.0
    hard_limit: Annotated[float, Meta(ge=0, le=1000)] = 30.0
    limit_floor: Seconds = Seconds(600)


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """`[retention]`: at which age something is deleted; 0 is never."""

    jobs: Seconds = Seconds(0)
    events: Seconds = Seconds(90 * 86400)
    transcripts: Seconds = Seconds(0)
    library: Seconds = Seconds(0)
    library_size: Bytes = Bytes(1 << 30)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of the daemon, checked."""

    file: Path
    daemon: Daemon
    inboxes: tuple[Inbox, ...]
    profiles: dict[str, Settings]
    workers: tuple[Worker, ...]
    retry: Retry
    retention: Retention = Retention()

    def inbox(self, name: str) -> Inbox | None:
        """The inbox of that name, if there is one."""
        return next((inbox for inbox in self.inboxes if inbox.name == name), None)

    def sharing(self, inbox: Inbox) -> list[str]:
        """The names of the other inboxes that have the same output folder as this one."""
        others = (other for other in self.inboxes if other.name != inbox.name)
        return [other.name for other in others if other.output == inbox.output]


class Live:
    """The configuration as it is now: every room asks this one, and keeps no copy of its own."""

    def __init__(self, config: Config) -> None:
        self.config = config


def missing(config: Config) -> list[str]:
    """Folders and models of the configuration that can't be used now; they may be mounted later."""
    places = [
        (f"inbox {inbox.name}, {key}", place, "create it, or mount it")
        for inbox in config.inboxes
        for key, place in (("path", inbox.path), ("output", inbox.output))
    ] + [
        (f"profile {name}, {key}", Path(model), "copy the model there, or set another")
        for name, profile in config.profiles.items()
        for key in MODELS
        if os.path.isabs(model := getattr(profile, key))
    ]
    found = look_at([place for _, place, _ in places], _enter)
    return [
        f"{what}: {place}{_trouble(error, advice)}"
        for what, place, advice in places
        if (error := found[place]) is not None
    ]


def _enter(place: Path) -> None:
    if stat.S_ISDIR(os.stat(place).st_mode):
        os.stat(os.path.join(place, "."))  # needs the permission to enter it


def _trouble(error: OSError, advice: str) -> str:
    match error:
        case FileNotFoundError():
            return f" does not exist: {advice}"
        case PermissionError():
            return ": permission denied: give the daemon's user access"
        case _:
            return f": {error.strerror}"


def find(option: Path | None, environment: Mapping[str, str]) -> Path:
    """The configuration file: from the option, the environment, the user's or the system's folder.

    Raises:
        ConfigError: there is none.
    """
    if option is not None:
        return option
    if "SCRIBERRD_CONFIG" in environment:
        return Path(environment["SCRIBERRD_CONFIG"])
    home = Path(environment.get("HOME", "/"))
    user = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    places = [user / "scriberrd/scriberrd.toml", Path("/etc/scriberrd/scriberrd.toml")]
    for place in places:
        if os.path.isfile(place):
            return place
    tried = ", ".join(map(str, places))
    raise ConfigError([f"no configuration file (tried {tried}): create one with `scriberrd init`"])


def load(file: Path, environment: Mapping[str, str]) -> Config:
    """Read and check a configuration.

    Raises:
        ConfigError: with every problem of the file.
    """
    file = file.absolute()
    document = Document(file)
    for key in document.root.keys() - {
        *("daemon", "inbox", "profile", "worker", "retry", "retention")
    }:
        document.problem(
            (key,),
            "unknown key; known tables:"
            " [daemon], [[inbox]], [profile.NAME], [[worker]], [retry], [retention]",
        )
    daemon = document.table(Daemon, document.root.get("daemon", {}), ("daemon",))
    retry = document.table(Retry, document.root.get("retry", {}), ("retry",))
    retention = document.table(Retention, document.root.get("retention", {}), ("retention",))
    inboxes = document.tables(Inbox, "inbox")
    workers = document.tables(Worker, "worker")
    profiles = _profiles(document)
    _check_names(document, inboxes)
    _check_names(document, workers)
    _check_folders(document, inboxes)
    if daemon is not None:
        _check_places(document, ("daemon",), daemon, "state_dir", "socket", "model_cache")
    for where, inbox in inboxes:
        if profiles and inbox.profile not in profiles:
            what = f"there is no profile {inbox.profile!r}; known profiles: {', '.join(profiles)}"
            document.problem((*where, "profile"), what)
    if document.problems or daemon is None or retry is None or retention is None:
        raise ConfigError(document.problems)
    return Config(
        file=file,
        daemon=_placed(daemon, file.parent, environment),
        inboxes=tuple(_normal(inbox) for _, inbox in inboxes),
        profiles={name: profile for name, profile in profiles.items() if profile is not None},
        workers=tuple(worker for _, worker in workers) or (Worker(name="default"),),
        retry=retry,
        retention=retention,
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
        known = ", ".join(sorted(group.names))
        document.problem((*where, key), f"there is no {key} {name!r}; known {key}s: {known}")


def _absolute(settings: Settings, key: str, base: Path) -> Settings:
    # A worker has another working directory. "a/b" is the id of a model on the hub.
    model: str = getattr(settings, key)
    if not model.startswith((".", "~")):
        return settings
    return msgspec.structs.replace(settings, **{key: str(base / Path(model).expanduser())})


def _normal(inbox: Inbox) -> Inbox:
    extensions = tuple(one.removeprefix(".").lower() for one in inbox.extensions)
    return msgspec.structs.replace(inbox, extensions=extensions)


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


def _check_names(document: Document, tables: Sequence[tuple[Where, Inbox | Worker]]) -> None:
    for (_, first), (where, second) in combinations(tables, 2):
        if first.name == second.name:
            document.problem((*where, "name"), f"{second.name!r} is used twice")


def _check_folders(document: Document, inboxes: list[tuple[Where, Inbox]]) -> None:
    places = [place for _, inbox in inboxes for place in (inbox.path, inbox.output)]
    looks = look_at(places, _look)

    def real(place: Path) -> Path:
        look = looks[place]
        return Path(os.path.normpath(place)) if isinstance(look, OSError) else look.real

    for where, inbox in inboxes:
        for key, folder in (("path", inbox.path), ("output", inbox.output)):
            look = looks[folder]
            if not isinstance(look, OSError) and look.no_folder:
                document.problem((*where, key), f"'{folder}' is not a folder")
        if real(inbox.output).is_relative_to(real(inbox.path)):
            what = f"'{inbox.output}' is inside its own inbox; use a folder outside of it"
            document.problem((*where, "output"), what)
    for (_, one), (where, other) in combinations(inboxes, 2):
        first, second = real(one.path), real(other.path)
        if (
            first == second
            or (one.recursive and second.is_relative_to(first))
            or (other.recursive and first.is_relative_to(second))
        ):
            what = f"inbox {one.name!r} watches '{other.path}' too; use a folder of its own"
            document.problem((*where, "path"), what)


class _Look(NamedTuple):
    real: Path  # the folder with all links resolved
    no_folder: bool  # something else is there


def _look(place: Path) -> _Look:
    real = Path(os.path.realpath(place))  # Path.resolve raises when links lead in a circle
    try:
        return _Look(real, not stat.S_ISDIR(os.stat(place).st_mode))
    except OSError:  # it may exist later: `missing` reports it
        return _Look(real, no_folder=False)


def _placed(daemon: Daemon, base: Path, environment: Mapping[str, str]) -> Daemon:
    """Fill in the paths of state and socket: from systemd, or the system's, or the user's."""
    home = Path(environment.get("HOME", "/"))
    if os.geteuid() == 0:
        state, runtime = Path("/var/lib/scriberrd"), Path("/run/scriberrd")
    else:
        state = Path(environment.get("XDG_STATE_HOME") or home / ".local/state") / "scriberrd"
        runtime = (
            Path(environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}") / "scriberrd"
        )
    state_dir = daemon.state_dir or environment.get("STATE_DIRECTORY") or str(state)
    runtime_dir = environment.get("RUNTIME_DIRECTORY") or str(runtime)
    return msgspec.structs.replace(
        daemon,
        state_dir=str(base / Path(state_dir).expanduser()),
        socket=str(base / Path(daemon.socket or f"{runtime_dir}/scriberrd.sock").expanduser()),
        model_cache=daemon.model_cache and str(base / Path(daemon.model_cache).expanduser()),
    )
