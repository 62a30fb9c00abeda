"""Detection from the command line, on made pictures and on the real formats."""

from __future__ import annotations

import json

import pytest
from made_boxes import write_coco, write_voc
from probe_media import write_run

TINY = ("--steps", 1, "--batch-size", 2, "--side", 64, "--anchors", "16,32", "--draws", 20)


@pytest.mark.parametrize("write", [write_voc, write_coco])
def test_detection_writes_rows_and_a_sheet(avssl, tmp_path, write):
    run, data = write_run(tmp_path / "run"), write(tmp_path / "data")
    result = avssl("evaluate", "detection", "--run", run, "--data", data, "-o", tmp_path / "out", *TINY)
    assert (result.status, result.err) == (0, "")
    rows = json.loads((tmp_path / "out" / "detection.json").read_text())
    assert {row["name"] for row in rows} == {"trained", "random", "blind", "gain"}
    assert {"ap", "ap50", "ap75", "voc07-map", "voc12-map"} <= {row["metric"] for row in rows}
    assert rows[0]["command"].startswith("avssl evaluate detection --run")
    assert (tmp_path / "out" / "detection.png").is_file()
    assert (run / "results" / "detection.json").is_file()
    assert "6 of 6 pictures to learn from" in result.out


def test_fine_tuned_rows_have_a_file_of_their_own(avssl, tmp_path):
    run, data = write_run(tmp_path / "run"), write_voc(tmp_path / "data")
    result = avssl("evaluate", "detection", "--run", run, "--data", data, "--finetune", "--stage", "conv1", *TINY)
    assert (result.status, result.err) == (0, "")
    rows = json.loads((run / "results" / "detection-finetuned.json").read_text())
    assert rows[0]["note"] == "fine-tuned, conv1, stride 2"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "needs --run RUN"),
        (("--run", "{run}"), "needs --data D"),
        (("--run", "{run}", "--data", "{data}", "--stage", "conv9"), "it has: conv1, conv2"),
        (("--run", "{run}", "--data", "{data}", "--anchors", "0,3"), "--anchors (0,3) must be more than 0"),
        (("--run", "{run}", "--data", "{data}", "--steps", "0"), "--steps (0) must be at least 1"),
        (("--run", "{run}", "--data", "{data}", "--encoder", "audio"), "is of sound"),
        (("--run", "{run}", "--data", "{run}"), "laid out neither as VOC"),
    ],
)
def test_what_is_wrong_is_reported_in_one_line(avssl, tmp_path, words, line):
    run, data = write_run(tmp_path / "run", "multi-task", ("vision", "audio")), write_voc(tmp_path / "data")
    result = avssl("evaluate", "detection", *(word.format(run=run, data=data) for word in words))
    assert result.status == 2
    assert result.err.startswith("avssl: ")
    assert line in result.err
    assert result.err.count("\n") == 1


def test_help_says_which_formats_are_read(avssl):
    result = avssl("evaluate", "detection", "--help")
    assert result.status == 0
    assert "ImageSets/Main" in result.out and "instances_*.json" in result.out


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "classes"), [("voc_bccd", 3), pytest.param("coco", 67, marks=pytest.mark.slow)])
def test_the_real_formats_go_from_end_to_end(avssl, shared_data, tmp_path, name, classes):
    run, data = write_run(tmp_path / "run"), shared_data / "detection" / name
    words = ("--steps", 1, "--batch-size", 1, "--side", 64, "--anchors", "16,32", "--draws", 10)
    result = avssl("evaluate", "detection", "--run", run, "--data", data, *words)
    assert (result.status, result.err) == (0, "")
    assert f"of {classes} classes" in result.out
    assert (run / "results" / "detection.png").is_file()
