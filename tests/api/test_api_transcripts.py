from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from api_server import TRANSCRIPT

from scriberrd.files import folders
from scriberrd.output.formats import FORMATS

if TYPE_CHECKING:
    from pathlib import Path

    from api_server import Server

TYPES = {
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "rttm": "text/plain; charset=utf-8",
}


async def fetch(server: Server, format_: str) -> tuple[str, bytes]:
    url = f"/v1/jobs/1/transcript?format={format_}"
    async with server.http.get(url) as response:
        assert response.status == 200, await response.text()
        return response.headers["Content-Type"], await response.read()


@pytest.mark.parametrize("format_", TYPES)
async def test_a_format_that_was_not_published_is_made(server: Server, format_: str) -> None:
    await server.submit()
    await server.complete(await server.claim())
    made = b"".join(FORMATS[format_].render(TRANSCRIPT))
    assert await fetch(server, format_) == (TYPES[format_], made)


@pytest.mark.parametrize("format_", ["txt", "srt", "vtt", "rttm"])
async def test_what_was_published_is_what_is_read(server: Server, format_: str) -> None:
    await server.submit()
    await server.complete(await server.claim(), ("json", "txt", "srt", "vtt", "rttm"))
    assert await fetch(server, format_) == (TYPES[format_], f"published {format_}".encode())


async def test_json_is_the_default(server: Server) -> None:
    await server.submit()
    await server.complete(await server.claim())
    assert (await server.get("/v1/jobs/1/transcript"))["text"] == "Grüß Gott."


async def test_it_tells_of_an_edited_file(server: Server) -> None:
    await server.submit()
    await server.complete(await server.claim(), ("json", "txt"))
    (server.inbox.output / "talk.mp3.txt").write_text("corrected by hand")
    url = "/v1/jobs/1/transcript?format="
    async with server.http.get(url + "txt") as response:
        assert response.headers["Scriberrd-Edited"] == "true"
        assert await response.text() == "corrected by hand"
    async with server.http.get(url + "json") as response:
        assert "Scriberrd-Edited" not in response.headers


async def test_it_is_found_where_the_output_folder_is_now(server: Server, tmp_path: Path) -> None:
    await server.submit()
    await server.complete(await server.claim())
    moved = server.inbox.output.rename(tmp_path / "moved")
    inbox = msgspec.structs.replace(server.inbox, output=moved)
    server.rooms.live.config = msgspec.structs.replace(server.config, inboxes=(inbox,))
    assert (await server.get("/v1/jobs/1/transcript"))["text"] == "Grüß Gott."


async def test_not_before_it_is_completed(server: Server) -> None:
    await server.submit()
    problem = await server.get("/v1/jobs/1/transcript", status=409)
    assert (problem["code"], problem["detail"]) == (
        "transcript_not_ready",
        "job 1 is queued: it has no transcript",
    )


async def test_an_unknown_format(server: Server) -> None:
    await server.submit()
    problem = await server.get("/v1/jobs/1/transcript?format=pdf", status=422)
    assert problem["detail"] == "format: 'pdf' is not one of json, txt, srt, vtt, rttm"


async def test_the_files_have_gone(server: Server) -> None:
    await server.submit()
    await server.complete(await server.claim())
    (server.inbox.output / "talk.mp3.json").unlink()
    problem = await server.get("/v1/jobs/1/transcript?format=txt", status=409)
    assert problem["code"] == "transcript_not_ready"
    assert "moved or removed" in problem["detail"]
    assert str(server.inbox.output) not in str(problem)


async def test_json_is_published_to_make_others(server: Server) -> None:
    await server.submit()
    await server.complete(await server.claim(), ("txt",))
    assert (await fetch(server, "txt"))[1] == b"published txt"
    assert (await server.get("/v1/jobs/1/transcript", status=409))["code"] == "transcript_not_ready"


@pytest.mark.parametrize("there", ["link", "fifo", "folder", "damaged"])
async def test_only_what_was_published_is_shown(server: Server, there: str) -> None:
    await server.submit()
    await server.complete(await server.claim())
    file = server.inbox.output / "talk.mp3.json"
    file.unlink()
    match there:
        case "link":
            file.symlink_to("/etc/passwd")
        case "fifo":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case _:
            file.write_bytes(b"{")
    async with asyncio.timeout(60):
        problem = await server.get("/v1/jobs/1/transcript?format=txt", status=409)
    assert problem["code"] == "transcript_not_ready"


async def test_head_has_no_body(on_socket: Server) -> None:
    await on_socket.submit()
    await on_socket.complete(await on_socket.claim())
    reader, writer = await asyncio.open_unix_connection(on_socket.socket)
    for _ in range(2):  # the second answer begins where the first ends
        writer.write(b"HEAD /v1/jobs/1/transcript HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(60):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


async def test_a_share_that_stops_in_mid_read_holds_up_nobody(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.submit()
    await server.complete(await server.claim())
    go_on, pread = threading.Event(), os.pread

    def hung(*args: Any) -> bytes:
        go_on.wait()
        return pread(*args)

    monkeypatch.setattr(folders, "LIMIT", 0.1)
    monkeypatch.setattr(os, "pread", hung)
    problem = await server.get("/v1/jobs/1/transcript", status=409)
    assert "does not answer" in problem["detail"]
    assert (await server.get("/v1/status"))["state"] == "running"
    go_on.set()
