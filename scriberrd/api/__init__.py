"""The HTTP API on a Unix socket. Each handler is one call downward."""
