"""Figures for Prometheus. docs/metrics.md explains each.

What is counted is counted from the events when somebody asks, and before jobs go by order.
Labels have names of the configuration, of models and of kinds; nothing of a recording or a user.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector

from scriberrd import __version__
from scriberrd.model import JobState, Priority
from scriberrd.queue import jobs, queries, tallying

if TYPE_CHECKING:
    from scriberrd.api.rooms import LiveStatus, Rooms
    from scriberrd.queue.tallying import Happened, Run

SECONDS = (1, 5, 15, 60, 300, 900, 3600, 14400)
FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
ENDED = {"finished": "completed", "failed": "failed", "canceled": "canceled"}

disable_created_metrics()  # type: ignore[no-untyped-call] # one more figure for each, of no use


class Metrics:
    """All figures of a daemon."""

    def __init__(self, rooms: Rooms, after: int = 0) -> None:
        """Begin to count, with the events after this one."""
        self.registry = made = CollectorRegistry()
        ProcessCollector(registry=made)
        self._rooms, self._after, self._counting = rooms, after, asyncio.Lock()

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"scriberrd_{name}", what, labels, registry=made)

        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(f"scriberrd_{name}", what, labels, registry=made)

        gauge("build_info", "The version; always 1", "version").labels(__version__).set(1)
        self._jobs = gauge("jobs", "Jobs", "state")
        where = ("state", "inbox", "priority")
        self._waiting = gauge("unfinished_jobs", "Jobs that have not ended", *where)
        self._oldest = gauge("oldest_job_seconds", "For how long the first has been so", *where)
        self._seen = gauge("inbox_up", "Whether the inbox is watched", "inbox")
        self._settling = gauge("inbox_settling_files", "Files that still change", "inbox")
        self._workers = gauge("workers", "Workers", "state")
        self._outages = gauge("outages", "What of the machine is out of order", "part")
        self._pauses = gauge("pauses", "What is paused", "kind")
        self._submitted = counter("jobs_submitted", "Recordings that were queued", "inbox")
        self._ended = counter("jobs_ended", "Jobs that have ended", "inbox", "outcome")
        self._hits = counter("library_hits", "Jobs whose words the library had", "inbox")
        self._failures = counter("failures", "Runs that failed", "code", "retried")
        self._runs = counter("runs", "Runs that have ended", "worker", "outcome")
        self._deaths = counter("worker_restarts", "Worker processes that died in a run", "worker")
        self._loads = counter("model_loads", "Models as runs had them", "model", "device", "from")
        self._audio = counter("audio_seconds", "Sound that was transcribed", "model", "device")
        self._stages = Histogram(
            *("scriberrd_stage_seconds", "What parts of a run took", ("stage",)),
            buckets=SECONDS,
            registry=made,
        )
        self._factors = Histogram(
            "scriberrd_real_time_factor",
            "Seconds of transcribing for a second of sound",
            ("model", "device"),
            buckets=FACTORS,
            registry=made,
        )

    async def answer(self, request: web.Request) -> web.Response:
        """All of them as they are now, in the form that the client wants."""
        encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
        async with self._counting:
            await self._look()
            await self._count()
            text = await asyncio.to_thread(encoder, self.registry)
        return web.Response(body=text, headers={"Content-Type": content_type})

    async def count(self) -> None:
        """Count what has happened, while the jobs that it is about are known."""
        async with self._counting:
            await self._count()

    async def _look(self) -> None:
        """See how it is now."""
        store, now = self._rooms.store, self._rooms.clock.time()
        for state, number in (await store.read(queries.counts)).items():
            self._jobs.labels(state.value).set(number)
        self._waiting.clear()
        self._oldest.clear()
        for one in await store.search(tallying.waiting):
            where = JobState(one.state).value, one.inbox, Priority(one.priority).name.lower()
            self._waiting.labels(*where).set(one.jobs)
            self._oldest.labels(*where).set(max(0.0, now - one.since))
        self._pauses.clear()
        for pause in await store.read(jobs.paused):
            self._pauses.labels(pause.scope.kind).inc()
        self._look_at(self._rooms.status())

    def _look_at(self, live: LiveStatus) -> None:
        for gauge in (self._seen, self._settling, self._workers, self._outages):
            gauge.clear()
        for inbox in live.inboxes:
            self._seen.labels(inbox.name).set(inbox.state in {"watching", "polling"})
            self._settling.labels(inbox.name).set(inbox.settling)
        for state in ("stopped", "idle", "busy"):
            self._workers.labels(state).set(sum(one.state == state for one in live.workers))
        for outage in live.outages:
            self._outages.labels(outage.part).inc()

    async def _count(self) -> None:
        """Count what has happened since the last time."""
        while found := await self._rooms.store.search(tallying.happened, self._after):
            for one in found:
                self._note(one)
            self._after = found[-1].id

    def _note(self, one: Happened) -> None:
        inbox = one.inbox or ""
        if one.type == "submitted":
            self._submitted.labels(inbox).inc()
        if one.type in ENDED:
            self._ended.labels(inbox, ENDED[one.type]).inc()
            if one.cached and one.type == "finished":
                self._hits.labels(inbox).inc()
        if one.code is not None and one.run is not None:
            self._failures.labels(one.code, "no" if one.type == "failed" else "yes").inc()
        if one.run is not None:
            self._note_run(one.run)

    def _note_run(self, run: Run) -> None:
        self._runs.labels(run.worker, run.outcome).inc()
        if run.returncode is not None:
            self._deaths.labels(run.worker).inc()
        for stage in ("download", "load", "transcribe", "diarize"):
            if (seconds := getattr(run, f"{stage}_seconds")) is not None:
                self._stages.labels(stage).observe(seconds)
        if run.model is None or run.device is None:
            return
        kept = "memory" if run.load_seconds is None else "disk"
        origin = kept if run.download_seconds is None else "hub"
        self._loads.labels(run.model, run.device, origin).inc()
        self._audio.labels(run.model, run.device).inc(run.audio_seconds)
        if run.transcribe_seconds is not None and run.audio_seconds > 0:
            factor = run.transcribe_seconds / run.audio_seconds
            self._factors.labels(run.model, run.device).observe(factor)


METRICS = web.AppKey("metrics", Metrics)


async def metrics(_: Rooms, request: web.Request) -> web.Response:
    """Figures for Prometheus."""
    return await request.app[METRICS].answer(request)
