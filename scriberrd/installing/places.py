"""Where things lie that belong to the system, or to one user."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scriberrd.files.home import home

if TYPE_CHECKING:
    from collections.abc import Mapping


class Places(NamedTuple):
    """Where `install` and `init` put things."""

    service: str | None  # the user, and group, that the service runs as; None: who installs it
    units: Path
    programs: Path  # a folder of PATH
    config: Path
    recordings: str  # as the configuration says it
    transcripts: str
    files: Mapping[str, Path]  # what each of the units/ becomes
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
            "scriberrd.service": units / "scriberrd.service",
            "scriberrd.socket": units / "scriberrd.socket",
            "sysusers.conf": Path("/etc/sysusers.d/scriberrd.conf"),
            "tmpfiles.conf": Path("/etc/tmpfiles.d/scriberrd.conf"),
        },
        systemctl=("systemctl",),
        kept=("/etc/scriberrd", "/var/lib/scriberrd", "/var/cache/scriberrd", "/var/log/scriberrd"),
    )


def of_user(environment: Mapping[str, str]) -> Places:
    """Those of a user: of the XDG base directories."""
    own = home(environment)
    config = Path(environment.get("XDG_CONFIG_HOME") or own / ".config")
    state = Path(environment.get("XDG_STATE_HOME") or own / ".local/state")
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
            "user/scriberrd.service": units / "scriberrd.service",
            "user/scriberrd.socket": units / "scriberrd.socket",
        },
        systemctl=("systemctl", "--user"),
        kept=(str(file), str(state / "scriberrd")),
    )
