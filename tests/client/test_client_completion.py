from __future__ import annotations

from typing import TYPE_CHECKING

from commands import ctl

if TYPE_CHECKING:
    from pathlib import Path

    from api_server import Server


async def completed(server: Server, line: str) -> list[str]:
    """What bash completes at the end of this line."""
    number = len(line.split(" ")) - 1
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(number)}
    ended = await ctl(server, _SCRIBERRCTL_COMPLETE="bash_complete", **asked)
    assert (ended.status, ended.err) == (0, "")
    return [one.partition(",")[2] for one in ended.out.split()]


async def test_commands_and_options(server: Server) -> None:
    assert await completed(server, "scriberrctl prio") == ["priority"]
    assert await completed(server, "scriberrctl priority u") == ["urgent"]
    assert await completed(server, "scriberrctl rm --pu") == ["--purge"]


async def test_what_the_daemon_knows(server: Server) -> None:
    for number in range(12):
        await server.submit(f"{number}.mp3")
    await server.fail(await server.claim())
    assert await completed(server, "scriberrctl cancel 1") == ["12", "11", "10"]
    assert await completed(server, "scriberrctl retry 1") == ["1"]
    assert await completed(server, "scriberrctl list --inbox de") == ["default"]


async def test_a_daemon_that_is_down_says_nothing(server: Server, tmp_path: Path) -> None:
    line = f"scriberrctl --socket {tmp_path}/nowhere cancel "
    assert await completed(server, line) == []
