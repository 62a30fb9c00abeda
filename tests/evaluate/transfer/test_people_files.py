"""Each published form of annotated people is read as it is meant: origin, missing joints, boxes, units, splits."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from made_people import structs, write_people
from PIL import Image
from scipy.io import savemat

from avssl.errors import UserError
from avssl.evaluate.transfer.keypoints.people import divide
from avssl.evaluate.transfer.keypoints.people_files import FLIC, FLIC_PLACES, open_people

NAN = math.nan


def _pictures(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (40, 30)).save(folder / name)


def _missing(people, person: int) -> list[int]:
    return np.flatnonzero(np.isnan(people.joints[person, :, 0])).tolist()


# --- FLIC -------------------------------------------------------------------------------------------------------


def test_flic_as_published(tmp_path):
    _pictures(tmp_path / "images", "a-1.jpg", "a-2.jpg", "b-7.jpg")
    rows = []
    for k, name in enumerate(("a-1.jpg", "a-2.jpg", "b-7.jpg")):
        coords = np.full((2, 29), NAN)
        coords[:, list(FLIC_PLACES)] = np.arange(22).reshape(11, 2).T + 1
        if k == 2:
            coords[:, 16] = NAN  # no nose
        rows.append(
            {
                "poselet_hit_idx": np.zeros((1, 0)),
                "moviename": name[0],
                "coords": coords,
                "filepath": name,
                "imgdims": [[30.0, 40.0, 3.0]],
                "currframe": k,
                "torsobox": [[11.0, 6.0, 21.0, 26.0]],
                "istrain": int(k < 2),
                "istest": int(k == 2),
            }
        )
    savemat(tmp_path / "examples.mat", {"examples": structs(rows)})
    people = open_people(tmp_path)
    assert people.skeleton is FLIC
    np.testing.assert_array_equal(people.joints[0, 1], [2, 3])  # counted from 0
    assert _missing(people, 2) == [10]
    np.testing.assert_allclose(people.boxes[0], [15.5 - 25, 15.5 - 25, 50])  # centre (15, 15) from 0, 2.5 × 20
    np.testing.assert_allclose(people.torso[0], math.hypot(14, 14))  # left shoulder to right hip
    assert people.groups == ("a", "a", "b")
    train, test, how = divide(people)
    assert (train.tolist(), test.tolist(), how) == ([0, 1], [2], "the data set's own split")


def test_flic_of_one_person_is_read_too(tmp_path):
    _pictures(tmp_path / "images", "a-1.jpg")
    row = {
        "moviename": "a", "coords": np.ones((2, 29)), "filepath": "a-1.jpg", "torsobox": [[1, 1, 9, 9]],
        "istrain": 1, "istest": 0,
    }  # fmt: skip
    savemat(tmp_path / "examples.mat", {"examples": structs([row])})
    assert len(open_people(tmp_path)) == 1


def _write_h5(folder: Path, name: str, names: list[str]) -> None:
    count = len(names)
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file["part"] = np.arange(count * 22, dtype=float).reshape(count, 11, 2) + 1
        file["visible"] = np.where(np.arange(11) == 4, 0.0, 1.0)[None].repeat(count, 0)
        file["center"], file["scale"] = np.full((count, 2), 16.0), np.full(count, 0.1)
        file["normalize"] = np.full(count, 7.0)
    (folder / f"{name}_images.txt").write_text("\n".join(names) + "\n")


def test_flic_as_prepared_in_hdf5(tmp_path):
    _pictures(tmp_path / "images", "one-01.jpg", "one-02.jpg", "two-01.jpg")
    _write_h5(tmp_path, "train", ["one-01.jpg", "one-02.jpg"])
    _write_h5(tmp_path, "valid", ["two-01.jpg"])
    people = open_people(tmp_path)
    assert people.splits == ("train", "train", "test")
    assert people.groups == ("one", "one", "two")
    np.testing.assert_array_equal(people.torso, [7, 7, 7])
    np.testing.assert_array_equal(people.joints[0, 0], [0, 1])
    assert _missing(people, 0) == [4]
    np.testing.assert_allclose(people.boxes[0], [5.5, 5.5, 20])


def test_without_h5py_the_way_out_is_named(tmp_path, monkeypatch):
    _write_h5(tmp_path, "valid", ["one-01.jpg"])
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match="pip install 'h5py"):
        open_people(tmp_path)


# --- MPII -------------------------------------------------------------------------------------------------------


def _record(image: str, joints: np.ndarray, seen: np.ndarray) -> dict:
    return {
        "image": image, "joints": joints.tolist(), "joints_vis": seen.tolist(), "center": [101.0, 81.0], "scale": 0.5,
    }  # fmt: skip


def test_mpii_records_with_head_boxes_beside_them(tmp_path):
    _pictures(tmp_path / "images", "a.jpg", "b.jpg")
    (tmp_path / "annot").mkdir()
    joints = np.arange(32, dtype=float).reshape(16, 2) + 1
    seen = np.ones(16, int)
    seen[0] = 0
    records = [
        _record("a.jpg", np.where(seen[:, None] > 0, joints, -1), seen),
        _record("b.jpg", joints, np.ones(16, int)),
    ]
    (tmp_path / "annot" / "valid.json").write_text(json.dumps(records))
    people = open_people(tmp_path)
    assert np.isnan(people.head).all()
    assert _missing(people, 0) == [0]
    np.testing.assert_array_equal(people.joints[0, 1], [2, 3])
    np.testing.assert_allclose(people.boxes[0], [100.5 - 62.5, 80.5 + 7.5 - 62.5, 125])

    boxes = np.zeros((2, 2, 2))
    boxes[1, :, 0], boxes[1, :, 1] = (30, 40), (6, 8)
    truth = np.stack([joints, joints], axis=2)
    savemat(tmp_path / "annot" / "gt_valid.mat", {"headboxes_src": boxes, "pos_gt_src": truth, "jnt_missing": 1 - seen})
    people = open_people(tmp_path)
    np.testing.assert_allclose(people.head, [50, 10])
    assert [people.skeleton.joints[k] for k in range(16) if k not in people.skeleton.evaluated] == ["pelvis", "thorax"]

    savemat(tmp_path / "annot" / "gt_valid.mat", {"headboxes_src": boxes, "pos_gt_src": truth + 50})
    with pytest.raises(UserError, match="holds other people"):
        open_people(tmp_path)


def _person(points: list[tuple[int, float, float]], **more) -> dict:
    """A row of annorect; what was not annotated is an empty array, as in the published file."""
    nothing = np.zeros((0, 0))
    found = [{"x": x, "y": y, "id": k, "is_visible": nothing if k in (8, 9) else str(k % 2)} for k, x, y in points]
    made = {
        "x1": 11.0, "y1": 21.0, "x2": 41.0, "y2": 61.0, "scale": 1.0, "objpos": structs([{"x": 101.0, "y": 91.0}]),
        "annopoints": structs([{"point": structs(found)}]) if found else nothing,
    }  # fmt: skip
    return made | more


def test_mpii_as_published(tmp_path):
    """Laid out as the data set's page describes its struct RELEASE; the file itself was not at hand."""
    _pictures(tmp_path / "images", "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    both = [(2, 11.0, 12.0), (13, 14.0, 16.0), (6, 5.0, 5.0)]
    nothing = np.zeros((0, 0))
    annolist = [
        {"annorect": structs([_person(both), _person(both[:2])]), "vidx": 3},
        {"annorect": structs([_person([(9, 31.0, 32.0)])]), "vidx": 4},
        {"annorect": nothing, "vidx": 5},
        {"annorect": structs([{"scale": 1.0, "objpos": structs([{"x": 1.0, "y": 1.0}])}]), "vidx": 6},
        {"annorect": structs([_person([]), _person(both, objpos=nothing), _person(both, scale=nothing)]), "vidx": 7},
    ]
    names = ["a.jpg", "b.jpg", "c.jpg", "hidden.jpg", "d.jpg"]
    for name, row in zip(names, annolist, strict=True):
        row["image"] = structs([{"name": name}])
    release = {"annolist": structs(annolist), "img_train": np.array([[1, 1, 1, 0, 1]]), "version": "12"}
    savemat(tmp_path / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": structs([release])})
    people = open_people(tmp_path)
    assert [Path(name).name for name in people.pictures] == ["a.jpg", "a.jpg", "b.jpg"]
    assert people.groups == ("3", "3", "4")
    np.testing.assert_array_equal(people.joints[0, [2, 13, 6]], [[10, 11], [13, 15], [4, 4]])
    assert len(_missing(people, 0)) == 13
    np.testing.assert_allclose(people.head, 50)
    np.testing.assert_allclose(people.torso, [5, 5, NAN])
    np.testing.assert_allclose(people.boxes[0], [100.5 - 125, 90.5 + 15 - 125, 250])


# --- LSP, COCO --------------------------------------------------------------------------------------------------


def test_lsp_and_its_extension_are_distinguished(tmp_path):
    for name in ("lsp", "extended"):
        _pictures(tmp_path / name / "images", "im1.jpg", "im2.jpg")
    places = np.arange(56, dtype=float).reshape(2, 14, 2) + 1
    hidden = np.zeros((2, 14, 1))
    hidden[0, 3] = 1  # in LSP the third row says what is hidden: such joints are annotated all the same
    lsp = np.concatenate([places, hidden], axis=2).transpose(2, 1, 0)
    savemat(tmp_path / "lsp" / "joints.mat", {"joints": lsp})
    people = open_people(tmp_path / "lsp")
    assert _missing(people, 0) == []
    np.testing.assert_array_equal(people.joints[1], places[1] - 1)

    seen = np.where(hidden > 0, 0, 1)  # in its extension what is labelled
    extended = np.concatenate([places * seen, seen], axis=2).transpose(1, 2, 0)
    savemat(tmp_path / "extended" / "joints.mat", {"joints": extended})
    (tmp_path / "extended" / "images.txt").write_text("im2.jpg\nim1.jpg\n")
    (tmp_path / "extended" / "train.txt").write_text("im1.jpg\n")
    (tmp_path / "extended" / "test.txt").write_text("im2.jpg\n")
    people = open_people(tmp_path / "extended" / "joints.mat")
    assert _missing(people, 0) == [3]
    assert [Path(name).name for name in people.pictures] == ["im2.jpg", "im1.jpg"]
    assert people.splits == ("test", "train")
    low, high = people.in_box[1].min(), people.in_box[1].max()
    np.testing.assert_allclose((low, high), (0.1, 0.9))  # the square is a quarter larger than what the joints span


def test_coco_counts_pixels_from_0_and_boxes_from_the_edge(tmp_path):
    file = write_people(tmp_path, 4)
    found = json.loads(file.read_text())
    found["annotations"][1]["iscrowd"] = 1
    found["annotations"][2]["keypoints"] = [0] * 15
    found["annotations"][0] |= {"bbox": [10, 20, 8, 16], "keypoints": [12, 24, 2, 0, 0, 0, 1, 2, 1, 12, 34, 2, 0, 0, 0]}
    file.write_text(json.dumps(found))
    people = open_people(file)
    assert len(people) == 2
    np.testing.assert_array_equal(people.joints[0, [0, 2]], [[12, 24], [1, 2]])
    assert _missing(people, 0) == [1, 4]
    np.testing.assert_allclose(people.boxes[0], [14 - 10, 28 - 10, 20])
    np.testing.assert_allclose(people.torso[0], 10)
    assert people.skeleton.mirrored == [1, 0, 3, 2, 4]


# --- what goes wrong --------------------------------------------------------------------------------------------


def test_what_is_wrong_with_a_file_is_reported(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        open_people(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no annotations of FLIC \(examples.mat"):
        open_people(tmp_path)
    (tmp_path / "x.csv").write_text("a")
    with pytest.raises(UserError, match=r"come as \.mat, \.json or \.h5"):
        open_people(tmp_path / "x.csv")
    savemat(tmp_path / "y.mat", {"other": 1})
    with pytest.raises(UserError, match="holds other; wanted: examples"):
        open_people(tmp_path / "y.mat")
    (tmp_path / "z.json").write_text('[{"image": "a.jpg"}]')
    with pytest.raises(UserError, match="cannot be read as annotated people"):
        open_people(tmp_path / "z.json")
    (tmp_path / "empty.json").write_text("[]")
    with pytest.raises(UserError, match="holds no person"):
        open_people(tmp_path / "empty.json")


def test_missing_pictures_are_counted(tmp_path):
    file = write_people(tmp_path, 4)
    (tmp_path / "images" / "0-002.png").unlink()
    with pytest.raises(UserError, match=r"1 of the 4 pictures .*0-002.png; .*--pictures"):
        open_people(file)


# --- real files -------------------------------------------------------------------------------------------------


@pytest.mark.realdata
def test_real_lsp_extended(shared_data):
    people = open_people(shared_data / "keypoints" / "lsp_extended")
    train, test, _ = divide(people)
    assert (len(people), len(train), len(test)) == (100, 75, 25)
    assert np.isfinite(people.joints[..., 0]).mean() == pytest.approx(0.95, abs=0.01)


@pytest.mark.realdata
def test_real_mpii_records(shared_data):
    people = open_people(shared_data / "keypoints" / "mpii")
    assert len(people) == 5
    assert np.isfinite(people.torso).any()
    inside = people.in_box[np.isfinite(people.joints[..., 0])]
    assert ((inside > 0) & (inside < 1)).mean() > 0.95


@pytest.mark.realdata
def test_real_coco(shared_data):
    people = open_people(shared_data / "keypoints" / "coco")
    assert len(people) == 12
    inside = people.in_box[np.isfinite(people.joints[..., 0])]
    assert ((inside > 0) & (inside < 1)).all()


@pytest.mark.realdata
def test_real_flic_in_both_forms_gives_the_same_joints(shared_data, tmp_path):
    folder = shared_data / "keypoints" / "flic"
    for name in (folder / "valid_images.txt").read_text().split():
        (tmp_path / name).touch()  # the pictures are not to be had; here only the annotations are read
    prepared = open_people(folder / "valid.h5", tmp_path)
    published = open_people(folder / "examples_excerpt.mat", tmp_path)
    assert (len(prepared), len(published)) == (1016, 120)
    assert set(published.splits) == {"test"}
    assert len(set(prepared.groups)) == 30  # films
    places = {
        (name, *joints.ravel()): k
        for k, (name, joints) in enumerate(zip(prepared.pictures, prepared.joints, strict=True))
    }
    same = [places[(name, *joints.ravel())] for name, joints in zip(published.pictures, published.joints, strict=True)]
    assert len(set(same)) == 120
    assert np.mean(prepared.torso[same] / published.torso) == pytest.approx(1, abs=0.05)
    inside = published.in_box
    assert ((inside > 0) & (inside < 1)).all(-1).mean() > 0.98
