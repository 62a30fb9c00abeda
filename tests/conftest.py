"""What every test stands on: a cache of its own, few threads, and the way to the real data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes share the cores already. Set before torch is imported, or it has no effect.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Expected values are those of the CPU, where two runs are equal to the bit on every machine. Also before torch.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of this test session: tests neither read nor fill the user's."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("AVSSL_CACHE")
    os.environ["AVSSL_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["AVSSL_CACHE"]
    else:
        os.environ["AVSSL_CACHE"] = before


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data: ``AVSSL_SHARED_DATA``, or ``../shared/data`` beside the repository."""
    found = os.environ.get("AVSSL_SHARED_DATA")
    folder = Path(found) if found else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; AVSSL_SHARED_DATA names another place")
    return folder
