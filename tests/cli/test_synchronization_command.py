"""Synchronization from the command line: a run of the smallest training there is, and the offsets that it finds."""

from __future__ import annotations

import json

TINY = (
    *("--steps", "2", "--batch-size", "4", "--workers", "0", "--device", "cpu", "--precision", "fp32"),
    *("--validation-puzzles", "4", "--validate-every", "2", "--no-controls", "--no-prepare"),
    *("--side", "16", "--width", "4", "--audio-width", "4", "--features", "8", "--steps-a-clip", "5"),
)


def test_a_run_is_evaluated_on_moments_of_the_world_beside_blind_answers(avssl, tmp_path):
    world, run = tmp_path / "world", tmp_path / "run"
    counts = ("--train", "4", "--validation", "2", "--test", "1")
    made = avssl("world", world, *counts, "--size", "32", "--frames", "70", "--preset", "single", "--workers", "1")
    assert made.status == 0, made.err
    trained = avssl("train", "av-sync", "--data", world, "--out", run, *TINY)
    assert trained.status == 0, trained.err
    result = avssl("evaluate", "synchronization", "--run", run, "--reach", "0.2", "-o", tmp_path / "out")
    assert result.status == 0, result.err
    rows = json.loads((tmp_path / "out" / "synchronization.json").read_text())
    names = {row["name"] for row in rows}
    assert names == {
        "trained",
        "untrained",
        "blind/onset-in-the-middle",
        "blind/always-0",
        "blind/most-frequent",
    }
    assert all(
        row["n_listed"] == 4 and "ground truth" in row["note"] for row in rows if row["metric"] == "offset-error"
    )
    assert (run / "results" / "synchronization.png").is_file()


def test_a_run_of_another_task_is_refused(avssl, finished):
    result = avssl("evaluate", "synchronization", "--run", finished)
    assert result.status == 2 and "av-sync" in result.err
