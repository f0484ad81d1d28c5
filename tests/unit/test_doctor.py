"""`scriberrd doctor`: every part of an installation, the daemon up or down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from program import BIN, MODEL, Program

from scriberrd.config import Config, Daemon, Retry, Worker
from scriberrd.doctor import engines, service, system
from scriberrd.protocol import Surveyed
from scriberrd.queue.store import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIT = Path(__file__).parent.parent.parent / "systemd/scriberrd.service"
TOKEN = "hf_secret"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path, engine="faster-whisper", model=MODEL)
    yield made
    if made.daemon is not None:
        made.stop()


def doctor(daemon: Program, program: str = "scriberrd", status: int = 0) -> dict[str, Any]:
    """The lines of each part."""
    done = subprocess.run(
        [BIN / program, "doctor", "--config", daemon.config, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ
        | {"STATE_DIRECTORY": str(daemon.root / "state"), "HF_TOKEN": TOKEN}
        | {"PYTHONPATH": str(Path(__file__).parent.parent / "fake_engine")},
    )
    assert (done.returncode, done.stderr) == (status, ""), done
    assert TOKEN not in done.stdout
    parts: dict[str, Any] = {}
    for line in map(json.loads, done.stdout.splitlines()):
        parts.setdefault(line["part"], []).append(line)
    return parts


def files(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_all_parts_are_told_and_nothing_is_left_behind(daemon: Program) -> None:
    daemon.start()
    parts = doctor(daemon)
    assert parts.keys() >= {
        *("unit", "inotify", "descriptors", "configuration", "folders", "disk", "database"),
        *("backups", "daemon", "libraries", "gpu", "models", "hub token"),
    }
    assert [line["state"] for line in parts["daemon"]] == ["ok"]
    assert daemon.said("in force: state in ") == 1
    assert "no damage" in parts["database"][0]["what"]
    assert parts["models"][0]["what"] == f"{MODEL} (profile default) is on this machine"
    libraries = " ".join(line["what"] for line in parts["libraries"])
    assert "onnxruntime" in libraries
    assert "telemetry is off" in libraries
    assert parts["hub token"][0]["what"] == "there is one: HF_TOKEN"

    assert daemon.stop() == 0
    before = files(daemon.root / "state")
    parts = doctor(daemon, "scriberrctl")  # which starts the other
    assert parts["daemon"][0]["what"] == "not running"
    assert "no damage" in parts["database"][0]["what"]
    assert files(daemon.root / "state") == before


def test_a_problem_has_advice_and_a_status(daemon: Program) -> None:
    copy = daemon.root / "model"
    shutil.copytree(MODEL, copy)
    (copy / "tokenizer.json").write_text("{")
    daemon.config.write_text(daemon.config.read_text().replace(str(MODEL), str(copy)))
    state = daemon.root / "state"
    state.mkdir()
    connect(state / "scriberrd.db").close()
    with (state / "scriberrd.db").open("r+b") as file:
        file.truncate(5000)
    (model,) = (parts := doctor(daemon, status=1))["models"]
    assert (model["state"], model["advice"]) == (
        "problem",
        "copy it anew; jobs wait until it is there",
    )
    assert model["what"].endswith("(profile default): tokenizer.json is damaged")
    (database,) = parts["database"]
    assert database["state"] == "problem"
    assert "it restores the newest backup" in database["advice"]


def test_what_is_no_folder_leaves_the_folders_well(daemon: Program) -> None:
    more = '[profile.speakers]\ndiarize = "auto"\ndiarization_model = "/none"\n'
    daemon.config.write_text(f"{daemon.config.read_text()}\n{more}")
    parts = doctor(daemon)
    states = {line["state"] for line in parts["configuration"]}
    assert (states, parts["folders"][0]["state"]) == ({"ok", "warning"}, "ok")


def test_an_unusable_configuration_is_a_problem_too(daemon: Program) -> None:
    daemon.config.write_text("[daemon]\nrescam = 1\n")
    (line,) = doctor(daemon, status=1)["configuration"]
    assert line["what"].startswith(f"{daemon.config}:2: daemon.rescam: unknown key; did you mean")


@pytest.mark.parametrize(
    ("version", "holes"),
    [
        ("8.1.2", 0),
        ("8.1.1", 1),
        ("8.0.1-static", 2),
        ("7.1.5", 1),
        ("4.4", 2),
        ("9.0", 0),
        ("", 0),
    ],
)
def test_known_holes_of_ffmpeg(version: str, holes: int) -> None:
    assert engines.ffmpeg(version).what.count("CVE-") == holes


GPUS = ["NVIDIA H100, 9.0, 550.1", "Old, with a comma, 6.1, 470", "Ancient, 3.5, 390"]


def test_what_a_gpu_can_do_is_told(tmp_path: Path) -> None:
    config = Config(
        file=tmp_path,
        daemon=Daemon(),
        inboxes=(),
        profiles={},
        workers=(Worker(name="w", device="cuda"),),
        retry=Retry(),
    )
    for found, gpus, driver, states in [
        (Surveyed(problems=[], gpus=3), GPUS, True, ["ok", "warning", "problem", "ok"]),
        (Surveyed(problems=[], gpus=0), [], False, ["ok"]),
        (Surveyed(problems=[], gpus=0), [], True, ["problem"]),
        (Surveyed(problems=[], gpus="driver too old"), [], True, ["problem"]),
        (Surveyed(problems=[], gpus=1, cublas="no libcublas"), [], True, ["problem"]),
    ]:
        lines = list(engines.devices(found, config, gpus, driver=driver))
        assert [line.state for line in lines] == states
        assert all(line.advice for line in lines if line.state != "ok")


def test_a_unit_is_rated_and_what_harms_in_it_is_told(tmp_path: Path) -> None:
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    shutil.copy(UNIT, units)
    first = list(system.unit(service.installed(tmp_path)))
    assert {line.state for line in first} == {"ok"}
    if shutil.which("systemd-analyze"):
        assert any("exposure 2." in line.what for line in first)
    more = units / "scriberrd.service.d"
    more.mkdir()
    (more / "x.conf").write_text("[Service]\nMemoryDenyWriteExecute=yes\nPrivateUsers=true\n")
    found = {line.what: line for line in system.unit(service.installed(tmp_path))}
    assert found["MemoryDenyWriteExecute=yes"].state == "problem"
    assert found["PrivateUsers=yes"].state == "warning"


def test_small_limits_of_the_kernel_are_told(tmp_path: Path) -> None:
    kernel = tmp_path / "proc/sys/fs/inotify"
    kernel.mkdir(parents=True)
    (kernel / "max_user_watches").write_text("8192\n")
    (kernel / "max_user_instances").write_text("128\n")
    watches, instances, _ = system.limits(tmp_path)
    assert (watches.state, instances.state) == ("warning", "ok")
    assert watches.advice.startswith("sysctl fs.inotify.max_user_watches=")
