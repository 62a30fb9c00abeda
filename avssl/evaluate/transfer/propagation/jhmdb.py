"""JHMDB: ``joint_positions/CLASS/VIDEO/joint_positions.mat``, ``Rename_Images/CLASS/VIDEO/*.png``, ``splits/*.txt``."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from avssl.errors import MediaError, UserError
from avssl.evaluate.data.reading import read_lines
from avssl.evaluate.transfer.propagation.davis import pictures_of
from avssl.evaluate.transfer.propagation.videos import Frames, LabelledVideo, Points, VideoSet, read_film, read_pictures

JOINTS = (
    *("neck", "belly", "face", "right shoulder", "left shoulder", "right hip", "left hip", "right elbow", "left elbow"),
    *("right knee", "left knee", "right wrist", "left wrist", "right ankle", "left ankle"),
)

_LIST = re.compile(r"(?P<label>.+)_test_split(?P<number>\d)\.txt")
_TEST, _TRAIN = "2", "1"
# Its clips are cut from HMDB51, which has 30 frames a second; the folders of pictures do not say so.
_SECONDS_A_FRAME = 1 / 30


def is_jhmdb(folder: Path) -> bool:
    """Whether a folder is laid out as JHMDB."""
    return (folder / "joint_positions").is_dir()


def open_jhmdb(folder: Path, split: str = "test", number: int = 1) -> VideoSet:
    """The videos of a part ("test" or "train") of the split with this number, each of its own source.

    Raises:
        UserError: no lists of that split, or a video has neither pictures nor a film.
    """
    if split not in ("test", "train"):
        raise UserError(f"--split {split}: JHMDB has test and train")
    wanted = _TEST if split == "test" else _TRAIN
    lists = [file for file in sorted((folder / "splits").glob("*.txt")) if _number(file) == number]
    if not lists:
        raise UserError(f"{folder / 'splits'}: no CLASS_test_split{number}.txt; complete the folder")
    videos, passed_over = [], []
    for file in lists:
        label = file.name[: -len(f"_test_split{number}.txt")]
        for line in read_lines(file):
            name, part = line.split()[:2]
            if part != wanted:
                continue
            stem = Path(name).stem
            joints = folder / "joint_positions" / label / stem / "joint_positions.mat"
            if not joints.is_file():
                passed_over.append(f"{label}/{stem}: no joint_positions.mat")
                continue
            frames, first = _frames(folder, label, stem)
            videos.append(
                LabelledVideo(f"{label}/{stem}", f"{label}/{stem}", frames, partial(read_joints, joints), first)
            )
    return VideoSet("JHMDB", "points", videos, f"{split} {number}", passed_over, _SECONDS_A_FRAME)


def read_joints(file: Path) -> Points:
    """The joints of a video from ``joint_positions.mat``, which counts pixels from 1.

    Raises:
        MediaError: it cannot be read, or has no ``pos_img`` of (2, 15, frames).
    """
    try:
        found = loadmat(str(file), variable_names=["pos_img"]).get("pos_img")
    except (OSError, ValueError, NotImplementedError, TypeError) as error:
        raise MediaError(str(file), f"cannot be read as joints ({error})") from error
    if found is None or found.ndim != 3 or found.shape[0] != 2:
        raise MediaError(str(file), "has no pos_img of (2, joints, frames)")
    places: NDArray[np.float64] = np.asarray(found, np.float64).transpose(2, 1, 0) - 1
    return Points(places)


def _number(file: Path) -> int | None:
    match = _LIST.fullmatch(file.name)
    return int(match["number"]) if match else None


def _frames(folder: Path, label: str, stem: str) -> tuple[partial[Frames], str]:
    pictures = pictures_of(folder / "Rename_Images" / label / stem)
    if pictures:
        return partial(read_pictures, pictures), str(pictures[0])
    for films in (folder / "ReCompress_Videos" / label, folder / label):
        film = films / f"{stem}.avi"
        if film.is_file():
            return partial(read_film, film), str(film)
    raise UserError(f"{folder / 'Rename_Images' / label / stem}: no pictures, nor is there ReCompress_Videos/{label}")
