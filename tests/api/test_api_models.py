"""Models in the cache: listed, copied from a folder, verified and removed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from scriberrd.settings import Settings

if TYPE_CHECKING:
    from api_server import Server

PARTS = ("model.bin", "config.json", "tokenizer.json", "vocabulary.json")
URL = "/v1/models"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What somebody has brought on a stick."""
    made = tmp_path / "stick"
    made.mkdir()
    for name in PARTS:
        (made / name).write_bytes(name.encode() * 1000)
    (made / "README.md").write_text("not of the model")
    return made


def cache(server: Server) -> Path:
    return Path(server.config.daemon.model_cache)


async def listed(server: Server, name: str) -> dict[str, Any]:
    rows = {row["name"]: row for row in (await server.get(URL))["models"]}
    found: dict[str, Any] = rows[name]
    return found


async def copied(server: Server, folder: Path, model: str = "small") -> None:
    answer = await server.post(URL, json={"model": model, "from": str(folder)})
    assert (answer["state"], answer["source"]) == ("pulled", None)


async def test_all_that_have_a_name_are_listed(server: Server) -> None:
    base = await listed(server, "base")
    assert base == {
        "name": "base",
        "repository": "Systran/faster-whisper-base",
        "revision": None,
        "installed": False,
        "default": True,
        "bytes": None,
        "languages": "many",
        "translate": True,
    }
    english = await listed(server, "tiny.en")
    assert (english["languages"], english["translate"], english["default"]) == ("en", False, False)
    assert (await listed(server, "large-v3-turbo"))["translate"] is False


async def test_a_model_is_copied_from_a_folder(server: Server, folder: Path) -> None:
    await copied(server, folder)
    small = await listed(server, "small")
    assert (small["installed"], small["bytes"]) == (True, sum(len(p) * 1000 for p in PARTS))
    home = cache(server) / "models--Systran--faster-whisper-small"
    assert (home / "refs/main").read_text() == small["revision"]
    snapshot = home / "snapshots" / small["revision"]
    assert sorted(os.listdir(snapshot)) == sorted(PARTS)
    assert (snapshot / "model.bin").read_bytes() == (folder / "model.bin").read_bytes()
    await copied(server, folder)  # again
    assert await listed(server, "small") == small
    assert not list(home.glob("incoming*"))


async def test_what_comes_from_a_folder_is_the_model_of_that_name(
    server: Server, folder: Path
) -> None:
    await copied(server, folder, "me/mine")
    mine = await listed(server, "me/mine")
    assert (mine["installed"], mine["languages"], mine["translate"]) == (True, None, None)


async def test_those_of_profiles_are_listed_wherever_they_lie(
    server: Server, folder: Path, tmp_path: Path
) -> None:
    paths = {"own": folder, "lost": tmp_path / "lost"}
    profiles = {name: Settings(model=str(path)) for name, path in paths.items()}
    server.rooms.live.config = msgspec.structs.replace(server.config, profiles=profiles)
    assert await listed(server, "stick") == {
        "name": "stick",
        "repository": None,
        "revision": None,
        "installed": True,
        "default": True,
        "bytes": None,
        "languages": None,
        "translate": None,
    }
    assert not (await listed(server, "lost"))["installed"]


@pytest.mark.parametrize(
    ("model", "source", "status", "detail"),
    [
        ("small", "stick", 422, "from: not the absolute path of a folder"),
        ("small", "{}/nowhere", 422, "from: the folder lacks model.bin, config.json, "),
        ("smal", "{}", 404, "there is no model 'smal'; known are tiny, tiny.en, "),
        ("../x", "{}", 422, "model: '../x' is not a name, or owner/name on the hub"),
    ],
)
async def test_what_is_no_model(
    server: Server, folder: Path, model: str, source: str, status: int, detail: str
) -> None:
    body = {"model": model, "from": source.format(folder)}
    problem = await server.post(URL, json=body, status=status)
    assert problem["detail"].startswith(detail)
    assert str(folder) not in problem["detail"]


