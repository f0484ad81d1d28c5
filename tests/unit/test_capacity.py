"""How many processes a machine bears, and how its cores are shared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scriberrd.config import Config, Daemon, Retry, Worker
from scriberrd.settings import Settings
from scriberrd.units import Count
from scriberrd.work.capacity import fit, shares
from scriberrd.work.machine import Machine, look

if TYPE_CHECKING:
    from collections.abc import Sequence

GB = 10**9


def put(root: Path, name: str, text: str = "") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def fitted(
    machine: Machine, *models: str, pools: Sequence[dict[str, Any]] = ({},)
) -> list[tuple[int, int]]:
    """Processes, and clips at once in each, of each pool."""
    config = Config(
        file=Path(),
        daemon=Daemon(),
        inboxes=(),
        profiles={model: Settings(model=model) for model in models},
        workers=tuple(Worker(name=f"{n}", **pool) for n, pool in enumerate(pools)),
        retry=Retry(),
    )
    found = fit(config, machine)
    assert fit(found, machine) == found
    return [(pool.count, pool.threads) for pool in found.workers]


@pytest.mark.parametrize(
    ("cores", "memory", "model", "expected"),
    [
        (2, 16 * GB, "base", (2, 2)),
        (16, 32 * GB, "base", (16, 16)),
        (4, 2 * GB, "base", (1, 4)),  # one process that decodes four clips at once
        (8, 16 * GB, "large-v3", (1, 5)),
        (8, 64 * GB, "large-v3", (8, 8)),
        (8, 64 * GB, "someone/unheard-of", (8, 8)),
        (4, 2 * GB, "large-v3", (1, 1)),  # it is tried, and may end with a fallback
        (2, 0, "tiny", (1, 1)),
        (4, 8 * GB, "distil-small.en", (2, 4)),
    ],
)
def test_as_many_as_cores_and_memory_bear(
    cores: int, memory: float, model: str, expected: tuple[int, int]
) -> None:
    assert fitted(Machine(cores, int(memory), gpu=False), model) == [expected]


def test_the_largest_model_counts_and_a_folder_is_looked_at(tmp_path: Path) -> None:
    machine = Machine(8, 8 * GB, gpu=False)
    assert fitted(machine, "tiny", "large-v3") == fitted(machine, "large-v3") == [(1, 1)]
    with (tmp_path / "model.bin").open("wb") as file:
        file.truncate(75_000_000)
    assert fitted(machine, str(tmp_path)) == fitted(machine, "tiny")
    assert fitted(machine, str(tmp_path / "gone")) == fitted(machine, "large")


def test_a_number_by_hand_is_taken() -> None:
    machine = Machine(4, 16 * GB, gpu=False)
    assert fitted(machine, "base", pools=[{"count": Count(3), "threads": Count(1)}]) == [(3, 1)]
    assert fitted(machine, "base", pools=[{"count": Count(1)}]) == [(1, 4)]


def test_pools_share_what_there_is_and_a_gpu_needs_no_share() -> None:
    machine = Machine(8, 64 * GB, gpu=True)
    on_cpu = {"device": "cpu"}
    assert fitted(machine, "base", pools=[on_cpu, on_cpu, {}, {"device": "cuda:1"}]) == [
        *((4, 8), (4, 8)),
        *((1, 1), (1, 1)),
    ]


def test_float_weights_take_more() -> None:
    machine = Machine(8, 24 * GB, gpu=False)
    small, large = (
        fitted(machine, "medium", pools=[{}])[0],
        fitted(machine, "medium", pools=[{"compute_type": "float32"}])[0],
    )
    assert small[0] > large[0]


@pytest.mark.parametrize(
    ("cores", "most", "expected"),
    [
        (2, [2], [2]),
        (2, [2, 2], [1, 1]),
        (2, [2, 2, 2], [1, 1, 1]),  # nobody stands still
        (8, [8, 8, 8], [3, 3, 2]),
        (8, [1, 8, 2], [1, 5, 2]),
        (8, [2, 2], [2, 2]),
        (4, [], []),
    ],
)
def test_cores_are_shared_fairly(cores: int, most: list[int], expected: list[int]) -> None:
    assert shares(cores, most) == expected


def test_a_process_that_tells_speakers_apart_needs_its_memory_too() -> None:
    def count(**profile: Any) -> int:
        config = Config(
            file=Path(),
            daemon=Daemon(),
            inboxes=(),
            profiles={"a": Settings(model="base"), "b": Settings(model="base", **profile)},
            workers=(Worker(name="cpu"),),
            retry=Retry(),
        )
        return int(fit(config, Machine(16, 30 * GB, gpu=False)).workers[0].count)

    hours = [count(diarize="auto", max_diarize=hours * 3600.0) for hours in (1, 3, 10)]
    assert count() == 16
    assert hours == sorted(hours, reverse=True)
    assert hours[1] * 4.5 * GB < 30 * GB  # three hours need 4.5 GB
    assert hours[2] == 1


def test_control_groups_limit_a_machine(tmp_path: Path) -> None:
    put(tmp_path, "proc/meminfo", "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    whole = look(tmp_path)
    assert whole.memory == 8000 * 1024
    assert whole.cores >= 1
    put(tmp_path, "proc/self/cgroup", "4:memory:/old\n0::/outer/inner\n")
    put(tmp_path, "sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n")
    put(tmp_path, "sys/fs/cgroup/outer/inner/memory.max", "max\n")
    assert look(tmp_path) == whole
    put(tmp_path, "sys/fs/cgroup/outer/cpu.max", "50000 100000\n")
    put(tmp_path, "sys/fs/cgroup/outer/memory.max", "3000000\n")
    put(tmp_path, "sys/fs/cgroup/outer/memory.current", "1000000\n")
    assert look(tmp_path) == Machine(1, 2_000_000, gpu=False)


def test_a_gpu_is_seen_by_its_driver(tmp_path: Path) -> None:
    assert look(tmp_path) == (look(tmp_path).cores, 0, False)
    put(tmp_path, "dev/nvidiactl")
    assert not look(tmp_path).gpu
    put(tmp_path, "dev/nvidia0")
    assert look(tmp_path).gpu
