"""``avssl train … --augment device``: another place for the pixels, nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import yaml
from small_runs import TINY, Result

Call = Callable[..., Result]
FIGURES = ("name", "metric", "n", "chance", "split", "seed")


def test_a_run_cut_on_the_device_has_the_statistics_and_the_controls_of_one_on_the_host(
    avssl: Call, clips: Path, tmp_path: Path
):
    assert avssl("prepare", clips, tmp_path / "set", "--rate", "8000", "--workers", "0").status == 0
    runs = {}
    for where in ("host", "device"):
        runs[where] = out = tmp_path / where
        words = ("--data", tmp_path / "set", "--out", out, "--rate", "8000", "--steps", "2", "--augment", where)
        done = avssl("train", "av-correspondence", *words, "--device", "cpu", *TINY)
        assert done.status == 0, done.err
        assert ("pictures are cut on: cpu, JPEGs too" in done.out + done.err) == (where == "device")
    host, device = runs["host"], runs["device"]
    assert (host / "tasks/av-correspondence.json").read_text() == (device / "tasks/av-correspondence.json").read_text()
    rows = [json.loads((run / "results/controls.json").read_text()) for run in (host, device)]
    assert [[row[key] for key in FIGURES] for row in rows[0]] == [[row[key] for key in FIGURES] for row in rows[1]]
    config = yaml.safe_load((device / "config.yaml").read_text())
    assert config["augment"] == "device"


def test_a_run_made_before_there_was_a_choice_is_continued(avssl: Call, clips: Path, tmp_path: Path):
    words = ("train", "rotation", "--data", clips, "--out", tmp_path / "run", "--steps", "2", "--side", "16", *TINY[:2])
    words += ("--workers", "0", "--no-prepare", "--no-controls", "--batch-size", "4", "--device", "cpu")
    assert avssl(*words).status == 0
    config = tmp_path / "run" / "config.yaml"
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if not line.startswith("augment:")))
    again = avssl(*words)
    assert again.status == 0 and "is finished" in again.out + again.err
    other = avssl(*words, "--augment", "device")
    assert other.status == 2 and "augment (there auto, now device)" in other.err
