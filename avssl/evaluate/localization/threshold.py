"""The logit above which something in the picture is heard, fitted on clips outside the test set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avssl.evaluate.localization.map_maker import MapMaker
from avssl.media.facts import Media
from avssl.samplers.correspondence import PairRule, draw_moment
from avssl.samplers.keys import generator
from avssl.samplers.silence import draw_silence
from avssl.system.files import read_json, write_json

FILE = "localization.json"
# Share of sounding validation segments that the threshold may call silent
MISSED = 0.04
# The same where no truth is known: some of these moments sound of nothing in the picture. Chosen on validation clips.
MISSED_UNKNOWN = 0.06
# Moments of one video that are looked at: more of it say little new.
MOST_OF_ONE = 8


def fit_threshold(sounding: Sequence[float], silent: Sequence[float], missed: float = MISSED) -> float:
    """The lowest threshold above every silent score; never so high that over 4 % of the sounding are missed.

    Scores are the largest logits of the maps of validation clips.

    Args:
        missed: instead of the 4 %, as a share.
    """
    highest = float(np.quantile(np.asarray(sounding, np.float64), missed))
    if not len(silent):
        return min(highest, 0.0)
    # Halfway between the two, where they are apart: neither is to be called by its most extreme member.
    lowest = float(np.quantile(np.asarray(silent, np.float64), 0.99))
    return highest if lowest >= highest else (lowest + highest) / 2


def threshold_of_moments(media: Media, model: MapMaker, rule: PairRule, moments: int = 256) -> float:
    """The threshold of media without a known truth: moments that are not quiet, against noise as training draws it.

    Args:
        media: held-out videos with sound.
        rule: how moments are drawn; by its loudness limit silence among them is drawn again.
        moments: how many, spread over all items: at least one of each of so many items, at most ``MOST_OF_ONE``.
    """
    some = np.unique(np.linspace(0, len(media) - 1, min(len(media), moments)).round().astype(int))
    sounding: list[float] = []
    silent: list[float] = []
    for item in some.tolist():
        rng = generator(0, item, "threshold")
        drawn = [draw_moment(media, item, rule, rng) for _ in range(min(-(-moments // len(some)), MOST_OF_ONE))]
        drawn.sort(key=lambda moment: moment.frame_seconds)  # as decoders like it
        noise = [draw_silence(rng, len(moment.sound), rule.rate) for moment in drawn]
        frames = media.frames(item, [moment.frame_seconds for moment in drawn])
        sounding += model.maps(frames, np.stack([moment.sound for moment in drawn])).max((1, 2)).tolist()
        silent += model.maps(frames, np.stack(noise)).max((1, 2)).tolist()
    return fit_threshold(sounding, silent, MISSED_UNKNOWN)


def read_threshold(run: Path) -> float:
    """The threshold that was fitted for a run; 0 if none was."""
    value = (read_json(run / FILE) or {}).get("threshold", 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def fitted_on(run: Path) -> str | None:
    """The clips that a run's threshold was fitted on; None if none was fitted."""
    known = read_json(run / FILE) or {}
    return str(known.get("fitted_on", "clips that are not named")) if "threshold" in known else None


def write_threshold(run: Path, threshold: float, fitted_on: str) -> None:
    """Keep the threshold beside the run's encoders."""
    write_json(run / FILE, {"threshold": threshold, "fitted_on": fitted_on})
