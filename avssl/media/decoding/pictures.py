"""From a decoded frame to the picture as shown: RGB, square pixels, upright."""

from __future__ import annotations

import errno
import struct
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from avssl.errors import MediaError

# The same bytes on every processor; swscale is slower without its approximate SIMD paths.
_EXACT = int(Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT)
_FULL_RANGE = int(ColorRange.JPEG)

# Colour matrices (ITU-T H.273, table 4) that FFmpeg does not convert, and their substitutes: "unspecified" for reserved
# ones and those derived from the primaries; BT.2020 without constant luminance for that with it, as FFmpeg once did.
_ALIKE = {3: 2, 10: 9, 12: 2, 13: 2}

Turn = tuple[bool, bool, bool]  # (swap, flip rows, flip columns): exchange rows and columns first, then flip


def _of_unknown_kind(kinds: type[SideDataType], number: object) -> SideDataType:
    """A kind of side data that FFmpeg knows and PyAV does not."""
    kind: Any = object.__new__(kinds)
    kind._name_, kind._value_ = f"KIND_{number}", number
    return cast("SideDataType", kind)


# PyAV reads all side data of a frame at once, and raises ValueError at a kind that its enumeration lacks: the display
# matrix beside it could not be read.
setattr(SideDataType, "_missing_", classmethod(_of_unknown_kind))  # noqa: B010  (mypy: assigning to a method)


class Painter:
    """Converts frames of one stream into pictures of one size, uint8 (3, height, width).

    Colours follow the matrix and range of the frame, ITU-R BT.601 where it has none (FFmpeg's convention); high dynamic
    range is not tone-mapped. Transparent pixels are blended with white. Interlaced frames are not deinterlaced.

    Args:
        width, height: of the picture as shown.
        path: of the file, for error messages.

    Raises:
        MediaError: from every method, where FFmpeg cannot convert this kind of frame to RGB.
    """

    def __init__(self, width: int, height: int, path: str) -> None:
        self._path = path
        self._width = width
        self._height = height
        self._reformatter = VideoReformatter()

    def paint(self, frame: VideoFrame) -> NDArray[np.uint8]:
        return np.ascontiguousarray(self.pixels(frame).transpose(2, 0, 1))

    def pixels(self, frame: VideoFrame) -> NDArray[np.uint8]:
        turn = turn_of(frame)
        across, down = (self._height, self._width) if turn[0] else (self._width, self._height)
        transparent = any(component.is_alpha for component in frame.format.components)
        if frame.colorspace in _ALIKE:
            frame.colorspace = _ALIKE[frame.colorspace]
        try:
            if frame.format.name.startswith("yaf32"):  # grey floats with alpha: FFmpeg aborts the process
                raise av.FFmpegError(errno.ENOTSUP, "not supported")
            scaled = self._reformatter.reformat(
                frame,
                width=across,
                height=down,
                format="rgba" if transparent else "rgb24",
                interpolation=_EXACT,
                dst_color_range=_FULL_RANGE,
                threads=1,
            )
        except av.FFmpegError as error:
            kind = f"pixel format {frame.format.name}, colour matrix {frame.colorspace}"
            raise MediaError(self._path, f"its pictures cannot be converted to RGB ({kind})") from error
        pixels: NDArray[np.uint8] = np.asarray(scaled.to_ndarray(), dtype=np.uint8)
        if transparent:
            pixels = on_white(pixels)
        return turned(pixels, turn)


def shown_size(stream: VideoStream, frame: VideoFrame) -> tuple[int, int]:
    """(width, height) of a frame as shown: the width scaled for square pixels, then rotated."""
    aspect = _pixel_aspect(stream)
    width = max(round(frame.width * aspect), 1)
    return (frame.height, width) if turn_of(frame)[0] else (width, frame.height)


def on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA (h, w, 4) blended with white: RGB (h, w, 3)."""
    colour, alpha = pixels[..., :3].astype(np.uint16), pixels[..., 3:].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def turned(pixels: NDArray[np.uint8], turn: Turn) -> NDArray[np.uint8]:
    swap, rows, columns = turn
    if swap:
        pixels = pixels.swapaxes(0, 1)
    return pixels[:: -1 if rows else 1, :: -1 if columns else 1]


def turn_of(frame: VideoFrame) -> Turn:
    """The rotation that the file asks for, to the nearest quarter turn, mirrored ones included.

    The display matrix [a b; c d] maps a stored point (x, y) to the shown point (a x + c y, b x + d y)
    (ISO/IEC 14496-12, 8.2.2.3).
    """
    side_data: Any = frame.side_data
    matrix = side_data.get(SideDataType.DISPLAYMATRIX)
    if matrix is None:
        return (False, False, False)
    a, b, _, c, d = struct.unpack("=9i", bytes(matrix))[:5]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (False, d < 0, a < 0)
    return (True, b < 0, c < 0)


def _pixel_aspect(stream: VideoStream) -> Fraction:
    aspect = stream.sample_aspect_ratio
    # Nonsense in a header (0, or pixels over ten times as wide as high) is ignored.
    return aspect if aspect and Fraction(1, 10) <= aspect <= 10 else Fraction(1)
