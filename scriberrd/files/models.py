"""The models in the cache of the Hugging Face hub, without the hub's own library."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from scriberrd.files.packages import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from io import BufferedReader

WEIGHTS = "model.bin"  # of a model that CTranslate2 can load
PARTS = (WEIGHTS, "config.json", "tokenizer.json")  # which every model has, and a vocabulary
VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
FILES = (*PARTS, *VOCABULARIES, "preprocessor_config.json")
CHUNK = 1 << 20  # bytes
SYNCED = 32  # chunks after which a copy is brought to the disk: the end of it must not take long
INCOMING = "incoming-"  # begins the name of a folder with a copy that is not whole
OURS = f"{INCOMING}{uuid.uuid4().hex}-"  # of this process; all others were left behind
SHA256, SHA1 = 64, 40  # digits: the hub's digests of large files, and of small ones (Git's)

# What faster-whisper knows by a name; of a name with a dot, all after it is the language.
NAMES = {
    "tiny": "Systran/faster-whisper-tiny",
    "tiny.en": "Systran/faster-whisper-tiny.en",
    "base": "Systran/faster-whisper-base",
    "base.en": "Systran/faster-whisper-base.en",
    "small": "Systran/faster-whisper-small",
    "small.en": "Systran/faster-whisper-small.en",
    "medium": "Systran/faster-whisper-medium",
    "medium.en": "Systran/faster-whisper-medium.en",
    "large-v1": "Systran/faster-whisper-large-v1",
    "large-v2": "Systran/faster-whisper-large-v2",
    "large-v3": "Systran/faster-whisper-large-v3",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}
ALIASES = {"large": "large-v3", "turbo": "large-v3-turbo"}


class CachedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is on this machine."""

    name: str  # its id on the hub
    revision: str
    bytes: int


class Damaged(msgspec.Struct, frozen=True):
    """A file of a model that is not as it should be."""

    file: str
    problem: str


def cache(given: str, environment: Mapping[str, str]) -> Path:
    """The folder of all models: the given one, or "" for the hub's own choice."""
    home = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    hub = environment.get("HF_HUB_CACHE") or Path(environment.get("HF_HOME") or home) / "hub"
    return Path(given or hub).expanduser()


def repository(name: str) -> str | None:
    """The hub's id of a model; None where nothing is known by that name."""
    return name if "/" in name else NAMES.get(ALIASES.get(name, name))


def cached(folder: Path) -> list[CachedModel]:
    """All models in a cache, by name."""
    return [
        CachedModel(
            name="/".join(weights.parts[-4].split("--")[1:]),
            revision=weights.parts[-2],
            bytes=sum(file.stat().st_size for file in weights.parent.iterdir()),
        )
        for weights in sorted(folder.glob(f"models--*--*/snapshots/*/{WEIGHTS}"))
        if weights.exists()  # a link may lead nowhere
    ]


def home(folder: Path, repository: str) -> Path:
    """Where a cache has a model of the hub."""
    return folder / f"models--{repository.replace('/', '--')}"


def lacking(source: Path) -> str:
    """The parts that a folder lacks to be a model; "" if there is none."""
    lacks = [part for part in PARTS if not (source / part).is_file()]
    if not any((source / part).is_file() for part in VOCABULARIES):
        lacks.append(VOCABULARIES[0])
    return ", ".join(lacks)


def adopt(source: Path, folder: Path, repository: str, *, beat: Callable[[], None]) -> CachedModel:
    """Copy a model from a folder into a cache, as the hub's library would have put it there.

    Nothing but the files of a model is copied. It is there whole, or not at all.

    Args:
        source: the folder.
        folder: the cache.
        repository: the model's id on the hub.
        beat: is called when the copy gets on.

    Raises:
        OSError: it can't be read, or the cache can't be written.
    """
    place = home(folder, repository)
    for left in place.glob(f"{INCOMING}*"):  # by a process that was killed
        if not left.name.startswith(OURS):
            shutil.rmtree(left)
    place.mkdir(parents=True, exist_ok=True)
    incoming = Path(tempfile.mkdtemp(prefix=OURS, dir=place))
    try:
        digests = {
            name: _copy(source / name, incoming / name, beat)
            for name in FILES
            if (source / name).is_file()
        }
        # The same files are the same revision, wherever they come from.
        told = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
        revision = hashlib.sha256(told.encode()).hexdigest()[:SHA1]
        blobs, snapshot = place / "blobs", place / "snapshots" / revision
        for needed in (blobs, snapshot, place / "refs"):
            needed.mkdir(parents=True, exist_ok=True)
        for name in reversed(list(digests)):  # without model.bin nothing takes it for a model
            os.replace(incoming / name, blobs / digests[name])
            (incoming / name).symlink_to(f"../../blobs/{digests[name]}")
            os.replace(incoming / name, snapshot / name)
        (incoming / "main").write_text(revision)
        os.replace(incoming / "main", place / "refs" / "main")
    finally:
        shutil.rmtree(incoming)
    size = sum((snapshot / name).stat().st_size for name in digests)
    return CachedModel(name=repository, revision=revision, bytes=size)


def _copy(source: Path, target: Path, beat: Callable[[], None]) -> str:
    """Copy a regular file to the disk; its digest."""
    digest = hashlib.sha256()
    with _opened(source) as file, target.open("wb") as copy:
        for number, chunk in enumerate(_chunks(file, beat), start=1):
            digest.update(chunk)
            copy.write(chunk)
            if number % SYNCED == 0:
                os.fsync(copy.fileno())
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()


def _opened(path: Path) -> BufferedReader:
    """Open a regular file; a FIFO would block, and a device be without an end."""
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115 - the caller closes it
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise IsADirectoryError(None, "not a regular file", str(path))


def _chunks(file: BufferedReader, beat: Callable[[], None]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        beat()
        yield chunk


def remove(folder: Path, repository: str) -> None:
    """Delete all of a model from a cache.

    Raises:
        OSError: it can't be.
    """
    shutil.rmtree(home(folder, repository))
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder / ".locks" / home(folder, repository).name)


def damages(folder: Path, model: CachedModel, *, beat: Callable[[], None]) -> list[Damaged]:
    """Each file of a model that is missing, can't be read, or has not the bytes that it had.

    What the bytes should be is known of what came from the hub or the package index, or was copied.

    Args:
        folder: the cache.
        model: one that is in it.
        beat: is called when reading gets on.
    """
    found = []
    snapshot = home(folder, model.name) / "snapshots" / model.revision
    if lacks := lacking(snapshot):
        found.append(Damaged(lacks, "missing"))
    package = PACKAGES.get(model.name)
    known = {file.name: file.sha256 for file in package.files} if package else {}
    for file in sorted(snapshot.iterdir()):
        should = known.get(file.name, "") if package and package.revision == model.revision else ""
        if file.is_symlink():
            should = should or os.path.basename(os.readlink(file))
        try:
            is_ = _digest(file, len(should), beat)
        except OSError as error:
            found.append(Damaged(file.name, error.strerror or "can't be read"))
            continue
        if should and len(should) in (SHA256, SHA1) and is_ != should:
            problem = "altered: its digest is another than when it came"
            found.append(Damaged(file.name, problem))
    return found


def _digest(file: Path, digits: int, beat: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    with _opened(file) as content:
        if digits == SHA1:
            digest = hashlib.sha1(usedforsecurity=False)
            digest.update(b"blob %d\0" % os.fstat(content.fileno()).st_size)
        for chunk in _chunks(content, beat):
            digest.update(chunk)
    return digest.hexdigest()
