"""Locating sound by counting samples, where timestamps alone are not exact.

Where all packets are equally long and their stamps are an even grid, the grid is the clock
(:func:`avssl.media.indexing.packet_scan.even_grid`). Else the whole stream is decoded once and its samples are counted.
The course of the difference between stamps and count tells what happened:

* it jitters (Vorbis in WebM, clocks of recorders, rounding): the stamps are noisy. Samples follow each other.
* it grows evenly: the recorder's clock was fast or slow. Samples follow each other, at a slightly different rate.
* it jumps and stays: sound is missing (silence of that length), or overlaps.
* it jumps back by more than a packet: another recording begins, whose stamps restart.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ANCHOR_SECONDS = 1.0  # distance of the places at which a reader can begin to count
SMALLEST_GAP_SECONDS = 3e-3
# A step of the difference is a jump if it is this many times larger than this percentile of the steps around it.
STEADY = 3.0
STEADY_SHARE = 80
NEIGHBOURS = 8  # packets on each side that a jump is compared with
LASTING = 0.6  # share of a jump that must remain some packets later; noise returns
# Where fewer packets come before or after, only a jump back of more than this is one: the first packet of a recording
# is often stamped at zero, though it begins earlier.
FEW = 3
LARGE_SECONDS = 0.1
RESTART_SECONDS = 0.5  # stamps that go back by more restart: no packet overlaps another by so much
DRIFT_SECONDS = 5e-3  # less over a whole recording is no drift
WORST_DRIFT = 0.02  # no clock is worse; of stamps that differ from the count by more only the first counts


@dataclass(frozen=True, slots=True)
class Packets:
    """The packets of a stream that decoded to samples."""

    # Time stamp of the first sample, seconds in the container; NaN where there is none. (n,)
    ticks: NDArray[np.float64]
    before: NDArray[np.int64]  # how many samples were decoded before it. (n,)
    samples: int  # all of them
    rate: int


@dataclass(frozen=True, slots=True)
class Run:
    """Samples that follow each other without a gap."""

    start_seconds: float
    first: int  # the number of its first sample, counted from the first that is decoded
    length: int
    stretch: float = 0.0  # sample k of it lies at start_seconds + k * (1 + stretch) / rate

    def end_seconds(self, rate: int) -> float:
        return self.start_seconds + self.length * (1 + self.stretch) / rate


def placed_runs(packets: Packets, tick_seconds: float) -> tuple[list[Run], float | None]:
    """The positions of all samples, and the time at which another recording begins (None: there is only one)."""
    stamped = np.flatnonzero(~np.isnan(packets.ticks))
    if not len(stamped):
        return [Run(0.0, 0, packets.samples)], None
    seconds, before = packets.ticks[stamped], packets.before[stamped]
    ahead = seconds - before / packets.rate
    cuts = _jumps(ahead, max(SMALLEST_GAP_SECONDS, 1.5 * tick_seconds))
    restart: float | None = None
    shift = 0.0
    runs: list[Run] = []
    for low, high in zip([0, *cuts], [*cuts, len(ahead)], strict=True):
        first = int(before[low]) if runs else 0
        last = int(before[high]) if high < len(ahead) else packets.samples
        offset, stretch = _line(ahead[low:high], before[low:high] / packets.rate)
        start = offset + (first / packets.rate) * (1 + stretch) + shift
        if runs:
            end = runs[-1].end_seconds(packets.rate)
            if start < end - RESTART_SECONDS:
                restart = end if restart is None else restart
                shift += end - start
                start = end
        runs.append(Run(start, first, last - first, stretch))
    return runs, restart


def anchors(packets: Packets, ticks: Sequence[int | None]) -> list[tuple[int, int]]:
    """Packets, about a second apart, at whose stamps a reader can begin to count: (ticks, samples before).

    Args:
        ticks: the stamps of the packets themselves, in the order of ``packets``.
    """
    known = [(tick, before) for tick, before in zip(ticks, packets.before.tolist(), strict=True) if tick is not None]
    if any(a > b for (a, _), (b, _) in itertools.pairwise(known)):
        return []  # stamps that restart are ambiguous
    times = Counter(tick for tick, _ in known)
    step, due, found = round(ANCHOR_SECONDS * packets.rate), 0, []
    for tick, before in known:
        if before >= due and times[tick] == 1:
            found.append((tick, before))
            due = before + step
    return found


def _jumps(ahead: NDArray[np.float64], smallest: float) -> list[int]:
    """Where the difference between stamps and count jumps and stays."""
    if len(ahead) < 2:
        return []
    steps = np.diff(ahead)
    if np.median(steps) < -smallest:
        return []  # stamps that stand still are of no use
    # Stamps that waver may go up more often than down, but over some packets they come back.
    spans = range(1, min(NEIGHBOURS, len(steps)) + 1)
    if min(float(np.median(ahead[span:] - ahead[:-span])) / span for span in spans) > smallest:
        return (np.flatnonzero(np.abs(steps) > smallest) + 1).tolist()  # every packet lacks some of its sound
    found: list[int] = []
    for k in np.flatnonzero(np.abs(steps) > smallest).tolist():
        around = np.concatenate([steps[max(k - NEIGHBOURS, 0) : k], steps[k + 1 : k + 1 + NEIGHBOURS]])
        usual = float(np.percentile(np.abs(around), STEADY_SHARE)) if len(around) else 0.0
        level = found[-1] if found else 0
        few = min(k + 1 - level, len(steps) - k) < FEW
        earlier = float(np.median(ahead[max(k + 1 - NEIGHBOURS, level) : k + 1]))
        later = float(np.median(ahead[k + 1 : k + 1 + NEIGHBOURS]))
        stays = (later - earlier) / steps[k] >= LASTING
        overlaps_few = few and steps[k] < 0
        if abs(steps[k]) > max(STEADY * usual, LARGE_SECONDS if overlaps_few else 0.0) and stays:
            found.append(k + 1)
    return found


def _line(ahead: NDArray[np.float64], seconds: NDArray[np.float64]) -> tuple[float, float]:
    """Where the count lies against the stamps, and how much it drifts: (seconds at count 0, seconds a second)."""
    level = float(np.median(ahead))
    if len(ahead) < 2 * NEIGHBOURS:
        return level, 0.0
    slope, offset = np.polyfit(seconds, ahead, 1)
    if abs(slope) > WORST_DRIFT:
        return float(ahead[0]), 0.0
    drift = abs(float(slope)) * float(np.ptp(seconds))
    rest = float(np.std(ahead - slope * seconds - offset))
    if drift > DRIFT_SECONDS and rest < 0.5 * float(np.std(ahead)):
        return float(offset), float(slope)
    return level, 0.0
