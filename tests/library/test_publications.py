"""Any order of runs, edits, losses and mounts: the newest result wins, no edit is lost."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from api_server import ENGINE, TestClock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support import block

from scriberrd.config import Config, Daemon, Inbox, Live, Retry
from scriberrd.errors import LeaseLost, TaskFailed
from scriberrd.files.folders import Folders
from scriberrd.library import library
from scriberrd.library.gathering import gather
from scriberrd.library.library import Library
from scriberrd.model import Fallback, Identity, Job, JobState, Source
from scriberrd.output.publisher import Publisher
from scriberrd.protocol import Finished, Probed
from scriberrd.queue import jobs, queries
from scriberrd.queue.store import Store
from scriberrd.settings import Settings
from scriberrd.transcript import Result, Segment
from scriberrd.units import Seconds

RECORDINGS = [b"talk.wav", b"talk.mp3"]  # of one name without what it ends in
STEP = Fallback("batch_size", "2", "1")


def bind(source: Path, target: Path) -> bool:
    command = ["mount", "--bind", source, target]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Publications(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        root = Path(self._folder.name)
        self.out, self.disk = root / "out", root / "disk"
        for folder in ("in", "out", "disk"):
            (root / folder).mkdir()
        self.mountable = self.mounted = bind(self.disk, self.out)
        self.inbox = Inbox(name="inbox", path=root / "in", output=self.out)
        config = Config(
            file=root / "scriberrd.toml",
            daemon=Daemon(),
            inboxes=(self.inbox,),
            profiles={},
            workers=(),
            retry=Retry(),
        )
        self.root, self.live, self.clock = root, Live(config), TestClock()
        self.loop = asyncio.Runner()
        self.store = self.loop.run(self._open())
        self.library = Library(root, self.live, self.clock)
        self.texts = 0
        self.versions = dict.fromkeys(RECORDINGS, 0)
        self.newest: dict[bytes, str] = {}  # what the transcript of each recording is to say
        self.noted = False  # that something is mounted where files are published
        self.kept: dict[str, str] = {}  # what the library is to give for these bytes
        self.edits: set[str] = set()  # what people have written
        self.deleted: set[str] = set()  # the names that they have deleted
        self.loop.run(self._submit(RECORDINGS[0]))

    async def _open(self) -> Store:
        self.publisher_folders = Folders()
        return Store(self.root / "queue.db")

    def teardown(self) -> None:
        self.library.close()
        self.store.close()
        self.loop.close()
        if self.mounted:
            subprocess.run(["umount", self.out], check=True)
        self._folder.cleanup()

    def _text(self) -> str:
        self.texts += 1
        return f"text {self.texts}"

    async def _submit(self, path: bytes) -> Job:
        version = self.versions[path]
        sha256 = f"{version:064}"  # copies of the same bytes
        source = Source("inbox", path, Identity(1, 2, 3, version, 5), sha256)
        how = {"profile": "default", "settings": Settings(batch_size=2, formats=("json", "txt"))}
        job, _ = await self.store.run(jobs.submit, source, now=self.clock.now, **how)
        return job

    @rule(path=st.sampled_from(RECORDINGS), replaced=st.booleans())
    def submit(self, path: bytes, replaced: bool) -> None:
        """A recording is dropped, or another takes its place."""
        self.versions[path] += replaced
        job = self.loop.run(self._submit(path))
        if job.state is JobState.QUEUED and not job.outputs:
            self.newest.pop(path, None)

    @rule(path=st.sampled_from(RECORDINGS))
    def redo(self, path: bytes) -> None:
        self.loop.run(self._redo(path))

    async def _redo(self, path: bytes) -> None:
        job = await self.store.read(jobs.newest, "inbox", path)
        if job is not None and job.state is JobState.COMPLETED:
            how = {"profile": "default", "settings": job.settings, "now": self.clock.now}
            await self.store.run(jobs.redo, job.id, **how)

    @rule(
        path=st.sampled_from(RECORDINGS),
        less=st.booleans(),
        twice=st.booleans(),
        ended=st.sampled_from(["finish", "finish", "release", "replaced"]),
    )
    def run(self, path: bytes, less: bool, twice: bool, ended: str) -> None:
        """A run does the work, or finds it done, and publishes it once or twice.

        Where nothing is queued, something is to be redone.
        """
        self.clock.now += 1
        if not self.loop.run(self.store.read(queries.counts))[JobState.QUEUED]:
            self.loop.run(self._redo(path))
        self.loop.run(self._run(less=less, twice=twice, ended=ended))

    async def _run(self, *, less: bool, twice: bool, ended: str) -> None:
        times = {"now": self.clock.now, "expires": 1e9, "longest": 3600.0}
        job = await self.store.run(jobs.claim, "cpu", **times)
        if job is None:
            return
        if less and not job.fallbacks:  # memory runs out: its next run does with less
            retry = Retry(backoff=Seconds(0))
            how = {"retry": retry, "now": self.clock.now, "step": STEP}
            lease = jobs.Lease(job.id, job.lease)
            await self.store.run(jobs.fail, lease, "out_of_memory", "", **how)
            self.clock.now += 1
            times["now"] = self.clock.now
            job = await self.store.run(jobs.claim, "cpu", **times)
            assert job is not None
        said = await self._work(job)
        with self.store.reader() as db:
            work = await self.store.read(jobs.work, job.id)
            result, _ = gather(work, queries.Blocks(db, job.id), job)
            segments = tuple(result.segments)
        if ended == "replaced":  # by somebody who comes before it publishes
            self.versions[job.path] += 1
            await self._submit(job.path)
            self.newest.pop(job.path, None)
        text = msgspec.structs.replace(result, segments=segments, words=())
        await self._publish(job, text, said, twice=twice, ended=ended)

    async def _work(self, job: Job) -> str:
        """What the recording says: as the library has it, or as a worker hears it now."""
        lease, sha256 = jobs.Lease(job.id, job.lease), job.sha256 or ""
        work = await self.store.read(jobs.work, job.id)
        if work.finished is not None and work.last is not None:
            return work.last.segments[0].text
        if await self.library.restore(self.store, job, lambda _: None):
            assert not job.redo
            work = await self.store.read(jobs.work, job.id)
            assert work.last is not None
            text = work.last.segments[0].text
            assert text == self.kept[f"{sha256} {len(job.fallbacks)}"]
            return text
        assert job.redo or f"{sha256} {len(job.fallbacks)}" not in self.kept
        text, about = self._text(), {"job": job.id, "lease": job.lease}
        probe = Probed(**about, container="mp3", codec="mp3", channels=1, duration=None)
        segments = (Segment(start=0.0, end=1.0, text=text),)
        one = msgspec.structs.replace(block(0), segments=segments)
        finished = Finished(**about, duration=10.0, warnings=())
        await self.store.run(jobs.probed, lease, probe)
        await self.store.run(jobs.loaded, lease, ENGINE)
        await self.store.run(jobs.checkpoint, lease, one, expires=1e9, now=self.clock.now)
        await self.store.run(jobs.transcribed, lease, finished, now=self.clock.now)
        await self.library.keep(self.store, job)
        self.kept[f"{sha256} {len(job.fallbacks)}"] = text
        return text

    async def _publish(
        self, job: Job, result: Result, said: str, *, twice: bool, ended: str
    ) -> None:
        publisher = Publisher(self.store, self.publisher_folders, self.clock)
        lease = jobs.Lease(job.id, job.lease)
        try:
            for warnings in [("once",), ("twice",)][: 1 + twice]:
                text = msgspec.structs.replace(result, warnings=warnings)
                await publisher.publish(self.inbox, job, text)
                assert ended != "replaced"
                outputs = await self.store.read(queries.outputs, job.id)
                self.deleted -= {output.name.decode() for output in outputs}
                self.newest[job.path], self.noted = f"{said} {warnings[0]}", True
            if ended == "finish":
                how = {"language": "en", "now": self.clock.now}
                await self.store.run(jobs.finish, lease, **how)
            else:
                await self.store.run(jobs.release, lease, now=self.clock.now)
        except TaskFailed:
            assert not self.mounted
            assert list(self.out.iterdir()) == []
            await self.store.run(jobs.release, lease, now=self.clock.now)
        except LeaseLost:
            assert ended == "replaced"

    def _files(self) -> list[Path]:
        return sorted(self.out.iterdir())

    @rule(data=st.data())
    def edit(self, data: Any) -> None:
        """Somebody corrects a file."""
        if files := self._files():
            file = data.draw(st.sampled_from(files))
            self.edits.discard(file.read_text())
            text = f"corrected: {self._text()}"
            file.write_text(text)
            self.edits.add(text)

    @rule(data=st.data())
    def delete(self, data: Any) -> None:
        """Somebody deletes what he has written."""
        mine = [file for file in self._files() if file.read_text() in self.edits]
        if mine:
            file = data.draw(st.sampled_from(mine))
            self.edits.discard(file.read_text())
            self.deleted.add(file.name)
            file.unlink()

    @rule()
    def lose_library(self) -> None:
        self.library.close()
        for file in self.root.glob(f"{library.NAME}*"):
            file.unlink()
        self.library = Library(self.root, self.live, self.clock)
        self.kept.clear()

    @precondition(lambda self: self.mountable and self.noted)
    @rule()
    def mount(self) -> None:
        """The disk of the output folder, on which files were published, goes or comes again."""
        if self.mounted:
            subprocess.run(["umount", self.out], check=True)
            self.mounted = False
        else:
            self.mounted = bind(self.disk, self.out)
            assert self.mounted

    @invariant()
    def no_human_edit_is_lost(self) -> None:
        place = self.disk if self.mountable else self.out
        assert self.edits <= {file.read_text() for file in place.iterdir()}

    @invariant()
    def the_newest_result_wins(self) -> None:
        place = self.disk if self.mountable else self.out
        for path, text in self.newest.items():
            job = self.loop.run(self.store.read(jobs.newest, "inbox", path))
            assert job is not None
            outputs = self.loop.run(self.store.read(queries.outputs, job.id))
            for output in outputs:
                if output.edited or output.suffix != "json":
                    continue
                file = place / output.name.decode()
                # Since it was published.
                if file.name in self.deleted or file.read_text() in self.edits:
                    continue
                content = file.read_text()
                found = json.loads(content)
                assert f"{found['text']} {found['warnings'][0]}" == text

    @invariant()
    def nothing_is_left_on_the_way(self) -> None:
        place = self.disk if self.mountable else self.out
        assert not [file for file in place.iterdir() if file.name.startswith(".")]


TestPublications = Publications.TestCase
TestPublications.settings = settings(
    max_examples=40,
    stateful_step_count=40,
)
