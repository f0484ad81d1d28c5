"""How often the kernel has killed a process because memory ran out.

A SIGKILL does not say who sent it: the kernel, an administrator, or a script. The kernel counts
its own, for each control group and for the whole machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def kills(root: Path = Path("/")) -> int:
    """What the counter that is nearest to us stands at; 0 where there is none.

    Only a rise between two calls means anything. Beyond our own control group the counter is that
    of the machine, which rises for the processes of others too.

    Args:
        root: where `/proc` and `/sys` are.
    """
    for counter in _counters(root):
        try:
            lines = counter.read_text().splitlines()
        except OSError:
            continue  # another version of control groups, or none of memory
        for name, _, value in (line.partition(" ") for line in lines):
            if name == "oom_kill":
                return int(value)
    return 0


def _counters(root: Path) -> Iterator[Path]:
    groups = root / "sys/fs/cgroup"
    try:
        memberships = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        memberships = []
    for membership in memberships:
        _, controllers, path = membership.split(":", 2)
        if not controllers:
            yield groups / path.lstrip("/") / "memory.events"
        elif "memory" in controllers.split(","):
            yield groups / "memory" / path.lstrip("/") / "memory.oom_control"
    yield root / "proc/vmstat"
