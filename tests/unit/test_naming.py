"""The names of outputs and of archived recordings, from templates."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriberrd.files.names import numbered
from scriberrd.model import Identity
from scriberrd.output import naming

SHA = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{stem}", [b"a/talk", b"a/talk.mp3", b"a/talk-01234567", b"a/talk-01234567-2"]),
        ("{name}", [b"a/talk.mp3", b"a/talk.mp3-01234567", b"a/talk.mp3-01234567-2"]),
        ("{date} {stem}", [b"a/2026-01-31 talk", b"a/2026-01-31 talk.mp3"]),
        ("text/{inbox}-{stem}", [b"a/text/meetings-talk", b"a/text/meetings-talk.mp3"]),
        ("//{stem}/./../words", [b"a/talk/words", b"a/talk.mp3/words", b"a/talk/words-01234567"]),
    ],
)
def test_a_template_makes_names(template: str, expected: list[bytes]) -> None:
    made = naming.candidates(b"a/talk.mp3", SHA, template, inbox="meetings", date="2026-01-31")
    assert list(islice(made, len(expected))) == expected


def test_what_a_recording_is_called_makes_no_folders_and_hides_nothing() -> None:
    assert naming.filled("{stem}/{name}", stem=b"..", name=b".a/b") == b"__/_a_b"
    assert naming.filled("{folder}/{name}", folder=b"2026/05", name=b"x.wav") == b"2026/05/x.wav"
    assert naming.filled("{folder}/{name}", folder=b"", name=b"x.wav") == b"x.wav"


PIECES = st.sampled_from(["{stem}", "{name}", "{date}", "{inbox}", "/", ".", "..", "-", "ä", " x"])


@given(
    st.lists(PIECES, max_size=8).map("".join).map(lambda text: text + "{stem}"),
    st.binary(min_size=1, max_size=250).filter(lambda name: not {0, 47} & set(name)),
)
def test_names_stay_below_the_folder_fit_and_differ(template: str, name: bytes) -> None:
    made = naming.candidates(b"in/" + name + b".wav", SHA, template, inbox="main", date="x")
    bases = list(islice(made, 6))
    assert len(set(bases)) == len(bases)
    for base in bases:
        folder, *parts = base.split(b"/")
        assert folder == b"in"
        assert not {b"", b".", b".."}.intersection(parts)
        assert all(len(part) <= 255 for part in parts)
        assert len(b"%s.new-99.json" % parts[-1]) <= 255


def test_the_day_of_a_recording_is_told_of_any_time() -> None:
    assert naming.date(Identity(1, 2, 3, 1_769_860_800 * 10**9, 5)) == "2026-01-31"
    assert naming.date(Identity(1, 2, 3, 2**95, 5)) == "undated"


def test_a_number_leaves_the_extension_and_fits() -> None:
    assert numbered(b"a/talk.wav", 1) == b"a/talk.wav"
    assert numbered(b"a/talk.wav", 2) == b"a/talk-2.wav"
    assert numbered(b"a.b/talk", 3) == b"a.b/talk-3"
    assert numbered(b"a/" + b"x" * 251 + b".wav", 10) == b"a/" + b"x" * 248 + b"-10.wav"
