"""Its place makes `support` importable from all tests."""

import signal

# Shells and nohup have these ignored in the background, and so by all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
