"""What ``avssl doctor`` reads: a small clip that it writes, with every reader that training uses."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from avssl.media.facts import Media

FPS, RATE, SECONDS, SIDE = 8, 16_000, 2, 64
TONE_HZ = 1000  # a second of sound has its peak at this line of its spectrum
PICTURES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "AVIF": "avif", "TIFF": "tif", "GIF": "gif", "BMP": "bmp"}
TOLERANCE = 5.0  # levels by which a picture that was coded with loss may differ in the mean


class WrongAnswer(Exception):
    """A reader that returns something other than what was written."""


Outcome = tuple[str, str, bool]  # (what was read, what came of it, whether that is well)


# What is read → seconds that it takes on two idle cores.
CHECKS = {
    "writing a clip": 0.2,
    "examining a file in a process of its own": 1.0,
    "frames and sound of a video": 0.1,
    "pictures": 0.3,
    "frames and sound of a prepared set": 1.2,
    "spectrograms and networks": 1.0,
}


def check_readers(begin: Callable[[str], None]) -> list[Outcome]:
    """Write a clip and a few pictures, read them back with each reader, and compare.

    Args:
        begin: called with the name of each check, as in :data:`CHECKS`, when it begins.
    """
    with tempfile.TemporaryDirectory() as folder:
        clip, prepared = Path(folder) / "clip.mp4", Path(folder) / "prepared"
        checks: list[Callable[[], str]] = [
            lambda: _write(clip),
            lambda: _looked_at(clip),
            lambda: _read(clip),
            lambda: _pictures(Path(folder)),
            lambda: _prepared(clip, prepared),
            _network,
        ]
        return [_outcome(name, check, begin) for name, check in zip(CHECKS, checks, strict=True)]


def _outcome(name: str, step: Callable[[], str], begin: Callable[[str], None]) -> Outcome:
    begin(name)
    try:
        return name, step(), True
    except Exception as error:  # whatever an installation does wrong is what is asked for here
        return name, " ".join(f"does not work: {type(error).__name__}: {error}".split()), False


def _frames() -> NDArray[np.uint8]:
    """Every frame of its own brightness: (n, SIDE, SIDE, 3)."""
    # Steps of 11.7 levels, twice TOLERANCE: a frame that is one place off is found. Black and white would clip.
    levels = np.linspace(40, 215, FPS * SECONDS).round().astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (len(levels), SIDE, SIDE, 3)).copy()


def _write(clip: Path) -> str:
    from avssl.world.mp4 import write_video

    tone = 0.5 * np.sin(2 * np.pi * TONE_HZ * np.arange(RATE * SECONDS) / RATE)
    write_video(clip, _frames(), FPS, tone.astype(np.float32), RATE)
    return f"H.264 and AAC, {clip.stat().st_size / 1000:.0f} kB"


def _looked_at(clip: Path) -> str:
    from avssl.media.indexing.inspect_many import Target, inspect_many

    ((_, found),) = inspect_many([Target(str(clip), clip.stat().st_size)], 1, lambda done: None)
    if found.reason is not None:
        raise WrongAnswer(found.reason)
    _must(found.frame_count == FPS * SECONDS, f"{found.frame_count} frames instead of {FPS * SECONDS}")
    return f"{found.width}×{found.height}, {found.duration_seconds:.2f} s, {found.audio_rate} Hz"


def _read(clip: Path) -> str:
    from avssl.media.opening import open_media

    return _compared(open_media(clip, index=clip.parent / "index", workers=0, progress=False))


def _prepared(clip: Path, out: Path) -> str:
    from avssl.media.opening import open_media
    from avssl.media.prepared.write import prepare

    media = open_media(clip, index=clip.parent / "index", workers=0, progress=False)
    return _compared(prepare(media, out, side=SIDE, rate=RATE, workers=1, progress=False))


def _compared(media: Media) -> str:
    times = [0.0, 1.0, SECONDS - 0.01]  # the first frame, one that needs seeking, the last
    wanted = _frames()[[0, FPS, FPS * SECONDS - 1]].mean((1, 2, 3))
    found = media.frames(0, times).mean((1, 2, 3))
    _must(np.abs(found - wanted).max() < TOLERANCE, f"brightness {found.round()} instead of {wanted.round()}")
    spectrum = np.abs(np.fft.rfft(media.audio(0, 0.5, 1.0, RATE)))
    _must(int(spectrum.argmax()) == TONE_HZ, f"a tone of {int(spectrum.argmax())} Hz instead of {TONE_HZ} Hz")
    return f"{len(times)} frames within {np.abs(found - wanted).max():.1f} levels, a tone of {TONE_HZ} Hz"


def _pictures(folder: Path) -> str:
    from PIL import Image, features

    from avssl.media.decoding.images import read_image

    pixels = np.broadcast_to(np.linspace(0, 255, SIDE).astype(np.uint8)[:, None, None], (SIDE, SIDE, 3))
    # Pillow may be built without these two.
    names = [name for name in PICTURES if name not in ("WEBP", "AVIF") or features.check(name.lower())]
    for name in names:
        path = folder / f"picture.{PICTURES[name]}"
        Image.fromarray(pixels.copy()).save(path)
        found = read_image(str(path)).transpose(1, 2, 0).astype(int)
        _must(np.abs(found - pixels).mean() < TOLERANCE, f"wrong pixels of a {name}")
    lacking = [name for name in PICTURES if name not in names]
    return ", ".join(names) + (f"; this Pillow reads no {' and no '.join(lacking)}" if lacking else "")


def _network() -> str:
    import torch

    from avssl.networks.audio import AudioConfig, AudioEncoder
    from avssl.networks.config import VisionConfig
    from avssl.networks.vision import VisionEncoder

    with torch.inference_mode():
        vision, audio = (
            VisionEncoder(VisionConfig(side=SIDE, width=8)).eval(),
            AudioEncoder(AudioConfig(width=8)).eval(),
        )
        sound = audio.config.front_end
        seen = vision(torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8))
        heard = audio(torch.zeros(1, round(sound.seconds * sound.rate)))
    _must(bool(torch.isfinite(seen).all() and torch.isfinite(heard).all()), "a network returns NaN")
    return f"maps {tuple(seen.shape[1:])} of a picture, {tuple(heard.shape[1:])} of a second of sound"


def _must(condition: bool, otherwise: str) -> None:
    if not condition:
        raise WrongAnswer(otherwise)
