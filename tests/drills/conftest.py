"""Programs that something happens to; what they promise is checked after every drill."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import promises
import pytest
from faults import FAULTS
from program import MODEL, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DRILL, SEEN = "drill", "seen"  # properties of a report
DRILLED = pytest.StashKey[set[int]]()


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Program, bytes], dict[str, Any]]:
    """What a recording becomes in a program that nothing happens to, made once for all."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def transcribe(like: Program, content: bytes) -> dict[str, Any]:
        settings = {key: like.settings[key] for key in ("block_seconds", "engine")}
        settings |= {"model": MODEL} if settings["engine"] != "fake" else {}
        key = hashlib.sha256(repr(settings).encode() + content).hexdigest()
        known = shared / f"undisturbed-{key}.json"
        with locked(known.with_suffix(".lock")):
            if not known.exists():
                program = Program(tmp_path_factory.mktemp("undisturbed"), **settings)
                program.start()
                program.drop(content, "x.opus")
                program.wait("x.opus", "completed")
                assert program.stop() == 0
                known.write_text(json.dumps(promises.comparable(program.transcript("x.json"))))
        found: dict[str, Any] = json.loads(known.read_bytes())
        return found

    return transcribe


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep the other processes that run tests out meanwhile."""
    with file.open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    drilled = config.stash.setdefault(DRILLED, set())
    for item in items:  # the slow ones too: they are left out later
        if item.path.parent != Path(__file__).parent or not item.path.name.startswith("test_drill"):
            continue
        item.add_marker("drill")
        told = " ".join((getattr(item, "function", item).__doc__ or "").split())
        assert " -> " in told, f"{item.nodeid}: its docstring says `fault -> promise`"
        numbers = sorted({number for mark in item.iter_markers("fault") for number in mark.args})
        assert numbers, f"{item.nodeid}: its mark `fault` has the numbers"
        assert FAULTS.keys() >= set(numbers), f"{item.nodeid}: {numbers} are not all in faults.py"
        drilled.update(numbers)
        item.user_properties.append((DRILL, (*numbers, told)))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear from a process that ran tests for this one which faults are drilled."""
    drilled = node.config.stash.setdefault(DRILLED, set())
    drilled.update(getattr(node, "workeroutput", {}).get(DRILL, []))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[DRILL] = sorted(session.config.stash[DRILLED])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.getoption("--table", default=False):
        return
    outcomes: dict[tuple[Any, ...], dict[str, str]] = defaultdict(dict)  # of each drill's cases
    seen: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for outcome in ("passed", "failed", "error", "skipped"):  # a later one counts: see `program`
        for report in terminalreporter.stats.get(outcome, []):
            properties = dict(report.user_properties)
            if DRILL in properties:
                outcomes[properties[DRILL]][report.nodeid] = outcome
                seen[properties[DRILL]] += [properties[SEEN]] if SEEN in properties else []
    rows = [
        ([*numbers], *told.split(" -> "), "; ".join([verdict(cases), *dict.fromkeys(seen[drill])]))
        for drill, cases in outcomes.items()
        for *numbers, told in [drill]
    ]
    missing = FAULTS.keys() - config.stash[DRILLED]
    rows += [([number], FAULTS[number], "-", "NO DRILL") for number in missing]
    print("\n| | fault | promise | seen |\n|---|---|---|---|")
    for numbers, *cells in sorted(rows):
        print("|", " | ".join([", ".join(map(str, numbers)), *cells]), "|")


def verdict(cases: dict[str, str]) -> str:
    """How the cases of a drill ended, in words."""
    counts = Counter(cases.values())
    words = [f"kept {counts.pop('passed')} of {len(cases)}"] if "passed" in counts else []
    words += [f"{count} {outcome}" for outcome, count in counts.items()]
    return "kept" if words == ["kept 1 of 1"] else ", ".join(words)
