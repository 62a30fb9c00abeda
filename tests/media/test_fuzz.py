"""A short, seeded part of the long fuzz (``make fuzz``): damaged files are refused, read rightly, or named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fuzz.__main__ import make_jobs, run_jobs
from fuzz.judge import LEVELS, Judged, distance
from fuzz.originals import SILENT, Original, make_originals, scene


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[Original]:
    return make_originals(tmp_path_factory.mktemp("originals"))


def test_the_originals_are_of_twelve_containers_at_least(originals: list[Original]):
    assert len({original.name.rpartition(".")[2] for original in originals}) >= 12


def test_a_picture_of_another_scene_is_distinguished_from_all_of_the_original(originals: list[Original]):
    whole = next(original for original in originals if original.name == "h264.mp4")
    other = scene(3, 96, 64)[::-1].transpose(2, 0, 1)
    assert distance(whole.pictures[7], whole.pictures) == 0
    assert distance(np.ascontiguousarray(other), whole.pictures) > LEVELS
    assert distance(np.full((3, 64, 96), 128, np.uint8), whole.pictures) > LEVELS


@pytest.mark.parametrize("files", [36, pytest.param(108, marks=pytest.mark.slow)])
def test_damaged_files_neither_crash_nor_hang_nor_give_wrong_pictures(
    originals: list[Original], tmp_path: Path, files: int
):
    found = run_jobs(make_jobs(originals, tmp_path, files, seed=1), workers=1)
    evaluated = [(job, answer) for job, answer in found if isinstance(answer, Judged)]
    assert len(evaluated) == files, [answer for _, answer in found if not isinstance(answer, Judged)]
    assert not [(job.path, job.done, answer) for job, answer in evaluated if answer.fate == "WRONG FACTS"]
    wrong = [(job.path, job.done, answer) for job, answer in evaluated if answer.fate == "WRONG PICTURE"]
    # A flipped bit of a coefficient is another coefficient: the long run measures how often nothing tells.
    assert len([path for path, _, _ in wrong if not path.endswith(SILENT)]) <= 2, wrong
    assert {"refused", "right"} <= {answer.fate for _, answer in evaluated}
