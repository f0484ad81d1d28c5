"""Makes the database that a first start of this version, and some work, leaves behind.

    python tests/databases/make.py

writes `vN.db` beside it, N being the version of the schema. Once a version is released its file is
never made again: it stands for the databases that people have, and must open for ever.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from scriberrd import config
from scriberrd.model import Identity, Source
from scriberrd.protocol import Finished, Probed
from scriberrd.queue import jobs, store
from scriberrd.queue.transactions import transaction
from scriberrd.settings import Settings
from scriberrd.transcript import BlockResult, EngineInfo, Segment, Word

NOON = 1_700_000_000.0
ENGINE = EngineInfo(provider="faster-whisper", model="base", device="cpu", compute_type="int8")


def block(number: int) -> BlockResult:
    start = number * 10.0
    segment = Segment(start=start, end=start + 1, text="Grüß Gott.", avg_logprob=-0.1)
    word = Word(start=start, end=start + 1, word=" Grüß", probability=0.9)
    return BlockResult(
        number=number,
        start=start,
        end=start + 10,
        speech=1.0,
        language="de",
        language_probability=0.9,
        segments=(segment,),
        words=(word,),
    )


class Maker:
    """Jobs in every state, as the daemon makes them."""

    def __init__(self, path: Path) -> None:
        self.db = store.connect(path)
        self.now = NOON

    def submit(self, path: bytes) -> None:
        self.now += 1
        identity = Identity(1, int(self.now), 100, int(self.now), int(self.now))
        source = Source("default", path, identity, f"{path.hex():0>64}")
        with transaction(self.db):
            jobs.submit(self.db, source, profile="default", settings=Settings(), now=self.now)

    def work(self, blocks: int) -> jobs.Lease:
        """Claim the next job, and do some of it."""
        self.now += 1
        with transaction(self.db):
            job = jobs.claim(self.db, "default", now=self.now, expires=100.0, longest=3600.0)
            assert job is not None
            lease = jobs.Lease(job.id, job.lease)
            probe = Probed(
                job=job.id, lease=job.lease, container="mp3", codec="mp3", channels=2, duration=30.0
            )
            jobs.probed(self.db, lease, probe)
            jobs.loaded(self.db, lease, ENGINE)
            for number in range(blocks):
                jobs.checkpoint(self.db, lease, block(number), expires=100.0, now=self.now)
        return lease

    def complete(self) -> None:
        lease = self.work(3)
        finished = Finished(job=lease.job, lease=lease.token, duration=30.0, warnings=())
        names = [b"a.%s" % kind for kind in (b"json", b"txt")]
        with transaction(self.db):
            jobs.transcribed(self.db, lease, finished, now=self.now)
            jobs.reserve(self.db, lease, names)
            jobs.published(self.db, lease, now=self.now)
            jobs.finish(self.db, lease, language="de", now=self.now)

    def fail(self, code: str) -> None:
        lease = self.work(1)
        with transaction(self.db):
            jobs.fail(self.db, lease, code, "why", retry=config.Retry(), now=self.now)

    def everything(self) -> None:
        self.submit(b"completed/a.mp3")
        self.complete()
        self.submit(b"failed\xff.mp3")
        self.fail("invalid_media")
        self.submit(b"canceled.mp3")
        with transaction(self.db):
            jobs.cancel(self.db, 3, self.now)
        self.submit(b"waiting.mp3")
        self.fail("worker_crashed")
        self.submit(b"processing.mp3")
        self.work(2)
        self.submit(b"queued.mp3")
        self.db.pragma("journal_mode", "delete")
        self.db.pragma("page_size", 1024)
        self.db.execute("VACUUM")
        self.db.close()


def main() -> None:
    random.seed(1)  # the pauses before retries
    file = Path(__file__).with_name(f"v{store.VERSION}.db")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "made.db")
        Maker(made).everything()
        file.write_bytes(made.read_bytes())
    print(f"{file}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
