"""The README's commands work as they stand there."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from program import AUDIO, BIN, MODEL, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

README = Path(__file__).parent.parent.parent / "README.md"
KINDS = ("json", "srt", "txt", "vtt")


@contextlib.contextmanager
def terminal(home: Path, script: str) -> Iterator[subprocess.Popen[str]]:
    """Commands that somebody enters in a terminal of their own."""
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(home),
        "STATE_DIRECTORY": str(home / "state"),  # for when the tests are run by root
        "RUNTIME_DIRECTORY": str(home / "run"),
        "SCRIBERRD_SOCKET": str(home / "run/scriberrd.sock"),
    }
    with subprocess.Popen(
        ["bash", "-eu", "-c", script],
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            yield shell
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)


def test_the_commands_for_a_plain_user(tmp_path: Path) -> None:
    blocks = re.search(
        r"runs the next two blocks.*? -->\n```sh\n(.*?)```.*?```sh\n(.*?)```",
        README.read_text(),
        re.DOTALL,
    )
    assert blocks is not None
    first, second = blocks.groups()
    # No hub is needed for the test; nor may it take the settling time of people's copies.
    model = rf"""sed -i 's|^model = .*|model = "{MODEL}"|; s/^settle = .*/settle = 0.2/'"""
    first = re.sub(r"(scriberrd init (\S+).*)", rf"\1\n{model} \2", first)
    (tmp_path / "interview.m4a").write_bytes((AUDIO / "speech.m4a").read_bytes())
    (tmp_path / "talk.wav").write_bytes((AUDIO / "sentence.wav").read_bytes())
    transcripts = tmp_path / "scriberrd/transcripts"
    with terminal(tmp_path, first) as daemon:
        assert daemon.stdout is not None
        said = []
        for line in daemon.stdout:
            said.append(line)
            if " is ready" in line:
                break
        assert " is ready" in "".join(said), said
        with terminal(tmp_path, second) as client:
            shown, _ = client.communicate(timeout=60)
        assert client.returncode == 0, shown
        # Which of the two is job 1 depends on how fast they are noticed.
        assert "The train to Madrid" in shown or "Martin will arrive on Thursday" in shown
        assert all(f"\ntalk.{kind}\n" in shown for kind in KINDS), shown
        wait_for((transcripts / "interview.json").exists, "what was copied")
        os.killpg(daemon.pid, signal.SIGINT)  # Ctrl-C
        assert daemon.wait(60) == 0
    names = [f"{name}.{kind}" for name in ("interview", "talk") for kind in KINDS]
    assert sorted(file.name for file in transcripts.iterdir()) == names


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)", README.read_text())
    missing = [
        target
        for target in targets
        if not target.startswith("https://") and not (README.parent / target).is_file()
    ]
    assert missing == []
