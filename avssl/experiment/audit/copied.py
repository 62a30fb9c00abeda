"""Altered copies of test items planted in training: are they found?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avssl.experiment.audit.findings import Finding, Verdict
from avssl.media.facts import Facts, Media, Rejected
from avssl.media.selection import Concatenated, Subset, View, digest_of
from avssl.media.sources import find_sources
from avssl.samplers.keys import generator

COPIED = 12  # test items: enough to see whether copies are found at all
_SMALLER, _DARKER, _QUIETER = 0.75, 0.9, 0.7  # as a copy that was uploaded again is
_FOUND = 0.9  # share of the copies from which on the search for sources counts as one that sees


def copies_found(media: Media, test: NDArray[np.int64], seed: int) -> Finding | None:
    """Plant copies of a few test items, smaller, darker and quieter, under other names, and look for their sources.

    Args:
        media: all items.
        test: the test items.

    Returns:
        how many of them are put together with their copy, or suspected; None where there are no test items.
    """
    if not len(test):
        return None
    chosen = np.sort(generator(seed, "copied").permutation(test)[:COPIED])
    originals = Subset(media, chosen)
    # In this process: a handful of items is not worth starting others.
    found = find_sources(Concatenated(Copies(originals), originals), progress=False, workers=0)
    count = len(chosen)
    hits = sum(found.names[i] == found.names[count + i] for i in range(count))
    suspected = sum(
        any(i in one.items and count + i in one.items for one in (*found.groups, *found.warnings)) for i in range(count)
    )
    share = suspected / count
    note = f"smaller, darker, quieter, renamed: {hits} of {count} are grouped with their originals"
    note += f", {suspected - hits} more are suspected" if suspected > hits else ""
    verdict: Verdict = "caught" if share >= _FOUND else "blind"
    return Finding.counted("copies of test items in training", share, verdict, "planted", count, note)


class Copies(View):
    """Items of other media under other names: three quarters as large, a tenth darker, 3 dB quieter."""

    @property
    def rejected(self) -> Sequence[Rejected]:
        return ()

    @property
    def fingerprint(self) -> str:
        return digest_of(self.base.fingerprint, "copies")

    def facts(self, i: int) -> Facts:
        facts = self.base.facts(i)
        # A name that says nothing of the original's, or they would be put together by name.
        name = f"copy {i} of {digest_of(facts.path)}"
        width, height = (max(1, round(side * _SMALLER)) for side in (facts.width, facts.height))
        return replace(facts, path=name, source=name, width=width, height=height)

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        return np.stack([_smaller(frame) for frame in self.base.frames(i, times)])

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        return self.base.audio(i, start_seconds, duration_seconds, rate) * np.float32(_QUIETER)

    def annotation(self, i: int) -> dict[str, Any] | None:
        return None


def _smaller(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = (max(1, round(side * _SMALLER)) for side in frame.shape[-2:])
    image = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
    scaled = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    darker: NDArray[np.uint8] = np.rint(scaled * _DARKER).astype(np.uint8).transpose(2, 0, 1)
    return darker
