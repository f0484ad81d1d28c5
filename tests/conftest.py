"""Its place makes `support` importable from all tests."""

import os
import signal
import sys

from hypothesis import HealthCheck, settings

# How fast examples are made and tried says nothing: the machine may be busy.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# Shells and nohup have these ignored in the background, and so by all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

# A shell may forbid to keep compiled code; each of hundreds of programs would compile it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
