from __future__ import annotations

import errno
import hashlib
import os
import signal
import stat
import tempfile
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import mounted

from scriberrd.errors import NameTaken, OutputChanged
from scriberrd.model import Print
from scriberrd.output.naming import candidates
from scriberrd.output.staging import discard, place, stage, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

SHA = "0123456789abcdef" * 4
SET = {b"a/talk.json": b"{}" * 5000, b"a/talk.txt": b"text" * 5000, b"a/talk.vtt": b"WEBVTT\n"}


def write(root: Path, files: dict[bytes, bytes], owned: Collection[bytes] = ()) -> list[bytes]:
    """Publish a set, of which those that are owned have what is there now; the edited ones."""
    prints = stage(root, 1, {name: [content] for name, content in files.items()})
    there = [root / os.fsdecode(name) for name in owned]
    mine = {print_of(path.read_bytes()) for path in there if path.is_file()}
    try:
        targets, edited = survey(root, prints, mine, owned)
    except NameTaken:
        discard(root, 1, files)
        raise
    place(root, 1, targets)
    return edited


def print_of(content: bytes) -> Print:
    return Print(hashlib.sha256(content).hexdigest(), len(content))


def files(root: Path) -> dict[bytes, bytes]:
    """All files below, hidden ones too."""
    return {
        os.fsencode(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_base_names_in_order() -> None:
    expected = [
        b"a/b/talk",
        b"a/b/talk.mp3",
        b"a/b/talk-01234567",
        b"a/b/talk-01234567-2",
        b"a/b/talk-01234567-3",
    ]
    assert list(islice(candidates(b"a/b/talk.mp3", SHA), 5)) == expected
    assert next(candidates(b"talk", SHA)) == b"talk"


@given(
    st.binary(min_size=1, max_size=250).filter(lambda name: not {0, 47} & set(name)),
    st.text(st.characters(exclude_characters="\0/", exclude_categories=("Cs",)), min_size=1),
)
def test_names_fit_and_stay_what_they_were(raw: bytes, text: str) -> None:
    for name in (raw + b".wav", (text.encode() * 255)[:251].decode("utf-8", "ignore").encode()):
        bases = list(islice(candidates(b"x/" + name, SHA), 5))
        assert len(set(bases)) >= len(bases) - 1  # without an extension the second is the first
        for base in bases:
            assert len(b"%s.new-99.json" % base.rpartition(b"/")[2]) <= 255
            if _is_utf8(name):
                base.decode()


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_long_names_that_differ_at_the_end_stay_distinct() -> None:
    one, other = (next(candidates(b"n" * 249 + end, SHA)) for end in (b"1.wav", b"2.wav"))
    assert one != other


def test_files_come_into_place(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path, SET, ())
    finally:
        os.umask(before)
    assert files(tmp_path) == SET
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").iterdir()} == {0o640}
    assert {path.stat().st_nlink for path in (tmp_path / "a").iterdir()} == {1}


def test_what_is_ours_is_replaced_and_may_have_gone(tmp_path: Path) -> None:
    write(tmp_path, {b"talk.json": b"old"}, ())
    write(tmp_path, {b"talk.json": b"new", b"talk.txt": b"text"}, {b"talk.json", b"talk.txt"})
    assert files(tmp_path) == {b"talk.json": b"new", b"talk.txt": b"text"}


def test_what_is_not_ours_stays_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/talk.vtt").write_bytes(b"mine")
    with pytest.raises(NameTaken) as caught:
        write(tmp_path, SET, {b"a/talk.txt"})
    assert caught.value.name == b"a/talk.vtt"
    assert files(tmp_path) == {b"a/talk.vtt": b"mine"}


def test_what_a_crashed_run_has_put_into_place_stays(tmp_path: Path) -> None:
    write(tmp_path, {b"talk.txt": b"text"}, owned=())
    before = (tmp_path / "talk.txt").stat().st_ino
    write(tmp_path, {b"talk.txt": b"text", b"talk.json": b"{}"}, owned=())
    assert files(tmp_path) == {b"talk.txt": b"text", b"talk.json": b"{}"}
    assert (tmp_path / "talk.txt").stat().st_ino == before
    with pytest.raises(NameTaken):
        write(tmp_path, {b"talk.txt": b"other"}, owned=())


@pytest.mark.parametrize("links", [True, False])
def test_somebody_is_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    """The name is taken after it was looked for: it is given back what was placed before."""
    link = os.link

    def slow_link(source: bytes, target: bytes, **folders: int) -> None:
        if target == b"talk.vtt":
            (tmp_path / "a/talk.vtt").write_bytes(b"mine")
        if not links:
            raise OSError(errno.EPERM, "no links here")
        link(source, target, **folders)

    monkeypatch.setattr(os, "link", slow_link)
    with pytest.raises(NameTaken):
        write(tmp_path, SET, ())
    assert files(tmp_path) == {b"a/talk.vtt": b"mine"}


def test_file_systems_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links here")

    monkeypatch.setattr(os, "link", no_link)
    write(tmp_path, SET, ())
    assert files(tmp_path) == SET
    with pytest.raises(NameTaken):
        write(tmp_path, SET | {b"a/talk.vtt": b"other"}, ())
    assert files(tmp_path) == SET


def test_a_link_in_the_output_folder_leads_nowhere(tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    secret.mkdir()
    (secret / "file").write_bytes(b"old")
    root = tmp_path / "out"
    root.mkdir()
    (root / "a").symlink_to(secret)
    with pytest.raises(NotADirectoryError):
        write(root, SET, ())
    (root / "talk.json").symlink_to(secret / "file")
    with pytest.raises(NameTaken):
        write(root, {b"talk.json": b"new"}, ())
    (root / ".scriberrd-1.json.tmp").symlink_to(secret / "file")
    assert write(root, {b"talk.json": b"new"}, {b"talk.json"}) == [b"talk.json"]
    assert (root / "talk.new.json").read_bytes() == b"new"
    assert not (root / "talk.new.json").is_symlink()
    assert files(secret) == {b"file": b"old"}


@pytest.mark.parametrize("name", [b"/etc/x", b"../x", b"a/../x", b"a//x", b"", b"a/"])
def test_names_stay_below_the_output_folder(tmp_path: Path, name: bytes) -> None:
    with pytest.raises(ValueError, match="not a relative name"):
        write(tmp_path, {name: b""}, ())


def test_a_missing_output_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "unmounted", SET, ())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_shows_nothing(tmp_path: Path) -> None:
    with mounted(tmp_path, "-o", "size=64k"):
        write(tmp_path, {b"talk.json": b"old"}, ())
        large = {b"talk.json": b"j" * 20_000, b"talk.txt": b"t" * 100_000, b"talk.new": b"n"}
        with pytest.raises(OSError, match="No space") as caught:
            write(tmp_path, large, {b"talk.json"})
        assert caught.value.errno == errno.ENOSPC
        assert files(tmp_path) == {b"talk.json": b"old"}
        write(tmp_path, {b"talk.json": b"j" * 20_000}, {b"talk.json"})


def test_a_read_only_file_system(tmp_path: Path) -> None:
    with mounted(tmp_path, "-o", "ro"), pytest.raises(OSError, match="Read-only"):
        write(tmp_path, SET, ())


def test_a_folder_without_permission() -> None:
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o555)
        with unprivileged(), pytest.raises(PermissionError):
            write(Path(root), {b"talk.json": b"{}"}, ())
        assert files(Path(root)) == {}


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write anywhere: be nobody."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def killed(steps: int, root: Path, new: dict[bytes, bytes], owned: Collection[bytes]) -> bool:
    """Publish in a process that kills itself after so many calls; whether it came to that."""
    child = os.fork()
    if child == 0:
        left = count(steps, -1)

        def step(call: Callable[..., Any]) -> Callable[..., Any]:
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                if next(left) <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **kwargs)

            return wrapped

        for name in ("open", "unlink", "fsync", "link", "replace", "mkdir", "stat", "close"):
            setattr(os, name, step(getattr(os, name)))
        write(root, new, owned)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in {0, signal.SIGKILL}
    return status != 0


