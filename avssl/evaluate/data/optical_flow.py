"""Optical flow of a library: OpenCV's DIS (Kroeger, Timofte, Dai & Van Gool, ECCV 2016), an extra."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.installation import install_hint


def has_optical_flow() -> bool:
    """Whether OpenCV is installed."""
    return find_spec("cv2") is not None


def optical_flow(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where each pixel of the first frame is in the second, relative to its place.

    Args:
        first, second: RGB (3, h, w).

    Returns:
        (2, h, w), right and down, in pixels.

    Raises:
        UserError: OpenCV is not installed.
    """
    if not has_optical_flow():
        raise UserError(f"optical flow needs OpenCV: {install_hint('flow')}")
    import cv2

    grey = [
        cv2.cvtColor(np.ascontiguousarray(frame.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY) for frame in (first, second)
    ]
    flow: NDArray[np.float32] = _dis().calc(*grey, None)
    return np.ascontiguousarray(flow.transpose(2, 0, 1))


@cache
def _dis() -> Any:
    import cv2

    # The most accurate of its presets, and down to single pixels, as frames are small here.
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    return dis
