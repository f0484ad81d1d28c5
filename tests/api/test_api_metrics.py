"""Figures for Prometheus: what they count, and that docs/metrics.md explains each."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from api_server import ENGINE
from prometheus_client.parser import text_string_to_metric_families

from scriberrd.api import scraping
from scriberrd.api.metrics import Metrics
from scriberrd.asking import Who, asked_by
from scriberrd.config import Retry
from scriberrd.errors import WorkerDied
from scriberrd.queue import jobs, tallying
from scriberrd.queue.jobs import Lease
from scriberrd.transcript import BlockResult

if TYPE_CHECKING:
    from api_server import Server

TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
BLOCK = BlockResult(
    number=0,
    start=0.0,
    end=100.0,
    speech=1.0,
    language=None,
    language_probability=None,
    segments=(),
    words=(),
)
Figures = dict[tuple[str, tuple[str, ...]], float]


def read(text: str) -> Figures:
    """Each figure by its name and the values of its labels, in the order of their names."""
    return {
        (sample.name, tuple(sample.labels[key] for key in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def figures(server: Server) -> Figures:
    async with server.http.get("/metrics") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        return read(await answer.text())


async def work(server: Server, name: str, *, load: float | None) -> None:
    """A recording of 100 s is transcribed in 20 s, and published."""
    await server.submit(name)
    job = await server.claim()
    lease = Lease(job.id, job.lease)
    await server.progress(job, 0.0)
    await server.store.run(jobs.loaded, lease, ENGINE, load=load)
    await server.store.run(jobs.checkpoint, lease, BLOCK, expires=1e9, now=0, seconds=20.0)
    server.clock.now += 25
    await server.complete(job)


async def test_what_has_happened_is_counted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallying, "WINDOW", 2)  # of several steps
    await work(server, "a.mp3", load=1.5)
    await work(server, "b.mp3", load=None)
    await server.submit("c.mp3")
    server.clock.now += 1
    await server.fail(await server.claim())
    job = await server.submit("d.mp3", given={"priority": "high"})
    died = WorkerDied(-9, "")
    lease = Lease(job.id, (await server.claim()).lease)
    server.clock.now += 1
    await server.store.run(
        *(jobs.fail, lease, died.failure, ""), retry=Retry(), now=server.clock.now, died=died
    )
    server.clock.now += 5
    for _ in range(2):  # nothing is counted twice
        found = await figures(server)
    assert found["scriberrd_jobs", ("completed",)] == 2
    assert found["scriberrd_jobs_submitted_total", ("default",)] == 4
    assert found["scriberrd_jobs_ended_total", ("default", "completed")] == 2
    assert found["scriberrd_jobs_ended_total", ("default", "failed")] == 1
    assert found["scriberrd_failures_total", ("no_audio_stream", "no")] == 1
    assert found["scriberrd_failures_total", (died.failure, "yes")] == 1
    assert found["scriberrd_worker_restarts_total", ("cpu",)] == 1
    assert found["scriberrd_audio_seconds_total", ("cpu", "base")] == 200
    assert found["scriberrd_model_loads_total", ("cpu", "disk", "base")] == 1
    assert found["scriberrd_model_loads_total", ("cpu", "memory", "base")] == 1
    assert found["scriberrd_real_time_factor_sum", ("cpu", "base")] == 0.4
    assert found["scriberrd_stage_seconds_sum", ("load",)] == 1.5
    assert found["scriberrd_stage_seconds_count", ("transcribe",)] == 2
    assert found["scriberrd_unfinished_jobs", ("default", "high", "queued")] == 1
    assert found["scriberrd_oldest_job_seconds", ("default", "high", "queued")] == 6
    assert found["scriberrd_inbox_up", ("default",)] == 1


async def test_what_has_ended_is_no_longer_shown_as_waiting(server: Server) -> None:
    await server.submit("a.mp3")
    job = await server.claim()
    processing = ("scriberrd_unfinished_jobs", ("default", "normal", "processing"))
    assert (await figures(server))[processing] == 1
    await server.fail(job)
    assert processing not in await figures(server)


async def test_each_metric_is_explained_and_nothing_private_is_told(server: Server) -> None:
    with asked_by(Who(1000, "anna")):
        await work(server, "secret.mp3", load=0.5)
    async with server.http.get("/metrics") as answer:
        text = await answer.text()
    assert "secret" not in text
    assert "anna" not in text
    assert str(server.inbox.path) not in text
    rows = re.findall(r"^\| `(scriberrd_\w+)` \| (.*?) \|", TEXT, flags=re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    metrics = Metrics(server.rooms).registry.collect()
    ours = [metric for metric in metrics if metric.name.startswith("scriberrd_")]
    assert {one.name + "_total" * (one.type == "counter") for one in ours} == set(told)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = re.sub(r"_(bucket|sum|count)$", "", sample.name)
            if name in told:
                assert sample.labels.keys() - {"le"} == told[name]


async def test_what_was_removed_before_anybody_asked_is_counted(server: Server) -> None:
    await work(server, "a.mp3", load=1.5)
    async with server.http.delete("/v1/jobs/1") as answer:
        assert answer.status == 200
    found = await figures(server)
    assert found["scriberrd_jobs_submitted_total", ("default",)] == 1
    assert found["scriberrd_jobs_ended_total", ("default", "completed")] == 1
    assert found["scriberrd_audio_seconds_total", ("cpu", "base")] == 100


async def test_they_are_at_a_tcp_address_and_nothing_else_is(
    server: Server, unused_tcp_port: int
) -> None:
    await server.submit("a.mp3")
    metrics = Metrics(server.rooms, after=1)  # as by a daemon that begins now
    await server.submit("b.mp3")
    where = f"http://127.0.0.1:{unused_tcp_port}"
    serving = asyncio.create_task(scraping.serve(str(unused_tcp_port), metrics))
    async with aiohttp.ClientSession() as client, asyncio.timeout(10):
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with client.get(f"{where}/metrics") as answer:
                    found = read(await answer.text())
                break
            await asyncio.sleep(0.01)
        assert found["scriberrd_jobs", ("queued",)] == 2
        assert found["scriberrd_jobs_submitted_total", ("default",)] == 1
        for path in ("/v1/status", "/v1/jobs", "/"):
            async with client.get(where + path) as answer:
                assert answer.status == 404
        async with client.post(f"{where}/v1/pause") as answer:
            assert answer.status == 404
    serving.cancel()
    await asyncio.wait({serving})


async def test_clients_at_the_address_that_say_nothing_make_room_for_others(
    server: Server, unused_tcp_port: int
) -> None:
    serving = asyncio.create_task(scraping.serve(str(unused_tcp_port), Metrics(server.rooms)))
    silent: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    async with aiohttp.ClientSession() as client, asyncio.timeout(20):
        while len(silent) < 4 * scraping.MOST:
            try:
                silent.append(await asyncio.open_connection("127.0.0.1", unused_tcp_port))
            except ConnectionError:
                await asyncio.sleep(0.01)
        for reader, _ in silent[: 2 * scraping.MOST]:
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        async with client.get(f"http://127.0.0.1:{unused_tcp_port}/metrics") as answer:
            assert answer.status == 200
    for _, writer in silent:
        writer.close()
    serving.cancel()
    await asyncio.wait({serving})


async def test_an_address_that_is_taken_is_said(
    server: Server, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", unused_tcp_port)
    serving = asyncio.create_task(
        scraping.serve(f"127.0.0.1:{unused_tcp_port}", Metrics(server.rooms))
    )
    async with asyncio.timeout(10):
        while f"can't listen at port {unused_tcp_port}" not in caplog.text:
            await asyncio.sleep(0.01)
    serving.cancel()
    await asyncio.wait({serving})
    taken.close()
    await taken.wait_closed()


@pytest.mark.parametrize("address", ["a..b:9764", "127.0.0.1:99999"])
async def test_an_address_that_can_not_be_is_said(
    server: Server, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    serving = asyncio.create_task(scraping.serve(address, Metrics(server.rooms)))
    async with asyncio.timeout(10):
        while "api.metrics: can't listen at port" not in caplog.text:
            assert not serving.done()
            await asyncio.sleep(0.01)
    serving.cancel()
    await asyncio.wait({serving})
