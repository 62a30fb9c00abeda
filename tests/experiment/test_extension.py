"""A finished run is extended by more steps as if they had been asked for at first, or one line says why not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file
from short_runs import make_data

import avssl
from avssl.errors import UserError

SMALL = {
    "side": 32, "width": 4, "blocks": 3, "vision": "small", "batch_size": 4, "device": "cpu", "workers": 0,
    "schedule": "constant", "warmup_steps": 1, "validate_every": 3, "validation_puzzles": 4, "checkpoint_every": 2,
    "control_puzzles": 8, "control_steps": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_data(folder)
    return folder / "pictures"


def weights(run: Path) -> dict:
    return load_file(run / "encoders" / "vision.safetensors")


def test_more_steps_end_in_the_weights_of_a_run_that_was_asked_for_them_at_first(data, tmp_path):
    avssl.train("rotation", data, tmp_path / "at-once", steps=11, **SMALL)
    avssl.train("rotation", data, tmp_path / "extended", steps=6, **SMALL)
    first = (tmp_path / "extended" / "results" / "controls.json").read_text()
    run = avssl.train("rotation", data, tmp_path / "extended", steps=11, **SMALL)
    expected = weights(tmp_path / "at-once")
    assert all((expected[name] == found).all() for name, found in weights(run.path).items())
    assert run.config["steps"] == 11 and run.history[-1]["step"] == 11
    rows = avssl.Run(tmp_path / "at-once").results
    assert [(row.name, row.value) for row in run.results] == [(row.name, row.value) for row in rows]
    assert (run.path / "results-6-steps" / "controls.json").read_text() == first
    assert (run.path / "sheet.png").exists() and (run.path / "curves.png").exists()
    assert avssl.train("rotation", data, run.path, steps=11, **SMALL).history[-1]["step"] == 11


def test_an_extension_that_was_killed_as_it_began_goes_on(data, tmp_path):
    run = avssl.train("rotation", data, tmp_path / "run", steps=5, **SMALL)
    (run.path / "results").rename(run.path / "results-5-steps")  # killed before config.yaml was written
    (run.path / "results").mkdir()
    run = avssl.train("rotation", data, run.path, steps=7, **SMALL)
    assert run.history[-1]["step"] == 7 and (run.path / "results-5-steps" / "controls.json").exists()


def files_of(run: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.name not in (".lock", "environment.json")
    }


@pytest.mark.slow
def test_a_run_that_cannot_be_extended_stays_as_it_was(tmp_path):
    make_data(tmp_path)
    data = tmp_path / "pictures"
    run = avssl.train("rotation", data, tmp_path / "run", steps=5, **SMALL)
    before = files_of(run.path)
    data.rename(tmp_path / "unplugged")
    with pytest.raises(UserError, match="pictures"):
        avssl.train("rotation", data, run.path, steps=7, **SMALL)
    assert files_of(run.path) == before
    (tmp_path / "unplugged").rename(data)
    next(path for path in sorted(data.rglob("*")) if path.is_file()).unlink()
    with pytest.raises(UserError, match="have changed since"):
        avssl.train("rotation", data, run.path, steps=7, **SMALL)
    assert files_of(run.path) == before


def test_a_run_whose_results_were_removed_is_extended(data, tmp_path):
    run = avssl.train("rotation", data, tmp_path / "run", steps=5, controls=False, **SMALL)
    shutil.rmtree(run.path / "results")
    assert avssl.train("rotation", data, run.path, steps=7, controls=False, **SMALL).history[-1]["step"] == 7


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"schedule": "cosine"}, "the learning rate follows the number of steps"),
        ({"warmup_steps": 50}, "its warm-up would have been longer than 1 step"),
        ({"keep": "best"}, "looked at step 5"),
    ],
)
def test_where_more_steps_make_another_training_one_line_says_why(data, tmp_path, changed, why):
    options = {**SMALL, **changed, "controls": False}
    avssl.train("rotation", data, tmp_path / "run", steps=5, **options)
    with pytest.raises(UserError, match=why):
        avssl.train("rotation", data, tmp_path / "run", steps=20, **options)
    with pytest.raises(UserError, match="other options: steps"):
        avssl.train("rotation", data, tmp_path / "run", steps=3, **options)
