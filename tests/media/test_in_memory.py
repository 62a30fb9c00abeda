"""Small pictures are decoded once."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from PIL import Image

from avssl.media.in_memory import InMemory, in_memory
from avssl.media.opening import open_media


def folder_of_pictures(folder: Path, count: int = 3) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 20, 24, 3), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{number}.webp", lossless=True)
    return pixels.transpose(0, 3, 1, 2)


def test_pictures_are_read_once_and_are_the_same_to_the_bit(tmp_path: Path):
    pixels = folder_of_pictures(tmp_path)
    media = in_memory(open_media(tmp_path))
    assert isinstance(media, InMemory) and len(media) == 3
    before = [media.frames(i, [0.0])[0] for i in range(3)]
    assert np.array_equal(np.stack(before), pixels)
    for path in tmp_path.iterdir():
        path.unlink()
    assert all(np.array_equal(media.frames(i, [0.0, 1.0])[1], before[i]) for i in range(3))
    assert media.facts(1) == media.base.facts(1) and media.fingerprint == media.base.fingerprint


def test_they_are_no_part_of_what_is_sent_to_a_worker(tmp_path: Path):
    folder_of_pictures(tmp_path)
    media = in_memory(open_media(tmp_path))
    media.frames(0, [0.0])
    again = pickle.loads(pickle.dumps(media))
    assert np.array_equal(again.frames(2, [0.0]), media.frames(2, [0.0]))
    assert len(again.subset([1])) == 1


def test_what_does_not_fit_is_read_from_its_files(tmp_path: Path):
    folder_of_pictures(tmp_path)
    media = open_media(tmp_path)
    assert in_memory(media, limit_bytes=3 * 20 * 24 * 3 - 1) is media
    assert isinstance(in_memory(media, limit_bytes=3 * 20 * 24 * 3), InMemory)
