"""Surface normals from the command line, on made pictures and on the real format."""

from __future__ import annotations

import json

import pytest
from made_surfaces import write_surfaces
from probe_media import write_run

TINY = ("--steps", 1, "--batch-size", 1, "--side", 48, "--width", 8, "--draws", 20)


def test_normals_writes_rows_and_a_sheet(avssl, tmp_path):
    run, data = write_run(tmp_path / "run"), write_surfaces(tmp_path / "data")
    result = avssl("evaluate", "normals", "--run", run, "--data", data, "-o", tmp_path / "out", *TINY)
    assert (result.status, result.err) == (0, "")
    rows = json.loads((tmp_path / "out" / "normals.json").read_text())
    assert {row["name"] for row in rows} == {"trained", "random", "blind/constant", "blind/mean-map", "gain"}
    assert {"angle-mean", "angle-median", "angle-rmse", "within-11.25", "within-22.5", "within-30"} <= {
        row["metric"] for row in rows
    }
    assert "only 2 pictures to draw from" in rows[0]["note"]
    assert (tmp_path / "out" / "normals.png").is_file()
    assert (run / "results" / "normals.json").is_file()
    assert "4 of 4 pictures with normals to learn from" in result.out


def test_fine_tuned_rows_with_centres_have_a_file_of_their_own(avssl, tmp_path):
    run, data = write_run(tmp_path / "run"), write_surfaces(tmp_path / "data")
    result = avssl("evaluate", "normals", "--run", run, "--data", data, "--finetune", "--clusters", 5, *TINY)
    assert (result.status, result.err) == (0, "")
    rows = json.loads((run / "results" / "normals-finetuned.json").read_text())
    assert rows[0]["note"].startswith("fine-tuned, 5 centres")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "needs --run RUN"),
        (("--run", "{run}"), "needs --data D"),
        (("--run", "{run}", "--data", "{data}", "--clusters", "1"), "--clusters (1) must be 0"),
        (("--run", "{run}", "--data", "{data}", "--side", "8"), "--side (8) must be at least 32"),
        (("--run", "{run}", "--data", "{data}/train"), "has no parts"),
        (("--run", "{run}", "--data", "{run}"), "holds no normals"),
        (("--run", "{run}", "--data", "{data}", "--rate", "0"), "--rate (0) must be more than 0"),
    ],
)
def test_what_is_wrong_is_reported_in_one_line(avssl, tmp_path, words, line):
    run, data = write_run(tmp_path / "run"), write_surfaces(tmp_path / "data")
    result = avssl("evaluate", "normals", *(word.format(run=run, data=data) for word in words))
    assert result.status == 2
    assert result.err.startswith("avssl: ")
    assert line in result.err
    assert result.err.count("\n") == 1


def test_help_says_which_layouts_are_read(avssl):
    result = avssl("evaluate", "normals", "--help")
    assert result.status == 0
    assert "NAME_normal.png" in result.out and "splits.mat" in result.out


@pytest.mark.realdata
def test_the_real_format_goes_from_end_to_end(avssl, shared_data, tmp_path):
    run, data = write_run(tmp_path / "run"), shared_data / "normals"
    result = avssl("evaluate", "normals", "--run", run, "--data", data / "kinect", "--test", data / "nyu", *TINY)
    assert (result.status, result.err) == (0, "")
    rows = json.loads((run / "results" / "normals.json").read_text())
    blind = next(row for row in rows if (row["name"], row["metric"]) == ("blind/constant", "angle-mean"))
    assert 30 < blind["value"] < 90
    assert (run / "results" / "normals.png").is_file()
