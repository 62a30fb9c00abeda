"""Squares of pictures scaled with antialiasing: by Pillow, or by the same sums compiled for this machine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avssl.samplers import side_by_side
from avssl.samplers.keys import seed_compiled

# (h, w) pixels of four bytes: red, green, blue and one that does not count.
Packed = NDArray[np.uint32]
# Scales the square at left, top, of a size, mirrored or not, into (3, side, side).
Scale = Callable[[Packed, float, float, float, bool, NDArray[np.uint8]], None]

# Pictures that a process scales by Pillow first: in the time for that many numba is imported.
WORTH_COMPILING_AFTER = 1000


def scale_squares(
    frames: NDArray[np.uint8], left: float, top: float, size: float, flip: bool, side: int
) -> NDArray[np.uint8]:
    """The same square of several frames (n, 3, h, w), scaled to (n, 3, side, side), mirrored if ``flip``."""
    squares = side_by_side.empty((len(frames), 3, side, side), np.uint8)
    packed = packed_pixels(frames)
    compiled = None if packed is None else _COMPILED.after(len(frames))
    for n, square in enumerate(squares):
        if packed is None or compiled is None:
            scale_by_pillow(frames[n], left, top, size, flip, square)
        else:
            compiled(packed[n], left, top, size, flip, square)
    return squares


def scale_by_pillow(
    frame: NDArray[np.uint8], left: float, top: float, size: float, flip: bool, square: NDArray[np.uint8]
) -> None:
    """Scale the square of a frame (3, h, w) into ``square`` (3, side, side)."""
    picture = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
    box = (left, top, left + size, top + size)
    scaled = np.asarray(picture.resize(square.shape[1:], Image.Resampling.BILINEAR, box=box))
    square[:] = (scaled[:, ::-1] if flip else scaled).transpose(2, 0, 1)


def packed_pixels(frames: NDArray[np.uint8]) -> Packed | None:
    """Frames (n, 3, h, w) as (n, h, w), where they are a view of pixels of four bytes, as prepared sets give them."""
    owner, (n, _, h, w) = frames.base, frames.shape
    if frames.strides[1:] != (1, 4 * w, 4) or not isinstance(owner, np.ndarray) or not owner.flags.c_contiguous:
        return None
    begin, each = _address(frames) - _address(owner), 4 * h * w
    if (n > 1 and frames.strides[0] != each) or begin + n * each > owner.nbytes:
        return None
    return np.ndarray((n, h, w), np.uint32, owner, begin)


def _address(array: NDArray[np.uint8]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


class _Compiled:
    """The compiled scaling, for a process that scales many pictures.

    It gives the pixels that Pillow gives, so that it does not matter when it takes over.
    """

    def __init__(self) -> None:
        self._scaled = 0
        self._scale: Scale | None = None

    def after(self, count: int) -> Scale | None:
        """What scales the next so many pictures; None: Pillow."""
        before, self._scaled = self._scaled, self._scaled + count
        if before < WORTH_COMPILING_AFTER <= self._scaled:
            self._scale = compiled_scale()
            if self._scale is not None:  # numba is there now
                seed_compiled()
        return self._scale


_COMPILED = _Compiled()


def compiled_scale() -> Scale | None:
    """Pillow's scaling, compiled; None where it cannot be had, or the installed Pillow gives other pixels.

    Pillow 13 begins with the columns of pictures that are tall, older ones always with the rows.
    """
    try:
        from avssl.samplers.resampling import resample
    except ImportError:  # numba comes some months after a new Python or NumPy
        return None

    def tall_by_columns(
        packed: Packed, left: float, top: float, size: float, flip: bool, square: NDArray[np.uint8]
    ) -> None:
        (height, width), side = packed.shape, square.shape[1]
        if height - side <= 2 * max(width - side, 0):
            resample(packed, left, top, size, flip, square)
            return
        turned = np.empty_like(square)
        resample(np.ascontiguousarray(packed.T), top, left, size, False, turned)
        square[:] = (turned[:, ::-1] if flip else turned).transpose(0, 2, 1)

    scales: tuple[Scale, ...] = (resample, tall_by_columns)
    return next((scale for scale in scales if _as_pillow(scale)), None)


def _as_pillow(scale: Scale) -> bool:
    rng = np.random.default_rng(0)
    for shape in ((24, 40, 4), (40, 24, 4)):
        picture = rng.integers(0, 256, shape, np.uint8)
        found, expected = np.empty((2, 3, 16, 16), np.uint8)
        scale(picture.view(np.uint32)[..., 0], 1.3, 2.7, 20.9, True, found)
        scale_by_pillow(picture[..., :3].transpose(2, 0, 1), 1.3, 2.7, 20.9, True, expected)
        if not np.array_equal(found, expected):
            return False
    return True
