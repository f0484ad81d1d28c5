"""What holds after every fault."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw
import msgspec
import pytest
from program import wait_for

from scriberrctl.client import Client
from scriberrctl.errors import ApiError
from scriberrd.failures import FAILURES
from scriberrd.model import Fallback

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import Program

NEW_VERSION = {"submitted", "superseded"}
KINDS = (b"json", b"srt", b"txt", b"vtt")


class Recorded(NamedTuple):
    """What the database says of a recording."""

    id: int
    state: str
    code: str | None
    failures: int
    events: list[str]
    fallbacks: list[str]
    blocks: list[int]  # of the latest version that were checkpointed, in this order


def check(program: Program, undisturbed: Callable[[Program, bytes], Any]) -> None:
    """See that a stopped program has kept its promises about all that was dropped into it."""
    assert program.processes() == [], "orphans"
    # Of the daemon itself; those of workers come behind the name of a job.
    assert not re.search("^Traceback", program.log.read_text(), re.MULTILINE)
    published: set[bytes] = set()
    for name, content in program.dropped.items():
        with open(os.path.join(os.fsencode(program.inbox), name), "rb") as file:
            assert file.read() == content, "the recording is still in the inbox, unchanged"
        job = recorded(program, name)
        if job.state == "completed":
            stem = name.rpartition(b".")[0]
            published |= {stem + b"." + kind for kind in KINDS}
            transcript = program.transcript(os.fsdecode(stem + b".json"))
            expected = undisturbed(program, content) | {"source": transcript["source"]}
            same = said if "diarize" in str(program.settings["profile"]) else dict[str, Any]
            assert same(comparable(transcript)) == same(expected)
            assert transcript["engine"]["fallbacks"] == job.fallbacks, "how it was made is told"
            assert job.events.count("finished") == 1, "published once"
        else:
            assert job.state in {"failed", "canceled"}
            assert job.state == "canceled" or job.code in FAILURES, "the error has a stable code"
        assert job.blocks == sorted(set(job.blocks)), "finished work is not redone"
    assert set(program.files()) == {os.fsdecode(name) for name in published}


def recorded(program: Program, name: bytes) -> Recorded:
    """The one job about a recording, out of a sound database."""
    flags = apsw.SQLITE_OPEN_READONLY
    db = apsw.Connection(str(program.root / "state/scriberrd.db"), flags=flags)
    try:
        assert db.pragma("quick_check") == "ok"
        rows = db.execute(
            "SELECT id, state, error_code, failures, fallbacks FROM job WHERE path = ?", (name,)
        ).fetchall()
        assert len(rows) == 1, "exactly one live or finished job"
        *row, fallbacks = rows[0]
        events = db.execute("SELECT type, data FROM event WHERE job = ? ORDER BY id", (row[0],))
        told = [(type_, json.loads(data)) for type_, data in events]
    finally:
        db.close()
    types = [type_ for type_, _ in told]
    start = max(number for number, type_ in enumerate(types) if type_ in NEW_VERSION)
    blocks = [data["block"] for type_, data in told[start:] if type_ == "checkpointed"]
    steps = [str(step) for step in msgspec.json.decode(fallbacks, type=list[Fallback])]
    return Recorded(*row, types, steps, blocks)


def checkpointed(program: Program, name: str) -> None:
    """Wait until some of a recording is done, but not all."""
    wait_for(lambda: program.job(name), "a job")
    wait_for(lambda: recorded(program, os.fsencode(name)).blocks, "the first checkpoint")


def paused(program: Program) -> tuple[str, str]:
    """What of the machine is told to be at fault, once it is: the part, and the error's code."""
    outage = program.outage()
    return outage["part"], outage["error"]["code"]


def refusal(program: Program, name: str) -> tuple[int, str]:
    """What the API answers when a recording is submitted: HTTP status and code."""
    with pytest.raises(ApiError) as caught:
        Client(str(program.socket)).submit(str(program.inbox / name))
    return caught.value.status, caught.value.code


def comparable(transcript: dict[str, Any]) -> dict[str, Any]:
    """A transcript without what differs between two runs that do the same."""
    stats = {key: transcript["stats"][key] for key in ("words", "confidence")}
    engine = transcript["engine"] | {"model": "", "revision": "", "fallbacks": []}
    return transcript | {"stats": stats, "engine": engine}


def said(transcript: dict[str, Any]) -> dict[str, Any]:
    """What is said in a transcript, whoever says it."""
    words = [{**word, "speaker": None} for word in transcript["words"]]
    return {key: transcript[key] for key in ("text", "language", "duration")} | {"words": words}
