"""The machine is at fault: the output folder, the model, the device or the hub."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from program import AUDIO, MODEL, TESTS, Program, wait_for
from promises import checkpointed, paused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Make = Callable[..., Program]
    Mount = Callable[..., None]
    Mend = Callable[[], object]

SENTENCE = AUDIO / "sentence.wav"
COUNT = 3  # recordings that have to wait
REVISION = "0123456789012345678901234567890123456789"

# For the daemon's Python and its workers': the inbox is on a share that is away while there is a
# file "away". Only what a worker reads a recording through is replaced.
SHARE = """
import errno, io, os

class Remote(io.FileIO):
    def read(self, size=-1):
        if os.path.exists("away") and "/inbox/" in os.readlink(f"/proc/self/fd/{self.fileno()}"):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return super().read(size)

io.FileIO = Remote
"""


def waits_until(daemon: Program, mend: Mend, part: str, code: str) -> None:
    """See that nothing is charged to the recordings, and that all goes on once that is mended."""
    there = daemon.files()
    for number in range(COUNT):
        daemon.drop(SENTENCE.read_bytes() + b"%d" % number, f"{number}.wav")
    assert paused(daemon) == (part, code)
    shown = subprocess.run([*daemon.client, "status"], capture_output=True, text=True, check=True)
    assert f"outage   {part} " in shown.stdout
    wait_for(lambda: len(daemon.jobs()) == COUNT, "the others")
    told = wait_for(
        lambda: {job["error"]["code"] for job in daemon.jobs() if job["error"]}, "the reason"
    )
    assert told == {code}
    assert {job["failures"] for job in daemon.jobs()} == {0}
    assert daemon.files() == there
    if part != "pool":  # other inboxes, with another model and another folder, go on
        (daemon.root / "calm/other.wav").write_bytes(SENTENCE.read_bytes())
        daemon.wait("other.wav", "completed")
    mend()
    for number in range(COUNT):
        assert daemon.wait(f"{number}.wav", "completed")["failures"] == 0
    assert daemon.ctl("status")["outages"] == []
    assert (daemon.said("outage: "), daemon.said("outage over: ")) == (1, 1)


@pytest.mark.fault(38)
def test_output_is_full(program: Make, mount: Mount) -> None:
    """no space left in the output folder
    -> paused with disk_full, nothing partial, no failure counted; goes on by itself"""
    daemon = program()
    mount(daemon.out, "-t", "tmpfs", "-o", "size=16k", "tmpfs")
    filler = daemon.out / "filler"
    filler.write_bytes(bytes(8192))

    def mend() -> None:
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=1m", daemon.out], check=True)

    waits_until(daemon, mend, "output", "disk_full")


@pytest.mark.fault(38)
def test_output_is_read_only(program: Make, mount: Mount) -> None:
    """the output folder becomes read-only
    -> paused with output_unwritable, no failure counted; goes on by itself"""
    daemon = program()
    mount(daemon.out, "-t", "tmpfs", "tmpfs")
    remount = ["mount", daemon.out, "-o"]
    subprocess.run([*remount, "remount,ro"], check=True)
    mend = [*remount, "remount,rw"]
    waits_until(daemon, lambda: subprocess.run(mend, check=True), "output", "output_unwritable")


@pytest.mark.fault(40)
@pytest.mark.parametrize(
    ("model", "part", "code"),
    [
        ("missing+until", "model", "model_missing"),
        ("no-device+until", "pool", "device_unavailable"),
    ],
)
def test_not_there(program: Make, model: str, part: str, code: str) -> None:
    """the model is missing, or the device of the workers can't be used
    -> what needs it is paused with the reason, no failure counted; goes on by itself"""
    daemon = program(model=model)
    waits_until(daemon, (daemon.root / "fake-state").touch, part, code)


class Refusing(BaseHTTPRequestHandler):
    """A hub that knows nobody."""

    def do_GET(self) -> None:
        self.send_error(401)

    do_HEAD = do_GET  # noqa: N815 - as the library calls it


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub of models that refuses everything."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.fault(40)
@pytest.mark.usefixtures("hub")
def test_the_hub_refuses(program: Make) -> None:
    """the hub refuses the model
    -> paused with hub_refused, no failure counted; goes on once the model is in the cache"""
    daemon = program(start=False, engine="faster-whisper", model="someone/tiny")
    cache = daemon.root / "cache"
    config = daemon.config.read_text()
    daemon.config.write_text(config.replace("[daemon]", f'[daemon]\nmodel_cache = "{cache}"'))
    # Other tests do without certificates.
    daemon.start(SSL_CERT_FILE=ssl.get_default_verify_paths().openssl_cafile)

    def mend() -> None:
        repository = cache / "models--someone--tiny"
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        shutil.copytree(MODEL, repository / "snapshots" / REVISION)
        (repository / "refs/main").write_text(REVISION)

    waits_until(daemon, mend, "model", "hub_refused")
    assert daemon.said("can't download someone/tiny")


@pytest.mark.fault(37)
def test_the_share_goes_away_in_mid_read(program: Make) -> None:
    """a share goes away in mid-read, for more tries than a recording has
    -> it waits alone, no failure counted; goes on from the checkpoint once the share is back"""
    daemon = program(start=False, model="slow", block_seconds=5, retry="attempts = 2")
    (daemon.root / "sitecustomize.py").write_text(SHARE)
    daemon.start(PYTHONPATH=os.pathsep.join([str(daemon.root), str(TESTS / "fake_engine")]))
    daemon.drop(AUDIO / "dialogue.opus", "long.opus")
    checkpointed(daemon, "long.opus")
    (daemon.root / "away").touch()

    def runs() -> list[dict[str, Any]]:
        job = daemon.job("long.opus")
        return daemon.ctl("show", job["id"])["executions"] if job else []

    wait_for(lambda: len(runs()) > 4, "more tries")
    assert {run["error"]["code"] for run in runs()[:4]} == {"read_failed"}
    (daemon.root / "calm/other.wav").write_bytes(SENTENCE.read_bytes())
    daemon.wait("other.wav", "completed")
    (daemon.root / "away").unlink()
    job = daemon.wait("long.opus", "completed")
    assert (job["failures"], job["fallbacks"]) == (0, [])
    assert daemon.ctl("status")["outages"] == []
