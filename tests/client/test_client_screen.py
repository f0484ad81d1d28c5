"""Text is fitted to its screen, whatever it is written in."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriberrctl.render.screen import Screen, cut, pad, shorten, width
from scriberrctl.render.table import table
from scriberrctl.render.values import plain, short

FAMILY = "👩‍👩‍👧"
NAMES = st.text(st.sampled_from("ab/. é\u0301日本語한ก็👩\u200d👧❤\ufe0f🇩🇪"), max_size=30)
NOON = 1_700_000_000.0


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("Grüße", 5), ("日本", 4), ("e\u0301", 1), (FAMILY, 2), ("한국", 4), ("", 0)],
)
def test_wide_and_combining_characters_are_counted_as_they_are_shown(
    text: str, columns: int
) -> None:
    assert width(text) == columns


@given(NAMES, st.integers(0, 40))
def test_what_is_cut_fits_and_what_fits_is_not_cut(text: str, columns: int) -> None:
    text = plain(text)
    for short_ in (cut(text, columns), shorten(text, columns)):
        assert width(short_) <= max(columns, 0)
        assert (short_ == text) == (width(text) <= columns)


def test_no_character_is_cut_in_two() -> None:
    assert cut(f"ab{FAMILY}cd", 4) == "ab…"
    assert cut("日本語", 4) == "日…"
    assert pad("日本", 6) == "日本  "
    assert shorten("lectures/日本語.opus", 12) == "lec…語.opus"
    assert shorten("lectures/2024/talk.opus", 14) == "lect…talk.opus"


def test_the_widest_column_gives_way() -> None:
    rows = [["1", "queued", "default/a very long name of a talk.opus"], ["10", "failed", "x"]]
    shown = table(["ID", "STATE", "PATH"], rows, Screen(30)).split("\n")
    assert shown == [
        "ID  STATE   PATH",
        "1   queued  defau… a talk.opus",
        "10  failed  x",
    ]


def test_what_says_the_least_gives_way_before_short_words_are_cut() -> None:
    rows = [["1", "transcribing", "cuda", "default/a very long name of a talk.opus"]]
    shown = table(["ID", "STATE", "DEVICE", "PATH"], rows, Screen(42), ["DEVICE"]).split("\n")
    assert shown == ["ID  STATE         PATH", "1   transcribing  default…e of a talk.opus"]


@given(st.lists(NAMES, min_size=3, max_size=3), st.integers(1, 40))
def test_a_table_fits_however_narrow_it_is(cells: list[str], columns: int) -> None:
    shown = table(["ID", "STATE", "PATH"], [cells], Screen(columns), ["STATE"])
    assert all(width(line) <= columns for line in shown.split("\n"))


def test_words_are_wrapped_and_only_broken_where_they_must_be() -> None:
    text = "a folder that-is/very/long is here"
    assert Screen(21).wrap(text, 4) == "a folder\n    that-is/very/long\n    is here"
    assert Screen(10).wrap("sha256 0123456789ab", 2) == "sha256\n  01234567\n  89ab"
    assert Screen(16).hang("日本語  ", "a b日本語") == "日本語  a\n        b日本語"
    assert Screen().wrap(text, 4) == text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (59.9, "59s"), (60, "1m"), (7199, "1h"), (86400, "1d"), (4e7, "1y")],
)
def test_short_durations(seconds: float, shown: str) -> None:
    assert short(seconds) == shown


def test_times_are_relative_on_a_terminal_only() -> None:
    screen, instant = Screen(80, 24, NOON), "2023-11-14T22:08:19.000Z"
    assert screen.when(instant) == "5m ago"
    assert screen.when("2023-11-15T00:14:00.000Z") == "in 2h"
    assert screen.when("2023-11-14T22:13:20.000Z") == "now"
    assert screen.when(None) == "-"
    local = datetime.fromtimestamp(NOON - 301, UTC).astimezone()
    assert Screen(now=NOON).when(instant) == f"{local:%Y-%m-%d %H:%M:%S}"


def test_what_is_no_terminal_has_no_size() -> None:
    assert Screen.of(StringIO()).columns is None
