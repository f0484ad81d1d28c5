"""What the machine has: cores, memory, and whether there is a GPU.

It is looked at once, when the daemon starts and no worker holds anything: the same configuration
comes to the same numbers until the next start. The libraries that know better are not for the
daemon, and a worker asks them itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# NVIDIA's driver; the last one is that of WSL.
GPUS = ("dev/nvidia[0-9]*", "proc/driver/nvidia/gpus/*", "usr/lib/wsl/lib/libcuda.so*")


class Machine(NamedTuple):
    """What there is for all workers together."""

    cores: int
    memory: int  # bytes that are available
    gpu: bool


def look(root: Path = Path("/")) -> Machine:
    """Look at this machine, as far as this process may use it.

    Args:
        root: where `/proc`, `/sys` and `/dev` are.
    """
    cores, memory = len(os.sched_getaffinity(0)), _available(root)
    for group in _groups(root):
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if quota.isdecimal():  # otherwise "max"
            cores = min(cores, max(1, int(quota) // int(period)))
        limit = _read(group / "memory.max")
        if limit.isdecimal():
            used = int(_read(group / "memory.current") or 0) - _cached(group)
            memory = min(memory, max(0, int(limit) - used))
    return Machine(cores, memory, any(True for pattern in GPUS for _ in root.glob(pattern)))


def _available(root: Path) -> int:
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return 0  # unknown: then one process is right


def _groups(root: Path) -> Iterator[Path]:
    """Our control group and those around it: the limits of all of them hold."""
    for membership in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = membership.split(":", 2)
        if not controllers:
            group = Path(path.lstrip("/"))
            for one in (group, *group.parents):
                yield root / "sys/fs/cgroup" / one


def _cached(group: Path) -> int:
    """Bytes of files that the kernel gives up when somebody needs the memory."""
    for line in _read(group / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "inactive_file":
            return int(value)
    return 0


def _read(file: Path) -> str:
    """What a file of the kernel says; "" where there is none."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""
