"""Submit and wait, as people type it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from support import eventually
from test_client_cli import COMMAND, Ended, ctl, end, environment, foreign, start

from scriberrd.inbox.scan import Found
from scriberrd.model import Identity
from scriberrd.queue import jobs

if TYPE_CHECKING:
    from pathlib import Path

    import apsw
    from api_server import Server


async def test_submit_where_it_lies(server: Server) -> None:
    file = server.inbox.path / "talk.mp3"
    file.write_bytes(b"sound")
    args = ("submit", str(file), "--priority", "high")
    assert await ctl(server, *args) == Ended(0, "job 1 queued: talk.mp3\n", "")
    assert await ctl(server, *args) == Ended(0, "already known: job 1 queued: talk.mp3\n", "")
    assert os.listdir(server.inbox.path) == ["talk.mp3"]


async def test_who_submits_what_is_done_is_told_how_to_do_it_anew(
    server: Server, tmp_path: Path
) -> None:
    file = foreign(tmp_path)
    await ctl(server, "submit", file)
    await server.complete(await server.claim())
    assert await ctl(server, "submit", file) == Ended(
        0,
        "already known: job 1 completed: mine.mp3\n",
        "note: job 1 has transcribed this recording; to do it anew: scriberrctl redo 1\n",
    )


async def test_submit_a_copy(server: Server, tmp_path: Path) -> None:
    file = foreign(tmp_path)
    submitted = await ctl(server, "submit", file, "--inbox", "other", "--json")
    assert json.loads(submitted.out)["path"] == "mine.mp3"
    assert (server.config.inboxes[1].path / "mine.mp3").read_bytes() == b"my sound"


async def test_submit_goes_on_after_a_refusal(server: Server, tmp_path: Path) -> None:
    files = [foreign(tmp_path, "a.pdf"), foreign(tmp_path, "caf\udce9.mp3")]
    submitted = await ctl(server, "submit", *files)
    assert (submitted.status, submitted.out) == (1, "job 1 queued: caf\\xe9.mp3\n")
    assert "a.pdf: name:" in submitted.err


async def test_submit_goes_on_after_what_is_no_file(server: Server, tmp_path: Path) -> None:
    gone, folder = str(tmp_path / "gone.mp3"), str(tmp_path / "empty")
    os.mkdir(folder)
    there = str(server.inbox.path / "gone.mp3")
    submitted = await ctl(server, "submit", gone, folder, there, foreign(tmp_path))
    assert submitted == Ended(
        1,
        "job 1 queued: mine.mp3\n",
        f"scriberrctl: {gone}: not in an inbox, and can't be read: No such file or directory\n"
        f"scriberrctl: {folder}: no recordings in it\n"
        f"scriberrctl: {there}: 'gone.mp3': No such file or directory\n",
    )
    assert (await ctl(server, "submit")).status == 2


async def test_submit_a_folder_as_an_inbox_would_see_it(server: Server, tmp_path: Path) -> None:
    for name in ("b.mp3", "a/z.WAV", "a/.hidden.mp3", "notes.txt", "mp3", ".cache/x.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    for folder in ("skipped/deep", "@eaDir"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.mp3").write_text(folder)
    (tmp_path / "skipped/.scriberrignore").touch()
    (tmp_path / "link.mp3").symlink_to(tmp_path / "b.mp3")
    (tmp_path / "a/again").symlink_to(tmp_path)
    submitted = await ctl(server, "submit", str(tmp_path), foreign(tmp_path, "c.mp3"))
    queued = "job 1 queued: z.WAV\njob 2 queued: b.mp3\njob 3 queued: c.mp3\n"
    assert submitted == Ended(0, queued + "already known: job 3 queued: c.mp3\n", "")


async def test_submit_a_folder_of_an_inbox_in_place(server: Server) -> None:
    talks = server.inbox.path / "talks"
    talks.mkdir()
    (talks / "a.mp3").write_bytes(b"sound")
    assert await ctl(server, "submit", str(talks)) == Ended(0, "job 1 queued: a.mp3\n", "")
    assert os.listdir(server.inbox.path) == ["talks"]


NEVER = (
    *("#snapshot/sn.mp3", "System Volume Information/svi.mp3", "@EADIR/e.mp3", ".sync/s.mp3"),
    *("~$office.mp3", "talk (conflicted copy 2024-01-31 123456).mp3", "~syncthing~talk.mp3"),
)


@pytest.mark.parametrize("there", [False, True])
async def test_submit_of_a_folder_only_what_an_inbox_takes(
    server: Server, tmp_path: Path, there: bool
) -> None:
    folder = (server.inbox.path if there else tmp_path) / "del"
    for name in ("talk.mp3", *NEVER):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    left = f"note: {folder}: 3 files left out, which an inbox leaves out, too: submit one by its"
    submitted = await ctl(server, "submit", str(folder))
    assert submitted == Ended(0, "job 1 queued: talk.mp3\n", f"{left} name to have it\n")
    named = await ctl(server, "submit", str(folder / "~$office.mp3"))
    assert named == Ended(0, "job 2 queued: ~$office.mp3\n", "")


async def test_submit_of_a_folder_nothing_that_its_inbox_leaves_out(server: Server) -> None:
    change = replace(server.inbox, ignore=("raw/", "*-draft.*"))
    server.rooms.live.config = replace(server.config, inboxes=(change,))
    for name in ("raw/r.mp3", "t-draft.mp3", "old.mp3", "talk.mp3"):
        (change.path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (change.path / "x" / name).write_text(name)
    old = change.path / "x/old.mp3"
    found = Found(b"x/old.mp3", Identity.of(old.stat()))
    await server.store.run(jobs.pass_over, change.name, [found], "existing")
    submitted = await ctl(server, "submit", str(change.path))
    assert (submitted.status, submitted.out) == (0, "job 1 queued: talk.mp3\n")
    assert "3 files left out" in submitted.err
    raw = await ctl(server, "submit", str(change.path / "x/raw"))
    assert (raw.status, raw.out) == (1, "")
    assert "1 file left out" in raw.err
    assert await ctl(server, "submit", str(old)) == Ended(0, "job 2 queued: old.mp3\n", "")


async def test_sidecars_are_not_sent_along(server: Server, tmp_path: Path) -> None:
    for name in ("a.mp3", "b.mp3", "b.mp3.toml", ".scriberr.toml"):
        (tmp_path / name).write_text(name)
    submitted = await ctl(server, "submit", str(tmp_path / "b.mp3"), str(tmp_path / "a.mp3"))
    assert submitted.status == 0
    assert submitted.err == "".join(
        f"note: {tmp_path / name} is not sent along: use --set\n"
        for name in ("b.mp3.toml", ".scriberr.toml")
    )


async def test_nothing_on_the_pipe_is_no_recording(server: Server) -> None:
    command = [*COMMAND, "submit", "-", "--name", "talk.mp3"]
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment(server),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    ended = await end(process)
    assert (ended.status, ended.out) == (1, "")
    assert "'talk.mp3': nothing has come" in ended.err
    assert os.listdir(server.inbox.path) == []


async def test_submit_from_a_pipe(server: Server) -> None:
    reading, writing = os.pipe()
    command = [*COMMAND, "submit", "-", "--name", "talk.mp3", "--priority", "high"]
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment(server),
        stdin=reading,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(reading)
    os.write(writing, b"some ")
    stored = server.inbox.path.iterdir
    await eventually(lambda: [one.stat().st_size for one in stored()] == [len(b"some ")])
    os.write(writing, b"sound")
    os.close(writing)
    assert await end(process) == Ended(0, "job 1 queued: talk.mp3\n", "")
    assert (server.inbox.path / "talk.mp3").read_bytes() == b"some sound"
    assert (await server.get("/v1/jobs/1"))["priority"] == "high"


@pytest.mark.parametrize("args", [["-"], ["-", "-", "--name", "a.mp3"], ["a.mp3", "--name", "b"]])
async def test_a_pipe_needs_a_name_and_nothing_else_does(server: Server, args: list[str]) -> None:
    ended = await ctl(server, "submit", *args)
    assert (ended.status, ended.out) == (2, "")
    assert "--name" in ended.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to lose")
async def test_submit_what_only_the_daemon_may_read(server: Server) -> None:
    file = server.inbox.path / "talk.mp3"
    file.write_bytes(b"sound")
    os.chown(file, 65534, 65534)
    file.chmod(0o600)
    powerless = ("setpriv", "--bounding-set=-all")
    command = [*powerless, *COMMAND, "submit", str(file)]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert await end(process) == Ended(0, "job 1 queued: talk.mp3\n", "")


async def test_submit_and_wait(server: Server, tmp_path: Path) -> None:
    process = await start(server, "submit", "--wait", foreign(tmp_path))
    assert process.stdout is not None
    assert await process.stdout.readline() == b"job 1 queued: mine.mp3\n"
    assert process.stderr is not None
    shown = await process.stderr.readline()
    assert shown == b"job 1  [--------------------] -  queued  0:00 of ?  mine.mp3\n"
    await server.complete(await server.claim())
    ended = await end(process)
    assert (ended.status, ended.out) == (0, "job 1 completed: mine.mp3\n")


async def test_wait_until_all_have_ended(server: Server) -> None:
    for number in range(3):
        await server.submit(f"{number}.mp3")
    await server.complete(await server.claim())
    process = await start(server, "wait", "1", "2", "3")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"job 1 completed: 0.mp3\n"
    await server.complete(await server.claim())
    await server.fail(await server.claim(), "empty_file")
    ended = await end(process)
    lines = ["job 2 completed: 1.mp3", "job 3 failed: 2.mp3 (the file has no bytes)"]
    assert (ended.status, sorted(ended.out.splitlines())) == (1, lines)


async def test_wait_looks_again_where_events_are_missing(server: Server) -> None:
    await server.submit()
    process = await start(server, "wait", "1")
    assert process.stderr is not None
    await process.stderr.readline()  # it waits now

    def cancel_and_forget(db: apsw.Connection) -> None:
        jobs.cancel(db, 1, 2.0)
        jobs.prune_events(db, [2])

    await server.store.run(cancel_and_forget)
    ended = await end(process)
    assert (ended.status, ended.out) == (1, "job 1 canceled: talk.mp3\n")


async def test_wait_has_a_limit(server: Server) -> None:
    await server.submit()
    ended = await ctl(server, "wait", "1", "--timeout", "0.05")
    assert (ended.status, ended.out) == (124, "")
    assert (await ctl(server, "wait", "7")).status == 4
    await server.post("/v1/jobs/1/cancel")
    assert (await ctl(server, "wait", "1", "--timeout", "9")).status == 1
