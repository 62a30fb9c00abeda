"""Near-identical pictures: copies, however encoded, scaled or mirrored.

Pictures are compared as thumbnails: where the smoothed difference is small everywhere, one is a copy of the other.
Candidates are found by a perceptual hash of 63 bits (signs of low frequencies; Zauner 2010, "pHash"), of which one of
four bands must be equal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.ndimage import uniform_filter

SIDE, COARSE = 24, 6

# The greatest differences of two copies in grey levels, after fitting contrast: anywhere once smoothed over 3×3 cells,
# and root mean square.
NEAR = 9.0
NEAR_RMS = 4.0
NEAR_COLOUR = 14.0  # and of a colour channel, mean over the coarse thumbnails
# Plain pictures all look alike, and are not compared: below this standard deviation of grey levels, or with fewer
# frequencies of a fifth of the strongest (a ramp).
CONTRAST = 14.0
DETAIL = 4
_NEIGHBOURS = 6


def thumbnail(frame: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A frame (3, h, w) in grey (24, 24) and in coarse colours (6, 6, 3)."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
    small = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)
    coarse = np.asarray(small, np.float32).reshape(COARSE, 4, COARSE, 4, 3).mean((1, 3))
    return np.asarray(small.convert("L")), np.round(coarse).astype(np.uint8)


def has_detail(grey: NDArray[np.uint8]) -> bool:
    """Whether a thumbnail (24, 24) has enough detail to be recognised."""
    if float(grey.std()) < CONTRAST:
        return False
    spectrum = np.abs(dctn(grey.astype(np.float32), norm="ortho"))[:8, :8].ravel()[1:]
    return int((spectrum > 0.2 * spectrum.max()).sum()) >= DETAIL


def same_picture(
    grey: NDArray[np.uint8], colour: NDArray[np.uint8], other: NDArray[np.uint8], other_colour: NDArray[np.uint8]
) -> bool:
    """Whether two thumbnails are of one picture, up to contrast and brightness."""
    a, b = grey.astype(np.float32), other.astype(np.float32)
    da, db = a - a.mean(), b - b.mean()
    gain = float((da * db).sum() / max(float((da * da).sum()), 1e-9))
    if not 0.6 < gain < 1.6:
        return False
    rest = db - gain * da
    if float(np.sqrt((rest**2).mean())) > NEAR_RMS or float(np.abs(uniform_filter(rest, 3)).max()) > NEAR:
        return False
    expected = gain * (colour.astype(np.float32) - a.mean()) + b.mean()  # brighter in all channels alike
    return float(np.abs(expected - other_colour).mean()) <= NEAR_COLOUR


def bits_apart(
    grey: NDArray[np.uint8], colour: NDArray[np.uint8], other: NDArray[np.uint8], other_colour: NDArray[np.uint8]
) -> int | None:
    """In how many of 63 bits the most similar pictures of two items differ; None where no two are copies.

    Args:
        grey, other: thumbnails (k, 24, 24).
        colour, other_colour: of the same frames, (k, 6, 6, 3).
    """
    found = []
    for one, its_colour in zip(grey, colour, strict=True):
        for flip in (False, True) if has_detail(one) else ():
            theirs = mirrored(other) if flip else other
            their_colour = mirrored(other_colour) if flip else other_colour
            found += [
                (_bits(one) ^ _bits(picture)).bit_count()
                for picture, its in zip(theirs, their_colour, strict=True)
                if same_picture(one, its_colour, picture, its)
            ]
    return min(found, default=None)


def mirrored(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Thumbnails (k, h, w, …) with left and right exchanged."""
    return thumbnails[:, :, ::-1]


def candidates(pictures: Sequence[NDArray[np.uint8]]) -> Iterator[tuple[int, int]]:
    """Pairs of items, a < b, that may show one picture, each once, by their grey thumbnails (k, 24, 24)."""
    buckets: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for item, thumbnails in enumerate(pictures):
        distinct = [grey for grey in thumbnails if has_detail(grey)]
        for grey in distinct:
            for bits in {_bits(grey), _bits(grey[:, ::-1])}:
                for band in range(4):
                    buckets[band, bits >> (16 * band) & 0xFFFF].append((bits, item))
    seen: set[tuple[int, int]] = set()
    for members in buckets.values():
        # Sorted, similar hashes are neighbours; of a thousand equal ones each is compared with a few alone, so that the
        # number of pairs stays linear.
        members.sort()
        for place, (_, item) in enumerate(members):
            for _, other in members[place + 1 : place + 1 + (_NEIGHBOURS if len(members) > 64 else 64)]:
                pair = (min(item, other), max(item, other))
                if item != other and pair not in seen:
                    seen.add(pair)
                    yield pair


def same_frames(
    grey: NDArray[np.uint8], colour: NDArray[np.uint8], other: NDArray[np.uint8], other_colour: NDArray[np.uint8]
) -> bool:
    """Whether two items show the same pictures: several that differ among themselves, or all there are.

    Args:
        grey, other: thumbnails (k, 24, 24).
        colour, other_colour: of the same frames, (k, 6, 6, 3).
    """
    for flip in (False, True):
        theirs = mirrored(other) if flip else other
        their_colour = mirrored(other_colour) if flip else other_colour
        if len(grey) == len(other) and len(grey) > 1:  # frames of a video and its copy: at equal shares of the length
            pairs = list(zip(range(len(grey)), range(len(other)), strict=True))
        else:
            pairs = [(i, j) for i in range(len(grey)) for j in range(len(other))]
        distinct = [i for i in range(len(grey)) if has_detail(grey[i])]
        same = [i for i, j in pairs if i in distinct and same_picture(grey[i], colour[i], theirs[j], their_colour[j])]
        if len(same) >= min(len(grey), len(other)) or len(_different([grey[i] for i in same])) >= 3:
            return True
    return False


def _different(pictures: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Those that are no copies of an earlier one."""
    kept: list[NDArray[np.uint8]] = []
    for grey in pictures:
        if all(float(np.abs(grey.astype(np.int16) - one).mean()) > NEAR_RMS for one in kept):
            kept.append(grey)
    return kept


def _bits(grey: NDArray[np.uint8]) -> int:
    spectrum = dctn(grey.astype(np.float32), norm="ortho")[:8, :8].ravel()
    return int.from_bytes(np.packbits(spectrum > 0).tobytes(), "big") & ((1 << 63) - 1)
