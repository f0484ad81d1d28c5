"""`scriberrd` with another socket for the journal's: put this and its path before the command."""

from __future__ import annotations

import runpy
import sys

from scriberrd.logs import journal

journal.SOCKET = sys.argv[1]
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
