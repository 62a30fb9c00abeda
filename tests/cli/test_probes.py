"""The probes from the command line, on tiny pictures and sounds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from probe_media import write_pictures, write_run, write_sounds

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder / "train", each=15)
    write_pictures(folder / "test", each=6, seed=1)
    return folder


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    return write_sounds(tmp_path_factory.mktemp("sounds"), each=6)


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> Path:
    """A run of several tasks, one of which also hears."""
    return write_run(
        tmp_path_factory.mktemp("runs") / "several",
        "multi-task",
        ("vision", "vision-jigsaw", "vision-rotation", "audio"),
    )


def _rows(place: Path) -> dict[str, dict]:
    return {row["name"]: row for row in json.loads(place.read_text())}


@pytest.mark.parametrize("protocol", ["knn", "linear", "svm"])
def test_a_probe_writes_rows_and_the_curve_over_depth(avssl, pictures, several, tmp_path, protocol):
    flags = ("--iterations", 10) if protocol == "linear" else ("--costs", "1") if protocol == "svm" else ()
    result = avssl("evaluate", protocol, "--run", several, "--data", pictures, "-o", tmp_path, *flags)
    assert (result.status, result.err) == (0, "")
    rows = _rows(tmp_path / f"{protocol}.json")
    assert {"trained/conv1", "random/conv2", "trained", "random", "pixels", "gain", "drop", "majority"} <= set(rows)
    assert rows["trained"]["n"] == 18
    assert rows["trained"]["chance"] == pytest.approx(1 / 3)
    assert rows["trained/conv1"] != rows["random/conv1"]
    assert rows["pixels"]["value"] > 0.6
    assert (tmp_path / f"{protocol}.png").is_file()
    assert (several / "results" / f"{protocol}.json").is_file()
    assert "encoder vision of" in result.out


def test_low_shot_counts_labels(avssl, pictures, several, tmp_path):
    words = ("--shots", "1,4", "--samples", 2, "--stages", "conv2")
    result = avssl("evaluate", "low-shot", "--run", several, "--data", pictures, "-o", tmp_path, *words)
    assert (result.status, result.err) == (0, "")
    rows = json.loads((tmp_path / "low-shot.json").read_text())
    assert {row["name"] for row in rows} == {"trained/conv2", "random/conv2", "pixels"}
    few = {"accuracy-1-a-class", "accuracy-4-a-class"}
    assert {row["metric"] for row in rows} == few | {f"balanced-{metric}" for metric in few}


def test_sounds_are_heard_by_the_audio_encoder_in_folds_beside_mfccs(avssl, sounds, several, tmp_path):
    words = ("--folds", "fold", "--views", 2, "--iterations", 10)
    result = avssl("evaluate", "linear", "--run", several, "--data", sounds, "-o", tmp_path, *words)
    assert (result.status, result.err) == (0, "")
    rows = _rows(tmp_path / "linear.json")
    assert rows["trained"]["n"] == 12
    assert rows["mfcc"]["value"] == 1.0
    assert "encoder audio of" in result.out


def test_the_encoder_of_one_task_of_several_and_another_run_beside(avssl, pictures, several, tmp_path):
    other = write_run(tmp_path / "other")
    words = ("--encoder", "vision-jigsaw", "--beside", other, "--k", "3")
    result = avssl("evaluate", "knn", "--run", several, "--data", pictures, "-o", tmp_path, *words)
    assert (result.status, result.err) == (0, "")
    assert {"trained/conv1", "other/conv1"} <= set(_rows(tmp_path / "knn.json"))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("knn",),
            "needs --run RUN, the folder of a finished run; or --encoder timm:NAME, torchvision:NAME or FILE.onnx",
        ),
        (("linear", "--run", "{run}"), "needs --data D"),
        (("linear", "--run", "{run}", "--data", "{data}", "--encoder", "vison"), "did you mean 'vision'?"),
        (("linear", "--run", "{run}", "--data", "{data}", "--stages", "conv9"), "it has: conv1, conv2"),
        (("linear", "--run", "nowhere", "--data", "{data}"), "nowhere is no folder"),
        (
            ("svm", "--run", "{run}", "--data", "{data}", "--test", "a", "--folds", "b"),
            "give one of --test and --folds",
        ),
        (("knn", "--run", "{run}", "--data", "{data}", "--folds", "fold"), "is no CSV"),
        (("knn", "--run", "{run}", "--data", "{data}", "--pool", "median"), "--pool needs one of max, average"),
        (("low-shot", "--run", "{run}", "--data", "{data}", "--shots", "500"), "has only 15 items"),
    ],
)
def test_what_is_wrong_is_reported_in_one_line(avssl, pictures, several, words, line):
    result = avssl("evaluate", *(word.format(run=several, data=pictures) for word in words))
    assert result.status == 2
    assert result.err.startswith("avssl: ")
    assert line in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("protocol", ["knn", "linear", "svm", "low-shot"])
def test_help_says_what_a_probe_does(avssl, protocol):
    result = avssl("evaluate", protocol, "--help")
    assert result.status == 0
    assert f"avssl evaluate {protocol}" in result.out
    assert "--folds" in result.out


def test_finetune_stands_beside_the_same_network_from_scratch(avssl, pictures, several, tmp_path):
    words = ("--steps", 2, "--batch-size", 4, "--labels", "2,0")
    result = avssl("evaluate", "finetune", "--run", several, "--data", pictures, "-o", tmp_path, *words)
    assert (result.status, result.err) == (0, "")
    rows = json.loads((tmp_path / "finetune.json").read_text())
    assert {row["name"] for row in rows} == {"trained", "random", "gain", "majority"}
    assert (tmp_path / "finetune.png").is_file()
    assert avssl("evaluate", "finetune", "--help").status == 0


def test_finetune_of_sounds_stands_beside_mfccs(avssl, sounds, several, tmp_path):
    words = ("--steps", 2, "--batch-size", 4, "--folds", "fold", "--moments", 1)
    result = avssl("evaluate", "finetune", "--run", several, "--data", sounds, "-o", tmp_path, *words)
    assert (result.status, result.err) == (0, "")
    assert {"trained", "random", "mfcc"} <= set(_rows(tmp_path / "finetune.json"))
