"""What the log of the real daemon must not become."""

from __future__ import annotations

from typing import TYPE_CHECKING

from program import AUDIO, Program

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_tree_that_is_copied_in_leaves_no_list_of_folders(
    program: Callable[..., Program],
) -> None:
    daemon = program(start=False)
    daemon.start(PYTHONWARNINGS="default")  # as it is without a word about them
    for number in range(100):
        (daemon.inbox / f"a{number % 10}/b{number}/c/d").mkdir(parents=True)
    daemon.drop(AUDIO / "sentence.wav", "a7/b77/c/d/deep.wav")
    daemon.wait("a7/b77/c/d/deep.wav", "completed")
    assert not daemon.said("Warning: ")
