"""The command `scriberrd`: run the daemon, check, create or install it, demonstrate it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

import click

from scriberrd import __version__
from scriberrd.ending import Commands

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from scriberrd.config import Config
    from scriberrd.installing.places import Places
    from scriberrd.installing.steps import Step

T = TypeVar("T")

# sysexits.h; systemd knows these too.
EX_FAILURE = 1
EX_TEMPFAIL = 75  # another daemon is running
EX_CONFIG = 78

FILE = click.Path(path_type=Path, dir_okay=False)
config_option = click.option(
    "-c",
    "--config",
    "option",
    type=FILE,
    metavar="FILE",
    help="The configuration file. [default: $SCRIBERRD_CONFIG, else "
    "$XDG_CONFIG_HOME/scriberrd/scriberrd.toml, else /etc/scriberrd/scriberrd.toml]",
)
COLORS = {"warning": "yellow", "problem": "red"}
as_option = click.option(
    "--as",
    "user",
    metavar="USER",
    help="Look as this user may. [default: for root, User= of the installed unit]",
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="scriberrd", message="%(prog)s %(version)s")
def main() -> None:
    """Watch folders for recordings and transcribe them.

    Exit status: 0 done, 1 failed, 2 wrong usage, 75 another daemon is running,
    78 the configuration can't be used.
    """


@main.command()
@config_option
@click.option(
    "--log-format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Text for people and the journal, or a JSON object a line.",
)
def run(option: Path | None, form: Literal["text", "json"]) -> None:
    """Run the daemon until SIGTERM or Ctrl-C. SIGHUP reloads the configuration."""
    from scriberrd import daemon  # noqa: PLC0415 - `scriberrd check` and `--help` start without it

    _be(option, daemon.run, form=form)


@main.command()
@config_option
@click.option("--once", is_flag=True, help="The only way: to watch for more, `scriberrd run`.")
def scan(option: Path | None, *, once: bool) -> None:
    """Transcribe all that lies in the inboxes, then end: for cron, and to try things out.

    Exit status: 0 all is done, 1 something failed, is left or can't be read, 75 a daemon is
    running, and does it when `scriberrctl rescan` asks.
    """
    from scriberrd import once as scanning  # noqa: PLC0415 - as above

    if not once:
        raise click.UsageError("scan needs --once")
    if not _be(option, scanning.run, ": `scriberrctl rescan` has it look"):
        raise SystemExit(EX_FAILURE)


def _be(
    option: Path | None,
    what: Callable[[Config, Callable[[], Config]], Coroutine[Any, Any, T]],
    advice: str = "",
    form: Literal["text", "json"] = "text",
) -> T:
    """Be the daemon with the configuration of the option; the log tells why it can't be."""
    import asyncio  # noqa: PLC0415 - as above
    import functools  # noqa: PLC0415

    from scriberrd import config as configuration  # noqa: PLC0415
    from scriberrd import logs  # noqa: PLC0415
    from scriberrd.errors import AlreadyRunning, ConfigError, ScriberrdError  # noqa: PLC0415

    logs.start("info", form)  # before the configuration, of whose problems it tells
    try:
        config = configuration.load(configuration.find(option, os.environ), os.environ)
        logs.set_level(config.daemon.log_level)
        again = functools.partial(configuration.load, config.file, os.environ)
        return asyncio.run(what(config, again))
    except ConfigError as error:
        _give_up(EX_CONFIG, *error.problems)
    except AlreadyRunning as error:
        _give_up(EX_TEMPFAIL, f"{error}{advice}")
    except (ScriberrdError, OSError) as error:
        _give_up(EX_FAILURE, str(error))


def _give_up(status: int, *problems: str) -> NoReturn:
    import logging  # noqa: PLC0415 - as above

    for problem in problems:
        logging.getLogger("scriberrd").error("%s", problem)
    sys.exit(status)


@main.command()
@config_option
@as_option
@click.option("--resolved", is_flag=True, help="Print every key as it is in force, and why.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with --resolved.")
def check(option: Path | None, user: str | None, *, resolved: bool, as_json: bool) -> None:
    """Check the configuration, and what of it can't work on this machine; start nothing.

    Exit status: 0 it can be used, 78 it can't, or no recording of a profile or worker could be
    done. Warnings change nothing of it.
    """
    if as_json and not resolved:
        raise click.UsageError("--json needs --resolved")
    from scriberrd import config as configuration  # noqa: PLC0415 - as above
    from scriberrd.doctor import foresight, service  # noqa: PLC0415
    from scriberrd.errors import ConfigError  # noqa: PLC0415

    unit = service.usual(os.environ)
    try:
        who = service.be(user, unit)
    except ConfigError as error:
        _fail(str(error), EX_CONFIG)
    if resolved:
        _show(_load(option), as_json=as_json)
        return
    read = _found(option, configuration.read)
    config, found = read.config, foresight.check(read, os.environ)
    for one in found:
        level = "warning: " if one.level == "warning" else ""
        click.echo(config.at(one.key, one.what, level), err=True)
    if any(one.level == "problem" for one in found):
        sys.exit(EX_CONFIG)
    click.echo(f"{config.file}: ok, for user {who}; {_queue(config)}")


def _queue(config: Config) -> str:
    """Where the queue is: root has that of the system, whichever file is given."""
    return f"its queue is in {config.daemon.state_dir}, its socket is {config.daemon.socket}"


