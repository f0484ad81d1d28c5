from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scriberrd.work import oom

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = "9:name=systemd:/\n4:cpu,memory:/our/group\n0::/our/slice\n"


def put(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.mark.parametrize(
    ("group", "counter"),
    [
        ("0::/our/slice\n", "sys/fs/cgroup/our/slice/memory.events"),
        (GROUPS, "sys/fs/cgroup/memory/our/group/memory.oom_control"),
    ],
)
def test_the_control_group_knows_best(tmp_path: Path, group: str, counter: str) -> None:
    put(tmp_path, "proc/self/cgroup", group)
    put(tmp_path, counter, "oom_kill_disable 0\noom 9\noom_kill 3\noom_group_kill 8\n")
    put(tmp_path, "proc/vmstat", "nr_free_pages 12\noom_kill 5\n")
    assert oom.kills(tmp_path) == 3


def test_else_the_machine_is_asked(tmp_path: Path) -> None:
    assert oom.kills(tmp_path) == 0
    put(tmp_path, "proc/self/cgroup", GROUPS)
    put(tmp_path, "proc/vmstat", "nr_free_pages 12\noom_kill 5\n")
    assert oom.kills(tmp_path) == 5
    put(tmp_path, "sys/fs/cgroup/memory/our/group/memory.oom_control", "oom_kill_disable 0\n")
    assert oom.kills(tmp_path) == 5  # of a kernel that does not count them there


def test_this_machine_can_be_asked() -> None:
    assert oom.kills() >= 0
