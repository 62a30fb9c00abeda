"""``avssl evaluate keypoints`` on made people, and end to end on the real forms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_people import draw_dots, write_people
from PIL import Image
from probe_media import write_run
from scipy.io import savemat

FEW = ("--steps", 2, "--batch-size", 4, "--width", 8, "--rates", "1e-2")


@pytest.fixture(scope="module")
def a_run(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "rotation", names=("vision", "audio"))


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    write_people(folder, 12)
    return write_people(folder, 5, seed=1, name="test.json").parent


def _rows(place: Path) -> dict[tuple[str, str], dict]:
    return {(row["name"], row["metric"]): row for row in json.loads(place.read_text())}


def test_rows_and_picture_are_written(avssl, a_run, people, tmp_path):
    words = ("--data", people / "person_keypoints.json", "--test", people / "test.json", "-o", tmp_path, *FEW)
    result = avssl("evaluate", "keypoints", "--run", a_run, *words)
    assert (result.status, result.err) == (0, "")
    rows = _rows(tmp_path / "keypoints.json")
    assert {("trained", "pck@0.2"), ("random", "pck@0.2"), ("mean-pose", "pck@0.2")} <= set(rows)
    row = rows["trained", "pck@0.2"]
    assert row["n"] == 5
    assert row["command"].startswith("avssl evaluate keypoints --run")
    assert Image.open(tmp_path / "keypoints.png").width > 600
    assert (a_run / "results" / "keypoints.json").is_file()
    assert "17 people of COCO: 12 for training, 5 evaluated, the data set's own split" in result.out


def test_fine_tuning_has_results_of_its_own(avssl, a_run, people, tmp_path):
    words = ("--data", people / "test.json", "-o", tmp_path, "--finetune", "--side", 48, *FEW)
    result = avssl("evaluate", "keypoints", "--run", a_run, *words)
    assert (result.status, result.err) == (0, "")
    rows = _rows(tmp_path / "keypoints-finetuned.json")
    assert rows["trained", "pck@0.2"]["protocol"] == "keypoints, fine-tuned, 2 steps, 48 px"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "needs --run RUN"),
        (("--run", "{run}"), "needs --data D"),
        (("--run", "{run}", "--data", "{people}", "--encoder", "audio"), "--encoder audio is of sound"),
        (("--run", "{run}", "--data", "{people}", "--unit", "legs"), "--unit needs one of torso, head"),
        (("--run", "{run}", "--data", "{people}", "--unit", "head"), "has a head box"),
        (("--run", "{run}", "--data", "{people}", "--alpha", "0.123"), "must be a multiple of 0.01"),
        (("--run", "{run}", "--data", "{people}", "--stages", "conv9", "--steps", "1"), "it has: conv1, conv2"),
        (("--run", "{run}", "--data", "{run}"), "holds no annotations of FLIC"),
        (("--run", "{run}", "--data", "{people}", "--pictures", "nowhere"), "pictures"),
    ],
)
def test_what_is_wrong_is_reported_in_one_line(avssl, a_run, people, words, line):
    result = avssl("evaluate", "keypoints", *(word.format(run=a_run, people=people) for word in words))
    assert result.status == 2
    assert result.err.startswith("avssl: ")
    assert line in result.err
    assert result.err.count("\n") == 1


def test_help_names_the_formats(avssl):
    result = avssl("evaluate", "keypoints", "--help")
    assert result.status == 0
    assert "gt_valid.mat" in result.out


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "evaluated", "metric"), [("lsp_extended", 25, "pck@0.2"), ("coco", None, "pck@0.2")])
def test_real_people_end_to_end(avssl, a_run, shared_data, tmp_path, name, evaluated, metric):
    words = ("--data", shared_data / "keypoints" / name, "-o", tmp_path, *FEW)
    result = avssl("evaluate", "keypoints", "--run", a_run, *words)
    assert (result.status, result.err) == (0, "")
    row = _rows(tmp_path / "keypoints.json")["trained", metric]
    assert evaluated is None or row["n_listed"] == evaluated
    assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1


@pytest.mark.realdata
def test_real_mpii_end_to_end_with_head_boxes_about_neck_and_head_top(avssl, a_run, shared_data, tmp_path):
    """The records have no head boxes; here the line from neck to head top is taken for the diagonal."""
    folder = shared_data / "keypoints" / "mpii"
    records = json.loads((folder / "annotations.json").read_text())
    (tmp_path / "valid.json").write_text(json.dumps(records))
    joints = np.array([one["joints"] for one in records], float)
    corners = joints[:, [8, 9]].transpose(1, 2, 0)
    savemat(tmp_path / "gt_valid.mat", {"headboxes_src": corners, "pos_gt_src": joints.transpose(1, 2, 0)})
    words = ("--data", tmp_path / "valid.json", "--pictures", folder / "images", "-o", tmp_path, *FEW)
    result = avssl("evaluate", "keypoints", "--run", a_run, *words)
    assert (result.status, result.err) == (0, "")
    rows = _rows(tmp_path / "keypoints.json")
    assert rows["trained", "pckh@0.5"]["n"] == 2
    assert not any("pelvis" in name or "thorax" in name for name, _ in rows)


@pytest.mark.realdata
def test_real_flic_joints_on_made_pictures_end_to_end(avssl, a_run, shared_data, tmp_path):
    """FLIC's pictures are not to be had: dots are drawn where its joints are."""
    from avssl.evaluate.transfer.keypoints.people_files import open_people

    file = shared_data / "keypoints" / "flic" / "examples_excerpt.mat"
    for name in (file.parent / "valid_images.txt").read_text().split():
        (tmp_path / name).touch()
    people = open_people(file, tmp_path)
    colours = [tuple(np.random.default_rng(k).integers(60, 255, 3).tolist()) for k in range(11)]
    drawn: dict[str, Image.Image] = {}
    for name, joints in zip(people.pictures, people.joints, strict=True):
        before = np.asarray(drawn[name]) if name in drawn else np.zeros((480, 720, 3), np.uint8)
        drawn[name] = draw_dots(before, joints, colours, radius=9)
    for name, picture in drawn.items():
        picture.save(name, quality=80)
    result = avssl(
        "evaluate", "keypoints", "--run", a_run, "--data", file, "--pictures", tmp_path, "-o", tmp_path, *FEW
    )
    assert (result.status, result.err) == (0, "")
    row = _rows(tmp_path / "keypoints.json")["trained", "pck@0.2"]
    assert row["unit"] == "group"  # people of one film are not independent
    assert "groups held out" in result.out
