from __future__ import annotations

from typing import TYPE_CHECKING

from scriberrd import logs
from scriberrd.logs.context import subject
from scriberrd.logs.lines import Formatter
from scriberrd.work.printed import BURST, LINE_BYTES, RATE, TAIL_LINES, Printed

if TYPE_CHECKING:
    import pytest


def test_lines_come_whole_with_their_job(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(Formatter("journal"))
    printed = Printed("cpu")
    printed.hear(b"before any job\n\n", 1.0)
    with logs.about(job=7, inbox="talks", path="a.wav", worker="cpu", stage="preparing"):
        printed.begin()
        logs.note(stage="transcribing")  # and what it prints is about that, too
    printed.hear(b"torn \xc3", 1.0)
    printed.hear(b"\xa4part\nsecond \xff\nthe la", 1.0)
    printed.hear(b"st one", 1.0)
    printed.end(1.0)
    assert caplog.text.splitlines() == [
        "<4>worker cpu: before any job",
        "<4>job 7 talks/a.wav: worker cpu: torn äpart",
        "<4>job 7 talks/a.wav: worker cpu: second \ufffd",
        "<4>job 7 talks/a.wav: worker cpu: the last one",
    ]
    first, *others = map(subject, caplog.records)
    assert first == {"worker": "cpu"}
    assert {one["stage"] for one in others} == {"transcribing"}
    assert list(printed.tail) == ["torn äpart", "second \ufffd", "the last one"]


def test_a_flood_is_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    printed = Printed("cpu")
    flood = 3 * BURST
    printed.hear(b"".join(b"%d\n" % number for number in range(flood)), 1.0)
    assert len(caplog.messages) == BURST
    assert list(printed.tail)[-1] == str(flood - 1)
    assert len(printed.tail) == TAIL_LINES
    caplog.clear()
    printed.hear(b"later\n", 1.0 + 1.5 / RATE)
    assert caplog.messages == [f"worker cpu: {flood - BURST} lines left out", "worker cpu: later"]
    caplog.clear()
    printed.hear(b"too soon\n", 1.0 + 1.5 / RATE)
    printed.catch_up()
    assert caplog.messages == ["worker cpu: 1 lines left out"]
    assert printed.left_out == 0


def test_lines_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    printed = Printed("cpu")
    for _ in range(10):
        printed.hear(b"x" * LINE_BYTES, 1.0)
    printed.end(1.0)
    assert caplog.messages == ["worker cpu: " + "x" * LINE_BYTES]
