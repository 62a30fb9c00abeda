"""How much each frame of an item differs from the one before: measured once for a collection, kept in the cache.

The first request costs one pass through every file; subsets of a collection share its measurements.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avssl.media.facts import Media
from avssl.media.measuring import measured
from avssl.media.selection import digest_of, stamp_of, underlying
from avssl.system.files import cache_folder, locked, read_json, whole_folder, write_json

SIDE = 32  # pixels: frames are compared as grey pictures of 32×32
FORMAT = 1  # to be raised whenever the same frames would give another curve

_FRAMES_AT_ONCE = 64
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def motion_curve(media: Media, i: int) -> NDArray[np.float32]:
    """The motion of item ``i`` at each frame: mean absolute difference to the frame before, 0..1.

    Returns:
        float32 (frames,), a read-only view; the first is 0. Empty where the item is no video or cannot be read to
        its end.

    Raises:
        UserError: the cache cannot be written.
    """
    base, item = underlying(media, i)
    return _curves(base).curve(item)


def measure_motion(media: Media) -> None:
    """Measure every item of the collection that ``media`` is a part of, unless the cache has it.

    Raises:
        UserError: the cache cannot be written.
    """
    base, _ = underlying(media)
    folder = _folder(base)
    if read_json(folder / "motion.json") is not None:
        return
    with locked(folder.parent):
        if read_json(folder / "motion.json") is not None:  # another process has measured it meanwhile
            return
        _write(_measured(base), folder)


class _Curves:
    """The measurements of a collection, mapped into memory."""

    def __init__(self, folder: Path) -> None:
        ends = np.fromfile(folder / "ends.i64", "<i8")
        path = folder / "curves.f32"
        # A plain array: slices of np.memmap carry a costly wrapper. An empty file cannot be mapped.
        self._all = np.asarray(np.memmap(path, "<f4", "r")) if path.stat().st_size else np.zeros(0, np.float32)
        self._starts, self._ends = np.concatenate([[0], ends[:-1]]).astype(np.int64), ends

    def curve(self, i: int) -> NDArray[np.float32]:
        return self._all[self._starts[i] : self._ends[i]]


# Of this process: each puzzle needs one curve, and there are millions of puzzles.
_opened: dict[Path, _Curves] = {}


def _curves(base: Media) -> _Curves:
    folder = _folder(base)
    known = _opened.get(folder)
    if known is None:
        measure_motion(base)
        known = _opened[folder] = _Curves(folder)
    return known


def _folder(base: Media) -> Path:
    return cache_folder() / "motion" / digest_of(base.fingerprint, stamp_of(base), f"{FORMAT} {len(base)}")


def _write(curves: list[NDArray[np.float32]], folder: Path) -> None:
    with whole_folder(folder) as unfinished:
        together = np.concatenate(curves) if curves else np.zeros(0, np.float32)
        together.astype("<f4").tofile(unfinished / "curves.f32")
        np.cumsum([len(curve) for curve in curves]).astype("<i8").tofile(unfinished / "ends.i64")
        write_json(unfinished / "motion.json", {"format": FORMAT, "side": SIDE, "items": len(curves)})


def _measured(base: Media) -> list[NDArray[np.float32]]:
    curves = [np.zeros(0, np.float32)] * len(base)
    for items, answers in measured(
        base,
        range(len(base)),
        _curve,
        what="measuring motion",
        patience=lambda i: base.facts(i).duration_seconds,
        workers=None,
        progress=None,
    ):
        for i, curve in zip(items, answers, strict=True):
            curves[i] = curves[i] if curve is None else curve
    return curves


def _curve(media: Media, i: int) -> NDArray[np.float32]:
    values: list[float] = []
    before: NDArray[np.float32] | None = None
    for picture in _small_frames(media, i) if media.facts(i).has_video else ():
        grey = picture @ _LUMA
        values.append(0.0 if before is None else float(np.abs(grey - before).mean()) / 255)
        before = grey
    return np.array(values, np.float32)


def _small_frames(media: Media, i: int) -> Iterator[NDArray[np.float32]]:
    """Every frame of an item, float32 (32, 32, 3), 0..255."""
    times = media.frame_times(i)
    # Only collections of files have it: random access to a video costs a seek, to a prepared frame nothing.
    one_pass: Any = getattr(media, "all_frames", None)
    if one_pass is not None:
        yield from (picture.astype(np.float32) for _, picture in one_pass(i, range(len(times)), (SIDE, SIDE)))
        return
    for first in range(0, len(times), _FRAMES_AT_ONCE):
        for frame in media.frames(i, times[first : first + _FRAMES_AT_ONCE].tolist()):
            yield _shrunk(frame)


def _shrunk(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A frame (3, h, w) as float32 (32, 32, 3), averaged over areas."""
    picture = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
    factor = max(min(picture.size) // SIDE, 1)
    if factor > 1:
        picture = picture.reduce(factor)  # whole blocks first: much faster, and BOX does the rest
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
