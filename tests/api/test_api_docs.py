"""docs/api.md and the code say the same."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import scriberrd.api.app
from scriberrd import errors
from scriberrd.api import events, pauses, submission, transcripts, views
from scriberrd.api import jobs as api_jobs
from scriberrd.api.status import StatusView
from scriberrd.files import sources
from scriberrd.queue import jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec
    from api_server import Server

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")


def section(heading: str) -> str:
    level = heading.partition(" ")[0]
    return re.split(
        rf"^#{{1,{len(level)}}} ", TEXT.partition(f"\n{heading}\n")[2], flags=re.MULTILINE
    )[0]


def rows(text: str, heading: str) -> set[str]:
    """The first cells of the table under this heading."""
    table = re.search(rf"^\| {re.escape(heading)} \|.*\n(?:\|.*\n)+", text, flags=re.MULTILINE)
    assert table is not None, heading
    return set(re.findall(r"^\| `([^`]+)` \|", table[0], flags=re.MULTILINE))


def fields(kind: type[msgspec.Struct]) -> set[str]:
    return set(kind.__struct_fields__)


def routes() -> set[str]:
    tables = (scriberrd.api.app.status, pauses, api_jobs, transcripts, events)
    return {f"{route.method} {route.path}" for table in tables for route in table.routes}


def test_every_route_has_its_section_and_is_in_the_table() -> None:
    assert routes() == set(re.findall(r"^### ([A-Z]+ /\S+)$", TEXT, flags=re.MULTILINE))
    assert routes() == set(re.findall(r"^\| \[`([A-Z]+ /\S+)`\]", TEXT, flags=re.MULTILINE))


def test_every_link_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, flags=re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9_ -]", "", name.lower()).replace(" ", "-") for name in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors


@pytest.mark.parametrize(
    ("where", "heading", "kind"),
    [
        ("### GET /v1/status", "Field", StatusView),
        ("### POST /v1/pause", "Field", pauses.Paused),
        ("### POST /v1/resume", "Field", pauses.Resumed),
        ("### POST /v1/pause", "Field of a pause", views.PauseView),
        ("### GET /v1/jobs", "Parameter", api_jobs.Wanted),
        ("### GET /v1/jobs/{id}/executions", "Field", views.ExecutionView),
        ("### GET /v1/jobs/{id}/transcript", "Parameter", transcripts.Wanted),
        ("### POST /v1/jobs/{id}/redo", "Parameter", api_jobs.Anew),
        ("### GET /v1/events", "Parameter", events.Wanted),
        ("### GET /v1/events", "Field of `data`", views.EventView),
        ("## A job", "Field", views.JobView),
        ("## A job", "Field of `progress`", views.ProgressView),
        ("## A job", "Field of `error`", views.FailureView),
    ],
)
def test_every_field_is_described(where: str, heading: str, kind: type[msgspec.Struct]) -> None:
    assert fields(kind) == rows(section(where), heading)


def test_every_field_of_a_submission_is_described() -> None:
    given = fields(submission.ByPath) | fields(submission.ByName) | {"file"}
    assert given == rows(section("### POST /v1/jobs"), "Field or parameter")


def test_every_format_has_its_content_type() -> None:
    assert set(transcripts.CONTENT_TYPES) == rows(
        section("### GET /v1/jobs/{id}/transcript"), "Format"
    )


def test_every_event_is_described() -> None:
    folder = Path(jobs.__file__).parent
    source = "".join(file.read_text("utf-8") for file in folder.glob("*.py"))
    types = set(re.findall(r'\b(?:record_event|requeue)\([^"\n]*, "(\w+)"', source))
    # A gap is no event of the queue.
    assert types | {"gap"} == rows(section("### GET /v1/events"), "Event")


def descendants(kind: type[Any]) -> Iterator[type[Any]]:
    yield kind
    for child in kind.__subclasses__():
        yield from descendants(child)


def test_every_code_is_described() -> None:
    reachable = [*descendants(errors.RequestError), *descendants(errors.StoreError)]
    codes = {error.code for error in (*reachable, errors.ScriberrdError, sources.SourceChanged)}
    codes -= {"database_foreign", "database_newer"}  # the daemon does not start with these
    codes |= set(scriberrd.api.app.CODES.values())
    assert codes == rows(section("## Errors"), "Code")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_every_example_works(server: Server) -> None:
    await server.submit("talk.mp3")
    await server.complete(await server.claim())
    await server.submit("bad.mp3")
    await server.fail(await server.claim())
    (server.inbox.path.parent / "talk.mp3").write_bytes(b"another")
    examples = re.findall(r"^scurl .+$", TEXT, flags=re.MULTILINE)
    assert len(examples) > 5
    curl = f"curl --fail-with-body --silent --max-time 5 --unix-socket {server.socket}"
    for example in examples:
        command = example.replace("scurl", curl, 1).replace("/jobs/7/", "/jobs/1/")
        command = command.replace("/jobs/8", "/jobs/2")
        command = command.replace("/srv/recordings", str(server.inbox.path))
        if "/v1/events" in command:
            command += " | head -1"
        process = await asyncio.create_subprocess_shell(
            command, cwd=server.inbox.path.parent, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert (process.returncode, bool(out)) == (0, True), (example, out)
