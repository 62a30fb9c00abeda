"""The compiled scaling gives the pixels that Pillow gives."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.samplers import scaling
from avssl.samplers.pictures import Crop, cut, cut_all
from avssl.samplers.scaling import _Compiled, compiled_scale, packed_pixels, scale_by_pillow


def packed_view(n: int, h: int, w: int, seed: int = 0) -> np.ndarray:
    """Frames as prepared sets give them: (n, 3, h, w), a view of pixels of four bytes."""
    whole = np.random.default_rng(seed).integers(0, 256, (n, h, w, 4), np.uint8)
    return whole[..., :3].transpose(0, 3, 1, 2)


@settings(max_examples=150, deadline=None)
@given(
    height=st.integers(2, 130),
    width=st.integers(2, 130),
    share=st.floats(0.05, 1),
    left=st.floats(0, 1),
    top=st.floats(0, 1),
    flip=st.booleans(),
    side=st.integers(1, 80),
)
def test_compiled_scaling_gives_every_pixel_that_pillow_gives(height, width, share, left, top, flip, side):
    size = min(height, width) * share
    place = (left * (width - size), top * (height - size), size, flip)
    frames = packed_view(1, height, width)
    found, expected = np.empty((2, 3, side, side), np.uint8)
    scale, packed = compiled_scale(), packed_pixels(frames)
    assert scale is not None and packed is not None
    scale(packed[0], *place, found)
    scale_by_pillow(frames[0], *place, expected)
    assert (found == expected).all()


def test_only_pictures_of_four_bytes_in_order_are_scaled_so():
    frames = packed_view(3, 5, 7)
    for view in (frames, frames[1:], frames[2:3], frames[1][None]):
        packed = packed_pixels(view)
        assert packed is not None
        assert (packed.view(np.uint8).reshape(*packed.shape, 4)[..., :3] == view.transpose(0, 2, 3, 1)).all()
    for view in (frames[::-1], frames[::2], frames[:, ::-1], frames[..., ::-1], frames.copy()):
        assert packed_pixels(view) is None


def test_it_takes_over_once_a_process_has_scaled_many_and_no_pixel_changes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scaling, "WORTH_COMPILING_AFTER", 4)
    monkeypatch.setattr(scaling, "_COMPILED", _Compiled())
    frames, crop = packed_view(2, 40, 30), Crop(1.5, 2.25, 27.5, True)
    by_pillow = [cut(frame.copy(), crop, 16) for frame in frames]
    assert scaling._COMPILED.after(0) is None
    for _ in range(3):
        assert (cut_all(frames, crop, 16) == by_pillow).all()
    assert scaling._COMPILED.after(0) is not None


def test_pillow_goes_on_where_numba_cannot_be_imported_or_the_pixels_would_differ(monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "avssl.samplers.resampling", None)
        assert compiled_scale() is None

    def otherwise(frame, left, top, size, flip, square):
        square[:] = 7

    monkeypatch.setattr(scaling, "scale_by_pillow", otherwise)
    assert compiled_scale() is None


def test_code_that_cannot_be_kept_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch):
    from avssl.samplers import compiling

    def njit(signature, *, nogil, cache=False):
        if cache:
            raise RuntimeError("cannot cache function: no locator available for file")
        return lambda function: function

    monkeypatch.setattr(compiling, "njit", njit)
    assert compiling.kept("void()")(len) is len
