"""Who may use the API, and that it is known who has asked for something."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from scriberrd.config import Api
from scriberrd.queue import queries

if TYPE_CHECKING:
    from collections.abc import Collection

    from api_server import Server

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")

SOMEBODY, THEIRS, OWN = 54_321, 54_322, 54_323  # a user and two groups without names

ASK = """
import http.client, json, os, socket, sys
path, method, route, *who = sys.argv[1:]
uid, gid, *others = map(int, who)
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
os.chdir(os.path.dirname(path))  # the folders above are not for everybody
os.setgroups(others)
os.setgid(gid)
os.setuid(uid)
connection.sock.connect(os.path.basename(path))
connection.request(method, route)
answer = connection.getresponse()
print(json.dumps([answer.status, json.load(answer)]))
"""


async def ask(
    server: Server,
    method: str,
    route: str,
    *,
    uid: int = SOMEBODY,
    groups: Collection[int] = (),
) -> tuple[int, Any]:
    """What the API answers to a user with his primary group and these others."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", ASK, server.socket, method, route, *map(str, (uid, OWN, *groups))],
        check=True,
        capture_output=True,
    )
    status, answer = json.loads(done.stdout)
    return status, answer


@pytest.fixture
def server(on_socket: Server) -> Server:
    """Everybody can connect: what counts is who may."""
    server = on_socket
    server.socket.parent.chmod(0o755)
    os.chown(server.socket, -1, THEIRS)
    server.socket.chmod(0o666)
    return server


@as_root
async def test_members_of_the_sockets_group_may_and_others_may_not(server: Server) -> None:
    assert (await ask(server, "GET", "/v1/status", groups=[THEIRS]))[0] == 200
    for method, route in (("GET", "/v1/status"), ("POST", "/v1/pause"), ("GET", "/nowhere")):
        status, problem = await ask(server, method, route)
        assert (status, problem["code"]) == (403, "forbidden")
    assert (await server.get("/v1/status"))["pauses"] == []


@as_root
async def test_the_configured_group_counts_instead(server: Server) -> None:
    name = "daemon"
    gid = grp.getgrnam(name).gr_gid
    server.rooms.live.config = replace(server.rooms.live.config, api=Api(group=name))
    assert (await ask(server, "GET", "/v1/status", groups=[gid]))[0] == 200
    status, problem = await ask(server, "GET", "/v1/status", groups=[THEIRS])
    assert status == 403
    assert problem["detail"].endswith(f"sudo usermod -aG {name} {SOMEBODY}")
    assert "log in again" in problem["detail"]


KEEP = """
import http.client, os, socket, sys
path, uid, gid, group = sys.argv[1], *map(int, sys.argv[2:])
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
os.chdir(os.path.dirname(path))
os.setgroups([group])
os.setgid(gid)
os.setuid(uid)
connection.sock.connect(os.path.basename(path))
for _ in sys.stdin:
    connection.request("GET", "/v1/status")
    answer = connection.getresponse()
    answer.read()
    print(answer.status, flush=True)
"""


@as_root
async def test_who_is_no_member_any_more_may_no_more_though_he_is_connected(
    server: Server,
) -> None:
    member = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KEEP, server.socket, *map(str, (SOMEBODY, OWN, THEIRS))),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    stdin, stdout = member.stdin, member.stdout
    assert stdin is not None
    assert stdout is not None

    async def status() -> int:
        stdin.write(b"\n")
        return int(await stdout.readline())

    assert await status() == 200
    server.socket.unlink()  # whoever is connected notices nothing of that
    assert await status() == 200
    server.rooms.live.config = replace(server.rooms.live.config, api=Api(group="daemon"))
    assert await status() == 403
    server.rooms.live.config = replace(server.rooms.live.config, api=Api())
    assert await status() == 403
    stdin.close()
    await member.wait()


@as_root
async def test_more_groups_than_the_kernel_tells_at_once(server: Server) -> None:
    many = [*range(60_000, 60_300), THEIRS]
    user = pwd.getpwnam("daemon")  # whose groups are looked up then
    os.chown(server.socket, -1, OWN)
    assert (await ask(server, "GET", "/v1/status", uid=user.pw_uid, groups=many))[0] == 200


@as_root
@pytest.mark.parametrize("hidden", ["user", "group"])
async def test_nobody_may_not_and_is_told_why_he_is_nobody(server: Server, hidden: str) -> None:
    nobody = 65_534  # whoever is behind a namespace, where its groups look like this, too
    if hidden == "group":
        os.chown(server.socket, -1, nobody)
    uid = nobody if hidden == "user" else SOMEBODY
    status, problem = await ask(server, "GET", "/v1/status", uid=uid, groups=[THEIRS, nobody])
    assert (status, problem["code"]) == (403, "forbidden")
    if hidden == "user":
        assert "sees you as nobody (uid 65534)" in problem["detail"]
        assert "user namespace" in problem["detail"]


@as_root
async def test_a_change_is_kept_with_who_asked_for_it(server: Server) -> None:
    job = await server.submit("talk.mp3")
    assert job.submitted_by is None
    status, _ = await ask(server, "POST", f"/v1/jobs/{job.id}/cancel", groups=[THEIRS])
    assert status == 200
    found = await server.store.read(queries.events, 0, 100)
    submitted, canceled = (one for one in found if one.job == job.id)
    assert "by" not in submitted.data
    who = {"uid": SOMEBODY, "name": str(SOMEBODY)}
    async with server.http.get(f"/v1/events?after={submitted.id}") as stream:
        while not (line := await stream.content.readline()).startswith(b"data: "):
            pass
    assert json.loads(line.removeprefix(b"data: "))["data"] == {"by": who}
    assert canceled.type == "canceled"


async def test_who_submits_is_kept_with_the_job(server: Server) -> None:
    answer = await server.post("/v1/jobs?name=talk.mp3", data=b"sound", status=202)
    who = {"uid": os.getuid(), "name": pwd.getpwuid(os.getuid()).pw_name}
    assert answer["submitted_by"] == who
    assert (await server.get(f"/v1/jobs/{answer['id']}"))["submitted_by"] == who
    assert (await server.submit("other.mp3")).submitted_by is None


@as_root
async def test_a_stranger_in_more_groups_than_are_told_is_refused(server: Server) -> None:
    status, problem = await ask(server, "GET", "/v1/status", groups=range(60_000, 60_300))
    assert (status, problem["code"]) == (403, "forbidden")
