"""Which names are those of recordings, and by which rule the others are not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriberrd.config import Inbox
from scriberrd.inbox.rules import Rules


def rules(*patterns: str, **keys: Any) -> Rules:
    inbox = Inbox(name="main", path=Path("in"), output=Path("out"), ignore=patterns, **keys)
    return Rules(inbox, dict(enumerate(range(10, 10 + len(patterns)))))


RULES = rules()


@pytest.mark.parametrize(
    "name",
    [
        *("x.wav", "X.WAV", "a.b.Mp3", "two\nlines.flac", " .mkv", "n" * 251 + ".wav", "-.ogg"),
        *(
            "Grüße.opus",
            "会議.m4a",
            "x.part.wav",
            "x.tmp.mp3",
            "~x.wav",
            "$x.wav",
            "#1.wav",
            "@a.wav",
        ),
        *("conflict.wav", "inner-conflict-2024.mp3", "a (conflict).wav", "sync-conflict.wav"),
        *("copy of x.wav", "x (1).wav", "x - Copy.wav", "in.wav", "download.wav", "trash.mp3"),
        *("2024-01-01 12.00.00.m4a", "WhatsApp Audio 2024-01-01 at 12.00.00.ogg", "x..wav"),
        *("lost+found.wav", "@eaDir.wav", "desktop.wav", "_x.wav", "x_conflict.wav"),
    ],
)
def test_recordings(name: str) -> None:
    assert RULES.quick(name)
    assert RULES.file(os.fsencode(name)) is None
    assert RULES.file(b"a/b c/" + os.fsencode(name)) is None


def test_a_name_that_is_not_utf_8_is_a_recordings_too() -> None:
    assert RULES.quick(os.fsdecode(b"\xff.ogg"))
    assert RULES.file(b"\xff.ogg") is None


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (
            "hidden",
            [
                *(".x.wav", ".wav", ".DS_Store", "._talk.wav", ".talk.wav.AbC123", ".~lock.x.wav#"),
                *(
                    ".syncthing.talk.wav.tmp",
                    ".goutputstream-X1Y2Z3",
                    ".nfs000000000001",
                    ".x.wav.swp",
                ),
                *(
                    ".in.talk.wav.",
                    ".fuse_hidden0001",
                    ".smbdelete01.wav",
                    ".talk.wav.part",
                    ".#x.wav",
                ),
                *(".owncloudsync.log", ".talk.wav.~a1b2", ".sync.ffs_db", ".~x.wav"),
            ],
        ),
        ("ours", [".scriberrd-upload-01-02.part", ".scriberrd-leaving-01.talk.wav"]),
        (
            "partial",
            [
                *("x.wav.part", "x.part", "x.wav.partial", "x.wav.tmp", "x.wav.temp", "x.wav.TMP"),
                *("x.wav.crdownload", "x.wav.download", "x.wav.filepart", "x.wav.opdownload"),
                *("x.wav.aria2", "x.wav.!qB", "x.wav.!ut", "x.wav.bts", "x.wav.!sync"),
                *("x.wav.ocpart", "~syncthing~x.wav.tmp", "~syncthing~x.wav", "in.talk.wav."),
                *("x.wav.fuse_hidden", "Unconfirmed 1234.crdownload", "Unconfirmed 12.unconfirmed"),
            ],
        ),
        ("litter", ["x.wav~", "~$x.wav", "~$x.mp4", "x~"]),
        (
            "conflict",
            [
                "talk.sync-conflict-20240131-120000-ABCDEFG.wav",
                "talk (conflicted copy 2024-01-31 120000).wav",
                "talk (Anna's conflicted copy 2024-01-31).mp3",
                "talk (Annas in Konflikt stehende Conflicted Copy 2024).mp3",
                "talk_conflict-20240131-120000.m4a",
                "talk-conflict-20240131-120000.m4a",
                "talk (SFConflict anna@example.org 2024-01-31-12-00-00).wav",
                "talk_DiskStation_Jan-31-120000-2024_Conflict.wav",
            ],
        ),
        (
            "extension",
            [
                *("x", "wav", "x.txt", "x.wav.json", "x.wav.toml", "x.", "notes.docx", "Thumbs.db"),
                *(
                    "desktop.ini",
                    "x.wavv",
                    "x.wa",
                    "x.mp3.zip",
                    "#x.wav#",
                    "talk.srt",
                    "x.M\u212av",
                ),
            ],
        ),
        (
            "odd_name",
            ["x.wav ", "x.wav.", "x.mp3...", "x.WAV . ", " x.wav ", "Grüße.opus.", "x.m4a  "],
        ),
    ],
)
def test_what_is_none(kind: str, names: list[str]) -> None:
    ruled = {name: RULES.file(b"a/" + os.fsencode(name)) for name in names}
    assert {name: ruling and ruling.kind for name, ruling in ruled.items()} == dict.fromkeys(
        names, kind
    )
    assert all(
        ruling is not None and ruling.where in {"", "extensions"} for ruling in ruled.values()
    )


def test_what_only_the_end_of_its_name_keeps_out_is_seen() -> None:
    assert all(RULES.quick(name) for name in ("x.wav ", "x.wav.", "x.mp3... "))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, "litter") for name in ("@eaDir", "#recycle", "@Recycle", "@Recently-Snapshot")),
        *(
            (name, "litter")
            for name in ("$RECYCLE.BIN", "$Recycle.Bin", "System Volume Information")
        ),
        *((name, "litter") for name in ("lost+found", ".Trash-1000", ".Trashes", ".stversions")),
        *((name, "litter") for name in ("#snapshot", ".snapshot", ".sync", "RECYCLER")),
        *((name, "hidden") for name in (".git", ".hidden", ".AppleDouble", ".stfolder")),
        *(
            (name, None)
            for name in ("2024", "recycle", "sync", "Trash", "a b", "x.wav", "snapshot")
        ),
    ],
)
def test_folders(name: str, kind: str | None) -> None:
    for path in (name, f"talks/{name}"):
        ruling = RULES.folder(os.fsencode(path))
        assert (ruling and ruling.kind) == kind


def test_patterns_are_those_of_gitignore() -> None:
    mine = rules("raw/", "*-draft.*", "!final-draft.wav", "/top.wav", "music/**/live*.mp3")

    def ruled(path: str) -> str | None:
        ruling = mine.file(path.encode())
        assert ruling is None or ruling.kind == "ignored"
        return ruling and f"{ruling.rule} {ruling.where}"

    assert ruled("a-draft.wav") == "*-draft.* ignore, line 11"
    assert ruled("x/a-draft.wav") == "*-draft.* ignore, line 11"
    assert ruled("x/final-draft.wav") is None
    assert ruled("top.wav") == "/top.wav ignore, line 13"
    assert ruled("x/top.wav") is None
    assert ruled("music/a/b/live1.mp3") == "music/**/live*.mp3 ignore, line 14"
    assert ruled("raw.wav") is None
    folder = mine.folder(b"x/raw")
    assert folder is not None
    assert (folder.kind, folder.rule, folder.where) == ("ignored", "raw/", "ignore, line 10")
    assert mine.folder(b"x/raws") is None


def test_a_pattern_takes_back_what_is_built_in_but_for_hidden_files() -> None:
    mine = rules("!*sync-conflict*", "!@eaDir/", "!.*", "!*.part", "!~$*")
    assert mine.file(b"x.sync-conflict-20240131-120000-ABCDEFG.wav") is None
    assert mine.file(b"~$x.wav") is None
    assert mine.folder(b"@eaDir") is None
    for name, kind in ((b".x.wav", "hidden"), (b"x.wav.part", "partial"), (b"x.txt", "extension")):
        ruling = mine.file(name)
        assert ruling is not None
        assert ruling.kind == kind
    assert mine.folder(b".git") is not None


NAMES = st.one_of(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1),
    st.from_regex(r"\A[a-z~.$ ]{0,5}(\.sync-conflict-)?\.(wav|WAV|mp3|part|tmp)[ .~]{0,2}\Z"),
)


@given(NAMES)
def test_the_quick_look_misses_no_recording(name: str) -> None:
    ruling = RULES.file(os.fsencode(name))
    if ruling is None or ruling.kind == "odd_name":
        assert RULES.quick(name)


def test_no_name_keeps_the_daemon_busy() -> None:
    """A pattern that went back and forth through them would take years."""
    mine = rules("*a*a*.wav", "**/a/**/a.wav")
    for name in ("a" * 250 + ".mp3", "(conflicted " * 20 + ".wav", "_conflict-" * 24 + ".wav"):
        assert mine.file(name.encode()) is None
    assert mine.file(b"a/" * 2000 + b"b.wav") is None


def test_a_folder_that_says_so_is_skipped(tmp_path: Path) -> None:
    def enter(folder: Path) -> tuple[str, str] | None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            ruling = RULES.enter(os.fsencode(folder.name), descriptor)
        finally:
            os.close(descriptor)
        return ruling and (ruling.kind, ruling.where)

    (tmp_path / "plain").mkdir()
    assert enter(tmp_path / "plain") is None
    makers = {
        "empty": Path.touch,
        "text": lambda path: path.write_text("*.wav\n"),
        "link": lambda path: path.symlink_to("/nowhere"),
        "fifo": os.mkfifo,
        "folder": Path.mkdir,
    }
    for name, make in makers.items():
        (tmp_path / name).mkdir()
        make(tmp_path / name / ".scriberrignore")
        assert enter(tmp_path / name) == ("skipped", f"{name}/.scriberrignore")
