"""The files that are damaged: small, of many containers and codecs, with pictures and sound worth recognising."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "media"))
from made import Recipe, make

FRAMES = 40


def scene(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """A textured ground that drifts, and two discs that move: every picture is another."""
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    ground = np.stack(
        [
            120 + 60 * np.sin((columns + 2 * number) / 7) + 30 * np.sin(rows / 3),
            110 + 70 * np.sin((rows - number) / 6 + 1),
            100 + 50 * np.sin((columns + rows) / 9 + number / 5),
        ],
        axis=-1,
    )
    for colour, speed in (((230, 40, 30), 1.0), ((30, 60, 220), -1.6)):
        x = (width / 2 + speed * 1.5 * number) % width
        y = height / 2 + height / 3 * np.sin(number / 6 * speed)
        ground[(columns - x) ** 2 + (rows - y) ** 2 < (height / 6) ** 2] = colour
    return ground.clip(0, 255).astype(np.uint8)


def _video(suffix: str, video: str | None, sound: str | None, **more: object) -> Recipe:
    options = {"frames": FRAMES, "sound_seconds": 1.6, "width": 96, "height": 64, "picture": scene, **more}
    return Recipe(suffix, video=video, sound=sound, **options)  # type: ignore[arg-type]


RECIPES: dict[str, Recipe] = {
    "h264.mp4": _video("mp4", "libx264", "aac", b_frames=2),
    "hevc.mp4": _video("mp4", "libx265", "aac", b_frames=2),
    "av1.mp4": _video("mp4", "libsvtav1", "aac"),
    "mpeg4.mov": _video("mov", "mpeg4", "pcm_s16le"),
    "fragmented.mp4": _video("mp4", "libx264", "aac", options={"movflags": "frag_keyframe+empty_moov"}),
    "h264.mkv": _video("mkv", "libx264", "flac", b_frames=2, open_groups=True),
    "vp9.webm": _video("webm", "libvpx-vp9", "libopus", sound_rate=48_000),
    "vp8.webm": _video("webm", "libvpx", "libopus", sound_rate=48_000),
    "mpeg4.avi": _video("avi", "mpeg4", "libmp3lame"),
    "mjpeg.avi": _video("avi", "mjpeg", "pcm_s16le", pixels="yuvj420p"),
    "mpeg2.mpg": _video("mpg", "mpeg2video", "mp2", b_frames=2),
    "h264.ts": _video("ts", "libx264", "aac", b_frames=2),
    "mpeg2.ts": _video("ts", "mpeg2video", "mp2"),
    "flv1.flv": _video("flv", "flv", "aac"),
    "h264.flv": _video("flv", "libx264", "aac"),
    "theora.ogv": _video("ogv", "libtheora", "libvorbis"),
    "wmv2.wmv": _video("wmv", "wmv2", "wmav2", format="asf"),
    "pcm.wav": _video("wav", None, "pcm_s16le"),
    "sound.mp3": _video("mp3", None, "libmp3lame"),
    "sound.flac": _video("flac", None, "flac"),
    "sound.ogg": _video("ogg", None, "libopus", sound_rate=48_000),
    "video.gif": _video("gif", "gif", None, pixels="rgb8"),
    "sound.m4a": _video("m4a", None, "aac", format="ipod"),
}
"""Name → how it is made; what this FFmpeg cannot write is left out."""

SILENT = ("hevc.mp4", "vp8.webm", "vp9.webm", "wmv2.wmv", "mjpeg.avi", "video.gif")
SILENT += ("still.jpg", "still.webp", "still.gif", "still.tif")
"""Kinds whose codes are such that nearly any bytes are some picture, in containers without checksums. FFmpeg's decoder
of HEVC reports nothing where its arithmetic decoder goes astray."""

STILLS = {"still.jpg": "JPEG", "still.png": "PNG", "still.webp": "WEBP", "still.gif": "GIF", "still.tif": "TIFF"}


@dataclass(frozen=True)
class Original:
    """A whole file, and the pictures that it shows."""

    name: str
    data: bytes
    pictures: NDArray[np.uint8]
    """Every frame as our reader shows it: (n, 3, height, width); n is 0 for sound alone."""


def make_originals(folder: Path) -> list[Original]:
    """Write each kind once and read its pictures."""
    from avssl.media.decoding.images import read_image
    from avssl.media.decoding.video import read_frames
    from avssl.media.indexing.inspect import inspect

    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name, recipe in RECIPES.items():
        try:
            path = make(folder, recipe, name.partition(".")[0])
        except ValueError:  # an encoder that this FFmpeg lacks
            continue
        looked = inspect(path)
        assert looked.reason is None, f"{name}: {looked.reason}"
        pictures = np.zeros((0, 3, 1, 1), np.uint8)
        if looked.clock.has_video:
            pictures = read_frames(path, looked.clock, looked.frame_times.tolist())
        found.append(Original(name, Path(path).read_bytes(), pictures))
    for name, form in STILLS.items():
        data = io.BytesIO()
        Image.fromarray(scene(3, 160, 120)).save(data, form)
        path = str(folder / name)
        Path(path).write_bytes(data.getvalue())
        found.append(Original(name, data.getvalue(), read_image(path)[None]))
    return found
