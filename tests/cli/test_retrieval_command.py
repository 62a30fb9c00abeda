"""Retrieval from the command line, on a run of the smallest training there is."""

from __future__ import annotations

import json

import pytest
from probe_media import write_run


def test_retrieval_writes_rows_both_ways_and_a_page(avssl, finished, clips, tmp_path):
    result = avssl("evaluate", "retrieval", "--run", finished, "--data", clips, "-o", tmp_path, "--draws", 50)
    assert (result.status, result.err) == (0, "")
    rows = {(row["name"], row["metric"]): row for row in json.loads((tmp_path / "retrieval.json").read_text())}
    for name in ("trained", "random", "shuffled-pairs"):
        for way in ("image-to-sound", "sound-to-image"):
            assert rows[(f"{name}/{way}", "recall@1")]["chance"] == pytest.approx(1 / 12)
            assert rows[(f"{name}/{way}", "median-rank")]["chance"] == 6.5
    assert "<audio" not in (page := (tmp_path / "retrieval.html").read_text())
    assert page.count("data:audio/wav") >= 8
    assert (finished / "results" / "retrieval.html").is_file()


def test_a_run_without_sound_is_refused(avssl, clips, tmp_path):
    run = write_run(tmp_path / "run")
    result = avssl("evaluate", "retrieval", "--run", run, "--data", clips)
    assert result.status == 2
    assert "no space where picture and sound meet" in result.err
