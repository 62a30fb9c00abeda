"""Labelled videos in the layouts of DAVIS, JHMDB and plain folders, made small: a square that moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

FRAMES, HEIGHT, WIDTH = 6, 32, 48


def made_video(seed: int = 0, frames: int = FRAMES) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 (n, h, w, 3) with two squares on noise, and their masks uint8 (n, h, w)."""
    rng = np.random.default_rng(seed)
    pictures = np.repeat(rng.integers(60, 120, (1, HEIGHT, WIDTH, 3), np.uint8), frames, axis=0)
    masks = np.zeros((frames, HEIGHT, WIDTH), np.uint8)
    for t in range(frames):
        for number, (y, x, colour) in enumerate([(4, 4 + 3 * t, (230, 30, 30)), (18, 34 - 3 * t, (30, 30, 230))], 1):
            pictures[t, y : y + 10, x : x + 10] = colour
            masks[t, y : y + 10, x : x + 10] = number
    return pictures, masks


def _write(folder: Path, names: list[str], pictures: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for name, picture in zip(names, pictures, strict=True):
        image = Image.fromarray(picture)
        if picture.ndim == 2:
            image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        image.save(folder / name)


def write_davis(folder: Path, videos: int = 2) -> Path:
    """A DAVIS folder whose val.txt lists these videos."""
    names = [f"video-{number}" for number in range(videos)]
    for number, name in enumerate(names):
        pictures, masks = made_video(number)
        _write(folder / "JPEGImages" / "480p" / name, [f"{t:05d}.jpg" for t in range(FRAMES)], pictures)
        _write(folder / "Annotations" / "480p" / name, [f"{t:05d}.png" for t in range(FRAMES)], masks)
    (folder / "ImageSets" / "2017").mkdir(parents=True)
    (folder / "ImageSets" / "2017" / "val.txt").write_text("\n".join(names) + "\n")
    return folder


def write_plain(folder: Path) -> Path:
    """frames/NAME/ and masks/NAME/, only every other frame with a mask."""
    pictures, masks = made_video()
    _write(folder / "frames" / "one", [f"{t}.png" for t in range(FRAMES)], pictures)
    _write(folder / "masks" / "one", [f"{t}.png" for t in range(0, FRAMES, 2)], masks[::2])
    return folder


def write_jhmdb(folder: Path, videos: int = 2) -> Path:
    """A JHMDB folder: the joints of each video are the corners and middles of the first square, counted from 1."""
    (folder / "splits").mkdir(parents=True)
    lines = []
    for number in range(videos):
        pictures, _ = made_video(number)
        name = f"clip_{number}"
        _write(folder / "Rename_Images" / "wave" / name, [f"{t + 1:05d}.png" for t in range(FRAMES)], pictures)
        grid = np.stack(np.meshgrid([0, 4, 9], [0, 2, 4, 7, 9]), -1).reshape(15, 2).T.astype(float)
        places = np.stack([grid + np.array([[4 + 3 * t], [4]]) for t in range(FRAMES)], -1) + 1
        joints = folder / "joint_positions" / "wave" / name
        joints.mkdir(parents=True)
        savemat(joints / "joint_positions.mat", {"pos_img": places})
        lines.append(f"{name}.avi 2")
    (folder / "splits" / "wave_test_split1.txt").write_text("\n".join([*lines, "other.avi 1"]) + "\n")
    return folder
