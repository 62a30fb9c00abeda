"""A picture is a picture, whatever its suffix: read, or refused with the true reason; never a video of one frame."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from media.made import Recipe, draw, make, number_in
from media.made_images import encoded, heif_bytes
from PIL import Image, features

import avssl
from avssl.media.decoding.images import read_image
from avssl.media.decoding.video import read_frames
from avssl.media.indexing.inspect import inspect

PICTURE = draw(77, 64, 48)
CODECS = {
    "qoi": ("qoi", "rgb24", "QOI"),
    "exr": ("exr", "gbrpf32le", "OpenEXR"),
    "dpx": ("dpx", "rgb24", "DPX"),
    "pcx": ("pcx", "rgb24", "PCX"),
    "sgi": ("sgi", "rgb24", "SGI"),
    "sun": ("sunrast", "bgr24", "Sun raster"),
    "tga": ("targa", "bgr24", "TGA"),
    "pam": ("pam", "rgb24", "PAM"),
    "pfm": ("pfm", "gbrpf32le", "PFM"),
    "jls": ("jpegls", "rgb24", "JPEG-LS"),
    "xbm": ("xbm", "monow", "XBM"),
    "xwd": ("xwd", "rgb24", "XWD"),
}
BY_PILLOW = {"ico": "ICO", "dds": "DDS", "pcx": "PCX", "tga": "TGA", "sgi": "SGI"}


def pictures(folder: Path) -> dict[str, str]:
    """Files of one picture each, and what their kind is called."""
    kinds = {}
    for suffix, (codec, pixels, name) in CODECS.items():
        (folder / f"one.{suffix}").write_bytes(encoded(codec, PICTURE, pixels))
        kinds[f"one.{suffix}"] = name
    for suffix, name in BY_PILLOW.items():
        Image.fromarray(PICTURE).save(folder / f"other.{suffix}")
        kinds[f"other.{suffix}"] = name
    (folder / "drawn.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    return {**kinds, "drawn.svg": "SVG"}


def test_a_picture_of_a_kind_that_is_not_read_is_refused_by_its_name(tmp_path: Path) -> None:
    for name, kind in pictures(tmp_path).items():
        reason = inspect(str(tmp_path / name)).reason
        assert reason == f"not supported: picture format {kind}; convert it to PNG or JPEG", name


@pytest.mark.parametrize(("brand", "kind"), [(b"heic", "HEIC"), (b"heix", "HEIC"), (b"mif1", "HEIF")])
def test_a_picture_of_a_phone_is_called_what_it_is(brand: bytes, kind: str, tmp_path: Path) -> None:
    for name in ("IMG_0001.HEIC", "renamed.jpg", "renamed.mp4"):
        path = tmp_path / name
        path.write_bytes(heif_bytes(brand))
        assert inspect(str(path)).reason == f"not supported: a {kind} picture; convert it to PNG or JPEG"


@pytest.mark.parametrize(("form", "suffix"), [("PNG", "mp4"), ("JPEG", "png"), ("TIFF", "avi"), ("BMP", "wav")])
def test_what_a_file_holds_counts_and_not_its_suffix(form: str, suffix: str, tmp_path: Path) -> None:
    path = str(tmp_path / f"odd.{suffix}")
    Image.fromarray(PICTURE).save(path, form)
    found = inspect(path)
    assert (found.reason, found.kind, found.duration_seconds) == (None, "image", 0.0)
    assert number_in(read_image(path)) == 77


def test_what_only_its_suffix_calls_a_picture_is_not_media(tmp_path: Path) -> None:
    for suffix in ("tga", "pam", "exr", "png", "jpg"):
        path = tmp_path / f"text.{suffix}"
        path.write_text("no picture at all, but a text that is long enough to be looked at " * 20)
        assert inspect(str(path)).reason == "not media", suffix


def test_a_document_with_a_photograph_inside_is_not_media(tmp_path: Path) -> None:
    path = str(tmp_path / "letter.pdf")
    Image.fromarray(PICTURE).save(path)
    assert inspect(path).reason == "not media"


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("avi", "mjpeg"), ("mkv", "mpeg4")])
def test_a_video_of_one_frame_stays_a_video(suffix: str, codec: str, tmp_path: Path) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = make(tmp_path, Recipe(suffix, video=codec, pixels=pixels, frames=1, sound=None))
    found = inspect(str(path))
    assert (found.reason, found.kind, found.frame_count) == (None, "video", 1)


def test_many_jpegs_one_after_another_are_a_video_and_two_lenses_are_a_picture(tmp_path: Path) -> None:
    images = [Image.fromarray(draw(number)) for number in range(5)]
    stream = io.BytesIO()
    for image in images:
        image.save(stream, "JPEG")
    path = tmp_path / "camera.mjpeg"
    path.write_bytes(stream.getvalue())
    found = inspect(str(path))
    assert (found.reason, found.kind, found.frame_count) == (None, "video", 5)
    frames = read_frames(str(path), found.clock, list(found.frame_times))
    assert [number_in(frame) for frame in frames] == [0, 1, 2, 3, 4]

    lenses = str(tmp_path / "lenses.mpo")
    images[0].save(lenses, "MPO", save_all=True, append_images=images[1:2])
    assert inspect(lenses).kind == "image"
    assert number_in(read_image(lenses)) == 0


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_a_moving_avif_is_a_video_with_its_own_times(tmp_path: Path) -> None:
    path = str(tmp_path / "moving.avif")
    images = [Image.fromarray(draw(number, 128, 96)) for number in range(6)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=[100, 200, 100, 300, 100, 100], quality=90)
    found = inspect(path)
    assert (found.reason, found.kind, found.frame_count) == (None, "video", 6)
    assert found.frame_times.tolist() == pytest.approx([0, 0.1, 0.3, 0.4, 0.7, 0.8])
    frames = read_frames(path, found.clock, list(found.frame_times))
    assert [number_in(frame) for frame in frames] == list(range(6))


def test_a_moving_png_is_a_video_and_a_moving_webp_is_refused_as_one(tmp_path: Path) -> None:
    images = [Image.fromarray(draw(number)) for number in range(4)]
    paths = [str(tmp_path / name) for name in ("moving.png", "moving.webp")]
    for path in paths:
        images[0].save(path, save_all=True, append_images=images[1:], duration=100)
    found = inspect(paths[0])
    assert (found.reason, found.kind, found.frame_count) == (None, "video", 4)
    frames = read_frames(paths[0], found.clock, list(found.frame_times))
    assert [number_in(frame) for frame in frames] == [0, 1, 2, 3]
    assert inspect(paths[1]).reason == "not supported: an animated WebP; convert it to GIF or MP4"


def test_a_member_of_a_tar_has_the_verdict_that_it_has_as_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    pictures(folder)
    Image.fromarray(PICTURE).save(folder / "good.png")
    Image.fromarray(PICTURE).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:800])
    (folder / "phone.heic").write_bytes(heif_bytes(b"heic"))
    images = [Image.fromarray(draw(number)) for number in range(3)]
    images[0].save(folder / "moving.gif", save_all=True, append_images=images[1:], duration=100)
    images[0].save(folder / "moving.webp", save_all=True, append_images=images[1:], duration=100)
    with tarfile.open(tmp_path / "files.tar", "w") as tar:
        tar.add(folder, "class")
    media = avssl.open(tmp_path / "files.tar", workers=0, progress=False)
    assert [Path(media.facts(i).path).name for i in range(len(media))] == ["good.png"]
    reasons = {Path(path).name: reason for path, reason in media.rejected}
    assert reasons.pop("moving.gif") == "not supported: a video in a tar; unpack the tar"
    assert reasons == {name: inspect(str(folder / name)).reason for name in reasons}
    assert len(reasons) == len(CODECS) + len(BY_PILLOW) + 4


def test_a_large_member_of_a_tar_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avssl.media.indexing.inspect_many.SMALL_BYTES", 100)
    for form in ("png", "jpg", "tiff", "bmp", "webp", "gif"):
        Image.fromarray(PICTURE).save(tmp_path / f"a.{form}")
    with tarfile.open(tmp_path / "all.tar", "w") as tar:
        for form in ("png", "jpg", "tiff", "bmp", "webp", "gif"):
            tar.add(tmp_path / f"a.{form}", f"class/a.{form}")
    media = avssl.open(tmp_path / "all.tar", workers=0, progress=False)
    assert len(media) == 6
    for i in range(6):
        assert (media.frames(i, [0.0])[0] == read_image(str(tmp_path / Path(media.facts(i).path).name))).all()
        assert np.array_equal(media.frames(i, [0.0, 0.0])[1], media.frames(i, [0.0])[0])
