"""Recordings that come as a form."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from api_server import Server

BOUNDARY = b"--cut\r\n"
FORM = {"Content-Type": "multipart/form-data; boundary=cut"}
FILE = b'Content-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'


def form(**fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, value in fields.items():
        data.add_field(name, value)
    data.add_field("file", b"some sound", filename="talk.mp3")
    return data


async def test_a_form(server: Server) -> None:
    data = form(inbox="other", priority="urgent")
    view = await server.post("/v1/jobs", data=data, status=202)
    assert (view["inbox"], view["path"], view["priority"]) == ("other", "talk.mp3", "urgent")
    assert (server.config.inboxes[1].path / "talk.mp3").read_bytes() == b"some sound"


async def test_an_empty_file_in_a_form(server: Server) -> None:
    body = BOUNDARY + FILE + b"\r\n--cut--\r\n"
    problem = await server.post("/v1/jobs", data=body, headers=FORM, status=422)
    assert problem["detail"].startswith("'a.mp3': nothing has come")
    assert list(server.inbox.path.iterdir()) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        BOUNDARY + FILE + b"some sound",
        BOUNDARY + FILE + b"some sound\r\n--cu",
        BOUNDARY + b"Content-Disposition: form-data\r\n\r\nx\r\n--cut--\r\n",
        BOUNDARY + b'Content-Disposition: form-data; name="inbox"\r\n\r\nother\r\n--cut--\r\n',
        BOUNDARY + b'Content-Disposition: form-data; name="x"\r\n\r\ny\r\n' + BOUNDARY + FILE,
        BOUNDARY + b"Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\n\r\nx\r\n--in--\r\n",
    ],
)
async def test_a_form_that_is_cut_short_is_no_recording(server: Server, body: bytes) -> None:
    problem = await server.post("/v1/jobs", data=body, headers=FORM, status=422)
    assert problem["code"] == "invalid_request"
    assert os.listdir(server.inbox.path) == []


@pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionHeader")
@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("Content-Type: text/plain; charset=foo", "inbox: the charset 'foo' is not utf-8"),
        ("Content-Type: text/plain; charset=utf-16", "inbox: the charset 'utf-16' is not utf-8"),
        ("Content-Encoding: gzip", "inbox: Content-Encoding: 'gzip' is not one of identity"),
        (
            "Content-Transfer-Encoding: base64",
            "inbox: Content-Transfer-Encoding: 'base64' is not one",
        ),
        ("Content-Transfer-Encoding: foo", "inbox: Content-Transfer-Encoding: 'foo' is not one"),
        ("no header", "the form is malformed: Invalid HTTP header"),
        ("X-Long: " + "x" * 10_000, "the form is malformed"),
        ("X: x\r\n" * 200 + "X: x", "the form is malformed: Too many headers"),
        ("Content-Type: multipart/mixed", "the form is malformed: boundary missed"),
    ],
)
async def test_a_part_that_is_written_in_another_way(
    server: Server, caplog: pytest.LogCaptureFixture, header: str, complaint: str
) -> None:
    field = f'Content-Disposition: form-data; name="inbox"\r\n{header}\r\n\r\nother\r\n'
    body = BOUNDARY + field.encode() + BOUNDARY + FILE + b"some sound\r\n--cut--\r\n"
    problem = await server.post("/v1/jobs", data=body, headers=FORM, status=422)
    assert problem["detail"].startswith(complaint)
    assert "Traceback" not in caplog.text
    assert os.listdir(server.config.inboxes[1].path) == []


@pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionHeader")
@pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionParam")
@pytest.mark.parametrize("what", [b'name="\xff"', b'name=file; filename*0="it\'s.mp3"'])
async def test_names_that_can_not_be_read(
    server: Server, caplog: pytest.LogCaptureFixture, what: bytes
) -> None:
    part = b"Content-Disposition: form-data; " + what + b"\r\n\r\nsome sound\r\n"
    problem = await server.post(
        "/v1/jobs", data=BOUNDARY + part + b"--cut--\r\n", headers=FORM, status=422
    )
    assert problem["code"] == "invalid_request"
    assert "Traceback" not in caplog.text


async def test_a_default_charset(server: Server) -> None:
    field = b'Content-Disposition: form-data; name="_charset_"\r\n\r\nfoo\r\n'
    body = BOUNDARY + field + BOUNDARY + FILE + b"some sound\r\n--cut--\r\n"
    problem = await server.post("/v1/jobs", data=body, headers=FORM, status=422)
    assert problem["code"] == "invalid_request"


async def test_a_file_that_would_have_to_be_decoded(server: Server) -> None:
    coded = FILE.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
    body = BOUNDARY + coded + b"c291bmQ=\r\n--cut--\r\n"
    problem = await server.post("/v1/jobs", data=body, headers=FORM, status=422)
    assert problem["detail"].startswith("file: Content-Transfer-Encoding: 'base64' is not one of")


PIECES = st.sampled_from(
    [
        *(b"--cut", b"--cut--", b"--cu", b"\r\n", b"\n", b"\r\n\r\n", b"other", b"\xff", b";"),
        *(
            b'name="inbox"',
            b'name="file"',
            b'name="_charset_"',
            b'filename="a.mp3"',
            b"name*=x'y'z",
        ),
        *(b"Content-Disposition: form-data; ", b"Content-Type: ", b"text/plain; charset=", b"foo"),
        *(b"multipart/mixed; boundary=in", b"--in\r\n", b"Content-Length: 9", b"a: ", b"="),
        *(BOUNDARY, FILE, b"\r\n--cut--\r\n", b"Content-Encoding: gzip\r\n"),
    ]
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES | st.binary(max_size=9), max_size=15))
async def test_any_form_gets_an_answer(
    server: Server, caplog: pytest.LogCaptureFixture, pieces: list[bytes]
) -> None:
    body = BOUNDARY + b"".join(pieces)
    url = "/v1/jobs"
    async with server.http.post(url, data=body, headers=FORM) as response:
        view = await response.json(content_type=None)
        assert response.status in {200, 202, 413, 422}, view
    assert "Traceback" not in caplog.text


async def test_a_field_that_has_no_end(server: Server) -> None:
    start = BOUNDARY + b'Content-Disposition: form-data; name="inbox"\r\n\r\n'
    problem = await server.post("/v1/jobs", data=start + b"x" * 200_000, headers=FORM, status=413)
    assert problem["code"] == "request_too_large"


async def test_a_form_without_a_boundary(server: Server) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    problem = await server.post("/v1/jobs", data=b"sound", headers=headers, status=422)
    assert "the form is malformed" in problem["detail"]
