"""Many small recordings, and kills at random; afterwards every single one is accounted for.

`make soak`; or for another size: make soak ARGS='--minutes 1 --jobs 500 --seed 7'. The exit status
is 0 only when each file is published exactly once, or has failed with a reason.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import sys
import tempfile
import threading
import time
import wave
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import apsw
import psutil
from program import Program

from scriberrd.failures import FAILURES

if TYPE_CHECKING:
    from collections.abc import Iterable

BAD = 50  # one file of so many is no recording
PATIENCE = 120.0  # seconds without any progress: then something is stuck
KILLS = (signal.SIGKILL, signal.SIGTERM)
MEGABYTE = 1 << 20


class Row(NamedTuple):
    """What the database says of a recording."""

    path: bytes
    state: str
    code: str | None
    finished: int  # how often it was told to be
    outputs: str | None


def is_bad(number: int) -> bool:
    return number % BAD == BAD - 1


def content(number: int) -> bytes:
    """A recording of 1.1 s, different from all others; or no recording at all."""
    if is_bad(number):
        return b"no recording %d " % number * 100
    noise = random.Random(number).randbytes(8800)
    with BytesIO() as file, wave.open(file, "wb") as sound:
        sound.setparams((1, 1, 8000, 0, "NONE", ""))
        sound.writeframes(noise)
        return file.getvalue()


def name(number: int) -> str:
    return f"{number // 1000}/{number}.wav"


def output(number: int) -> str:
    return f"{number // 1000}/{number}.json"


class Soak:
    """A program under fire."""

    def __init__(self, root: Path, jobs: int, minutes: float, chance: random.Random) -> None:
        self.jobs, self.chance = jobs, chance
        self.program = Program(
            root, formats='["json"]', vad="false", count=2, stop_timeout="5s", backoff="0.1s"
        )
        self.until = time.monotonic() + minutes * 60
        self.done = Counter[str]()  # what was done to it
        self.wrong: list[str] = []
        self.memory: list[int] = []  # of the daemon that is left alone at the end: bytes

    def run(self) -> None:
        """Drop all files, kill meanwhile, and wait until nothing is left to do."""
        self.program.start()
        dropping = threading.Thread(target=self._drop)
        dropping.start()
        # The last third is left to one daemon, to see how its memory does; workers still die.
        while self._ended() < self.jobs * 2 // 3 and time.monotonic() < self.until:
            time.sleep(self.chance.uniform(0.2, 4))
            self._kill_something()
        dropping.join()
        left, moved = -1, time.monotonic()
        while (ended := self._ended()) < self.jobs:
            if ended != left:
                left, moved = ended, time.monotonic()
            if time.monotonic() - moved > PATIENCE:
                print(f"stuck at {ended} of {self.jobs}")
                break
            self._measure()
            if time.monotonic() < self.until:
                self._kill_worker()
            time.sleep(self.chance.uniform(0.5, 4))
        self._measure()
        if (status := self.program.stop()) != 0:
            self.wrong.append(f"the last daemon exited with {status}")

    def _drop(self) -> None:
        """In bursts, as people do."""
        number, chance = 0, random.Random(self.jobs)  # not the one of the other thread
        while number < self.jobs:
            for _ in range(min(chance.randint(1, 400), self.jobs - number)):
                self.program.drop(content(number), name(number))
                number += 1
            time.sleep(chance.uniform(0, 2))

    def _kill_something(self) -> None:
        if self.chance.random() < 0.7:
            self._kill_worker()
            return
        number = self.chance.choice(KILLS)
        expected = 0 if number == signal.SIGTERM else -number
        if (status := self.program.stop(number)) != expected:
            self.wrong.append(f"after {number.name} the daemon exited with {status}")
        self.done[f"daemon: {number.name}"] += 1
        self.program.start()

    def _kill_worker(self) -> None:
        for worker in self.program.workers()[:1]:
            number = self.chance.choice(KILLS)
            try:
                worker.send_signal(number)
            except psutil.NoSuchProcess:
                continue
            self.done[f"worker: {number.name}"] += 1

    def _measure(self) -> None:
        assert self.program.daemon is not None
        self.memory.append(psutil.Process(self.program.daemon.pid).memory_info().rss)

    def _ended(self) -> int:
        jobs = self.program.ctl("status")["jobs"]
        return int(jobs["completed"] + jobs["failed"])

    def account(self) -> list[str]:
        """Everything that is not as promised."""
        wrong = self.wrong
        db = apsw.Connection(str(self.program.root / "state/scriberrd.db"))
        if (check := db.pragma("quick_check")) != "ok":
            wrong.append(f"quick_check: {check}")
        found = db.execute(
            "SELECT path, state, error_code, (SELECT count(*) FROM event WHERE job = job.id AND"
            " type = 'finished'), (SELECT group_concat(CAST(name AS TEXT)) FROM output WHERE"
            " job = job.id) FROM job"
        )
        rows = [Row(*row) for row in found]
        known = {row.path.decode(): row for row in rows}
        if len(rows) != len(known):
            wrong.append(f"{len(rows) - len(known)} recordings have more than one job")
        expected = set()
        for number in range(self.jobs):
            problem = self._problem(number, known.get(name(number)))
            if problem:
                wrong.append(f"{name(number)}: {problem}")
            expected.add(output(number))
        stray = set(self.program.files()) - expected
        wrong += [f"stray file {path}" for path in sorted(stray)]
        wrong += [f"left over: {process}" for process in self.program.processes()]
        if "Traceback" in self.program.log.read_text():
            wrong.append("a traceback in the log")
        self._sum_up(rows, db.execute("SELECT outcome, count(*) FROM execution GROUP BY 1"))
        db.close()
        return wrong

    def _problem(self, number: int, row: Row | None) -> str:
        """What is wrong with the fate of a recording, if anything is."""
        if row is None:
            return "no job"
        if row.state == "completed":
            return self._published_wrong(number, row)
        if row.state != "failed":
            return f"left {row.state}"
        if row.code not in FAILURES:
            return f"failed without a known reason: {row.code}"
        if row.code == "invalid_media" and not is_bad(number):
            return "a recording was taken for none"
        return "failed and published" if (self.program.out / output(number)).exists() else ""

    def _published_wrong(self, number: int, row: Row) -> str:
        if row.finished != 1:
            return f"finished {row.finished} times"
        if row.outputs != output(number):
            return f"published as {row.outputs}"
        try:
            source = self.program.transcript(output(number))["source"]
        except FileNotFoundError:
            return "its transcript is not there"
        if source["sha256"] != hashlib.sha256(content(number)).hexdigest():
            return "the transcript of another recording"
        return ""

    def _sum_up(self, rows: list[Row], runs: Iterable[tuple[str, int]]) -> None:
        states = Counter(f"{row.state} {row.code or ''}".strip() for row in rows)
        print("recordings:", ", ".join(f"{count} {what}" for what, count in states.most_common()))
        print("runs:", ", ".join(f"{count} {what}" for what, count in runs))
        print("done to it:", ", ".join(f"{what} {n}" for what, n in sorted(self.done.items())))
        first, last = self.memory[0] / MEGABYTE, self.memory[-1] / MEGABYTE
        print(f"memory of the last daemon: {first:.0f} MiB first, {last:.0f} MiB last")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=10, help="how long there are kills")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.jobs} recordings, {given.minutes:g} minutes of kills")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-", dir="/var/tmp") as root:
        soak = Soak(Path(root), given.jobs, given.minutes, random.Random(given.seed))
        try:
            soak.run()
            wrong = soak.account()
        finally:
            if soak.program.daemon is not None:
                soak.program.stop(signal.SIGKILL)
    print(f"{time.monotonic() - began:.0f} s")
    print("\n".join(wrong[:50]) or "every recording is accounted for")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
