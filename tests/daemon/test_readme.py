"""The README's commands work as they stand there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

from program import AUDIO, BIN

README = Path(__file__).parent.parent.parent / "README.md"


def test_the_commands_for_a_plain_user(tmp_path: Path) -> None:
    block = re.search(r"runs the next block. -->\n```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    # No hub is needed for the test; nor may it take the settling time of people's copies.
    engine = r"""sed -i 's/^engine = .*/engine = "offline"/; s/^settle = .*/settle = 0.2/'"""
    script = re.sub(r"(scriberrd init (\S+).*)", rf"\1\n{engine} \2", block[1])
    script = script.replace("scriberrctl status", "until scriberrctl status; do sleep 0.1; done")
    (tmp_path / "interview.m4a").write_bytes((AUDIO / "speech.m4a").read_bytes())
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "STATE_DIRECTORY": str(tmp_path / "state"),  # for when the tests are run by root
        "RUNTIME_DIRECTORY": str(tmp_path / "run"),
        "SCRIBERRD_SOCKET": str(tmp_path / "run/scriberrd.sock"),
    }
    with subprocess.Popen(
        ["bash", "-eu", "-c", script],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            # The daemon holds the pipe too: read until the last command has spoken.
            said = ""
            assert shell.stdout is not None
            for line in shell.stdout:
                said += line
                if line.strip() == "interview.vtt":
                    break
            assert shell.wait(60) == 0, said
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
    assert "martin will arrive on thursday" in said
    for kind in ("json", "txt", "srt", "vtt"):
        assert (tmp_path / f"scriberrd/transcripts/interview.{kind}").is_file()


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)", README.read_text())
    missing = [
        target
        for target in targets
        if not target.startswith("https://") and not (README.parent / target).is_file()
    ]
    assert missing == []
