"""Optical flow of a library: OpenCV's DIS (Kroeger, Timofte, Dai & Van Gool, ECCV 2016), which has learned nothing."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.installation import install_hint


def has_opencv() -> bool:
    """Whether OpenCV, an extra, is installed."""
    return find_spec("cv2") is not None


def need_opencv() -> ModuleType:
    """OpenCV.

    Raises:
        UserError: it is not installed.
    """
    if not has_opencv():
        raise UserError(f"optical flow needs OpenCV: {install_hint('flow')}")
    return import_module("cv2")


def optical_flow(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where each pixel of the first frame is in the second, relative to its place.

    Args:
        first, second: RGB (3, h, w).

    Returns:
        (h, w, 2), right and down, in pixels.

    Raises:
        UserError: OpenCV is not installed.
    """
    cv2 = need_opencv()
    pictures = (np.ascontiguousarray(frame.transpose(1, 2, 0)) for frame in (first, second))
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    flow: NDArray[np.float32] = _dis().calc(*grey, None)
    return flow


@cache
def _dis() -> Any:
    cv2 = need_opencv()
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # the most accurate of its presets
