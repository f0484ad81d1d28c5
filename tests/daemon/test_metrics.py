"""Metrics at a TCP address, as the configuration says."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from program import AUDIO, Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable


def fetched(port: int) -> str:
    """All figures; empty where nobody gives any."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
            return text
    except urllib.error.URLError:
        return ""


def test_they_move_with_the_configuration_and_count_on(
    program: Callable[..., Program], unused_tcp_port_factory: Callable[[], int]
) -> None:
    first, second = unused_tcp_port_factory(), unused_tcp_port_factory()
    daemon = program(retry=f'[api]\nmetrics = "{first}"')
    wait_for(lambda: fetched(first), "the metrics")
    daemon.drop(AUDIO / "sentence.wav", "one.wav")
    daemon.wait("one.wav", "completed")
    done = 'scriberrd_jobs_ended_total{inbox="main",outcome="completed"} 1.0'
    assert done in fetched(first)
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace(f'"{first}"', f'"127.0.0.1:{second}"'))
    daemon.ctl("reload")
    wait_for(lambda: done in fetched(second), "the other address")
    assert fetched(first) == ""
    daemon.config.write_text(text.replace(f'"{first}"', '""'))
    daemon.ctl("reload")
    wait_for(lambda: not fetched(second), "the end of both")
