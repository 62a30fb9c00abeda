"""Matching sounds of one recording, and constant tones.

Landmarks are pairs of spectral peaks, which survive gain, encoding and noise (Wang 2003, "An industrial-strength audio
search algorithm"). Steady tones are removed before: recordings in one room share a hum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, median_filter

RATE = 8000
WINDOW, HOP = 1024, 256
_AROUND = (9, 13)  # frames and bins: the neighbourhood in which a peak is the maximum
_ABOVE_DB = 9.0  # least height of a peak over the median of its frequency
_FLOOR_DB = 50.0  # anything further below the loudest bin is silence
_LATER, _FAN = 48, 5  # a peak is paired with the next five within 48 frames
COMMON = 24  # a landmark that more items share tells nothing, like a stop word
MATCHED = 8  # landmarks at one offset that make two items candidates

STEADY_SECONDS = 1.024
STEADY_DB = 25.0  # least height of a steady tone over the median of the 61 bins around it, in nine of ten frames
STEADY_SPREAD_DB, STEADY_HZ = 2.5, 0.04  # most spread of its level and its frequency
TONES = 4  # kept, the strongest first
LOWEST_HZ, HIGHEST_HZ = 25.0, 3800.0


def landmarks(wave: NDArray[np.float32]) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    """Landmarks of a sound at 8 kHz: hashes uint32 (n,), and their times in hops of 32 ms, uint16 (n,)."""
    nothing = np.zeros(0, np.uint32), np.zeros(0, np.uint16)
    if len(wave) < 4 * WINDOW or float(np.abs(wave).max()) < 1e-4:
        return nothing
    level = spectrogram(wave, WINDOW, HOP)
    loudest = float(level.max())
    raised = level - np.median(level, axis=0, keepdims=True)  # a steady tone is its own median
    peaks = (maximum_filter(raised, _AROUND) == raised) & (raised > _ABOVE_DB) & (level > loudest - _FLOOR_DB)
    peaks[:, :6] = peaks[:, -2:] = False
    when, what = np.nonzero(peaks)
    found, times = [], []
    for k in range(len(when)):
        stop = np.searchsorted(when, when[k] + _LATER, side="right")
        later = np.arange(k + 1, stop)
        later = later[when[later] > when[k]][:_FAN]
        steps = when[later] - when[k]
        # Both frequencies in steps of two bins, as resampling shifts them a little, and the time between them.
        found.append((what[k] >> 1 << 16) | (what[later] >> 1 << 7) | steps)
        times.append(np.full(len(later), when[k]))
    if not found:
        return nothing
    return np.concatenate(found).astype(np.uint32), np.concatenate(times).astype(np.uint16)


def candidates(
    peaks: Sequence[NDArray[np.uint32]], times: Sequence[NDArray[np.uint16]]
) -> Iterator[tuple[int, int, int, int]]:
    """Pairs of items that may hold one recording, by their landmarks: (a, b, landmarks at one offset, that offset in
    hops: b's minus a's)."""
    counts = [len(one) for one in peaks]
    if sum(counts) == 0:
        return
    what = np.concatenate([np.asarray(one, np.uint32) for one in peaks])
    when = np.concatenate([np.asarray(one, np.int64) for one in times])
    items = np.repeat(np.arange(len(peaks)), counts)
    order = np.lexsort((items, what))
    what, when, items = what[order], when[order], items[order]
    starts = np.flatnonzero(np.concatenate([[True], what[1:] != what[:-1]]))
    ends = np.append(starts[1:], len(what))
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if end - start < 2 or end - start > 2 * COMMON or items[start] == items[end - 1]:
            continue
        there, at = items[start:end], when[start:end]
        first, second = np.triu_indices(end - start, 1)
        for a, b, offset in zip(
            there[first].tolist(), there[second].tolist(), (at[second] - at[first]).tolist(), strict=True
        ):
            if a != b:
                found[a, b].append(offset)
    for (a, b), offsets in found.items():
        if len(offsets) >= MATCHED:
            shifts, many = np.unique(offsets, return_counts=True)
            near = np.array([many[np.abs(shifts - shift) <= 1].sum() for shift in shifts])
            best = int(near.argmax())
            if near[best] >= MATCHED:
                yield a, b, int(near[best]), int(shifts[best])


def spectrogram(wave: NDArray[np.float32], window: int, hop: int) -> NDArray[np.float32]:
    """dB of a Hann-windowed spectrum: (frames, window // 2 + 1)."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window).astype(np.float32), axis=1)) ** 2
    return (10 * np.log10(power + 1e-9)).astype(np.float32)


def coherence(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Whether two sounds at 8 kHz are one recording at some shift: 0 to 1.

    The peak of their cross-correlation with all frequencies from 100 to 3000 Hz at equal weight (PHAT, Knapp and Carter
    1976): 1 for copies, about 5 / √n for different sounds of n samples. Lone tones do not count.
    """
    size = 1 << int(np.ceil(np.log2(len(first) + len(second))))
    # Windowed: a tone would leak into all frequencies.
    one, other = (np.fft.rfft(wave * np.hanning(len(wave)), size) for wave in (first, second))
    cross = one * np.conj(other)
    hertz = np.fft.rfftfreq(size, 1 / RATE)
    weights = (hertz > 100) & (hertz < 3000)
    phases = np.where(weights, cross / np.maximum(np.abs(cross), 1e-12), 0)
    return float(np.abs(np.fft.irfft(phases, size)).max() * size / 2 / max(int(weights.sum()), 1))


def steady_tones(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tones that last from the first to the last second of a sound at 8 kHz, strongest first: Hz, float32 (≤ 4,).

    The frequency is measured by the phase advance from frame to frame, which varies in an engine or a voice, but not in
    a hum.
    """
    window = round(STEADY_SECONDS * RATE)
    hop = window // 4
    if len(wave) < window + 5 * hop or float(np.abs(wave).max()) < 1e-4:
        return np.zeros(0, np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(wave, window)[::hop]
    spectra = np.fft.rfft(frames * np.hanning(window).astype(np.float32), axis=1)
    level = 20 * np.log10(np.abs(spectra) + 1e-5)
    mean = level.mean(axis=0)
    raised = np.percentile(level, 10, axis=0) - median_filter(mean, 61, mode="nearest")
    peaks = (maximum_filter(mean, 5) == mean) & (raised > STEADY_DB) & (level.std(axis=0) < STEADY_SPREAD_DB)
    step = RATE / window
    places = [k for k in np.flatnonzero(peaks).tolist() if LOWEST_HZ <= k * step <= HIGHEST_HZ]
    places.sort(key=lambda k: -float(raised[k]))
    tones = []
    for k in places:
        turns = np.diff(np.angle(spectra[:, k])) / (2 * np.pi) - k * hop / window
        about = (k + float(np.median(turns - np.round(turns))) * window / hop) * step
        # Again from windows that do not overlap, four hops apart: to some thousandths of a Hz.
        later = np.angle(spectra[4:, k] * np.conj(spectra[:-4, k])) / (2 * np.pi) - about * 4 * hop / RATE
        hertz = about + (later - np.round(later)) * RATE / (4 * hop)
        if float(np.ptp(hertz)) <= STEADY_HZ:
            tones.append(float(np.median(hertz)))
    return np.array(tones[:TONES], np.float32)
