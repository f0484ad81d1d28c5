"""A job in detail: what is kept of it, and how long each part of a run took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from test_client_cli import ctl

if TYPE_CHECKING:
    from api_server import Server


async def test_what_an_interrupted_run_has_done_is_kept(server: Server) -> None:
    await server.submit()
    job = await server.claim()
    await server.progress(job, 50.0)
    assert "kept" not in (await ctl(server, "show", "1")).out
    failed = await server.fail(job, "worker_crashed")
    shown = (await ctl(server, "show", "1")).out
    assert "\n  kept         0:50 of earlier runs; the next run goes on from there\n" in shown
    server.clock.now = failed.not_before
    await server.progress(await server.claim(), 60.0)
    shown = (await ctl(server, "show", "1")).out
    assert "\n  progress     60 %, 1:00 of 1:40 (0:50 kept)\n" in shown
    assert "\n  kept         0:50 of earlier runs; this run went on from there\n" in shown
    assert " 0:50 of 1:40" not in (await ctl(server, "status")).out
    assert "1:00 of 1:40 (0:50 kept)" in (await ctl(server, "status")).out
