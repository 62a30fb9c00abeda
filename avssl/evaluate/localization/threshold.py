"""The logit above which something in the picture is heard, fitted on clips outside the test set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avssl.system.files import read_json, write_json

FILE = "localization.json"
# Share of sounding validation segments that the threshold may call silent
MISSED = 0.04


def fit_threshold(sounding: Sequence[float], silent: Sequence[float]) -> float:
    """The lowest threshold above every silent score; never so high that over 4 % of the sounding are missed.

    Scores are the largest logits of the maps of validation clips.
    """
    highest = float(np.quantile(np.asarray(sounding, np.float64), MISSED))
    if not len(silent):
        return min(highest, 0.0)
    # Halfway between the two, where they are apart: neither is to be called by its most extreme member.
    lowest = float(np.quantile(np.asarray(silent, np.float64), 0.99))
    return highest if lowest >= highest else (lowest + highest) / 2


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
