"""The API as it runs in the daemon, for tests of the API and of its client."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
from msgspec.structs import replace

from scriberrd.api.access import guard
from scriberrd.api.app import application
from scriberrd.api.connections import Connections, serving
from scriberrd.api.metrics import Metrics
from scriberrd.api.rooms import LiveStatus, Rooms
from scriberrd.api.socket import Listener, listening
from scriberrd.api.staying import ENDED
from scriberrd.config import Config, Daemon, Inbox, Live, Retry, Worker
from scriberrd.files.folders import Folders
from scriberrd.inbox.intake import Intake
from scriberrd.inbox.watch import Watching
from scriberrd.library.library import Library
from scriberrd.model import InboxStatus, Job, Print, Shown, WorkerStatus
from scriberrd.output.publisher import Publisher
from scriberrd.protocol import Finished, Probed, Pulled
from scriberrd.queue import jobs, retention
from scriberrd.queue.jobs import Lease
from scriberrd.queue.store import Store
from scriberrd.settings import Settings
from scriberrd.transcript import EngineInfo, Segment, SourceInfo, Stats, Transcript, Turn, encode
from scriberrd.work.means import Means
from scriberrd.work.preflight import Preflights
from scriberrd.work.rendering import Renderings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from aiohttp import web
    from aiohttp.test_utils import TestClient

NOON = 1_700_000_000.0
ENGINE = EngineInfo(provider="test", model="base", device="cpu", compute_type="int8")
TRANSCRIPT = Transcript(
    text="Grüß Gott.",
    language="de",
    language_probability=0.9,
    duration=100.0,
    speech_duration=1.0,
    segments=(Segment(id="seg_000001", start=0.0, end=1.0, text="Grüß Gott."),),
    words=(),
    engine=ENGINE,
    source=SourceInfo(name="a.mp3", sha256="0", size=1, container="mp3", codec="mp3", channels=1),
    stats=Stats(words=2, processing_seconds=1.0, real_time_factor=0.01, confidence=None),
)
SPEAKERS = ("SPEAKER_00", "SPEAKER_01")
DIALOGUE = replace(
    TRANSCRIPT,
    text="Grüß Gott. Hallo.",
    segments=(
        replace(TRANSCRIPT.segments[0], speaker=SPEAKERS[0]),
        Segment(id="seg_000002", start=1.0, end=2.0, text="Hallo.", speaker=SPEAKERS[1]),
    ),
    turns=tuple(
        Turn(start=float(n), end=n + 1.0, speaker=speaker) for n, speaker in enumerate(SPEAKERS)
    ),
)
SHOWN = Shown("958e788f6b3f3304", SPEAKERS)  # of these turns
LIVE = LiveStatus(
    workers=(
        WorkerStatus(
            name="cpu", device="cpu", state="idle", job=None, pid=42, threads=2, share=None
        ),
    ),
    inboxes=(InboxStatus(name="default", state="watching"),),
)


@dataclass
class TestClock:
    __test__ = False
    now: float = NOON

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now - NOON


@dataclass
class Server:
    """Everything below the API is real, but for the workers."""

    config: Config
    store: Store
    clock: TestClock
    intake: Intake
    stopping: bool = False
    made: int = 0
    watching: Watching = field(default_factory=Watching)
    rooms: Rooms = field(init=False)
    app: web.Application = field(init=False)
    http: aiohttp.ClientSession | TestClient[web.Request, web.Application] = field(init=False)
    # Only on a socket:
    ended: asyncio.Event = field(init=False)
    listener: Listener = field(init=False)
    connections: Connections = field(init=False)

    @property
    def socket(self) -> Path:
        return self.config.daemon.socket

    @property
    def inbox(self) -> Inbox:
        return self.config.inboxes[0]

    async def submit(self, name: str = "talk.mp3", **options: Any) -> Job:
        """A new recording in the first inbox, queued."""
        self.made += 1
        file = self.inbox.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"recording %d" % self.made)
        return (await self.intake.accept(self.inbox, name.encode(), **options))[0]

    async def claim(self) -> Job:
        """The next job goes to a worker."""
        times = {"now": self.clock.now, "expires": 1e9, "longest": 3600.0}
        job = await self.store.run(jobs.claim, "cpu", **times)
        assert job is not None
        return job

    async def progress(self, job: Job, seconds: float, duration: float | None = 100.0) -> None:
        """The worker tells how far it is."""
        lease = Lease(job.id, job.lease)
        probe = Probed(
            job=job.id, lease=job.lease, container="mp3", codec="mp3", channels=1, duration=duration
        )
        await self.store.run(jobs.probed, lease, probe)
        await self.store.run(jobs.loaded, lease, ENGINE)
        await self.store.run(jobs.renew, lease, expires=1e9, progress=seconds)

    async def fail(self, job: Job, code: str = "no_audio_stream", detail: str = "") -> Job:
        lease = Lease(job.id, job.lease)
        retry = Retry()
        return await self.store.run(jobs.fail, lease, code, detail, retry=retry, now=self.clock.now)

    async def complete(
        self,
        job: Job,
        formats: tuple[str, ...] = ("json",),
        text: Transcript = TRANSCRIPT,
        shown: Shown | None = None,
    ) -> Job:
        """The transcript is published; what is not JSON says only which format it is."""
        lease = Lease(job.id, job.lease)
        names = {f: job.path + b"." + f.encode() for f in formats}
        prints = {}
        for format_, name in names.items():
            content = f"published {format_}".encode()
            if format_ == "json":
                content = b"".join(encode(text))
            (self.inbox.output / name.decode()).write_bytes(content)
            os.utime(self.inbox.output / name.decode(), (self.clock.now, self.clock.now))
            prints[name] = Print(hashlib.sha256(content).hexdigest(), len(content))
        finished = Finished(job=job.id, lease=job.lease, duration=100.0, warnings=())
        await self.store.run(jobs.transcribed, lease, finished, now=self.clock.now)
        await self.rooms.library.keep(self.store, job)  # what is known of it
        await self.store.run(jobs.reserve, lease, list(prints))
        await self.store.run(jobs.begin, lease, prints, ())
        now, warnings = self.clock.now, text.warnings
        await self.store.run(jobs.published, lease, now=now, warnings=warnings)
        return await self.store.run(jobs.finish, lease, language="de", now=now, shown=shown)

    async def get(self, path: str, **options: Any) -> Any:
        """The JSON at a path."""
        return await self.call("GET", path, **options)

    async def post(self, path: str, *, status: int = 200, **options: Any) -> Any:
        return await self.call("POST", path, status=status, **options)

    async def call(self, method: str, path: str, *, status: int = 200, **options: Any) -> Any:
        async with self.http.request(method, path, **options) as response:
            answer = await response.json(content_type=None)
            assert (status, "Scriberrd-Version") == (
                response.status,
                "Scriberrd-Version" if "Scriberrd-Version" in response.headers else None,
            ), answer
            kind = "application/json" if status < 400 else "application/problem+json"
            assert kind == response.content_type
            return answer


async def pull(model: str) -> Pulled:
    """A worker's answer: every model is in the cache."""
    return Pulled(repository=f"owner/{model}", revision="0" * 40, license="MIT", bytes=1)


