"""Twelve small clips with sound, for trainings from Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import write_clip


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips with sound."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(12):
        write_clip(folder / f"{number:02d}.mp4", number)
    return folder
