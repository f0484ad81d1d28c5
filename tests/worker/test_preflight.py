"""What is said of a diarizer before there is any work, by the process that looks at it.

pyannote.audio itself is not needed for that: only a package of its name, and pipelines.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from child import FAKE, TESTS
from hub import REVISION, Server, serving

from scriberrd.config import Daemon
from scriberrd.settings import Settings
from scriberrd.work import preflight

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOY = "someone/toy"
COMMUNITY = "pyannote/speaker-diarization-community-1"
MODEL = TESTS / "models" / "pyannote-flite" / "model"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def hub() -> Iterator[Server]:
    with serving() as server:
        server.add_model(TOY, {"config.yaml": b""})
        yield server


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    return package(tmp_path / "packages", "4.0.7")


def package(folder: Path, version: str) -> Path:
    """A folder that has pyannote.audio, as far as can be seen without importing it."""
    info = folder / f"pyannote_audio-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: pyannote.audio\nVersion: {version}\n"
    )
    return folder


def look(
    model: str | Path,
    packages: Path | None,
    *,
    diarizer: str = "pyannote",
    cache: Path | None = None,
    auto: bool = True,
    **environment: str,
) -> tuple[str | None, str]:
    """Code and detail."""
    path = [str(FAKE), *([str(packages)] if packages else [])]
    without = {"HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE"}
    kept = {key: value for key, value in os.environ.items() if key not in without}
    command = [sys.executable, "-m", "scriberrd.worker.preflight", diarizer, str(model)]
    done = subprocess.run(
        [*command, str(cache or ""), str(int(auto))],
        check=True,
        capture_output=True,
        text=True,
        env=kept
        | {"PYTHONPATH": os.pathsep.join(path), "NO_PROXY": "*", "HF_ENDPOINT": NOWHERE}
        | {"HF_TOKEN_PATH": "/nowhere", **environment},
    )
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    return found["code"], found["detail"]


def in_cache(cache: Path, repository: str, content: Path = MODEL) -> None:
    top = cache / f"models--{repository.replace('/', '--')}"
    shutil.copytree(content, top / "snapshots" / REVISION)
    (top / "refs").mkdir()
    (top / "refs" / "main").write_text(REVISION)


def test_a_diarizer_that_is_not_installed(tmp_path: Path) -> None:
    code, detail = look(MODEL, package(tmp_path / "old", "3.4.0"))
    assert (code, detail) == (
        "diarizer_missing",
        "pyannote.audio 3.4.0 is too old: 4 or later is needed",
    )
    code, detail = look(MODEL, None, diarizer="magic")
    assert code == "diarizer_missing"
    assert detail == "no diarizer 'magic'; installed: fake, pyannote"


def test_a_diarizer_of_another_package_is_asked_too() -> None:
    assert look("ok", None, diarizer="fake") == (None, "")
    assert look("refused", None, diarizer="fake")[0] == "diarization_refused"


def test_a_pipeline_in_a_folder(packages: Path, tmp_path: Path) -> None:
    assert look(MODEL, packages) == (None, "")
    code, detail = look(tmp_path / "nowhere", packages)
    assert code == "diarization_model_missing"
    assert detail == "config.yaml of nowhere: No such file or directory"
    shutil.copytree(MODEL, tmp_path / "torn")
    shutil.rmtree(tmp_path / "torn" / "plda")
    code, detail = look(tmp_path / "torn", packages)
    assert (code, detail.partition(":")[0]) == ("diarization_model_missing", "plda of torn")
    (tmp_path / "torn" / "config.yaml").write_text("- nothing")
    code, detail = look(tmp_path / "torn", packages)
    assert code == "diarization_model_missing"
    assert detail == "config.yaml of torn is not one of a pipeline"


def test_a_pipeline_in_the_cache_needs_no_hub(packages: Path, tmp_path: Path) -> None:
    in_cache(tmp_path, TOY)
    assert look(TOY, packages, cache=tmp_path) == (None, "")


def test_the_models_that_a_pipeline_names_are_looked_at_too(packages: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    shutil.copytree(MODEL, older)
    config = (older / "config.yaml").read_text().replace("    plda: $model/plda\n", "")
    config = config.replace("$model/segmentation", "someone/segmentation")
    (older / "config.yaml").write_text(config)
    cache = tmp_path / "cache"
    code, detail = look(older, packages, cache=cache, auto=False)
    assert code == "diarization_model_missing"
    assert detail.startswith("someone/segmentation is not in the cache")
    in_cache(cache, "someone/segmentation", MODEL / "segmentation")
    code, detail = look(older, packages, cache=cache, auto=False)
    assert detail.startswith(f"{COMMUNITY} is not in the cache")  # its plda, which is the default
    in_cache(cache, COMMUNITY)
    assert look(older, packages, cache=cache, auto=False) == (None, "")


def test_a_download_is_announced_only_where_it_will_succeed(
    packages: Path, tmp_path: Path, hub: Server
) -> None:
    assert look(TOY, packages, cache=tmp_path, HF_ENDPOINT=hub.url) == (None, "")
    code, detail = look(TOY, packages, cache=tmp_path, auto=False, HF_ENDPOINT=hub.url)
    assert code == "diarization_model_missing"
    assert f"`hf download {TOY}`" in detail
    code, detail = look(TOY, packages, cache=tmp_path)
    assert code == "diarization_model_missing"
    assert detail.startswith(f"can't download {TOY}: ")


@pytest.mark.parametrize("place", ["/srv/customer/talks/", "~/customer/talks"])
async def test_a_look_without_an_answer_tells_the_folder_of_the_model_by_its_name(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "PATIENCE", 0.0)
    finding = await preflight.ask(Settings(diarization_model=place), Daemon())
    assert finding.code == "diarization_model_missing"
    assert finding.detail == "there was no answer about 'talks' for 0 s"


def test_terms_that_nobody_has_accepted(packages: Path, tmp_path: Path, hub: Server) -> None:
    hub.token = "hf_accepted"
    code, detail = look(TOY, packages, cache=tmp_path, HF_ENDPOINT=hub.url)
    assert code == "diarization_refused"
    assert detail == f"accept its terms at https://huggingface.co/{TOY} (there is no token)"
    other = look(TOY, packages, cache=tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN="hf_other")
    assert other == ("diarization_refused", f"accept its terms at https://huggingface.co/{TOY}")


@pytest.mark.parametrize("source", ["credential", "credential, empty variable", "variable", "file"])
def test_a_token_comes_from_a_credential_a_variable_or_a_file(
    packages: Path, tmp_path: Path, hub: Server, source: str
) -> None:
    hub.token = "hf_accepted"
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "hf_token").write_text("hf_accepted\n")
    environment = {
        "credential": {"CREDENTIALS_DIRECTORY": str(credentials)},
        "credential, empty variable": {"CREDENTIALS_DIRECTORY": str(credentials), "HF_TOKEN": ""},
        "variable": {"HF_TOKEN": "hf_accepted"},
        "file": {"HF_TOKEN_PATH": str(credentials / "hf_token")},
    }[source]
    found = look(TOY, packages, cache=tmp_path, **{"HF_ENDPOINT": hub.url} | environment)
    assert found == (None, "")
