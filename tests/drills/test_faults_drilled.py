"""No fault is without a drill."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from faults import FAULTS


def test_every_fault_has_a_drill() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "--table", "-m", ""]
    table = subprocess.run(
        [*command, Path(__file__).parent], capture_output=True, text=True, check=True
    ).stdout
    missing = {number for number, name in FAULTS.items() if f"| {number} | {name} |" in table}
    assert "| | fault | promise | seen |" in table
    assert not missing
