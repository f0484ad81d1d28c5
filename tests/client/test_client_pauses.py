"""Pause and resume, as people type it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from test_client_cli import Ended, ctl, foreign

if TYPE_CHECKING:
    from pathlib import Path

    from api_server import Server

SINCE = "since 2023-11-14 22:13:20"


async def test_pause_and_resume(server: Server) -> None:
    assert await ctl(server, "pause", "--inbox", "default", "--reason", "a\x1b") == Ended(
        0, f"paused: inbox default, {SINCE}: a\\x1b\n", ""
    )
    assert (await ctl(server, "pause", "--worker", "cpu")).out == (
        f"paused: inbox default, {SINCE}: a\\x1b\npaused: worker cpu, {SINCE}\n"
    )
    assert f"\npaused   worker cpu, {SINCE}\n" in (await ctl(server, "status")).out
    everything = json.loads((await ctl(server, "--json", "pause")).out)["pauses"]
    assert [one["inbox"] or one["worker"] for one in everything] == [None, "default", "cpu"]
    left = (await ctl(server, "resume", "--inbox", "default")).out
    assert (
        left
        == f"resumed: inbox default\npaused: everything, {SINCE}\npaused: worker cpu, {SINCE}\n"
    )
    assert await ctl(server, "resume") == Ended(0, "resumed: everything\n", "")


async def test_an_unknown_name_is_told_with_what_exists(server: Server) -> None:
    assert await ctl(server, "pause", "--worker", "x") == Ended(
        1, "", "scriberrctl: worker: 'x' is not one of cpu\n"
    )


async def test_a_submission_to_what_is_paused_says_so(server: Server, tmp_path: Path) -> None:
    await ctl(server, "pause", "--inbox", "default")
    await ctl(server, "pause", "--worker", "cpu")
    status, out, err = await ctl(server, "submit", foreign(tmp_path, "a.mp3"))
    assert (status, out) == (0, "job 1 queued: a.mp3\n")
    pool = f"paused: worker cpu, {SINCE} (to resume: scriberrctl resume --worker cpu)"
    assert err == (
        f"job 1 is waiting: paused: inbox default, {SINCE}"
        f" (to resume: scriberrctl resume --inbox default); {pool}\n"
    )
    elsewhere = foreign(tmp_path, "b.mp3", b"other")
    _, _, err = await ctl(server, "submit", "--inbox", "other", elsewhere)
    assert err == f"job 2 is waiting: {pool}\n"
    await ctl(server, "resume", "--worker", "cpu")
    assert (await ctl(server, "submit", "--inbox", "other", elsewhere)).err == ""
    await ctl(server, "pause")
    _, _, err = await ctl(server, "submit", "--inbox", "other", elsewhere)
    assert err == (
        f"job 2 is waiting: paused: everything, {SINCE} (to resume: scriberrctl resume)\n"
    )