def _show(config: Config, *, as_json: bool) -> None:
    import msgspec  # noqa: PLC0415 - as above

    from scriberrd.work import machine, resolved  # noqa: PLC0415

    rows = resolved.resolve(config, machine.look(), os.environ)
    if as_json:
        click.echo(msgspec.json.encode(rows, enc_hook=resolved.plain).decode())
    else:
        click.echo("\n".join(resolved.written(rows)))


@main.command()
@config_option
@as_option
@click.option("--json", "as_json", is_flag=True, help="As JSON, one object per line.")
def doctor(option: Path | None, user: str | None, *, as_json: bool) -> None:
    """Look at everything that a recording needs, and say what to do; the daemon may be down.

    Exit status: 0 nothing is broken, 1 there is a problem.
    """
    from scriberrd.doctor import report  # noqa: PLC0415 - as above
    from scriberrd.doctor.examine import examine  # noqa: PLC0415

    lines = list(examine(option, user))
    if as_json:
        import msgspec  # noqa: PLC0415

        for line in lines:
            click.echo(msgspec.json.encode(line).decode())
    else:
        for state, text in report.texts(lines):
            click.secho(text, fg=COLORS.get(state or ""))
    if any(line.state == "problem" for line in lines):
        sys.exit(EX_FAILURE)


@main.command()
@click.argument("file", type=FILE, required=False)
@click.option("--force", is_flag=True, help="Replace an existing file.")
def init(file: Path | None, *, force: bool) -> None:
    """Write a commented sample configuration to FILE, and create its folders.

    The default for FILE is where `scriberrd run` looks: $SCRIBERRD_CONFIG, else
    /etc/scriberrd/scriberrd.toml for root and $XDG_CONFIG_HOME/scriberrd/scriberrd.toml for others.
    There, recordings and transcripts are in /srv, or in your home; otherwise they are beside FILE.
    """
    from scriberrd.installing import places, sample  # noqa: PLC0415

    root = os.geteuid() == 0 and not (file or os.environ.get("SCRIBERRD_CONFIG"))
    environment = os.environ | ({"SCRIBERRD_CONFIG": str(file)} if file else {})
    there = _of_system() if root else places.of_user(environment)
    target = there.config
    if target.exists() and not force:
        _fail(f"{target}: exists already; --force replaces it", EX_FAILURE)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(sample.text(there), "utf-8")
        for folder in () if root else there.folders:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _fail(f"{error.filename or target}: {error.strerror}", EX_FAILURE)
    click.echo(f"created {target}; its inbox is {there.folders[0]}")
    click.echo(f"{_queue(_load(target))}; state_dir and socket in it change that")
    if root:
        click.echo("next: `scriberrd install` gives its folders to the service")


@main.command()
@click.option("--user", is_flag=True, help="For yourself, not for the system.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def install(*, user: bool, dry_run: bool) -> None:
    """Put the service in place: units of systemd, its user, a configuration, folders, links.

    What is in place stays as it is. The service is neither started nor stopped.
    """
    from scriberrd import installing  # noqa: PLC0415

    there = _places(dry_run, user=user)
    _carry_out(installing.install(there), dry_run)
    click.echo(installing.advice(there))


@main.command()
@click.option("--user", is_flag=True, help="That of yourself, not that of the system.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def uninstall(*, user: bool, dry_run: bool) -> None:
    """Stop the service, and take away what `install` put in place; no recording, no transcript."""
    from scriberrd import installing  # noqa: PLC0415

    there = _places(dry_run, user=user)
    _carry_out(installing.uninstall(there), dry_run)
    click.echo(installing.farewell(there))


def _places(dry_run: bool, *, user: bool) -> Places:
    from scriberrd.installing import places  # noqa: PLC0415

    if user:
        return places.of_user(os.environ)
    if os.geteuid() != 0 and not dry_run:
        _fail("only root can do that: use sudo; or --user, for yourself", EX_FAILURE)
    return _of_system()


def _of_system() -> Places:
    """Where all can read what is written, whatever the umask of root is."""
    from scriberrd.installing import places  # noqa: PLC0415

    os.umask(0o022)
    return places.of_system()


def _carry_out(steps: Iterator[Step], dry_run: bool) -> None:
    """Do these steps, and say each."""
    from scriberrd.errors import ConfigError, ScriberrdError  # noqa: PLC0415

    try:
        for step in steps:
            click.echo(f"would {step.says}" if dry_run else step.says)
            if not dry_run:
                step.do()
    except ConfigError as error:
        _fail(str(error), EX_CONFIG)
    except (ScriberrdError, OSError) as error:
        _fail(str(error), EX_FAILURE)


@main.command()
@click.argument("recordings", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def demo(recordings: tuple[Path, ...]) -> None:
    """Transcribe RECORDINGS with a temporary daemon in a temporary folder, and show all steps."""
    from scriberrd import demo as demonstration  # noqa: PLC0415

    sys.exit(demonstration.run(recordings))


def _load(option: Path | None) -> Config:
    from scriberrd import config  # noqa: PLC0415

    return _found(option, config.load)


def _found(option: Path | None, read: Callable[[Path, Mapping[str, str]], T]) -> T:
    """What is read of the configuration of the option."""
    from scriberrd import config  # noqa: PLC0415
    from scriberrd.errors import ConfigError  # noqa: PLC0415

    try:
        return read(config.find(option, os.environ), os.environ)
    except ConfigError as error:
        _fail(str(error), EX_CONFIG)


def _fail(message: str, status: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(status)
