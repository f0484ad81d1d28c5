"""What is made from the tables: `make docs` writes it, `--check` tells what is not up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import manual
import markdown
import shapes

import scriberrctl.cli
import scriberrd.cli
from scriberrctl.shells import PLACES, script

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SHARE = ROOT / "scriberrd/installing/share"  # as below /usr/local/share
MARK = "# Written by `scriberrd install`, which replaces it."  # installing/steps.py knows it
PROGRAMS = {"scriberrctl": scriberrctl.cli.main, "scriberrd": scriberrd.cli.main}


def made() -> Iterator[tuple[Path, str]]:
    """Each file, and what is to be in it."""
    guide = ROOT / "docs/scriberrctl.md"
    yield guide, markdown.text(guide.read_text("utf-8"))
    yield ROOT / "scriberrctl/shapes.py", _formatted(shapes.text())
    for name, command in PROGRAMS.items():
        yield SHARE / f"man/man1/{name}.1", f'.\\" {MARK}\n{manual.page(name, command)}'
        for shell, place in PLACES.items():
            yield SHARE / place.format(name), _marked(script(shell, name, command))


def _marked(code: str) -> str:
    """With a line that says where it is from; zsh wants its own line first."""
    first, line, rest = code.partition("\n")
    if first.startswith("#compdef"):
        return f"{first}\n{MARK}{line}{rest}"
    return f"{MARK}\n{code}"


def _formatted(code: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "shapes.py", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if something is not up to date.")
def main(*, check: bool) -> None:
    """Write the files that are made from the tables of commands and endpoints."""
    old = [
        (file, text)
        for file, text in made()
        if not file.exists() or file.read_text("utf-8") != text
    ]
    for file, text in old:
        what = "is not up to date: make docs" if check else "written"
        click.echo(f"{file.relative_to(ROOT)}: {what}")
        if not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
    sys.exit(bool(check and old))


main()
