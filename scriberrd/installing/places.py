"""Where things lie that belong to the system, or to one user."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.files.home import CACHE, LOGS, STATE, home

if TYPE_CHECKING:
    from collections.abc import Mapping


PROGRAMS = ("scriberrd", "scriberrctl")
SHARED = [
    place.format(program)
    for program in PROGRAMS
    for place in (
        "man/man1/{}.1",
        "bash-completion/completions/{}",
        "zsh/site-functions/_{}",
        "fish/vendor_completions.d/{}.fish",
    )
]


class Places(NamedTuple):
    """Where `install` and `init` put things."""

    service: str | None  # the user, and group, that the service runs as; None: who installs it
    units: Path
    programs: Path  # a folder of PATH
    config: Path
    recordings: str  # as the configuration says it
    transcripts: str
    files: Mapping[str, Path]  # what each of the units/, and of share/, becomes
    systemctl: tuple[str, ...]
    kept: tuple[str, ...]  # what uninstall leaves

    @property
    def folders(self) -> tuple[Path, Path]:
        """Of the recordings and of the transcripts."""
        inbox, output = (
            self.config.parent / Path(one).expanduser()
            for one in (self.recordings, self.transcripts)
        )
        return inbox, output


def _shared(share: Path) -> dict[str, Path]:
    """The pages of the manual, and what shells complete by."""
    return {f"share/{name}": share / name for name in SHARED}


def of_system() -> Places:
    """Those of a service of the system."""
    units = Path("/etc/systemd/system")
    return Places(
        service="scriberrd",
        units=units,
        programs=Path("/usr/local/bin"),
        config=Path("/etc/scriberrd/scriberrd.toml"),
        recordings="/srv/recordings",
        transcripts="/srv/transcripts",
        files={
            "units/scriberrd.service": units / "scriberrd.service",
            "units/scriberrd.socket": units / "scriberrd.socket",
            "units/sysusers.conf": Path("/etc/sysusers.d/scriberrd.conf"),
            "units/tmpfiles.conf": Path("/etc/tmpfiles.d/scriberrd.conf"),
            **_shared(Path("/usr/local/share")),
        },
        systemctl=("systemctl",),
        kept=tuple(f"{folder}/scriberrd" for folder in ("/etc", STATE, CACHE, LOGS)),
    )


def of_user(environment: Mapping[str, str]) -> Places:
    """Those of a user: of the XDG base directories."""
    own = home(environment)
    config = Path(environment.get("XDG_CONFIG_HOME") or own / ".config")
    state = Path(environment.get("XDG_STATE_HOME") or own / ".local/state")
    data = Path(environment.get("XDG_DATA_HOME") or own / ".local/share")
    units, usual = config / "systemd/user", config / "scriberrd/scriberrd.toml"
    file = Path(environment.get("SCRIBERRD_CONFIG") or usual).absolute()
    return Places(
        service=None,
        units=units,
        programs=own / ".local/bin",
        config=file,
        recordings="~/Recordings" if file == usual else "inbox",  # that is: beside it
        transcripts="~/Transcripts" if file == usual else "transcripts",
        files={
            "units/user/scriberrd.service": units / "scriberrd.service",
            "units/user/scriberrd.socket": units / "scriberrd.socket",
            **_shared(data),
        },
        systemctl=("systemctl", "--user"),
        kept=(str(file), str(state / "scriberrd")),
    )
