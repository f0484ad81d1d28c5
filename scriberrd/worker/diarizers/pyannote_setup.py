"""Find what a pipeline of pyannote.audio needs before it is loaded, without anything heavy.

A pipeline is a folder with a config.yaml, which names the models that it consists of: in folders
below it, or by ids of the Hugging Face hub.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import huggingface_hub
import yaml
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from huggingface_hub.utils.tqdm import tqdm  # shows nothing: see worker/environment.py

from scriberrd.errors import TaskFailed
from scriberrd.worker import hub
from scriberrd.worker.describe import describe, is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from scriberrd.worker.diarizers import Tick, Wanted

    Get = Callable[[str], Path]  # a repository of the hub -> its snapshot

PACKAGE, OLDEST = "pyannote.audio", 4
CONFIG = "config.yaml"
PATTERNS = [CONFIG, "*.bin", "*.npz"]  # what is downloaded
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
INSIDE = "$model/"  # how a config names folders below it
# What pyannote.audio takes for a part that the config does not name.
DEFAULT = "pyannote/speaker-diarization-community-1"
PARTS = ("segmentation", "embedding", "plda")
OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE  # as the administrator wants it


class Pipeline(NamedTuple):
    """A pipeline that is whole on this machine."""

    folder: Path
    name: str
    revision: str  # of the hub; of a folder a digest of its files
    cache: Path  # where models are that it names by ids


def check_package() -> None:
    """See whether pyannote.audio is installed.

    Raises:
        TaskFailed: diarizer_missing.
    """
    try:
        version = metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        raise TaskFailed("diarizer_missing", f"there is no {PACKAGE}") from None
    if int(version.partition(".")[0]) < OLDEST:
        what = f"{PACKAGE} {version} is too old: {OLDEST} or later is needed"
        raise TaskFailed("diarizer_missing", what)


def check(wanted: Wanted) -> None:
    """See whether the pipeline is there, or could be downloaded.

    Raises:
        TaskFailed: diarization_model_missing or diarization_refused.
    """

    def get(repository: str) -> Path:
        found = _cached(repository, hub.folder_of_cache(wanted.model_cache))
        if found is None:
            _insist_on_download(repository, wanted)
            _ask(repository, lambda: huggingface_hub.HfApi().auth_check(repository))
            raise _ToDownload
        return found

    try:
        _pipeline(wanted, get)
    except _ToDownload:
        return


def find(wanted: Wanted, tick: Tick) -> Pipeline:
    """The pipeline, downloaded where it is not there yet; from then on no hub is asked.

    Raises:
        TaskFailed: diarization_model_missing or diarization_refused.
    """

    def get(repository: str) -> Path:
        cache = hub.folder_of_cache(wanted.model_cache)
        found = _cached(repository, cache)
        if found is None:
            _insist_on_download(repository, wanted)
            found = _ask(repository, lambda: _download(repository, cache, tick))
        return found

    _go_offline(off=OFFLINE)
    try:
        return _pipeline(wanted, get)
    finally:
        _go_offline(off=True)


class _ToDownload(Exception):
    """The check can't see further: a repository is not there yet."""


def _digest(folder: Path) -> str:
    """What tells folders of one name apart: the voices of one model mean nothing to another."""
    digest = hashlib.sha256()
    for file in sorted(file for pattern in PATTERNS for file in folder.rglob(pattern)):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:12]


def _pipeline(wanted: Wanted, get: Get) -> Pipeline:
    """The pipeline and all that it names; `get` has the repositories of the hub there."""
    folder = Path(wanted.model).expanduser()
    if folder.is_absolute() or wanted.model.startswith(".") or folder.is_dir():
        found = Pipeline(
            folder, folder.resolve().name, _digest(folder), hub.folder_of_cache(wanted.model_cache)
        )
    elif REPOSITORY.fullmatch(wanted.model):
        folder = get(wanted.model)
        found = Pipeline(folder, wanted.model, folder.name, hub.folder_of_cache(wanted.model_cache))
    else:
        what = f"{wanted.model!r} is neither a folder nor an id of the hub (owner/name)"
        raise _missing(what)
    for part in _parts(_config(found)):
        if part.startswith(INSIDE):
            _insist_on(found, part.removeprefix(INSIDE).partition("@")[0])
        elif REPOSITORY.fullmatch(repository := part.partition("@")[0]):
            get(repository)
    return found


def _config(pipeline: Pipeline) -> Mapping[str, Any]:
    """The parameters that its config gives to the pipeline."""
    try:
        config = yaml.safe_load((pipeline.folder / CONFIG).read_text(encoding="utf-8"))
        params = config["pipeline"].get("params", {})
    except OSError as error:
        raise _missing(f"{CONFIG} of {pipeline.name}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise _missing(f"{CONFIG} of {pipeline.name} is not one of a pipeline") from error
    return params if isinstance(params, Mapping) else {}


def _parts(params: Mapping[str, Any]) -> Iterator[str]:
    for part in PARTS:
        value = params.get(part, DEFAULT)
        if isinstance(value, Mapping):
            value = value.get("checkpoint")
        if isinstance(value, str):
            yield value


def _insist_on(pipeline: Pipeline, part: str) -> None:
    folder = pipeline.folder / part
    try:
        if any(folder.iterdir()):
            return
    except OSError as error:
        raise _missing(f"{part} of {pipeline.name}: {error.strerror}") from error
    raise _missing(f"{pipeline.name} lacks {part}")


def _cached(repository: str, cache: Path) -> Path | None:
    """Its snapshot in the cache, if all that was ever downloaded of it is there."""
    found = hub.cached(repository, cache, PATTERNS)
    if found is None or not any(file.suffix in (".bin", ".npz") for file in found.rglob("*")):
        return None
    return found


def _download(repository: str, cache: Path, tick: Tick) -> Path:
    class Bar(tqdm):
        """A progress bar that ticks instead of showing."""

        def update(self, n: float | None = 1) -> None:
            tick()
            super().update(n)

    return Path(
        huggingface_hub.snapshot_download(
            repository, allow_patterns=PATTERNS, cache_dir=cache, tqdm_class=Bar
        )
    )


def _insist_on_download(repository: str, wanted: Wanted) -> None:
    if not wanted.auto_download:
        raise _missing(
            f"{repository} is not in the cache: `hf download {repository}` by the daemon's user"
            " downloads it, or set auto_download = true"
        )


def _ask(repository: str, question: Callable[[], Any]) -> Any:
    """Ask the hub, and say what to do if it refuses."""
    try:
        return question()
    except GatedRepoError as error:
        token = "" if huggingface_hub.get_token() else " (there is no token)"
        what = f"accept its terms at https://huggingface.co/{repository}{token}"
        raise TaskFailed("diarization_refused", what) from error
    except Exception as error:  # the hub's library raises errors of many families
        if is_out_of_memory(error):
            raise
        if isinstance(error, RepositoryNotFoundError) or hub.is_refusal(error):
            what = f"it shows no {repository} to this token: is the name right, the token valid?"
            if not huggingface_hub.get_token():
                what = f"it shows no {repository} without a token: is the name right?"
            raise TaskFailed("diarization_refused", what) from error
        raise _missing(f"can't download {repository}: {describe(error)}") from error


def _go_offline(*, off: bool) -> None:
    """Whether the hub may be asked: for a local file that is missing, pyannote.audio does so."""
    huggingface_hub.constants.HF_HUB_OFFLINE = off
    os.environ["HF_HUB_OFFLINE"] = str(int(off))


def _missing(detail: str) -> TaskFailed:
    return TaskFailed("diarization_model_missing", detail)