def reload() -> asyncio.Future[list[str]]:
    """The configuration is well, or nearly so."""
    done = asyncio.get_running_loop().create_future()
    done.set_result(["daemon.socket stays /run/s until the daemon is restarted"])
    return done


@contextlib.contextmanager
def below(base: Path) -> Iterator[Server]:
    """All that the API stands on; what answers, and `http` to ask it, are still to come."""
    for folder in ("in", "other", "out"):
        (base / folder).mkdir()
    inboxes = (
        Inbox(name="default", path=base / "in", output=base / "out"),
        Inbox(name="other", path=base / "other", output=base / "out"),
    )
    config = Config(
        file=base / "scriberrd.toml",
        daemon=Daemon(
            state_dir=base,
            socket=base / "run" / "s",
            max_upload=1_000_000,
            model_cache=str(base / "models"),
        ),
        inboxes=inboxes,
        profiles={"default": Settings(), "fast": Settings(model="tiny", priority="low")},
        workers=(Worker(name="cpu"),),
        retry=Retry(),
    )
    live, store, clock, folders = Live(config), Store(base / "queue.db"), TestClock(), Folders()
    library = Library(base, live, clock)
    with contextlib.closing(store), contextlib.closing(library):
        server = Server(config, store, clock, Intake(live, store, clock, folders))
        publisher = Publisher(store, folders, clock)
        means = Means(live, store, clock, folders, publisher, library, Preflights(live))
        renderings = Renderings(means)
        keeper = retention.Keeper(
            store,
            live,
            clock,
            retention.Known(clock.now, 0.0),
            delete=publisher.delete,
            is_due=publisher.is_due,
            forget=library.prune,
        )
        server.rooms = Rooms(
            *means,
            intake=server.intake,
            stopping=lambda: server.stopping,
            status=lambda: LIVE,
            try_now=lambda: None,
            reload=reload,
            purge=keeper.once,
            pull=pull,
            render=renderings.render,
            name=renderings.name,
            watching=lambda _: server.watching,
        )
        server.app = application(server.rooms, Metrics(server.rooms))
        yield server


@contextlib.asynccontextmanager
async def serve(base: Path, *, most: int | None = None) -> AsyncIterator[Server]:
    """On a Unix socket, as the daemon does."""
    with below(base) as server:
        server.ended = server.app[ENDED]
        connector = aiohttp.UnixConnector(str(server.socket))
        async with aiohttp.ClientSession("http://localhost", connector=connector) as server.http:
            with listening(server.socket) as server.listener:
                who = guard(server.rooms.live, server.socket)
                at_most = serving(server.app, server.listener, who, most=most)
                async with at_most as server.connections:
                    yield server
