"""A recording that leaves its inbox is somewhere at every moment, and nothing else is touched."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import hashlib
import json
import os
import shutil
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support import mounted

from scriberrd.errors import InboxUnavailable, SourceChanged
from scriberrd.files import leaving, writers
from scriberrd.files.leaving import Departure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scriberrd.model import Identity

CONTENT = b"the sound of a talk" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = b"another recording"
STEPS = ("open", "rename", "replace", "link", "unlink", "mkdir", "fsync", "fdatasync", "stat")
NAME = b"2026/talk.wav"


class Place(NamedTuple):
    """An inbox with a recording in it, and an archive."""

    root: Path
    archive: Path

    @property
    def going(self) -> Departure:
        return Departure(self.root, b"a/talk.wav", "0123abcd")

    @property
    def file(self) -> Path:
        return self.root / "a/talk.wav"

    def all(self) -> list[tuple[str, bytes]]:
        """The name and content of every file of both folders."""
        return sorted(
            (path.name, path.read_bytes())
            for folder in (self.root, self.archive)
            for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink()
        )

    def copies(self) -> list[str]:
        """Where the bytes of the recording are, whole."""
        return [name for name, content in self.all() if content == CONTENT]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "in", tmp_path / "archive")
    made.file.parent.mkdir(parents=True)
    made.archive.mkdir()
    made.file.write_bytes(CONTENT)
    return made


@pytest.fixture(params=["same", "other"])
def archived(request: pytest.FixtureRequest, place: Place) -> Iterator[Place]:
    """With the archive on the same file system, and on another one."""
    if request.param == "same":
        yield place
    else:
        with mounted(place.archive):
            yield place


def nothing() -> None:
    """Progress is of no interest."""


def hold(place: Place) -> Identity:
    """The recording, held and judged."""
    assert leaving.hold(place.going, place.root.stat().st_dev)
    judged = leaving.judge(place.going, SHA256, len(CONTENT), nothing)
    assert judged is not None
    return judged


def leave(place: Place, action: str, noted: dict[str, str], note: Callable[[], None]) -> str:
    """All steps, as whoever keeps the intent takes them; what became of the recording."""
    going = place.going
    held = leaving.hold(going, place.root.stat().st_dev)
    judged = leaving.judge(going, SHA256, len(CONTENT), nothing) if held else None
    if judged is None:
        if held:
            leaving.put_back(going.root, going.held_path, b"talk.wav")
        target = noted.get("target", "").encode()
        if target and leaving.found(place.archive, target, SHA256, nothing):
            return "archived"
        return "kept" if held else "gone"
    if action == "delete":
        leaving.delete(going, judged)
        return "deleted"
    again = "target" in noted
    while True:
        target = noted.get("target", "").encode() or leaving.free(place.archive, NAME)
        noted["target"] = target.decode()
        note()
        try:
            leaving.move(going, judged, SHA256, place.archive, target, nothing, again=again)
        except FileExistsError:
            del noted["target"]
            again = False
        else:
            return "archived"


def killed_at(number: int, place: Place, action: str, file: Path) -> bool:
    """Take the steps in another process that is killed at its so manyth system call."""
    child = os.fork()
    if child == 0:
        try:
            _arm(number, exit_=os._exit)
            noted = json.loads(file.read_text()) if file.exists() else {}
            leave(place, action, noted, lambda: _put(file, noted))
        except BaseException:  # noqa: BLE001 - the exit status tells
            os._exit(2)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, 9}
    return status == 9


def _put(file: Path, noted: dict[str, str]) -> None:
    file.write_text(json.dumps(noted))


def _arm(number: int, *, exit_: Callable[[int], object]) -> None:
    calls = count(1)

    def counted(function: Any) -> Any:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if next(calls) == number:
                exit_(9)
            return function(*args, **kwargs)

        return call

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))


@pytest.mark.parametrize("action", ["archive", "delete"])
@pytest.mark.parametrize("again", [1, 3])
def test_killed_at_any_step_it_is_somewhere_and_leaves_in_the_end(
    archived: Place, tmp_path: Path, action: str, again: int
) -> None:
    place, file = archived, tmp_path / "noted"
    (place.archive / "2026").mkdir()
    (place.archive / "2026/talk.wav").write_bytes(OTHER)
    for number in count(1):
        was_killed = killed_at(number, place, action, file)
        assert len(place.copies()) >= 1 or action == "delete"
        if was_killed:
            for step in range(1, again):  # it is killed a second and a third time
                killed_at(number + step, place, action, file)
            noted = json.loads(file.read_text()) if file.exists() else {}
            assert leave(place, action, noted, nothing) in {"archived", "deleted", "gone"}
        expected = [("talk.wav", OTHER)]
        if action == "archive":
            expected = [("talk-2.wav", CONTENT), ("talk.wav", OTHER)]
        assert place.all() == expected
        if not was_killed:
            assert number > 8
            return
        for path in (file, place.archive / "2026/talk-2.wav"):
            path.unlink(missing_ok=True)
        place.file.write_bytes(CONTENT)


def swaps(place: Place) -> dict[str, Callable[[], None]]:
    """What others may do to the recording between two steps."""
    outside = place.root.parent / "outside"
    (outside / "a").mkdir(parents=True, exist_ok=True)
    for name in ("talk.wav", leaving.PRIVATE.decode() + "0123abcd.talk.wav"):
        (outside / "a" / name).write_bytes(CONTENT)

    def another() -> None:
        new = place.root / "new"
        new.write_bytes(OTHER)
        new.rename(place.file)

    def link() -> None:
        with contextlib.suppress(FileNotFoundError):
            place.file.rename(place.root / "taken.wav")
        place.file.symlink_to(outside / "a/talk.wav")

    def folder() -> None:
        place.file.parent.rename(place.root / "was")
        place.file.parent.symlink_to(outside / "a")

    def directory() -> None:
        with contextlib.suppress(FileNotFoundError):
            place.file.unlink()
        place.file.mkdir()
        (place.file / "x").write_bytes(OTHER)

    return {"another": another, "link": link, "folder": folder, "directory": directory}


@pytest.mark.parametrize("action", ["archive", "delete"])
@pytest.mark.parametrize("swap", ["another", "link", "folder", "directory"])
def test_what_is_swapped_in_between_two_steps_is_left(
    archived: Place, monkeypatch: pytest.MonkeyPatch, swap: str, action: str
) -> None:
    place = archived
    for number in count(1):
        act, acted = swaps(place)[swap], list[int]()

        def once(_: int, act: Callable[[], None] = act, acted: list[int] = acted) -> None:
            acted.append(1)
            act()

        with monkeypatch.context() as patched:
            for name in STEPS:
                patched.setattr(os, name, getattr(os, name))
            _arm(number, exit_=once)
            with contextlib.suppress(OSError, SourceChanged):
                leave(place, action, {}, nothing)
        outside = place.root.parent / "outside"
        assert all(path.read_bytes() == CONTENT for path in (outside / "a").iterdir())
        assert len(list((outside / "a").iterdir())) == 2
        contents = [content for _, content in place.all()]
        if acted and swap in {"another", "directory"}:
            assert OTHER in contents  # under whatever name
        shutil.rmtree(outside)
        if not acted:
            assert number > 5
            return
        for path in (*place.root.iterdir(), *place.archive.iterdir()):
            path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path)
        place.file.parent.mkdir()
        place.file.write_bytes(CONTENT)


def test_another_file_gets_its_name_back(place: Place) -> None:
    place.file.write_bytes(OTHER)
    assert leave(place, "delete", {}, nothing) == "kept"
    assert place.all() == [("talk.wav", OTHER)]
    assert leave(place, "archive", {}, nothing) == "kept"
    assert place.all() == [("talk.wav", OTHER)]


def test_what_somebody_still_writes_to_is_not_judged(place: Place) -> None:
    assert leaving.hold(place.going, place.root.stat().st_dev)
    with (
        (place.file.parent / os.fsdecode(place.going.held)).open("ab"),
        pytest.raises(OSError, match="open for writing"),
    ):
        leaving.judge(place.going, SHA256, len(CONTENT), nothing)
    assert leaving.judge(place.going, SHA256, len(CONTENT), nothing) is not None


def test_whoever_opens_it_as_it_is_judged_kills_nobody(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, asked = fcntl.fcntl, list[int]()

    def opened(file: int, command: int, value: int = 0) -> int:
        result = done(file, command, value)
        if (command, value) == (fcntl.F_SETLEASE, fcntl.F_RDLCK):
            with pytest.raises(BlockingIOError):  # it would wait for us
                os.open(place.file, os.O_WRONLY | os.O_NONBLOCK)
            asked.append(value)
        return result

    monkeypatch.setattr(fcntl, "fcntl", opened)
    writers.require_none(place.root, b"a/talk.wav")
    assert asked


def test_what_has_another_size_is_not_read(place: Place) -> None:
    with place.file.open("ab") as file:
        file.truncate(8 << 40)
    assert leaving.hold(place.going, place.root.stat().st_dev)
    assert leaving.judge(place.going, SHA256, len(CONTENT), nothing) is None


def test_the_same_bytes_from_elsewhere_are_another_copy(archived: Place) -> None:
    judged = hold(archived)
    (archived.archive / "talk.wav").write_bytes(CONTENT)
    with pytest.raises(FileExistsError):
        leaving.move(archived.going, judged, SHA256, archived.archive, b"talk.wav", nothing)
    assert len(archived.copies()) == 2


def test_a_folder_of_that_name_too(place: Place) -> None:
    place.file.unlink()
    place.file.mkdir()
    (place.file / "x.wav").write_bytes(OTHER)
    assert leave(place, "delete", {}, nothing) == "kept"
    assert (place.file / "x.wav").read_bytes() == OTHER


def test_a_link_of_that_name_too(place: Place, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.write_bytes(CONTENT)
    place.file.unlink()
    place.file.symlink_to(private)
    assert leave(place, "delete", {}, nothing) == "kept"
    assert place.file.readlink() == private
    assert private.read_bytes() == CONTENT


def test_a_touched_recording_is_the_same(place: Place) -> None:
    os.utime(place.file, (1, 1))
    assert leave(place, "delete", {}, nothing) == "deleted"
    assert place.all() == []


def test_the_archive_keeps_times_and_names(archived: Place) -> None:
    os.utime(archived.file, (1_000_000, 2_000_000))
    (archived.archive / "2026").mkdir()
    (archived.archive / "2026/talk.wav").write_bytes(OTHER)
    assert leave(archived, "archive", {}, nothing) == "archived"
    moved = archived.archive / "2026/talk-2.wav"
    assert moved.read_bytes() == CONTENT
    assert moved.stat().st_mtime == 2_000_000
    assert archived.all() == [("talk-2.wav", CONTENT), ("talk.wav", OTHER)]


def test_no_link_below_the_archive_is_followed(place: Place, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (place.archive / "2026").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match=r".*") as refused:
        leave(place, "archive", {}, nothing)
    assert refused.value.errno in {errno.ENOTDIR, errno.ELOOP}
    assert list((tmp_path / "outside").iterdir()) == []
    assert len(place.copies()) == 1


def test_a_full_archive_keeps_nothing_of_it(place: Place) -> None:
    place.file.write_bytes(os.urandom(1 << 20))
    sha256 = hashlib.sha256(place.file.read_bytes()).hexdigest()
    with mounted(place.archive, "-o", "size=64k"):
        assert leaving.hold(place.going, place.root.stat().st_dev)
        judged = leaving.judge(place.going, sha256, 1 << 20, nothing)
        assert judged is not None
        with pytest.raises(OSError, match="No space"):
            leaving.move(place.going, judged, sha256, place.archive, b"talk.wav", nothing)
        assert list(place.archive.iterdir()) == []
        leaving.put_back(place.root, place.going.held_path)
        assert hashlib.sha256(place.file.read_bytes()).hexdigest() == sha256


def test_what_is_changed_after_it_was_judged_stays(place: Place) -> None:
    judged = hold(place)
    with (place.root / os.fsdecode(place.going.held_path)).open("ab") as file:
        file.write(b"more")
    with pytest.raises(SourceChanged):
        leaving.delete(place.going, judged)
    assert [content for _, content in place.all()] == [CONTENT + b"more"]


def test_an_unmounted_inbox_is_not_a_recording_that_has_gone(place: Place) -> None:
    shutil.rmtree(place.root)
    with pytest.raises(InboxUnavailable):
        leaving.hold(place.going, 1)
    place.root.mkdir()
    with pytest.raises(OSError, match="not mounted"):
        leaving.hold(place.going, device=place.root.stat().st_dev + 1)
    assert not leaving.hold(place.going, place.root.stat().st_dev)


@pytest.mark.parametrize(
    "name", [b"talk.wav", b"\xff" * 251 + b".wav", "ä".encode() * 125 + b".m4a"]
)
def test_what_is_held_is_named_back_by_whoever_finds_it(place: Place, name: bytes) -> None:
    going = Departure(place.root, b"a/" + name, "ab12")
    with contextlib.suppress(FileNotFoundError):
        place.file.rename(
            os.path.join(os.fsencode(place.root), going.path).decode(errors="surrogateescape")
        )
    assert leaving.hold(going, place.root.stat().st_dev)
    assert leaving.token_of(going.held_path) == "ab12"
    back = leaving.put_back(place.root, going.held_path)
    assert back.endswith(name[-4:])
    assert name.endswith(back)
    assert len(place.copies()) == 1


def test_what_has_taken_its_name_meanwhile_keeps_it(place: Place) -> None:
    hold(place)
    place.file.write_bytes(OTHER)
    assert leaving.put_back(place.root, place.going.held_path) == b"talk-2.wav"
    assert place.all() == [("talk-2.wav", CONTENT), ("talk.wav", OTHER)]


def test_where_files_have_one_name_only(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no hard links")

    monkeypatch.setattr(os, "link", refuse)
    assert leave(place, "archive", {}, nothing) == "archived"
    assert place.all() == [("talk.wav", CONTENT)]
