"""Its place makes `support` importable from all tests."""

import signal

# A shell has SIGINT ignored by what it starts in the background, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
