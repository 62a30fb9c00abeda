"""Labels carried by optical flow, where OpenCV is installed."""

from __future__ import annotations

import numpy as np
import pytest

from avssl.evaluate.transfer.propagation.flow import carry_by_flow
from avssl.evaluate.transfer.propagation.regions import region_similarity
from avssl.evaluate.transfer.propagation.videos import Masks, Points


def test_a_textured_square_and_a_point_on_it_go_with_the_flow() -> None:
    pytest.importorskip("cv2", reason="the extra [flow] is not installed")
    rng = np.random.default_rng(0)
    patch = rng.integers(0, 255, (24, 24), np.uint8)
    frames, masks = np.full((5, 3, 64, 96), 128, np.uint8), np.zeros((5, 64, 96), np.uint8)
    for t in range(5):
        frames[t, :, 20:44, 10 + 2 * t : 34 + 2 * t] = patch
        masks[t, 20:44, 10 + 2 * t : 34 + 2 * t] = 1
    carried = carry_by_flow(frames, Masks(masks, np.ones(5, bool), 1))
    assert region_similarity(carried[4] == 1, masks[4] == 1) > 0.85
    assert region_similarity(masks[0] == 1, masks[4] == 1) < 0.6
    places = np.array([[[22.0 + 2 * t, 32.0], [np.nan, np.nan]] for t in range(5)])
    moved = carry_by_flow(frames, Points(places))
    assert np.abs(moved[4, 0] - places[4, 0]).max() < 1.5 and np.isnan(moved[4, 1]).all()
