"""What a worker says of an error tells no folder of this machine."""

from __future__ import annotations

import pytest

from scriberrd.worker.describe import without_folders


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "open /home/jane/models/model.bin: no such file/folder",
            "open model.bin: no such file/folder",
        ),
        ("/home/Jane Doe/models/base/model.bin", "model.bin"),
        ("/home/Doe, Jane/m/x.bin", "x.bin"),
        ("in '/home/Jane O'Neil/my models/base'", "in 'base'"),
        ("'/a b/c d/e f.bin' -> '/x/y'", "'e f.bin' -> 'y'"),
        ("(~/models/x.bin)", "(x.bin)"),
        ("no file:///home/x/y.bin", "no y.bin"),
        ("no file://localhost/home/Jane Doe/y.bin", "no y.bin"),
        (
            "https://huggingface.co/a/b.bin: 1/2 of a/b",
            "https://huggingface.co/a/b.bin: 1/2 of a/b",
        ),
        ("first\n/second/line", "first"),
    ],
)
def test_folders_are_cut(text: str, told: str) -> None:
    assert without_folders(text) == told
