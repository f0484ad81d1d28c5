"""The client of scriberrd: it knows the HTTP API and nothing else of the daemon."""

__version__ = "0.1.0"
