"""A model hub and a package index on this machine, as far as their clients ask them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

REVISION = "0123456789012345678901234567890123456789"
BIT = 1 << 16  # bytes that are sent at once


class Server(ThreadingHTTPServer):
    """What it serves, and who has asked for it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers: dict[str, bytes] = {}  # by path
        self.asked: list[str] = []  # paths of what was sent
        self.token = ""  # of those whom it lets in; "": of nobody in particular
        self.after = 0  # bytes of an answer after which it waits for
        self.go_on = threading.Event()
        self.go_on.set()

    def add_model(self, repository: str, files: Mapping[str, bytes]) -> None:
        """Be a hub that has a model."""
        siblings = [{"rfilename": name, "size": len(of)} for name, of in files.items()]
        info = {
            "id": repository,
            "sha": REVISION,
            "tags": ["license:mit"],
            "siblings": siblings,
        }
        tree = [
            {"type": "file", "path": name, "size": len(of), "oid": hashlib.sha1(of).hexdigest()}
            for name, of in files.items()
        ]
        api = f"/api/models/{repository}"
        self.answers[api] = self.answers[f"{api}/revision/main"] = json.dumps(info).encode()
        self.answers[f"{api}/auth-check"] = b"{}"
        self.answers[f"{api}/tree/{REVISION}"] = json.dumps(tree).encode()
        for name, of in files.items():
            self.answers[f"/{repository}/resolve/{REVISION}/{name}"] = of

    def add_wheel(self, wheel: Path) -> None:
        """Be a package index that has a wheel."""
        name = wheel.name.partition("-")[0].replace("_", "-")
        page = f'<!DOCTYPE html><a href="/{wheel.name}">{wheel.name}</a>'
        self.answers[f"/simple/{name}/"] = page.encode()
        self.answers[f"/{wheel.name}"] = wheel.read_bytes()

    def sent(self, end: str) -> int:
        """How often something with this end of its path was sent."""
        return sum(path.endswith(end) for path in self.asked)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        content = self.server.answers.get(path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.server.token not in ("", token):
            self.send_response(403 if token else 401)
            self.send_header("X-Error-Code", "GatedRepo")
            content = b""
        else:
            self.send_response(404 if content is None else 200)
        content = content or b""
        self.send_header("Content-Length", str(len(content)))
        page = path.startswith("/simple/")
        self.send_header("Content-Type", "text/html" if page else "application/json")
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.server.asked.append(path)
        with contextlib.suppress(ConnectionError):  # the client may be killed
            for at in range(0, len(content), BIT):
                self.wfile.write(content[at : at + BIT])
                if at >= self.server.after:
                    self.server.go_on.wait()

    do_HEAD = do_GET  # noqa: N815 - the name that the server looks for

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.go_on.set()
            server.shutdown()
            thread.join()


def make_wheel(folder: Path, requirement: str, files: Mapping[str, bytes]) -> Path:
    """A wheel that pip takes for one."""
    name, _, version = requirement.partition("==")
    base = f"{name.replace('-', '_')}-{version}"
    wheel = folder / f"{base}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        archive.writestr(f"{base}.dist-info/METADATA", metadata)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{base}.dist-info/WHEEL", tags)
        archive.writestr(f"{base}.dist-info/RECORD", "")
    return wheel
