"""MPII Human Pose: the annotations as published (Matlab), and the JSON records commonly used for training.

Andriluka, Pishchulin, Gehler & Schiele (CVPR 2014). Pixels count from 1. Head boxes, which PCKh needs, are in the
Matlab file; for the records they come from ``gt_valid.mat`` (``gt_NAME.mat`` beside ``NAME.json``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avssl.errors import UserError
from avssl.evaluate.transfer.keypoints.people import Floats, People, Skeleton, people_of, square

MPII = Skeleton(
    "MPII",
    (
        *("right ankle", "right knee", "right hip", "left hip", "left knee", "left ankle", "pelvis", "thorax"),
        *("upper neck", "head top", "right wrist", "right elbow", "right shoulder", "left shoulder", "left elbow"),
        "left wrist",
    ),
    (
        *((0, 1), (1, 2), (2, 6), (3, 6), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9)),
        *((10, 11), (11, 12), (7, 12), (7, 13), (13, 14), (14, 15)),
    ),
    torso=(13, 2),
    # Joints 6 and 7 are left out by MPII's own figures (lib/dataset/mpii.py)
    left_out=("pelvis", "thorax"),
)

# ``scale`` is the height of the person in units of so many pixels
SCALE_PIXELS = 200

# The square is a quarter larger than the person, and its centre 15 scales lower, so that no foot is cut off
# (microsoft/human-pose-estimation.pytorch, lib/dataset/mpii.py).
REACH, DOWN = 1.25, 15


def mpii_records(records: Sequence[Mapping[str, Any]], folder: Callable[[Sequence[str]], Path], file: Path) -> People:
    """People of a list of records: joints (16 × 2), joints_vis, center, scale, image.

    ``folder`` gives that of the pictures by their names; ``gt_NAME.mat`` beside the JSON file holds the head boxes.

    Raises:
        UserError: ``gt_NAME.mat`` is of other people.
    """
    joints = np.array([one["joints"] for one in records], float).reshape(len(records), 16, 2)
    seen = np.array([one["joints_vis"] for one in records], float).reshape(len(records), 16) > 0
    joints = np.where(seen[..., None], joints, np.nan) - 1
    centre = np.array([one["center"] for one in records], float).reshape(len(records), 2)
    scale = np.array([one["scale"] for one in records], float)
    names = [str(one["image"]) for one in records]
    boxes = _squares(centre, scale)
    return people_of(MPII, folder(names), names, joints, boxes, head=_head_boxes(file, joints))


def mpii_mat(release: Mapping[str, Any], folder: Callable[[Sequence[str]], Path]) -> People:
    """People of the training pictures of the published Matlab file that have joints, a scale and a position.

    ``release`` is the struct RELEASE as dicts and lists; ``folder`` gives that of the pictures by their names.
    """
    names: list[str] = []
    videos: list[str] = []
    joints: list[Floats] = []
    places: list[tuple[float, float, float, float]] = []
    for picture, trains in zip(structs(release["annolist"]), np.atleast_1d(release["img_train"]), strict=True):
        if not trains:
            continue  # the joints of the test pictures were never published
        for person in structs(picture["annorect"]):
            points = person.get("annopoints")
            if not isinstance(points, Mapping) or not _known(person.get("scale")) or not _known(person.get("objpos")):
                continue
            where = np.full((16, 2), np.nan)
            for point in structs(points["point"]):
                where[int(point["id"])] = point["x"], point["y"]
            corners = [float(person[name]) if _known(person.get(name)) else np.nan for name in ("x1", "y1", "x2", "y2")]
            diagonal = float(np.hypot(corners[2] - corners[0], corners[3] - corners[1]))
            position = person["objpos"]
            places.append((float(position["x"]), float(position["y"]), float(person["scale"]), diagonal))
            joints.append(where - 1)
            names.append(str(picture["image"]["name"]))
            videos.append(str(picture["vidx"]) if _known(picture.get("vidx")) else names[-1])
    table = np.array(places, float).reshape(len(places), 4)
    stacked = np.array(joints, float).reshape(len(joints), 16, 2)
    boxes = _squares(table[:, :2], table[:, 2])
    return people_of(MPII, folder(names), names, stacked, boxes, groups=videos, head=table[:, 3])


def structs(value: Any) -> list[Mapping[str, Any]]:
    """A struct array of Matlab: of one element it reads back as that, of none as an empty array."""
    return [value] if isinstance(value, Mapping) else [one for one in value if isinstance(one, Mapping)]


def _squares(centre: Floats, scale: Floats) -> Floats:
    lower = centre - 1 + np.stack([np.zeros_like(scale), DOWN * scale], axis=1)
    return square(lower, SCALE_PIXELS * REACH * scale)


def _head_boxes(file: Path, joints: Floats) -> Floats:
    truth = file.with_name(f"gt_{file.stem}.mat")
    if not truth.is_file():
        return np.full(len(joints), np.nan)
    from scipy.io import loadmat

    held = loadmat(truth)
    boxes = np.asarray(held["headboxes_src"], float)  # 2 corners × 2 coordinates × people
    theirs = np.asarray(held["pos_gt_src"], float).transpose(2, 0, 1) - 1
    # Both were written from the same joints: a median difference of more than a pixel is no rounding.
    if len(theirs) != len(joints) or np.nanmedian(np.abs(theirs - joints)) > 1:
        raise UserError(f"{truth} holds other people than {file}; it must hold the same, in the same order")
    return np.asarray(np.linalg.norm(boxes[1] - boxes[0], axis=0))


def _known(value: Any) -> bool:
    """Whether a field of a struct was filled in: in Matlab what is not known is an empty array."""
    return value is not None and (isinstance(value, Mapping) or np.size(value) > 0)
