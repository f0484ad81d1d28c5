"""What it takes the daemon to publish the transcript of a recording, however long that is.

The checkpoints are made up: 144 words a minute, as in dense speech. Each length is published by a
process of its own, which is one with the rooms of the daemon and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import bench

from scriberrd.config import Inbox
from scriberrd.files.folders import Folders
from scriberrd.library.gathering import gather
from scriberrd.model import Identity, Source
from scriberrd.output.publisher import Publisher
from scriberrd.protocol import Finished, Probed
from scriberrd.queue import jobs, queries
from scriberrd.queue.store import Store
from scriberrd.settings import Settings
from scriberrd.transcript import BlockResult, EngineInfo, Segment, Word

HOURS = (1 / 6, 1, 20)
AIM = 1.2
TICK = 0.005  # seconds
ENGINE = EngineInfo(provider="made up", model="none", device="cpu", compute_type="int8")
Figures = dict[str, float]


def kilobytes(key: str) -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith(key)).split()[1])


def block(number: int) -> BlockResult:
    """Five minutes of dense speech."""
    start = number * 300.0
    words = tuple(
        Word(
            start=round(start + n * 0.416, 3),
            end=round(start + n * 0.416 + 0.3, 3),
            word=f" word{random.randrange(1000)}",
            probability=0.9,
        )
        for n in range(720)
    )
    segments = tuple(
        Segment(
            start=words[n].start,
            end=words[n + 11].end,
            text="".join(word.word for word in words[n : n + 12]).strip(),
            avg_logprob=-0.2,
            no_speech_prob=0.1,
            compression_ratio=1.2,
        )
        for n in range(0, 720, 12)
    )
    return BlockResult(
        number=number,
        start=start,
        end=start + 300.0,
        speech=250.0,
        language="en",
        language_probability=0.99,
        segments=segments,
        words=words,
    )


async def publish(hours: float, folder: Path) -> Figures:
    """Seconds, and kB before and at most."""
    (folder / "out").mkdir()
    store, now = Store(folder / "queue.db"), time.time()
    source = Source("inbox", b"talk.wav", Identity(1, 2, 3, 4, 5), "0" * 64)
    await store.run(jobs.submit, source, profile="default", settings=Settings(), now=now)
    job = await store.run(jobs.claim, "worker", now=now, expires=1e9, longest=3600.0)
    assert job is not None
    lease, duration = jobs.Lease(job.id, job.lease), hours * 3600
    about = {"job": job.id, "lease": job.lease, "duration": duration}
    probe = Probed(**about, container="wav", codec="pcm", channels=1)
    await store.run(jobs.probed, lease, probe)
    await store.run(jobs.loaded, lease, ENGINE)
    for number in range(round(hours * 12)):
        await store.run(jobs.checkpoint, lease, block(number), expires=1e9, now=now)
    await store.run(jobs.transcribed, lease, Finished(**about, warnings=()), now=now)

    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before, gap = kilobytes("VmRSS"), 0.0
    inbox = Inbox(name="inbox", path=folder / "in", output=folder / "out")
    began = last = time.perf_counter()

    async def save() -> None:
        with store.reader() as db:
            work = await store.read(jobs.work, job.id)
            text, _ = await asyncio.to_thread(gather, work, queries.Blocks(db, job.id), job)
            await Publisher(store, Folders(), time).publish(inbox, job, text)

    saving = asyncio.create_task(save())
    while not saving.done():
        await asyncio.sleep(TICK)
        last, at = time.perf_counter(), last
        gap = max(gap, last - at - TICK)
    await saving
    took = time.perf_counter() - began
    store.close()
    return {"before": before, "most": kilobytes("VmHWM"), "seconds": took, "gap": gap}


def main(*, quick: bool) -> None:
    """Print the table."""
    rows, first = [], 0.0
    for hours in HOURS[:-1] if quick else HOURS:
        folder = bench.fresh(f"publishing-{hours:.2f}")
        command = [sys.executable, __file__, str(hours), str(folder)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        figures: Figures = json.loads(done.stdout)
        first = first or figures["most"]
        rows.append(
            [
                f"{hours * 60:.0f}",
                f"{figures['before'] / 1024:.0f} MiB",
                f"{figures['most'] / 1024:.0f} MiB",
                f"{figures['most'] / first:.2f} (aim: at most {AIM})",
                f"{figures['seconds']:.1f} s",
                f"{figures['gap'] * 1000:.0f} ms (aim: at most 50)",
            ]
        )
    head = ["minutes", "before", "at most", "of the first", "took", "the loop stood still for"]
    bench.table("The daemon publishes a transcript", head, rows)


if __name__ == "__main__":
    random.seed(1)
    print(json.dumps(asyncio.run(publish(float(sys.argv[1]), Path(sys.argv[2])))))
