from __future__ import annotations

import pytest

from scriberrd.config import EXTENSIONS
from scriberrd.inbox.rules import wanted


@pytest.mark.parametrize(
    "name",
    [
        b"x.wav",
        b"X.WAV",
        b"a.b.Mp3",
        b"\xff.ogg",
        b"two\nlines.flac",
        b" .mkv",
        b"n" * 251 + b".wav",
    ],
)
def test_recordings(name: bytes) -> None:
    assert wanted(name, EXTENSIONS)


@pytest.mark.parametrize(
    "name",
    [
        *(
            b"x",
            b"wav",
            b".wav",
            b".x.wav",
            b"x.txt",
            b"x.wav.part",
            b"x.wav~",
            b"x.wav.tmp",
            b"x.",
        ),
        *(b"x.wav.crdownload", b"x.w\xe4v", b"", b".", b"x.wav "),
    ],
)
def test_what_is_none_or_not_complete(name: bytes) -> None:
    assert not wanted(name, EXTENSIONS)


def test_what_is_in_progress_is_never_wanted() -> None:
    assert not wanted(b"x.part", ("part",))