@pytest.mark.parametrize("owned", [[], [b"a/talk.json", b"a/talk.txt"]])
def test_killed_at_each_step(tmp_path: Path, owned: list[bytes]) -> None:
    new = {name: SET[name] for name in (b"a/talk.json", b"a/talk.txt")}
    old = dict.fromkeys(new, b"old") if owned else {}
    for steps in count():
        root = tmp_path / str(steps)
        root.mkdir()
        write(root, old, ())
        if not killed(steps, root, new, owned):
            break
        left = {name: data for name, data in files(root).items() if b"/." not in name}
        for name, data in left.items():
            assert data in (new[name], old.get(name)), name
        if left.get(b"a/talk.json") == new[b"a/talk.json"]:
            assert left == new  # the JSON came last
        write(root, new, new)
        assert files(root) == new
    assert steps > 15
    assert files(root) == new


def test_an_edited_file_stays_and_the_new_one_goes_beside_it(tmp_path: Path) -> None:
    write(tmp_path, {b"talk.txt": b"one", b"talk.json": b"{1}"})
    (tmp_path / "talk.txt").write_bytes(b"one, corrected")
    for version in (b"two", b"three"):  # the next one replaces what is not edited
        prints = stage(tmp_path, 1, {b"talk.txt": [version], b"talk.json": [b"{%s}" % version]})
        mine = [print_of(b"one"), print_of(b"two"), print_of(b"{1}"), print_of(b"{two}")]
        targets, edited = survey(tmp_path, prints, mine, [b"talk.txt", b"talk.json"])
        place(tmp_path, 1, targets)
        assert edited == [b"talk.txt"]
    expected = {b"talk.txt": b"one, corrected", b"talk.new.txt": b"three", b"talk.json": b"{three}"}
    assert files(tmp_path) == expected
    (tmp_path / "talk.new.txt").write_bytes(b"three, corrected")
    prints = stage(tmp_path, 1, {b"talk.txt": [b"four"]})
    targets, _ = survey(tmp_path, prints, [print_of(b"three")], [b"talk.txt"])
    place(tmp_path, 1, targets)
    assert files(tmp_path) == expected | {
        b"talk.new.txt": b"three, corrected",
        b"talk.new-2.txt": b"four",
    }


