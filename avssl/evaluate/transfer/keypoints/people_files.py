"""Reading annotated people: FLIC, MPII, LSP and COCO, in their published files.

    FLIC    examples.mat (struct of 29 joints, torso box, split), or train.h5 / valid.h5 with *_images.txt beside them
    MPII    mpii_human_pose_v1_u12_1.mat, or train.json / valid.json (lists of records) with gt_valid.mat for head boxes
    LSP     joints.mat (3 × 14 × people), or LSP-extended's (14 × 3 × people)
    COCO    person_keypoints_*.json

All but COCO count pixels from 1 (they were made in Matlab) and are shifted to 0 here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.evaluate.data.reading import import_h5py, read_json_of, read_text
from avssl.evaluate.transfer.keypoints.mpii import mpii_mat, mpii_records, structs
from avssl.evaluate.transfer.keypoints.people import People, Skeleton, joint_square, people_of, square, together
from avssl.system.console import counted

FLIC = Skeleton(
    "FLIC",
    (
        *("left shoulder", "left elbow", "left wrist", "right shoulder", "right elbow", "right wrist"),
        *("left hip", "right hip", "left eye", "right eye", "nose"),
    ),
    ((0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (0, 6), (3, 7), (6, 7), (8, 10), (9, 10)),
    torso=(0, 7),  # MODEC, eval_dataset.m: scale_by_parts = lsho, rhip
)
# Of the 29 columns of ``coords`` those that FLIC labels, in the order of ``FLIC.joints`` (MODEC, lookupPart.m)
FLIC_PLACES = (0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 16)

# Side of the square, in longer sides of the torso box: holds 99 % of the joints of the test part
FLIC_REACH = 2.5

LSP = Skeleton(
    "LSP",
    (
        *("right ankle", "right knee", "right hip", "left hip", "left knee", "left ankle", "right wrist"),
        *("right elbow", "right shoulder", "left shoulder", "left elbow", "left wrist", "neck", "head top"),
    ),
    (
        *((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (6, 7), (7, 8)),
        *((8, 12), (9, 12), (9, 10), (10, 11), (12, 13), (2, 8), (3, 9)),
    ),
    torso=(9, 2),
)
# Of LSP's 2,000 pictures the first thousand are trained on
LSP_TRAIN = 1000

# Side of the square, in longer sides of the person's box (COCO) or of the box about the joints (LSP)
BOX_SHARE = 1.25


def open_people(place: str | Path, pictures: str | Path | None = None) -> People:
    """The people of a file, or of the files of a folder that is laid out as published.

    Args:
        place: an annotation file, or a folder that holds one (or in ``annot/``, ``annotations/``); of a folder with a
            training and a validation file both are read, as splits "train" and "test".
        pictures: the folder of the pictures; else ``images/`` beside the file or one folder above it.

    Raises:
        UserError: no such file, none of these formats, damaged, or pictures are missing.
    """
    where = Path(place)
    files = [where] if where.is_file() else _find(where)
    parts = [_read(file, None if pictures is None else Path(pictures)) for file in files]
    for file, part in zip(files, parts, strict=True):
        if not len(part):
            raise UserError(f"{file} holds no person with annotated joints; give another file")
        _check_pictures(part, file)
    return parts[0] if len(parts) == 1 else together(parts, ["train", "test"])


def _find(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such file or folder of annotated people")
    for place in (folder, folder / "annot", folder / "annotations"):
        for name in ("examples.mat", "joints.mat"):
            if (place / name).is_file():
                return [place / name]
        if found := sorted(place.glob("mpii_human_pose*.mat")):
            return found[-1:]
        # Both files of one format, so that training and test part have the same joints.
        for pattern in ("{}.h5", "{}.json", "person_keypoints_{}.json", "person_keypoints_{}2017.json"):
            train = place / pattern.format("train")
            valid = [place / pattern.format(word) for word in ("valid", "val", "test")]
            there = [file for file in valid if file.is_file()][:1]
            if train.is_file() or there:
                return ([train] if train.is_file() else []) + there
        for name in ("annotations.json", "person_keypoints.json"):
            if (place / name).is_file():
                return [place / name]
        if found := sorted(place.glob("examples*.mat")):
            return found[:1]
    raise UserError(
        f"{folder} holds no annotations of FLIC (examples.mat, valid.h5), MPII (train.json, *.mat), LSP (joints.mat) "
        f"or COCO (person_keypoints*.json); name the file itself"
    )


def _read(file: Path, pictures: Path | None) -> People:
    try:
        if file.suffix == ".h5":
            return _flic_h5(file, pictures)
        if file.suffix == ".json":
            return _json(file, pictures)
        if file.suffix == ".mat":
            return _mat(file, pictures)
    except (KeyError, IndexError, TypeError, ValueError, OSError) as error:
        raise UserError(f"{file} cannot be read as annotated people ({type(error).__name__}: {error})") from None
    raise UserError(f"{file}: annotated people come as .mat, .json or .h5")


def _json(file: Path, pictures: Path | None) -> People:
    value = read_json_of(file, "annotated people")
    if isinstance(value, list):
        return mpii_records(value, partial(_folder, file, pictures), file)
    return _coco(value, file, pictures)


def _mat(file: Path, pictures: Path | None) -> People:
    from scipy.io import loadmat, whosmat

    names = {name for name, _, _ in whosmat(file)}
    if "joints" in names:
        return _lsp(loadmat(file)["joints"], file, pictures)
    if "examples" in names:
        return _flic_mat(structs(loadmat(file, simplify_cells=True)["examples"]), file, pictures)
    if "RELEASE" in names:
        return mpii_mat(loadmat(file, simplify_cells=True)["RELEASE"], partial(_folder, file, pictures))
    raise UserError(f"{file} holds {', '.join(sorted(names))}; wanted: examples (FLIC), joints (LSP) or RELEASE (MPII)")


def _flic_mat(examples: Sequence[Mapping[str, Any]], file: Path, pictures: Path | None) -> People:
    # Matlab counts pixels from 1, here and in the other .mat files
    joints = np.stack([np.asarray(one["coords"], float).T[list(FLIC_PLACES)] for one in examples]) - 1
    boxes = np.stack([np.asarray(one["torsobox"], float).ravel() for one in examples]) - 1
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    side = FLIC_REACH * (boxes[:, 2:] - boxes[:, :2]).max(1)
    names = [str(one["filepath"]) for one in examples]
    splits = ["train" if one["istrain"] else "test" if one["istest"] else None for one in examples]
    films = [str(one["moviename"]) for one in examples]
    folder = _folder(file, pictures, names)
    return people_of(FLIC, folder, names, joints, square(centre, side), groups=films, splits=splits)


def _flic_h5(file: Path, pictures: Path | None) -> People:
    h5py = import_h5py(file, "keypoints")
    listed = file.with_name(f"{file.stem}_images.txt")
    if not listed.is_file():
        raise UserError(f"{listed}, which names the pictures of {file.name}, is missing; copy it from the data set")
    names = read_text(listed, "a list of pictures").split()
    with h5py.File(file) as held:
        part, normalize = np.asarray(held["part"], float), np.asarray(held["normalize"], float)
        visible = np.asarray(held["visible"], float) if "visible" in held else np.ones(part.shape[:2])
        centre, scale = np.asarray(held["center"], float), np.asarray(held["scale"], float)
    if not len(names) == len(part) == len(normalize):
        raise UserError(
            f"{listed} names {counted(len(names), 'picture')}, {file.name} holds {counted(len(part), 'person')}"
        )
    joints = np.where((visible > 0)[..., None], part, np.nan) - 1
    films = [re.sub(r"-\d+\.\w+$", "", name) for name in names]
    boxes = square(centre - 1, 200 * scale)  # scale is in units of 200 px, as MPII's
    return people_of(FLIC, _folder(file, pictures, names), names, joints, boxes, groups=films, torso=normalize)


def _lsp(stored: NDArray[Any], file: Path, pictures: Path | None) -> People:
    if stored.shape[:2] == (14, 3):  # extended: joints that are not labelled are 0, 0, 0
        table = stored.transpose(2, 0, 1).astype(float)
        joints = np.where(table[..., 2:] > 0, table[..., :2], np.nan)
    elif stored.shape[:2] == (3, 14):  # all joints are labelled; the third row marks the hidden ones
        joints = stored.transpose(2, 1, 0)[..., :2].astype(float)
    else:
        raise UserError(f"{file}: joints is {stored.shape}; LSP's is 3 × 14 × people, LSP-extended's 14 × 3 × people")
    listed = file.with_name("images.txt")
    folder = pictures or file.parent / "images"
    names = (
        read_text(listed, "a list of pictures").split()
        if listed.is_file()
        else sorted(one.name for one in folder.glob("*.jpg"))
    )
    if len(names) != len(joints):
        raise UserError(
            f"{file} holds {counted(len(joints), 'person')}, but there are {counted(len(names), 'picture')} in {folder}"
        )
    splits: list[str | None] = [None] * len(names)
    lists = {word: file.with_name(f"{word}.txt") for word in ("train", "test")}
    if all(one.is_file() for one in lists.values()):
        marks = {name: word for word, one in lists.items() for name in read_text(one, "a list of pictures").split()}
        splits = [marks.get(name) for name in names]
    elif len(names) == 2 * LSP_TRAIN:
        splits = [*("train",) * LSP_TRAIN, *("test",) * LSP_TRAIN]
    joints = joints - 1
    boxes = joint_square(joints, BOX_SHARE)
    return people_of(LSP, _folder(file, pictures, names), names, joints, boxes, splits=splits)


def _coco(value: Mapping[str, Any], file: Path, pictures: Path | None) -> People:
    (person,) = [one for one in value["categories"] if "keypoints" in one]
    names = tuple(name.replace("_", " ") for name in person["keypoints"])
    torso = ("left shoulder", "right hip")
    pair = (names.index(torso[0]), names.index(torso[1])) if set(torso) <= set(names) else (0, 0)
    # COCO counts the joints of its limbs from 1
    skeleton = Skeleton("COCO", names, tuple((a - 1, b - 1) for a, b in person.get("skeleton", [])), pair)
    files = {one["id"]: one["file_name"] for one in value["images"]}
    # Every third value is a joint's visibility: 0 where it is not labelled; crowds have no joints
    known = [one for one in value["annotations"] if not one.get("iscrowd") and any(one.get("keypoints", [])[2::3])]
    table = np.array([one["keypoints"] for one in known], float).reshape(len(known), len(names), 3)
    joints = np.where(table[..., 2:] > 0, table[..., :2], np.nan)
    boxes = np.array([one["bbox"] for one in known], float).reshape(len(known), 4)
    side = BOX_SHARE * boxes[:, 2:].max(1, initial=1.0)
    placed = square(boxes[:, :2] + boxes[:, 2:] / 2 - 0.5, side)  # a box counts from the edge of the picture
    # Where joints are others than COCO's 17 no torso is known, and the pair (0, 0) would give a length of 0
    torsos = None if pair != (0, 0) else np.full(len(known), np.nan)
    shown = [files[one["image_id"]] for one in known]
    return people_of(skeleton, _folder(file, pictures, shown), shown, joints, placed, torso=torsos)


def _folder(file: Path, pictures: Path | None, names: Sequence[str]) -> Path:
    """Where the pictures of a file are: the folder given, or the first likely folder that holds the first of them."""
    if pictures is not None:
        return pictures
    subset = file.stem.rpartition("_")[2]  # COCO: person_keypoints_val2017 → val2017
    above = file.parent.parent
    likely = [file.parent / "images", above / "images", above / subset, above / "images" / subset, file.parent]
    return next((place for place in likely if names and (place / names[0]).is_file()), likely[0])


def _check_pictures(people: People, file: Path) -> None:
    missing = [name for name in dict.fromkeys(people.pictures) if not Path(name).is_file()]
    if missing:
        count = len(set(people.pictures))
        raise UserError(
            f"{len(missing)} of the {counted(count, 'picture')} of {file} cannot be found, such as {missing[0]}; "
            "name their folder with --pictures FOLDER"
        )
