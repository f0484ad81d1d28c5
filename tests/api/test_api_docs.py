"""docs/api.md and the code say the same."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from api_server import DIALOGUE, SHOWN
from msgspec import inspect

import scriberrd.api.app
from scriberrd import errors
from scriberrd.api import openapi
from scriberrd.api.endpoints import ENDPOINTS
from scriberrd.errors import SourceChanged
from scriberrd.output.formats import FORMATS
from scriberrd.queue import jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api_server import Server

    from scriberrd.api.endpoint import Endpoint

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")


ANCHORS = {
    re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-"): f"{level} {heading}"
    for level, heading in re.findall(r"^(#+) (.+)$", TEXT, flags=re.MULTILINE)
}
NAMES = [f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS]
each_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=NAMES)


def section(heading: str) -> str:
    level = heading.partition(" ")[0]
    return re.split(
        rf"^#{{1,{len(level)}}} ", TEXT.partition(f"\n{heading}\n")[2], flags=re.MULTILINE
    )[0]


def links(text: str) -> list[str]:
    return re.findall(r"\]\(#([^)]+)\)", text)


def tables(text: str) -> list[tuple[str, dict[str, str]]]:
    """Each table: what heads its first column, and each of its names with the rest of its row."""
    found = re.findall(r"^\| ([^|\n]+) \|.*\n\| ---.*\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    row = re.compile(r"^\| `([^`]+)` \|(.*)", flags=re.MULTILINE)
    return [(heading, dict(row.findall(body))) for heading, body in found]


def rows(text: str, heading: str) -> set[str]:
    """The names in the table under this heading."""
    return set(dict(tables(text))[heading])


def shapes(text: str) -> set[frozenset[str]]:
    """The fields of everything that is described: in a table, in a row of one, or as JSON."""
    of_tables = [table for heading, table in tables(text) if heading.startswith("Field")]
    texts = [re.sub(r"\(.*?\)", "", row) for table in of_tables for row in table.values()]
    in_rows = [re.findall(r"`(\w+)`", text) for text in texts]
    as_json = [re.findall(r'"(\w+)":', line) for line in re.findall(r'`(\{".+\})`', text)]
    return {frozenset(names) for names in (*of_tables, *in_rows, *as_json)}


def fields(kind: type[msgspec.Struct] | None) -> frozenset[str]:
    return frozenset(kind.__struct_encode_fields__ if kind else ())


def structs(kind: inspect.Type) -> Iterator[frozenset[str]]:
    """The fields of the structs in a type, and of those in them."""
    match kind:
        case inspect.StructType():
            yield frozenset(field.name for field in kind.fields)
            within = [field.type for field in kind.fields]
        case inspect.UnionType():
            within = list(kind.types)
        case inspect.ListType() | inspect.VarTupleType():
            within = [kind.item_type]
        case _:
            within = []
    for one in within:
        yield from structs(one)


def test_every_endpoint_has_its_section_and_is_in_the_table() -> None:
    assert set(NAMES) == set(re.findall(r"^### ([A-Z]+ /\S+)$", TEXT, flags=re.MULTILINE))
    routes = re.findall(r"^\| \[`([A-Z]+ /\S+)`\]\(#\S+\) \| (.+) \|$", TEXT, flags=re.MULTILINE)
    assert dict(zip(NAMES, (one.summary for one in ENDPOINTS), strict=True)) == dict(routes)


def test_every_link_leads_somewhere() -> None:
    assert set(links(TEXT)) <= set(ANCHORS)


@each_endpoint
def test_every_parameter_and_every_field_of_a_body_is_described(endpoint: Endpoint) -> None:
    asked = {"Parameter": fields(endpoint.parameters), "Field of the body": fields(endpoint.body)}
    if endpoint.parameters and endpoint.body:  # or a form, with the part `file`
        asked = {"Field or parameter": frozenset.union(*asked.values(), {"file"})}
    text = section(f"### {endpoint.method} {endpoint.path}")
    given = {heading: set(table) for heading, table in tables(text)}
    for heading in ("Parameter", "Field of the body", "Field or parameter"):
        assert given.get(heading, set()) == asked.get(heading, set())


@each_endpoint
def test_every_field_of_a_result_is_described(endpoint: Endpoint) -> None:
    """Where the endpoint is, or where a link in its section leads."""
    text = section(f"### {endpoint.method} {endpoint.path}")
    text += "".join(section(ANCHORS[link]) for link in links(text))
    if endpoint.result is not None:
        assert set(structs(inspect.type_info(endpoint.result))) <= shapes(text)


def test_no_field_is_described_that_does_not_exist() -> None:
    results = [inspect.type_info(one.result) for one in ENDPOINTS if one.result]
    known = {fields(one.body) for one in ENDPOINTS}.union(*map(structs, results))
    described = {
        *(
            frozenset(table)
            for heading, table in tables(TEXT)
            if re.match("Field( of .+)?$", heading)
        ),
        *(frozenset(re.findall(r'"(\w+)":', line)) for line in re.findall(r'`(\{".+\})`', TEXT)),
    }
    assert described <= known


def test_every_format_has_its_content_type() -> None:
    assert set(FORMATS) == rows(section("### GET /v1/jobs/{id}/transcript"), "Format")


def test_every_event_is_described() -> None:
    folder = Path(jobs.__file__).parent
    source = "".join(file.read_text("utf-8") for file in folder.glob("*.py"))
    types = set(re.findall(r'\b(?:record_event|requeue)\([^"\n]*, "(\w+)"', source))
    # The other two are no events of the queue.
    assert types | {"gap", "cut"} == rows(section("### GET /v1/events"), "Event")


def descendants(kind: type[Any]) -> Iterator[type[Any]]:
    yield kind
    for child in kind.__subclasses__():
        yield from descendants(child)


def test_every_code_is_described() -> None:
    reachable = [*descendants(errors.RequestError), *descendants(errors.StoreError)]
    codes = {error.code for error in (*reachable, errors.ScriberrdError, SourceChanged)}
    codes -= {"database_foreign", "database_newer"}  # the daemon does not start with these
    codes |= set(scriberrd.api.app.CODES.values())
    assert codes == rows(section("## Errors"), "Code")


def test_every_code_is_one_of_an_endpoint() -> None:
    described = str(openapi.document(ENDPOINTS))
    for code in rows(section("## Errors"), "Code") - {"not_found", "method_not_allowed"}:
        assert f"'{code}'" in described


async def test_the_api_describes_itself(server: Server) -> None:
    found = await server.get("/v1/openapi.json")
    assert found["openapi"] == "3.1.0"
    known = {f"{verb.upper()} {path}" for path, verbs in found["paths"].items() for verb in verbs}
    assert known == set(NAMES)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_every_example_works(on_socket: Server) -> None:
    await on_socket.submit("talk.mp3")
    await on_socket.complete(await on_socket.claim(), text=DIALOGUE, shown=SHOWN)
    await on_socket.submit("bad.mp3")
    await on_socket.fail(await on_socket.claim())
    (on_socket.inbox.path.parent / "talk.mp3").write_bytes(b"another")
    examples = re.findall(r"^scurl .+$", TEXT, flags=re.MULTILINE)
    assert len(examples) > 5
    curl = f"curl --fail-with-body --silent --max-time 5 --unix-socket {on_socket.socket}"
    for example in examples:
        command = example.replace("scurl", curl, 1).replace("/jobs/7/", "/jobs/1/")
        command = command.replace("/jobs/8", "/jobs/2")
        command = command.replace("/srv/recordings", str(on_socket.inbox.path))
        if "/v1/events" in command:
            command += " | head -1"
        process = await asyncio.create_subprocess_shell(
            command, cwd=on_socket.inbox.path.parent, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert (process.returncode, bool(out)) == (0, True), (example, out)
