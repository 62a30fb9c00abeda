"""Damaged pictures are refused as far as a file gives itself away, and sound ones never are."""

from __future__ import annotations

import io
import random
import re
import struct
from pathlib import Path

import av
import numpy as np
import pytest
from media.made_images import PNG_START, png_bytes
from PIL import Image

from avssl.media.indexing.inspect import inspect

ROWS, COLUMNS = np.mgrid[0:96, 0:128]
SCENE = np.stack([ROWS * 2, COLUMNS * 2 - ROWS // 2, 255 - COLUMNS], axis=2).astype(np.uint8)
SCENE[20:60, 30:90] = np.random.default_rng(1).integers(0, 256, (40, 60, 3))
JPEGS: dict[str, dict[str, object]] = {
    "baseline": {"quality": 90},
    "full colour": {"quality": 90, "subsampling": 0},
    "progressive": {"quality": 90, "progressive": True},
    "restarts": {"quality": 90, "restart_marker_rows": 1},
    "optimised": {"quality": 75, "optimize": True},
}


def jpeg(**options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(SCENE).save(stream, "JPEG", **options)
    return stream.getvalue()


def reason(path: Path, data: bytes) -> str | None:
    path.write_bytes(data)
    found = inspect(str(path))
    assert found.reason is not None or found.kind == "image"
    return found.reason


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_that_breaks_off_is_damaged_even_where_somebody_closed_it(kind: str, tmp_path: Path) -> None:
    data = jpeg(**JPEGS[kind])
    assert reason(tmp_path / "whole.jpg", data) is None
    for share in (0.5, 0.7, 0.9):
        cut = data[: int(len(data) * share)]
        assert "truncated" in str(reason(tmp_path / "cut.jpg", cut))
        assert str(reason(tmp_path / "closed.jpg", cut + b"\xff\xd9")).startswith("damaged: ")


def test_a_jpeg_with_something_behind_it_or_a_comment_inside_is_sound(tmp_path: Path) -> None:
    data = jpeg(quality=90)
    for behind in (b"\0", b"junk" * 100, b"\xff", b"\0\0\0\x18ftypmp42" + bytes(200)):
        assert reason(tmp_path / "a.jpg", data + behind) is None
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 40) + b"\xff\xd9\xff\xd8" * 10  # looks like an end, and is none
    assert reason(tmp_path / "b.jpg", data[:2] + comment + data[2:]) is None


def test_the_smallest_jpegs_and_those_that_a_camera_padded_are_sound(tmp_path: Path) -> None:
    for side in (1, 2, 7, 8, 9, 17):
        for options in JPEGS.values():
            stream = io.BytesIO()
            Image.fromarray(SCENE[:side, :side]).save(stream, "JPEG", **options)
            assert reason(tmp_path / "small.jpg", stream.getvalue()) is None, (side, options)
    data = jpeg(quality=90)
    for padding in (b"\0" * 64, b"\xff" * 31, b"\0\0", b"\x12\x34\x56"):
        assert reason(tmp_path / "padded.jpg", data[:-2] + padding + data[-2:]) is None, padding
    assert "more JPEG data" in str(reason(tmp_path / "long.jpg", data[:-2] + b"\x12\x34" * 20 + data[-2:]))


def test_most_damage_that_changes_a_jpeg_visibly_is_found(tmp_path: Path) -> None:
    rng = random.Random(5)
    visible = found = 0
    for options in JPEGS.values():
        data = jpeg(**options)
        truth = np.asarray(Image.open(io.BytesIO(data))).astype(int)
        start = data.index(b"\xff\xda") + 14
        for trial in range(40):
            damaged, at = bytearray(data), rng.randrange(start, len(data) - 20)
            if trial % 2:
                damaged[at : at + 16] = bytes(16)
            else:
                damaged[at] ^= 1 << rng.randrange(8)
            try:
                seen = np.asarray(Image.open(io.BytesIO(bytes(damaged))).convert("RGB")).astype(int)
            except OSError:
                continue
            if np.abs(seen - truth).mean() > 12:
                visible += 1
                found += reason(tmp_path / "damaged.jpg", bytes(damaged)) is not None
    # The rest keeps as many codes as there were, with other values: no decoder can tell it from a picture.
    assert visible >= 25
    assert found / visible > 0.75


def test_a_jpeg_with_less_data_than_its_picture_needs_or_more_before_a_restart_is_damaged(tmp_path: Path) -> None:
    data = jpeg(quality=90)
    at = data.index(b"\xff\xda") + 14 + 211
    assert reason(tmp_path / "hole.jpg", data[:at] + data[at + 16 :]) == "damaged: its JPEG data do not fit its picture"
    data = jpeg(**JPEGS["restarts"])
    at = data.index(b"\xff\xd2")
    words = reason(tmp_path / "more.jpg", data[:at] + bytes(range(1, 40)) + data[at:])
    assert words == "damaged: its JPEG data do not fit its picture"


def test_a_picture_of_motion_jpeg_whose_data_end_early_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "film.avi"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10, options={"qmin": "2", "qmax": "2"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        for _ in range(12):
            small = rng.integers(0, 256, (8, 12, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small.repeat(8, 0).repeat(8, 1), "rgb24")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    start = [match.start() for match in re.finditer(b"\xff\xd8\xff", data)][3]
    end = data.index(b"\xff\xd9", start)
    hole = data.index(b"\xff\xda", start) + 34
    path.write_bytes(data[:hole] + data[hole + 16 : end + 2] + bytes(16) + data[end + 2 :])
    assert inspect(str(path)).reason == "damaged: its pictures cannot be decoded at 0.30 s"


def test_every_byte_of_a_png_that_matters_is_under_its_checksum(tmp_path: Path) -> None:
    data = png_bytes(SCENE)
    assert reason(tmp_path / "whole.png", data) is None
    rng = random.Random(2)
    for _ in range(60):
        damaged, at = bytearray(data), rng.randrange(len(PNG_START) + 8, len(data) - 12)
        damaged[at] ^= 1 << rng.randrange(8)
        assert reason(tmp_path / "damaged.png", bytes(damaged)) is not None, at
    sum_at = data.index(b"IDAT") + 4 + struct.unpack(">I", data[data.index(b"IDAT") - 4 : data.index(b"IDAT")])[0]
    damaged = bytearray(data)
    damaged[sum_at] ^= 1
    found = reason(tmp_path / "sum.png", bytes(damaged))
    assert found == "damaged: a chunk of this PNG (IDAT) has a wrong checksum"


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000"])
def test_half_a_picture_is_refused_in_every_format(form: str, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(SCENE).save(stream, form)
    assert reason(tmp_path / "half", stream.getvalue()[: len(stream.getvalue()) // 2]) is not None


def test_no_damage_to_a_header_ends_the_look_or_makes_a_video(tmp_path: Path) -> None:
    rng = random.Random(11)
    for form in ("PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG", "JPEG2000"):
        stream = io.BytesIO()
        Image.fromarray(SCENE[:24, :32]).save(stream, form)
        for _ in range(25):
            damaged = bytearray(stream.getvalue())
            for _ in range(rng.choice([1, 2, 4])):
                damaged[rng.randrange(min(len(damaged), 300))] = rng.randrange(256)
            (tmp_path / "damaged").write_bytes(damaged)
            found = inspect(str(tmp_path / "damaged"))
            assert found.reason is not None or found.kind == "image"