def test_what_is_edited_between_the_two_looks_stays(tmp_path: Path) -> None:
    write(tmp_path, {b"talk.json": b"old"})
    prints = stage(tmp_path, 1, {b"talk.json": [b"new"]})
    targets, _ = survey(tmp_path, prints, [print_of(b"old")], [b"talk.json"])
    (tmp_path / "talk.json").write_bytes(b"mine")
    with pytest.raises(OutputChanged):
        place(tmp_path, 1, targets)
    assert files(tmp_path) == {b"talk.json": b"mine"}


def test_two_jobs_stage_beside_each_other(tmp_path: Path) -> None:
    """Two inboxes may have one output folder by a link: neither publishes what the other staged."""
    one, other = tmp_path / "out", tmp_path / "link"
    one.mkdir()
    other.symlink_to(one)
    first = stage(one, 1, {b"talk.txt": [b"one"]})
    second = stage(other, 2, {b"talk.txt": [b"two"]})
    place(one, 1, survey(one, first, (), ())[0])
    with pytest.raises(NameTaken):
        survey(other, second, (), ())
    discard(other, 2, second)
    assert files(one) == {b"talk.txt": b"one"}


def test_a_name_beside_an_edited_file_that_another_recording_has_is_passed_over(
    tmp_path: Path,
) -> None:
    (tmp_path / "talk.txt").write_bytes(b"edited")
    (tmp_path / "talk.new.txt").write_bytes(b"new")  # says the same
    prints = stage(tmp_path, 1, {b"talk.txt": [b"new"]})
    (target,), edited = survey(tmp_path, prints, (), [b"talk.txt"], [b"talk.new.txt"])
    assert (target.name, edited) == (b"talk.new-2.txt", [b"talk.txt"])
