"""Optical flow of a library."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from avssl.errors import UserError
from avssl.evaluate.data.optical_flow import has_opencv, need_opencv, optical_flow

TEXTURE = gaussian_filter(np.random.default_rng(0).normal(size=(80, 80)), 2)
TEXTURE = (128 + 50 * TEXTURE / TEXTURE.std()).clip(0, 255).astype(np.uint8)


def seen(left: int, top: int) -> np.ndarray:
    return np.repeat(TEXTURE[None, top : top + 64, left : left + 64], 3, axis=0)


def test_flow_is_right_and_down_in_pixels():
    pytest.importorskip("cv2")
    found = optical_flow(seen(8, 8), seen(5, 10))  # what is seen goes three to the right and two up
    assert found.shape == (64, 64, 2)
    assert np.median(found, axis=(0, 1)) == pytest.approx([3, -2], abs=0.1)


def test_without_opencv_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert not has_opencv()
    with pytest.raises(UserError, match="optical flow needs OpenCV: pip install"):
        need_opencv()
