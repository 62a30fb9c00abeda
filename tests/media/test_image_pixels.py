"""The right pixels of every way to write a picture down, or the true reason; in bounded memory."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media.made_images import huge_png, png_bytes, png_chunk, tiff_bytes
from numpy.typing import NDArray
from PIL import Image, ImageCms

from avssl.errors import MediaError
from avssl.media.decoding.images import MOST_BYTES, read_image
from avssl.media.indexing.inspect import inspect

DEEP = np.random.default_rng(3).integers(0, 65536, (12, 18, 4), np.uint16)
EIGHT = (DEEP >> 8).astype(np.uint8)
GREY = np.repeat(EIGHT[..., :1], 3, axis=2)
SHARES = DEEP[..., 0].astype(np.float32) / 65535


def over_white(colour: NDArray[Any], alpha: NDArray[Any]) -> NDArray[np.float64]:
    share = alpha[..., None] / 255.0
    return colour * share + 255 * (1 - share)


WRITTEN: dict[str, tuple[Callable[[], bytes], NDArray[Any]]] = {
    "grey16.png": (lambda: png_bytes(DEEP[..., 0]), GREY),
    "colour16.png": (lambda: png_bytes(DEEP[..., :3]), EIGHT[..., :3]),
    "alpha16.png": (lambda: png_bytes(DEEP), over_white(EIGHT[..., :3], EIGHT[..., 3])),
    "grey-alpha16.png": (lambda: png_bytes(DEEP[..., ::3]), over_white(GREY, EIGHT[..., 3])),
    "grey8.tiff": (lambda: tiff_bytes(EIGHT[..., 0]), GREY),
    "negative8.tiff": (lambda: tiff_bytes(EIGHT[..., 0], photometric=0), 255 - GREY),
    "grey16.tiff": (lambda: tiff_bytes(DEEP[..., 0]), GREY),
    "grey16-big-endian.tiff": (lambda: tiff_bytes(DEEP[..., 0], order=">"), GREY),
    "negative16.tiff": (lambda: tiff_bytes(DEEP[..., 0], photometric=0), 255 - GREY),
    "colour16.tiff": (lambda: tiff_bytes(DEEP[..., :3]), EIGHT[..., :3]),
    "colour16-big-endian.tiff": (lambda: tiff_bytes(DEEP[..., :3], order=">"), EIGHT[..., :3]),
    "alpha16.tiff": (lambda: tiff_bytes(DEEP), over_white(EIGHT[..., :3], EIGHT[..., 3])),
    "planes8.tiff": (lambda: tiff_bytes(EIGHT[..., :3], planes=True), EIGHT[..., :3]),
    "float.tiff": (lambda: tiff_bytes(SHARES), np.repeat(SHARES[..., None] * 255, 3, axis=2)),
    "float-big-endian.tiff": (lambda: tiff_bytes(SHARES, order=">"), np.repeat(SHARES[..., None] * 255, 3, axis=2)),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_pixels_of_more_than_eight_bits_are_those_that_were_written(name: str, tmp_path: Path) -> None:
    write, truth = WRITTEN[name]
    path = tmp_path / name
    path.write_bytes(write())
    found = inspect(str(path))
    assert (found.reason, found.kind, found.width, found.height) == (None, "image", 18, 12)
    assert np.abs(read_image(str(path)).transpose(1, 2, 0) - truth).max() <= 0.51


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "float-255": (lambda: tiff_bytes(SHARES * 255), "floating-point numbers from 0 to 25"),
    "float-negative": (lambda: tiff_bytes(SHARES - 0.5), "floating-point numbers from -0.49"),
    "float-nan": (lambda: tiff_bytes(np.where(SHARES > 0.9, np.nan, SHARES).astype(np.float32)), "are not finite"),
    "float64": (lambda: tiff_bytes(SHARES.astype(np.float64)), "a TIFF picture that is damaged or of a rare kind"),
    "int32": (lambda: tiff_bytes(DEEP[..., 0].astype(np.int32)), "a TIFF of signed numbers"),
    "uint32": (lambda: tiff_bytes(DEEP[..., 0].astype(np.uint32)), "a TIFF of 32-bit whole numbers"),
    "int16": (lambda: tiff_bytes(DEEP[..., 0].astype(np.int16)), "a TIFF of signed numbers"),
    "int8": (lambda: tiff_bytes(EIGHT[..., 0].astype(np.int8)), "a TIFF of signed numbers"),
    "planes16": (lambda: tiff_bytes(DEEP[..., :3], planes=True), "16-bit colours are in separate planes"),
    "colour-float": (lambda: tiff_bytes(np.dstack([SHARES] * 3)), "a TIFF picture that is damaged or of a rare kind"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_numbers_without_a_known_black_and_white_are_refused_for_that(name: str, tmp_path: Path) -> None:
    write, reason = REFUSED[name]
    path = tmp_path / f"{name}.tiff"
    path.write_bytes(write())
    found = inspect(str(path)).reason
    assert found is not None and found.startswith("not supported: ") and reason in found


def test_a_colour_that_stands_for_transparent_lies_on_white(tmp_path: Path) -> None:
    pixels = np.array([[[9, 8, 7], [1, 2, 3]]], np.uint8)
    (tmp_path / "colour.png").write_bytes(png_bytes(pixels, png_chunk(b"tRNS", struct.pack(">3H", 9, 8, 7))))
    (tmp_path / "grey.png").write_bytes(png_bytes(pixels[..., 0], png_chunk(b"tRNS", struct.pack(">H", 9))))
    Image.fromarray(pixels[..., 0]).convert("P").save(tmp_path / "palette.png", transparency=9)
    for name, second in (("colour", [1, 2, 3]), ("grey", [1, 1, 1]), ("palette", [1, 1, 1])):
        assert read_image(str(tmp_path / f"{name}.png"))[:, 0].T.tolist() == [[255, 255, 255], second], name


def test_prints_and_lab_and_ycbcr_and_pages_have_their_colours(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:48, 0:64]
    smooth = np.stack([columns * 4, rows * 5, 255 - columns * 2], axis=2).astype(np.uint8)
    image = Image.fromarray(smooth)
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    kinds = {
        "cmyk": image.convert("CMYK"),
        "ycc": image.convert("YCbCr"),
        "lab": ImageCms.applyTransform(image, to_lab),
    }
    for name, converted in kinds.items():  # Pillow 11 cannot read its own YCbCr unless it is compressed
        converted.save(tmp_path / f"{name}.tiff", compression="tiff_lzw" if name == "ycc" else None)
    image.save(tmp_path / "pages.tiff", save_all=True, append_images=[Image.new("RGB", (64, 48))] * 2)
    for name in (*kinds, "pages"):
        off = np.abs(read_image(str(tmp_path / f"{name}.tiff")).transpose(1, 2, 0).astype(int) - smooth)
        assert off.mean() < 2, name


def test_bands_of_a_large_picture_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        for mode in ("RGB", "RGBA", "L", "P", "CMYK"):
            path = str(tmp_path / f"{mode}{orientation}.{'tiff' if mode == 'CMYK' else 'png'}")
            Image.fromarray(EIGHT[..., :3]).convert(mode).save(path, exif=exif)
            whole = read_image(path)
            with monkeypatch.context() as patch:
                patch.setattr("avssl.media.decoding.images.BAND_PIXELS", 40)
                assert (read_image(path) == whole).all(), (mode, orientation)


# --- size -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("colour", "most"), [(0, 190), (2, 108), (6, 108)])
def test_a_picture_that_would_take_too_much_memory_is_named_with_its_size(
    colour: int, most: int, tmp_path: Path
) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(huge_png(14_000, 14_000, colour, rows=3))
    limit = f"at most {most} can be read of a PNG of this kind"
    assert inspect(str(path)).reason == f"too large: 14000×14000 = 196 megapixels; {limit}"
    with pytest.raises(MediaError, match="too large: 14000×14000"):
        read_image(str(path))
    assert Image.MAX_IMAGE_PIXELS is not None  # other code keeps its guard


MEASURE = """
import resource, sys
from avssl.media.decoding import images
from avssl.media.indexing.inspect import inspect
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
images.MOST_BYTES = float(sys.argv[1])
images.PILLOW_PIXELS, images.BAND_PIXELS = 1e6, min(images.BAND_PIXELS, int(images.MOST_BYTES) // 100)
before = peak()
for path in sys.argv[2:]:
    found = inspect(path)
    print(path, found.reason, found.kind, peak() - before)
"""


def measured(most: float, paths: list[Path]) -> list[tuple[str, str, int]]:
    """(reason, kind, the most memory so far) of each, in a process that reads them one after another."""
    command = [sys.executable, "-W", "error", "-c", MEASURE, str(most), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.rsplit(maxsplit=3)[1:] for line in done.stdout.splitlines()]
    return [(reason, kind, int(peak)) for reason, kind, peak in lines]


def test_reading_takes_no_more_memory_than_is_allowed_whatever_the_format(tmp_path: Path) -> None:
    allowed = 20e6
    noise = np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    kinds: dict[str, tuple[float, str, dict[str, Any]]] = {
        "a.png": (7, "RGB", {"compress_level": 1}),
        "alpha.png": (7, "RGBA", {"compress_level": 1}),
        "grey.png": (4, "L", {"compress_level": 1}),
        "palette.gif": (4, "P", {}),
        "a.bmp": (7, "RGB", {}),
        "turned.jpg": (7, "RGB", {"exif": turned}),
        "progressive.jpg": (10, "RGB", {"progressive": True, "subsampling": 0}),
        "turned.tiff": (11, "RGB", {"exif": turned, "compression": "tiff_lzw"}),
        "a.webp": (16.5, "RGB", {"method": 0}),
        "a.jp2": (19.6, "RGB", {}),
    }
    paths = []
    for name, (bytes_a_pixel, mode, options) in kinds.items():
        side = int((allowed / bytes_a_pixel) ** 0.5)
        image = Image.fromarray(noise).resize((side, side), Image.Resampling.BILINEAR).convert(mode)
        image.save(tmp_path / name, **options)
        paths.append(tmp_path / name)
    for path, (reason, kind, taken) in zip(paths, measured(allowed, paths), strict=True):
        assert (reason, kind) == ("None", "image"), path.name
        assert taken < allowed + 10e6, path.name  # besides the picture: modules that are loaded, one band of pixels


@pytest.mark.slow
def test_a_picture_at_the_limit_stays_under_a_gigabyte(tmp_path: Path) -> None:
    side = int((MOST_BYTES / 7) ** 0.5)  # four bytes a pixel in Pillow, three in the picture
    path = tmp_path / "colour.png"
    path.write_bytes(huge_png(side, side))
    ((reason, kind, taken),) = measured(MOST_BYTES, [path])
    assert (reason, kind) == ("None", "image")
    assert taken < 0.85e9


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "CMYK"])
def test_a_tiff_is_turned_as_it_says_whatever_its_samples(mode: str, turned: int, tmp_path: Path) -> None:
    ramp = np.arange(24 * 40).reshape(24, 40)
    grey = (ramp * 60).astype(np.uint16) if mode == "I;16" else (ramp // 4).astype(np.uint8)
    image = Image.fromarray(grey) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    path = tmp_path / "turned.tif"
    image.save(path, tiffinfo={274: turned})
    eight = (grey >> 8).astype(np.uint8) if mode == "I;16" else grey
    rows, columns = turned in (3, 4), turned in (2, 3)
    if turned in (5, 6, 7, 8):
        eight, rows, columns = eight.T, turned in (7, 8), turned in (6, 7)
    wanted = eight[:: -1 if rows else 1, :: -1 if columns else 1]
    picture = read_image(str(path))
    assert picture.shape == (3, *wanted.shape)
    assert np.abs(picture.astype(int) - wanted).max() <= 1
    found = inspect(str(path))
    assert (found.width, found.height) == wanted.shape[::-1]
