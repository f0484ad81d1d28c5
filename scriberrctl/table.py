"""Every command, in one table: the command line, --help and the documentation read it."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """A command; its module of the same name is in `scriberrctl.commands`."""

    name: str
    summary: str
    endpoints: tuple[str, ...]  # of the API: what it asks for
    aliases: tuple[str, ...] = ()


SECTIONS = {
    "Look": (
        Command("status", "Show the daemon at a glance; the default", ("GET /v1/status",)),
        Command("list", "List jobs", ("GET /v1/jobs",), ("ls",)),
        Command(
            "show", "Show a job in detail", ("GET /v1/jobs/{id}", "GET /v1/jobs/{id}/executions")
        ),
        Command("logs", "Tell the story of jobs", ("GET /v1/jobs/{id}/logs", "GET /v1/events")),
        Command("transcript", "Print a transcript", ("GET /v1/jobs/{id}/transcript",)),
        Command(
            "follow",
            "Print what jobs transcribe as they do it",
            ("GET /v1/jobs/{id}", "GET /v1/jobs/{id}/transcript", "GET /v1/events"),
        ),
        Command("explain", "Tell what becomes of a file, and why", ("GET /v1/explain",)),
        Command("stats", "Show what was done, and how fast", ("GET /v1/stats",)),
        Command("events", "Follow what happens", ("GET /v1/events",)),
    ),
    "Jobs": (
        Command("submit", "Queue recordings", ("POST /v1/jobs",)),
        Command("wait", "Wait until jobs have ended", ("GET /v1/jobs/{id}", "GET /v1/events")),
        Command("cancel", "Cancel jobs", ("POST /v1/jobs/{id}/cancel",)),
        Command(
            "priority",
            "Claim jobs earlier or later",
            ("POST /v1/jobs/{id}/priority",),
        ),
        Command("retry", "Queue failed jobs again", ("POST /v1/jobs/{id}/retry",)),
        Command("redo", "Transcribe ended jobs again", ("POST /v1/jobs/{id}/redo",)),
        Command("remove", "Remove ended jobs", ("DELETE /v1/jobs/{id}",), ("rm",)),
        Command("speakers", "Name who speaks in a transcript", ("POST /v1/jobs/{id}/speakers",)),
    ),
    "Daemon": (
        Command("pause", "Pause claiming", ("POST /v1/pause",)),
        Command("resume", "Resume claiming", ("POST /v1/resume",)),
        Command("inbox", "List the inboxes, and what lies in them", ("GET /v1/inboxes",)),
        Command("workers", "List the workers, and what they do", ("GET /v1/status",)),
        Command("rescan", "Scan inboxes now", ("POST /v1/inboxes/rescan",)),
        Command("reload", "Read the configuration again", ("POST /v1/reload",)),
        Command("doctor", "Look at everything that a recording needs", ()),
        Command("purge", "Delete now what is too old", ("POST /v1/purge",)),
        Command(
            "models",
            "List, pull, remove and verify models",
            (
                *("GET /v1/models", "POST /v1/models", "DELETE /v1/models"),
                "POST /v1/models/verify",
            ),
        ),
    ),
    "Shell": (Command("completion", "Print what makes a shell complete words", ()),),
}
COMMANDS = {command.name: command for section in SECTIONS.values() for command in section}
ALIASES = {alias: name for name, command in COMMANDS.items() for alias in command.aliases}
