"""People with annotated joints: the skeleton, where each joint is, the square that holds the person, what they share.

Coordinates are pixels of the picture as it is stored, counted from 0: (0, 0) is the middle of the first pixel, so that
a picture of width w reaches from −0.5 to w − 0.5. Data sets that count from 1 are shifted when they are read.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.evaluate.data.labelled import hold_out
from avssl.system.console import counted

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Skeleton:
    """The joints that a data set annotates."""

    name: str  # of the data set
    joints: tuple[str, ...]  # their names, in order; of a pair "left …" and "right …"
    limbs: tuple[tuple[int, int], ...]  # pairs of joints between which a line is drawn
    torso: tuple[int, int]  # the two joints whose distance is the size of the torso
    left_out: tuple[str, ...] = ()  # joints that are learned but not evaluated

    @property
    def mirrored(self) -> list[int]:
        """The joint that each becomes in a mirrored picture: left and right exchanged."""
        other = [
            name.replace("left", "right") if "left" in name else name.replace("right", "left") for name in self.joints
        ]
        return [self.joints.index(name) if name in self.joints else k for k, name in enumerate(other)]

    @property
    def evaluated(self) -> list[int]:
        """Numbers of the joints that are evaluated."""
        return [k for k, name in enumerate(self.joints) if name not in self.left_out]


@dataclass(frozen=True)
class People:
    """Annotated people, one a row."""

    skeleton: Skeleton
    pictures: tuple[str, ...]  # the file each is seen in
    joints: Floats  # (people, joints, 2) x and y in pixels from 0; NaN where a joint is not annotated
    # (people, 3) left and top edge and side of the square that is cut out, in pixels from the picture's edge (the
    # middle of the first pixel is at 0.5); it may reach beyond the picture
    boxes: Floats
    torso: Floats  # (people,) size of the torso in pixels; NaN where it is not known
    head: Floats  # (people,) diagonal of the head box in pixels; NaN where it is not known
    # What each was taken from (a film, a video, a picture): people of one group are not independent
    groups: tuple[str, ...]
    splits: tuple[str | None, ...]  # "train", "test" or None

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def in_box(self) -> Floats:
        """The joints in the square of each person, (people, joints, 2): 0 is its left or upper edge, 1 the other."""
        # Joints count from the middle of the first pixel, boxes from the edge of the picture
        return np.asarray((self.joints + 0.5 - self.boxes[:, None, :2]) / self.boxes[:, None, 2:])

    def from_box(self, points: Floats, items: Indices | None = None) -> Floats:
        """Points in the squares of some people (all if None) as pixels of their pictures, from 0."""
        boxes = self.boxes if items is None else self.boxes[items]
        return np.asarray(points * boxes[:, None, 2:] + boxes[:, None, :2] - 0.5)

    def part(self, items: Sequence[int] | Indices) -> People:
        """Some of the people."""
        chosen = np.asarray(items, np.int64)

        def part(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                return value[chosen]
            return tuple(value[i] for i in chosen) if isinstance(value, tuple) else value

        return People(**{field.name: part(getattr(self, field.name)) for field in fields(self)})


def people_of(
    skeleton: Skeleton,
    folder: Path,
    names: Sequence[str],
    joints: Floats,
    boxes: Floats,
    *,
    groups: Sequence[str] | None = None,
    splits: Sequence[str | None] | None = None,
    torso: Floats | None = None,
    head: Floats | None = None,
) -> People:
    """People of pictures in a folder; each picture a group, and the torso by its two joints, if no more is known."""
    return People(
        skeleton,
        tuple(str(folder / name) for name in names),
        joints,
        boxes,
        distance(joints, skeleton.torso) if torso is None else torso,
        np.full(len(names), np.nan) if head is None else head,
        tuple(groups or names),
        tuple(splits or [None] * len(names)),
    )


def together(parts: Sequence[People], splits: Sequence[str]) -> People:
    """People of several files, each file a split.

    Raises:
        UserError: their joints differ.
    """
    first = parts[0]
    if any(part.skeleton.joints != first.skeleton.joints for part in parts):
        raise UserError("the training and the test part have different joints; give two parts of one data set")

    def joined(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        return np.concatenate(values) if isinstance(values[0], np.ndarray) else tuple(itertools.chain(*values))

    columns = {field.name: joined(field.name) for field in fields(People) if field.name not in ("skeleton", "splits")}
    marks = tuple(split for part, split in zip(parts, splits, strict=True) for _ in range(len(part)))
    return People(first.skeleton, **columns, splits=marks)


def divide(people: People, share: float = 0.25, seed: int = 0) -> tuple[Indices, Indices, str]:
    """Training people, people to evaluate on, and how they were divided.

    By the data set's own split if it has both parts; else a share of the groups, none of which is in both; of a single
    group (one film), a share of its pictures.

    Raises:
        UserError: there are too few people for two parts.
    """
    marks = np.array([split or "" for split in people.splits])
    if (marks == "train").any() and (marks == "test").any():
        return np.flatnonzero(marks == "train"), np.flatnonzero(marks == "test"), "the data set's own split"
    names, what = (people.groups, "groups") if len(set(people.groups)) > 1 else (people.pictures, "pictures")
    if len(set(names)) < 2:
        raise UserError(
            f"{counted(len(people), 'person')} of one picture: cannot be divided; give held-out people with --test"
        )
    # People have no classes: as if all were of one.
    train, test = hold_out(np.arange(len(people)), np.zeros((len(people), 1), np.int8), names, share, seed)
    return train, test, f"{len({names[i] for i in test})} of {len(set(names))} {what} held out"


def square(centre: Floats, side: Floats) -> Floats:
    """Boxes (people, 3) from centres in pixels from 0, (people, 2), and sides in pixels, (people,)."""
    return np.concatenate([centre + 0.5 - side[:, None] / 2, side[:, None]], axis=1)


def joint_square(joints: Floats, share: float) -> Floats:
    """The square about the annotated joints of each person, as large as their longer extent times ``share``."""
    low, high = np.nanmin(joints, axis=1), np.nanmax(joints, axis=1)
    return square((low + high) / 2, np.maximum((high - low).max(1) * share, 1.0))


def distance(joints: Floats, pair: tuple[int, int]) -> Floats:
    """Distance in pixels of two joints of each person, (people,); NaN where one is missing."""
    return np.asarray(np.linalg.norm(joints[:, pair[0]] - joints[:, pair[1]], axis=-1))
