"""Frames and sounds inside a page, as data URLs."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 176  # The longer side of a frame on a page, in pixels


def wav(waveform: NDArray[np.float32], rate: int) -> bytes:
    """Mono sound, full scale ±1, as a WAV file of 16 bits."""
    from scipy.io import wavfile  # a page without sounds needs no scipy

    buffer = io.BytesIO()
    wavfile.write(buffer, rate, (np.clip(waveform, -1, 1) * 32767).astype("<i2"))
    return buffer.getvalue()


def jpeg(frame: NDArray[np.uint8]) -> bytes:
    """A frame uint8 (3, height, width) as a small JPEG."""
    picture = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def data_url(kind: str, content: bytes) -> str:
    """Content of a MIME type as an address that needs no file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
