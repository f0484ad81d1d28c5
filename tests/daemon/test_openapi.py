"""The daemon does what its OpenAPI says, whatever it is asked."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import hypothesis
import msgspec
import pytest
import requests
import schemathesis
from program import TALK, Program
from requests.adapters import HTTPAdapter
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks as of_openapi
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from scriberrd.api import openapi
from scriberrd.api.endpoints import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemathesis import Case

DOCUMENT = json.loads(msgspec.json.encode(openapi.document(ENDPOINTS)))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}
ORDER = sorted(OPERATIONS, key=lambda label: label.startswith("DELETE"))  # they take the jobs away
EXAMPLES, FEW = 15, 3
SLOW = {"POST /v1/models"}  # each starts a process that imports its libraries
JOBS = 4
CHECKS = [
    of_openapi.status_code_conformance,
    of_openapi.content_type_conformance,
    of_openapi.response_headers_conformance,
    of_openapi.response_schema_conformance,
    of_openapi.negative_data_rejection,
]


class OverSocket(HTTPAdapter):
    """Talks to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._pool = HTTPConnectionPool("localhost")
        self._pool.ConnectionCls = type("Connection", (Connection,), {"path": path})

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        return self._pool


class Connection(HTTPConnection):
    path: Path

    def _new_conn(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(60)
        sock.connect(str(self.path))
        return sock


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[requests.Session]:
    """A client of a daemon that has jobs which are completed, failed and canceled."""
    program = Program(tmp_path_factory.mktemp("p"))
    program.start(HF_HUB_OFFLINE="1", PIP_NO_INDEX="1")
    for name in ("one.opus", "two.opus"):
        program.drop(TALK.read_bytes() + name.encode(), name)
        program.wait(name, "completed")
    program.drop(b"no sound", "bad.opus")
    program.wait("bad.opus", "failed")
    program.ctl("pause")
    program.drop(TALK.read_bytes() + b"three", "three.opus")
    program.ctl("cancel", program.wait("three.opus", "queued")["id"])
    with requests.Session() as made:
        made.mount("http://localhost", OverSocket(program.socket))
        yield made
    assert program.stop() == 0
    # Of the daemon: whoever was answered with 500 has left one.
    assert "\nTraceback" not in program.log.read_text()


def tame(case: Case) -> Case:
    """Ask about the jobs that there are, and do not wait."""
    if isinstance(id_ := case.path_parameters.get("id"), int):
        case.path_parameters["id"] = id_ % (JOBS + 1) + 1
    if isinstance(case.query.get("wait"), int):
        case.query["wait"] = min(case.query["wait"], 0)
    return case


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", ORDER)
def test_it_answers_as_its_description_says(
    session: requests.Session, label: str, mode: GenerationMode
) -> None:
    endless = "text/event-stream" in str(OPERATIONS[label].definition.raw)

    @hypothesis.given(case=OPERATIONS[label].as_strategy(mode))
    @hypothesis.settings(
        max_examples=FEW if label in SLOW else EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],  # a failure is shown as it was found, at once
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def ask(case: Case) -> None:
        asked = tame(case).as_transport_kwargs("http://localhost")
        with session.request(**asked, stream=endless, timeout=60) as answer:
            assert answer.status_code != 500, answer.text
            if endless and answer.ok:
                assert answer.headers["Content-Type"] == "text/event-stream"
            else:
                case.validate_response(answer, checks=CHECKS)

    try:
        ask()
    except hypothesis.errors.Unsatisfiable:
        pytest.skip("everything is allowed here")
