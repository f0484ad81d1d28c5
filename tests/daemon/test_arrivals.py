"""Whatever is done to a live inbox, in the end each recording in it is transcribed, once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import stat
import time
import wave
from collections import Counter
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from program import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from program import Program

    Make = Callable[..., Program]

FOLDERS = ("", "a", "a/b", "c")
RECORDINGS = ("1.wav", "2.wav", "3.wav", "-o.wav", "Grüße 日本.mp3", "x" * 240 + ".wav", "LOUD.WAV")
OTHERS = (".hidden.wav", "4.wav.part", "notes.txt", "5.wav~", "json")
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
SECONDS, RATE = 1.0, 8000

folders, names = st.sampled_from(FOLDERS), st.sampled_from(RECORDINGS + OTHERS)
which = st.integers(0, 99)
numbers = count()


def recording() -> bytes:
    """A second of noise that was never heard before."""
    file = BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(random.Random(next(numbers)).randbytes(int(2 * SECONDS * RATE)))
    return file.getvalue()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Arrivals(RuleBasedStateMachine):
    """What people and programs do to the files of an inbox while it is watched."""

    def __init__(self, daemon: Program) -> None:
        super().__init__()
        self.daemon = daemon
        self.root = daemon.inbox / f"example {next(numbers)}"
        self.root.mkdir()
        self.outside = daemon.root / "outside"

    @initialize()
    def begin(self) -> None:
        for name in RECORDINGS[:3]:
            self.create("a", name)

    @rule(folder=folders, name=names)
    def create(self, folder: str, name: str) -> None:
        with refused():
            place = self.place(folder, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(recording())  # over what is there, in place

    @rule(number=which)
    def append(self, number: int) -> None:
        with refused(), self.some_file(number).open("ab") as file:
            file.write(recording()[-100:])

    @rule(number=which, folder=folders, name=names)
    def rename(self, number: int, folder: str, name: str) -> None:
        with refused():
            self.some_file(number).rename(self.place(folder, name))

    @rule(number=which)
    def replace(self, number: int) -> None:
        with refused():
            place = self.some_file(number)
            new = place.with_name(f".new {next(numbers)}")
            new.write_bytes(recording())
            new.replace(place)

    @rule(number=which)
    def delete(self, number: int) -> None:
        with refused():
            self.some_file(number).unlink()

    @rule(folder=folders)
    def make_folder(self, folder: str) -> None:
        with refused():
            self.place(folder).mkdir(parents=True)

    @rule(folder=folders, to=folders)
    def move_tree(self, folder: str, to: str) -> None:
        with refused():
            self.place(folder).rename(self.place(to, "moved"))

    @rule(number=which, mode=st.sampled_from([0, 0o444, 0o644]))
    def chmod(self, number: int, mode: int) -> None:
        with refused():
            self.some_file(number).chmod(mode)

    @rule(folder=st.sampled_from(FOLDERS[1:]), mode=st.sampled_from([0, 0o755]))
    def chmod_folder(self, folder: str, mode: int) -> None:
        with refused():
            self.place(folder).chmod(mode)

    @rule(number=which, folder=folders, name=names)
    def hard_link(self, number: int, folder: str, name: str) -> None:
        with refused():
            self.place(folder, name).hardlink_to(self.some_file(number))

    @rule(number=which, secret=st.sampled_from(["secret.wav", "no.wav"]))
    def swap_link_in(self, number: int, secret: str) -> None:
        with refused():
            place = self.some_file(number)
            link = place.with_name(f".link {next(numbers)}")
            link.symlink_to(self.outside / secret)
            link.replace(place)

    @rule(folder=st.sampled_from(FOLDERS[1:]), to=folders)
    def swap_linked_folder_in(self, folder: str, to: str) -> None:
        with refused():
            self.place(folder).rename(self.place(to, f"away {next(numbers)}"))
            self.place(folder).symlink_to(self.outside)

    @rule(seconds=st.sampled_from([0.05, 0.4, 1.0]))
    def let_time_pass(self, seconds: float) -> None:
        time.sleep(seconds)  # whatever has happened by then

    @rule(held=st.booleans())
    def hold(self, held: bool) -> None:
        if held:  # files are queued, but not read again
            self.daemon.ask.pause()
        else:
            self.daemon.ask.resume()

    def teardown(self) -> None:
        self.hold(held=False)
        self.open_all()
        before = contents(self.root)
        wanted = {
            self.path(place): digest(content)
            for place, content in before.items()
            if content is not None and place.name in RECORDINGS
        }
        (jobs,) = wait_for(lambda: self.finished(wanted), lambda: self.lacks(wanted))
        assert {os.path.basename(path) for path in jobs} <= set(RECORDINGS)
        assert contents(self.root) == before
        assert contents(self.outside) == {self.outside / "secret.wav": SECRET}
        for path, sha256 in wanted.items():
            (name,) = (one for one in jobs[path]["outputs"] if one.endswith(".json"))
            source = json.loads((self.daemon.out / name).read_bytes())["source"]
            assert source["sha256"] in {sha256, ""}  # "": it could not be read when it was queued
        heard = Counter(
            job["source"]["sha256"]
            for job in self.jobs()
            for run in self.daemon.ask.executions(job["id"])
            if run["audio_seconds"] >= SECONDS and run["outcome"] != "superseded"
        )
        assert digest(SECRET) not in {job["source"]["sha256"] for job in self.jobs()}
        assert {sha256: heard[sha256] for sha256 in wanted.values() if heard[sha256] > 1} == {}

    def open_all(self) -> None:
        for folder, folders, files in os.walk(self.root):
            for name in (*folders, *files):
                place = os.path.join(folder, name)
                if not os.lstat(place).st_mode & stat.S_IRUSR:  # nothing else is touched by that
                    os.chmod(place, 0o755)

    def some_file(self, number: int) -> Path:
        """A file that is there, even if no recording."""
        found = sorted(place for place, content in contents(self.root).items() if content)
        if not found:
            raise OSError("there is none")
        return found[number % len(found)]

    def place(self, folder: str, name: str = ".") -> Path:
        """A place in the inbox, and nowhere else."""
        place = self.root / folder
        if place.resolve() != place or (place / name).is_symlink():
            raise OSError("somebody has put a link there")
        return place / name

    def path(self, place: Path) -> str:
        return str(place.relative_to(self.daemon.inbox))

    def jobs(self) -> list[dict[str, Any]]:
        """All about this example, oldest first."""
        found = self.daemon.ask.jobs(text=f"{self.root.name}/", limit=1000)
        assert found["next"] is None
        return [dict(job) for job in reversed(found["jobs"])]

    def finished(self, wanted: dict[str, str]) -> tuple[dict[str, dict[str, Any]]] | None:
        """The newest job of each path, once all that is wanted is done, and nothing else is."""
        jobs = self.jobs()
        newest = {job["path"]: job for job in jobs}
        done = {
            path: newest[path]["source"]["sha256"]
            for path in wanted.keys() & newest.keys()
            if newest[path]["state"] == "completed"
        }
        live = [job for job in jobs if job["state"] in {"queued", "processing"}]
        return (newest,) if done == wanted and not live else None

    def lacks(self, wanted: dict[str, str]) -> str:
        jobs = [
            (job["id"], job["path"], job["state"], job["error"], job["source"])
            for job in self.jobs()
        ]
        return f"{wanted}: {jobs}"


SECRET = recording()


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """What the system refuses does not happen."""
    with contextlib.suppress(OSError):
        yield


def contents(root: Path) -> dict[Path, bytes | None]:
    """All that is below a folder, but for folders: the bytes of regular files, None for links."""
    found: dict[Path, bytes | None] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            place = root / folder / name
            mode = place.lstat().st_mode
            if stat.S_ISLNK(mode):
                found[place] = None
            elif stat.S_ISREG(mode):
                found[place] = place.read_bytes()
    return found


def arrive(program: Make, examples: int) -> None:
    daemon = program(start=False)
    (daemon.root / "outside").mkdir()
    (daemon.root / "outside" / "secret.wav").write_bytes(SECRET)
    daemon.start(*POWERLESS)
    run_state_machine_as_test(
        lambda: Arrivals(daemon),
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            phases=[Phase.generate],
            database=None,
            print_blob=False,
        ),
    )


def test_each_recording_is_transcribed_once_whatever_is_done_to_files(program: Make) -> None:
    arrive(program, 8)


@pytest.mark.slow
def test_each_recording_is_transcribed_once_after_much_has_been_done(program: Make) -> None:
    arrive(program, 200)
