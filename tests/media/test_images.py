"""Still images: upright, RGB, whatever the format; a broken one is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media.made import draw, number_in
from PIL import Image

from avssl.errors import MediaError
from avssl.media.decoding.images import read_image
from avssl.media.indexing.inspect import inspect

EXIF_ORIENTATION = 0x0112


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tiff", "gif", "ppm", "jp2", "avif"])
def test_every_common_format_is_read(suffix: str, tmp_path: Path) -> None:
    path = str(tmp_path / f"picture.{suffix}")
    Image.fromarray(draw(77, 160, 120)).save(path)
    found = inspect(path)
    assert (found.reason, found.kind, found.width, found.height) == (None, "image", 160, 120)
    assert (found.duration_seconds, found.frame_count) == (0.0, 1)
    picture = read_image(path)
    assert picture.shape == (3, 120, 160) and picture.dtype == np.uint8
    assert number_in(picture) == 77


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_in_the_exif_data_is_honoured(orientation: int, tmp_path: Path) -> None:
    # How a camera that was held so stores the upright picture (EXIF 2.3, tag Orientation).
    stored = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: np.rot90,
        7: lambda p: np.rot90(p.swapaxes(0, 1), 2),
        8: lambda p: np.rot90(p, -1),
    }[orientation](draw(99, 160, 120))
    path = str(tmp_path / "held.jpg")
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=95)
    found = inspect(path)
    assert (found.width, found.height) == (160, 120)
    assert number_in(read_image(path)) == 99


def test_a_tiff_that_was_held_sideways_has_the_size_of_its_upright_picture(tmp_path: Path) -> None:
    path = str(tmp_path / "held.tiff")
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(path, exif=exif)
    found = inspect(path)
    assert (found.width, found.height) == (40, 60)
    assert read_image(path).shape == (3, 60, 40)


def test_grey_sixteen_bit_palette_and_cmyk_images_become_rgb(tmp_path: Path) -> None:
    grey = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (64, 1))
    cases = {
        "grey.png": Image.fromarray(grey),
        "deep.png": Image.fromarray(grey.astype(np.uint16) * 257),
        "palette.png": Image.fromarray(grey).convert("P"),
        "bits.png": Image.fromarray(grey).convert("1"),
        "print.tiff": Image.fromarray(np.dstack([grey] * 3)).convert("CMYK"),
    }
    for name, image in cases.items():
        image.save(tmp_path / name)
        picture = read_image(str(tmp_path / name))
        assert picture.shape == (3, 64, 128)
        if name != "bits.png":
            assert np.abs(picture.astype(int) - grey).max() <= 2, name


def test_transparent_pixels_lie_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, 4:] = (0, 0, 255, 255)
    pixels[0, 0] = (255, 0, 0, 128)
    path = str(tmp_path / "clear.png")
    Image.fromarray(pixels).save(path)
    picture = read_image(path)
    assert picture[:, 4, 0].tolist() == [255, 255, 255]
    assert picture[:, 4, 6].tolist() == [0, 0, 255]
    assert picture[:, 0, 0].tolist() == [255, 127, 127]


def test_a_moving_gif_is_a_video(tmp_path: Path) -> None:
    path = str(tmp_path / "moving.gif")
    images = [Image.fromarray(draw(number)) for number in range(8)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=100)
    found = inspect(path)
    assert (found.reason, found.kind, found.frame_count) == (None, "video", 8)
    assert found.frame_times.tolist() == pytest.approx([k / 10 for k in range(8)])


def test_a_truncated_image_is_named_and_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:9_000])
    assert "truncated" in str(inspect(str(path)).reason)
    with pytest.raises(MediaError, match=r"cut\.jpg: damaged: the image cannot be decoded"):
        read_image(str(path))


def test_what_is_no_image_is_not_read_as_one(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_text("no image at all")
    assert inspect(str(path)).reason == "not media"
    with pytest.raises(MediaError, match="not an image that can be read"):
        read_image(str(path))
    with pytest.raises(MediaError, match="No such file"):
        read_image(str(tmp_path / "absent.png"))