async def test_only_files_are_copied(server: Server, folder: Path) -> None:
    (folder / "vocabulary.json").unlink()
    os.mkfifo(folder / "vocabulary.json")
    problem = await server.post(URL, json={"model": "small", "from": str(folder)}, status=422)
    assert "lacks vocabulary.json" in problem["detail"]


async def test_what_a_killed_copy_left_is_cleared_away(server: Server, folder: Path) -> None:
    home = cache(server) / "models--Systran--faster-whisper-small"
    for left in (f"incoming-{os.getpid()}", "incoming-1"):
        (home / left).mkdir(parents=True)
        (home / left / "model.bin").write_bytes(b"half of")
    await copied(server, folder)
    assert not list(home.glob("incoming*"))


async def test_a_cache_that_can_not_be_written(server: Server, folder: Path) -> None:
    cache(server).write_text("a file")
    problem = await server.post(URL, json={"model": "small", "from": str(folder)}, status=503)
    assert problem["code"] == "pull_failed"
    assert str(cache(server)) not in problem["detail"]


async def test_a_whole_model(server: Server, folder: Path) -> None:
    await copied(server, folder)
    found = await server.post(f"{URL}/verify", json={"model": "small"})
    assert (found["damaged"], found["repository"]) == ([], "Systran/faster-whisper-small")


async def test_damage_is_found(server: Server, folder: Path) -> None:
    await copied(server, folder)
    snapshot = next((cache(server)).glob("*/snapshots/*"))
    with (snapshot / "model.bin").open("r+b") as file:
        file.write(b"X")
    (snapshot / "config.json").unlink()
    found = await server.post(f"{URL}/verify", json={"model": "small"})
    assert found["damaged"] == [
        {"file": "config.json", "problem": "missing"},
        {"file": "model.bin", "problem": "altered: its digest is another than when it came"},
    ]


async def test_what_is_no_file_is_damage(server: Server, folder: Path) -> None:
    await copied(server, folder)
    os.mkfifo(next(cache(server).glob("*/snapshots/*")) / "pipe")
    async with asyncio.timeout(30):
        found = await server.post(f"{URL}/verify", json={"model": "small"})
    assert found["damaged"] == [{"file": "pipe", "problem": "not a regular file"}]


async def test_a_small_file_of_the_hub_has_a_digest_of_git(server: Server, folder: Path) -> None:
    await copied(server, folder)
    snapshot = next((cache(server)).glob("*/snapshots/*"))
    config = snapshot / "config.json"
    config.unlink()
    blob = snapshot.parents[1] / "blobs" / "9b24da92a91f7923628cc7fa267492ccbdeeaf97"
    config.symlink_to(blob)
    blob.write_bytes(b"another\n")
    assert (await server.post(f"{URL}/verify", json={"model": "small"}))["damaged"] == []
    blob.write_bytes(b"something else\n")
    found = await server.post(f"{URL}/verify", json={"model": "small"})
    assert [one["file"] for one in found["damaged"]] == ["config.json"]


async def test_a_model_is_removed(server: Server, folder: Path) -> None:
    await copied(server, folder)
    left = await server.call("DELETE", f"{URL}?model=small")
    assert not [row for row in left["models"] if row["installed"]]
    assert not list(cache(server).glob("models--*"))
    for method, url, options in (
        ("DELETE", f"{URL}?model=small", {}),
        ("POST", f"{URL}/verify", {"json": {"model": "small"}}),
    ):
        problem = await server.call(method, url, status=404, **options)
        assert problem["detail"] == "small is not in the cache"


async def test_what_is_needed_is_not_removed(server: Server, folder: Path) -> None:
    await copied(server, folder, "base")
    problem = await server.call("DELETE", f"{URL}?model=base", status=409)
    assert problem["code"] == "model_in_use"
    assert problem["detail"] == "the profile default uses base: change its model first"
    await server.submit()
    profiles = {"default": server.config.profiles["fast"]}
    server.rooms.live.config = msgspec.structs.replace(server.config, profiles=profiles)
    problem = await server.call("DELETE", f"{URL}?model=base", status=409)
    assert problem["detail"] == "job 1 needs base: wait for it, or cancel it"
    await server.post("/v1/jobs/1/cancel")
    await server.call("DELETE", f"{URL}?model=base")
