"""`scriberrd install`: units of systemd and what belongs to them, put in place and taken away."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from scriberrd.errors import CannotInstall
from scriberrd.installing import sample, steps
from scriberrd.installing.places import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scriberrd.installing.places import Places
    from scriberrd.installing.steps import Step

UNITS = ("scriberrd.socket", "scriberrd.service")
BOOTED = Path("/run/systemd/system")  # sd_booted(3)


def install(places: Places) -> Iterator[Step]:
    """What is to be done, in this order; nothing for what is in place already.

    Raises:
        CannotInstall: the service could not run this program.
        ConfigError: there is a configuration, and it can't be used.
    """
    program = _program()
    if places.service is not None:
        _reachable(program, places.service)
    folders = sample.folders(places)
    for name, target in places.files.items():
        yield from steps.write(target, _text(name, program, places.config))
    for name in PROGRAMS:
        yield from steps.link(places.programs / name, program.parent / name)
    if places.service is not None:
        yield from steps.account(places.service, places.files["units/sysusers.conf"])
    yield from steps.write(places.config, sample.text(places), replace=False)
    for folder in folders:
        yield from steps.folder(folder, places.service)
    if places.service is not None:
        yield from steps.readable(*places.files.values(), places.programs)
        if not steps.may(places.service, "-r", places.config):
            yield from steps.readable(places.config)
        yield from steps.command(
            "systemd-tmpfiles", "--create", places.files["units/tmpfiles.conf"]
        )
    if BOOTED.is_dir():
        yield from steps.command(*places.systemctl, "daemon-reload")


def uninstall(places: Places) -> Iterator[Step]:
    """What takes away all that `install` has put in place, but nothing that is anybody's work."""
    units = [name for name in UNITS if (places.units / name).exists()]
    units = [name for name in units if not steps.is_masked(places.units / name)]
    if BOOTED.is_dir() and units:
        yield from steps.command(*places.systemctl, "disable", "--now", *units)
    for target in places.files.values():
        yield from steps.remove(target)
    for name in PROGRAMS:
        yield from steps.unlink(places.programs / name, _program().parent / name)
    if BOOTED.is_dir():
        yield from steps.command(*places.systemctl, "daemon-reload")


def advice(places: Places) -> str:
    """What to do next, and how to undo it."""
    systemctl = " ".join(places.systemctl)
    asked = [*places.systemctl, "--quiet", "is-active", "scriberrd.service"]
    if (
        BOOTED.is_dir()
        and subprocess.run(asked, stderr=subprocess.DEVNULL, check=False).returncode == 0
    ):
        lines = [f"{systemctl} restart scriberrd    # what runs is the one of before"]
    elif places.service is None:
        lines = [
            f"{systemctl} enable --now scriberrd",
            "loginctl enable-linger    # it goes on while you are logged out",
        ]
    else:
        name = os.environ.get("SUDO_USER", "NAME")
        join = f"usermod --append --groups {places.service} {name}"
        lines = [
            f"{systemctl} enable --now scriberrd",
            f"{join}    # who may use it; they log in again",
        ]
    undo = "scriberrd uninstall" + (" --user" if places.service is None else "")
    return "\n  ".join(["next:", *lines, f"{undo}    # to undo all this"])


def farewell(places: Places) -> str:
    """What is still there, and how to delete it."""
    kept = [shlex.quote(one) for one in places.kept if os.path.exists(one)]
    lines = [f"rm -r {' '.join(kept)}    # configuration, queue, models"] if kept else []
    units = [places.units / name for name in UNITS]
    own = [one for one in units if steps.is_masked(one)]
    own += [one for unit in units if (one := unit.with_name(f"{unit.name}.d")).exists()]
    if own:
        lines.append(f"rm -r {shlex.join(map(str, own))}    # what you have changed of the units")
    if places.service is not None:
        lines.append(f"userdel {places.service}")
    said = "recordings and transcripts stay"
    return "\n  ".join([f"{said}, and what these would delete:" if lines else said, *lines])


def _program() -> Path:
    """The real path of this program: a unit can't rely on anybody's PATH.

    Raises:
        CannotInstall: it is not installed.
    """
    beside = Path(sys.executable).with_name("scriberrd")
    for one in (Path(shutil.which(sys.argv[0]) or "").resolve(), beside):
        if one.name == "scriberrd" and os.access(one, os.X_OK) and one.is_file():
            return one
    raise CannotInstall("the program scriberrd is not installed: pip install it first")


def _reachable(program: Path, service: str) -> None:
    for used in (program, Path(sys.executable).resolve()):
        for closed in (used, *used.parents):
            if not closed.stat().st_mode & 0o001:
                raise CannotInstall(
                    f"{used}: user {service} can't run it, since {closed} is closed to others: "
                    "install scriberrd elsewhere, such as /opt/scriberrd"
                )


def _text(name: str, program: Path, config: Path) -> str:
    text = resources.files(__name__).joinpath(name).read_text("utf-8")
    client = _quoted(program.with_name("scriberrctl"))
    run = f"={_quoted(program)} run --config {_quoted(config)}\n"
    text = text.replace("=scriberrd run\n", run)
    return text.replace("=scriberrctl ", f"={client} ")


def _quoted(path: Path) -> str:
    """As systemd.syntax(7) and systemd.unit(5) want it."""
    text = str(path).replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"')
    return f'"{text}"' if any(char in text for char in " \t'\"\\") else text
