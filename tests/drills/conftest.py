"""Programs that something happens to; what they promise is checked after every drill."""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import promises
import pytest
from program import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DRILL, SEEN = "drill", "seen"  # properties of a report


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Program, bytes], dict[str, Any]]:
    """What a recording becomes in a program that nothing happens to."""
    known: dict[tuple[object, bytes], dict[str, Any]] = {}

    def transcribe(like: Program, content: bytes) -> dict[str, Any]:
        length = like.settings["block_seconds"]
        if (length, content) not in known:
            program = Program(tmp_path_factory.mktemp("undisturbed"), block_seconds=length)
            program.start()
            program.drop(content, "x.opus")
            program.wait("x.opus", "completed")
            assert program.stop() == 0
            known[length, content] = promises.comparable(program.transcript("x.json"))
        return known[length, content]

    return transcribe


@pytest.fixture
def mount() -> Iterator[Callable[..., None]]:
    """Mount another file system at a folder, until the promises are checked."""
    mounted: list[Path] = []

    def mount_at(folder: Path, *arguments: str | Path) -> None:
        folder.mkdir(exist_ok=True)
        command = ["mount", *arguments, folder]
        if os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
            pytest.skip("needs the right to mount a file system")
        mounted.append(folder)

    yield mount_at
    for folder in reversed(mounted):
        if folder.is_mount():
            subprocess.run(["umount", folder], check=True)


@pytest.fixture
def program(
    tmp_path: Path,
    undisturbed: Callable[[Program, bytes], Any],
    mount: object,  # noqa: ARG001 - what is mounted has to stay until the check
) -> Iterator[Callable[..., Program]]:
    """Make programs, started unless told otherwise; afterwards their promises are checked."""
    made: list[Program] = []

    def make(*, start: bool = True, **settings: object) -> Program:
        root = tmp_path / f"p{len(made)}"
        root.mkdir()
        made.append(Program(root, **settings))
        if start:
            made[-1].start()
        return made[-1]

    yield make
    for one in made:
        if one.daemon is not None:
            assert one.stop() == 0, one.log.read_text()
        promises.check(one, undisturbed)


@pytest.fixture
def seen(record_property: Callable[[str, object], None]) -> Callable[[object], None]:
    """Take down what was seen, for the table of `make drill`."""
    return lambda what: record_property(SEEN, str(what))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", action="store_true", help="print a table of the drills")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "drills" in item.path.parts:
            item.add_marker("drill")
            told = " ".join((getattr(item, "function", item).__doc__ or "").split())
            assert " -> " in told, f"{item.nodeid}: its docstring says `fault -> promise`"
            item.user_properties.append((DRILL, told))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.getoption("--table", default=False):
        return
    outcomes: dict[str, list[str]] = defaultdict(list)
    seen: dict[str, list[str]] = defaultdict(list)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            properties = dict(report.user_properties)
            drill = properties.get(DRILL, report.nodeid)
            outcomes[drill].append(outcome)
            seen[drill] += [properties[SEEN]] if SEEN in properties else []
    print("\n| fault | promise | seen |\n|---|---|---|")
    for drill, results in outcomes.items():
        fault, _, promise = drill.partition(" -> ")
        kept = f"kept {results.count('passed')} of {len(results)}" if len(results) > 1 else "kept"
        verdict = kept if set(results) == {"passed"} else f"{kept}, {', '.join(results)}"
        print(f"| {fault} | {promise} | {'; '.join([verdict, *dict.fromkeys(seen[drill])])} |")
