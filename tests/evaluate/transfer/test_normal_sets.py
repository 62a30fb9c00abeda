"""Normals are read the same from every layout; what does not fit is reported in one line."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest
from made_surfaces import arrays, code, write_surfaces
from PIL import Image
from scipy.io import savemat

from avssl.errors import UserError
from avssl.evaluate.transfer.normals.angles import angles
from avssl.evaluate.transfer.normals.sets import open_normals, unit_normals


@pytest.fixture(scope="module")
def made():
    return arrays(4)


def _npz(folder, pictures, normals, valid):
    np.savez(folder / "all.npz", images=pictures, normals=normals, valid=valid)
    return folder / "all.npz"


def _npz_planes(folder, pictures, normals, valid):
    np.savez(folder / "all.npz", image=pictures.transpose(0, 3, 1, 2), norm=normals.transpose(0, 3, 1, 2))
    return folder / "all.npz"


def _mat(folder, pictures, normals, valid):
    turned = [one.transpose(1, 2, 3, 0) for one in (pictures, normals)]
    savemat(folder / "all.mat", {"images": turned[0], "normals": turned[1], "masks": valid.transpose(1, 2, 0)})
    return folder / "all.mat"


def _mat73(folder, pictures, normals, valid):
    """As MATLAB 7.3 writes (h, w, 3, n): HDF5 with the axes in reverse."""
    with h5py.File(folder / "all.mat", "w", userblock_size=512) as file:
        file["images"] = pictures.transpose(0, 3, 2, 1)
        file["normals"] = normals.transpose(0, 3, 2, 1)
        file["valid"] = valid.transpose(0, 2, 1).astype(np.uint8)
    with (folder / "all.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return folder / "all.mat"


@pytest.mark.parametrize("write", [_npz, _npz_planes, _mat, _mat73])
def test_arrays_are_read_whatever_the_order_of_their_axes(tmp_path, made, write):
    file = write(tmp_path, *made)
    savemat(tmp_path / "splits.mat", {"trainNdxs": [[1], [4]], "testNdxs": [[3]]})
    train, test = open_normals(file)
    assert (train.names, test.names) == (("0001", "0004"), ("0003",))
    for part, numbers in ((train, (0, 3)), (test, (2,))):
        for one, number in zip(part, numbers, strict=True):
            np.testing.assert_array_equal(one.picture, made[0][number].transpose(2, 0, 1))
            np.testing.assert_allclose(one.normals, made[1][number].transpose(2, 0, 1), atol=1e-6)
            np.testing.assert_array_equal(one.valid, made[2][number])


@pytest.mark.parametrize("kind", ["png", "npy", "mat", "planes.mat"])
def test_files_of_folders_are_read_whatever_their_kind(tmp_path, made, kind):
    for name in ("images", "normals", "valid"):
        (tmp_path / name).mkdir()
    for number, (picture, normals, valid) in enumerate(zip(*made, strict=True), 1):
        stem = f"{number:04d}"
        Image.fromarray(picture).save(tmp_path / "images" / f"{stem}.png")
        Image.fromarray(valid).save(tmp_path / "valid" / f"{stem}.png")
        if kind == "png":
            Image.fromarray(code(normals, valid)).save(tmp_path / "normals" / f"{stem}.png")
        elif kind == "npy":
            np.save(tmp_path / "normals" / f"{stem}.npy", normals)
        elif kind == "mat":
            savemat(tmp_path / "normals" / f"{stem}.mat", {"norm": normals})
        else:
            planes = dict(zip(("nx", "ny", "nz"), normals.transpose(2, 0, 1), strict=True))
            savemat(tmp_path / "normals" / f"{stem}.mat", planes)
    (tmp_path / "train.txt").write_text("0001\n0002\n")
    (tmp_path / "test.txt").write_text("0004.png\n")
    train, test = open_normals(tmp_path)
    assert (train.names, test.names) == (("0001", "0002"), ("0004",))
    truth = made[1][3].transpose(2, 0, 1)
    assert angles(test[0].normals, truth, test[0].valid).max() < 0.5  # of 8 bits
    np.testing.assert_array_equal(test[0].valid, made[2][3])


def test_pixels_without_truth_are_known_by_their_length_alone():
    coded = np.array([[128, 128, 128], [0, 0, 0], [255, 128, 128], [128, 128, 0]], np.uint8).T.reshape(3, 2, 2)
    vectors, valid = unit_normals(coded)
    assert valid.tolist() == [[False, False], [True, True]]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), [[0, 0], [1, 1]], atol=1e-6)
    broken = np.full((3, 1, 1), np.nan, np.float32)
    assert not unit_normals(broken)[1].any()


def test_sub_folders_are_parts_and_a_folder_without_parts_wants_a_test(tmp_path):
    folder = write_surfaces(tmp_path / "made")
    train, test = open_normals(folder)
    assert (len(train), len(test)) == (4, 2)
    train, test = open_normals(folder / "train", folder / "test")
    assert (len(train), len(test)) == (4, 2)
    with pytest.raises(UserError, match="has no parts"):
        open_normals(folder / "train")


def test_pictures_that_cannot_be_used_are_skipped_before_anything_is_learned(tmp_path):
    folder = write_surfaces(tmp_path / "made", train=6)
    there = folder / "train"
    (there / "0002_image.png").unlink()
    (there / "0003_image.png").write_text("no picture")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(there / "0004_valid.png")
    Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(there / "0005_image.png")
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(there / "0006_valid.png")
    train, _ = open_normals(folder)
    assert (train.names, train.listed) == (("0001",), 6)
    for line, reason in zip(
        train.passed_over,
        ("no picture beside it", "not an image", "(9, 9) pixels", "do not fit a picture", "no pixel with a normal"),
        strict=True,
    ):
        assert reason in line


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda f: f / "train" / "0001_image.png", "is no folder"),
        (lambda f: f.parent, "holds no normals"),
        (lambda f: _saved(f, images=_zeros(2)), "needs arrays 'images' and 'normals'; it has: images"),
        (
            lambda f: _saved(f, images=np.zeros((2, 4, 4, 3)), normals=np.zeros((3, 4, 4, 3))),
            "2 pictures and 3 normals",
        ),
        (lambda f: _saved(f, images=np.zeros((2, 4, 4)), normals=_zeros(2)), "not that of pictures"),
    ],
)
def test_what_does_not_fit_is_reported_in_one_line(tmp_path, spoil, line):
    place = spoil(write_surfaces(tmp_path / "made"))
    with pytest.raises(UserError, match=line) as error:
        open_normals(place)
    assert "\n" not in str(error.value)


def _zeros(count):
    return np.zeros((count, 4, 4, 3))


def _saved(folder, **arrays):
    np.savez(folder / "some.npz", **arrays)
    return folder / "some.npz"


def test_without_h5py_the_extra_is_named(tmp_path, made, monkeypatch):
    file = _mat73(tmp_path, *made)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match="pip install 'h5py"):
        open_normals(file)


@pytest.mark.realdata
def test_real_normals_are_as_far_from_facing_the_camera_as_their_readme_says(shared_data):
    kitchen, nyu = open_normals(shared_data / "normals" / "kinect", shared_data / "normals" / "nyu")
    assert (len(kitchen), nyu.names) == (6, ("0001", "1449"))
    facing = np.array([0, 0, 1], np.float32)[:, None, None]
    off = [angles(np.broadcast_to(facing, one.normals.shape), one.normals, one.valid).mean() for one in nyu]
    assert [round(float(value)) for value in off] == [37, 52]
    assert [round(100 * float(one.valid.mean())) for one in nyu] == [76, 64]
