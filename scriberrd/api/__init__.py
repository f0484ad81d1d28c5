"""The HTTP API on a Unix socket: `endpoints` has all of it in one table."""
