"""Media of a moment for the page: its frame, its spectrogram, a few seconds of film, its sound."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avssl.localization.movie import movie
from avssl.localization.scenes import Film
from avssl.system.scratch import ScratchFolder

THUMBNAIL_SIDE = 320
FILM_SIDE = 480
"""The longer side of a film, pixels: it plays in a card or in a column of the page."""

_BANDS, _FFT, _HOP = 64, 1024, 256
_FLOOR_DB = -80.0


def jpeg(frame: NDArray[np.uint8], side: int = THUMBNAIL_SIDE) -> bytes:
    """A frame, uint8 (3, height, width), its longer side at most ``side`` pixels."""
    picture = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def spectrogram(waveform: NDArray[np.float32], rate: int) -> bytes:
    """A log-mel spectrogram as a PNG, low pitches below; 80 dB from its loudest cell to black."""
    import librosa
    from matplotlib import colormaps

    power = librosa.feature.melspectrogram(y=waveform, sr=rate, n_fft=_FFT, hop_length=_HOP, n_mels=_BANDS)
    # Silence stays black: its loudest cell is no reference.
    level = librosa.power_to_db(power, ref=max(float(power.max()), 1e-8), amin=1e-20, top_db=None)
    shade = np.clip(1 - level / _FLOOR_DB, 0, 1)[::-1]
    picture = Image.fromarray((colormaps["magma"](shade)[..., :3] * 255).astype(np.uint8))
    buffer = io.BytesIO()
    picture.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE // 2), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def film(scene: Film) -> bytes:
    """A scene as an MP4 that browsers play, the longer side at most :data:`FILM_SIDE` pixels."""
    scale = min(1.0, FILM_SIDE / max(scene.width, scene.height))
    # H.264 of 4:2:0 has even sides.
    width, height = (max(round(v * scale / 2) * 2, 2) for v in (scene.width, scene.height))
    # Each frame is shown until the next one is; the last until the sound ends, too.
    ends = np.append(scene.times[1:], max(scene.seconds, scene.times[-1] + 1e-3))
    fps = len(scene.times) / max(scene.seconds, 1e-3)
    with ScratchFolder("film") as folder:
        path = folder / "film.mp4"
        with movie(path, (width, height), fps, scene.seconds, scene.sound, scene.audio_rate) as writer:
            for number, picture in scene.frames(range(len(scene.times)), (width, height)):
                writer.show(picture, float(scene.times[number]), float(ends[number]))
        return path.read_bytes()
