from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from commands import ctl, environment
from msgspec.structs import replace

from scriberrd.settings import Settings

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


async def test_what_the_daemon_knows(server: Server, tmp_path: Path) -> None:
    for number in range(12):
        await server.submit(f"{number}.mp3")
    await server.fail(await server.claim())
    assert await completed(server, "scriberrctl cancel 1") == ["12", "11", "10"]
    assert await completed(server, "scriberrctl retry 1") == ["1"]
    assert await completed(server, "scriberrctl list --inbox de") == ["default"]
    folder = tmp_path / "base-of-us"  # is nothing to pull or to remove
    folder.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
        (folder / name).touch()
    profiles = {"default": Settings(model=str(folder))}
    server.rooms.live.config = replace(server.config, profiles=profiles)
    assert "base-of-us" in [row["name"] for row in (await server.get("/v1/models"))["models"]]
    assert await completed(server, "scriberrctl models pull base") == ["base", "base.en"]
    assert await completed(server, "scriberrctl models remove base") == []  # which is not there


async def test_each_shell_is_told_how(server: Server) -> None:
    for shell in ("bash", "zsh", "fish"):
        told = await ctl(server, "completion", shell)
        assert (told.status, told.err) == (0, "")
        assert f"_SCRIBERRCTL_COMPLETE={shell}_complete" in told.out
    assert (await ctl(server, "completion", "csh")).status == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
async def test_bash_completes(server: Server, tmp_path: Path) -> None:
    await server.submit()
    program = tmp_path / "scriberrctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m scriberrctl "$@"\n')
    program.chmod(0o755)
    script = """
        source <(scriberrctl completion bash)
        COMP_WORDS=(scriberrctl cancel "") COMP_CWORD=2
        _scriberrctl_completion scriberrctl
        echo "${COMPREPLY[@]}"
    """
    path = f"{tmp_path}:{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", script), env=environment(server, PATH=path), stdout=subprocess.PIPE
    )
    assert (await process.communicate())[0] == b"1\n"


async def test_a_daemon_that_is_down_says_nothing(server: Server, tmp_path: Path) -> None:
    line = f"scriberrctl --socket {tmp_path}/nowhere cancel "
    assert await completed(server, line) == []
