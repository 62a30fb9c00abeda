"""The timbre of each kind: one note of it, at any pitch.

Kinds differ in what a spectrogram shows at any pitch: their partials, the attack and decay of these, the noise with
them, and the course of the pitch within a note.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

Sound = NDArray[np.float32]

# After this time a note has died away.
NOTE_SECONDS: dict[str, float] = {
    "bell": 1.5,
    "drum": 0.35,
    "guitar": 1.1,
    "trumpet": 0.48,
    "maracas": 0.35,
    "xylophone": 0.4,
    "frog": 0.34,
    "bird": 0.34,
}


def note(kind: str, pitch_hz: float, hardness: float, rate: int, rng: np.random.Generator) -> Sound:
    """One note with its onset at the first sample, and a root mean square of 1 in its loudest 50 ms.

    Args:
        pitch_hz: the fundamental.
        hardness: 0 (soft, dark) to 1 (hard, bright).
        rng: for the noise in it.
    """
    time = np.arange(round(NOTE_SECONDS[kind] * rate), dtype=np.float32) / np.float32(rate)
    sound = _VOICES[kind](time, pitch_hz, hardness, rate, rng)
    # Faded in within 1 ms, out within 20 ms: no clicks.
    fade = np.clip(time / 0.001, 0.0, 1.0) * np.clip((time[-1] - time) / 0.02, 0.0, 1.0)
    sound = sound * np.asarray(fade, np.float32)
    energy = np.cumsum(sound**2, dtype=np.float64)
    window = rate // 20
    return np.asarray(sound / np.sqrt((energy[window:] - energy[:-window]).max() / window), dtype=np.float32)


def _bell(time: Sound, pitch: float, hardness: float, rate: int, rng: np.random.Generator) -> Sound:
    """A church bell's partials (hum, prime, tierce, quint, nominal, …; Fletcher & Rossing 1998, table 21.1)."""
    ratios = (0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 2.67, 3.0, 4.1, 5.4, 6.8)
    levels = (0.35, 0.8, 0.7, 0.3, 1.0, 0.45, 0.5, 0.45, 0.4, 0.3, 0.2)
    bright = 0.5 + 0.5 * hardness
    amplitudes = [a * bright ** max(0.0, r - 2.0) for a, r in zip(levels, ratios, strict=True)]
    decays = [1.1 / (1.0 + 0.45 * r) for r in ratios]
    # Each partial is a pair a little apart, which beats, as in a bell that is not quite round.
    beating = _partials(time, pitch, [1.003 * r + 0.002 for r in ratios], [0.5 * a for a in amplitudes], decays, rate)
    return _partials(time, pitch, ratios, amplitudes, decays, rate) + beating


def _drum(time: Sound, pitch: float, hardness: float, rate: int, rng: np.random.Generator) -> Sound:
    """The modes of a round membrane, falling in pitch as its tension eases, and the slap of the stick."""
    ratios = (1.0, 1.59, 2.14, 2.30, 2.65, 2.92)
    glide = pitch * (1.0 + (0.5 + 0.4 * hardness) * np.exp(-time / 0.035))
    phase = _phase(glide, rate)
    sound = np.zeros_like(time)
    for number, ratio in enumerate(ratios):
        sound += np.sin(ratio * phase) * np.exp(-time * (14.0 + 9.0 * number)) / (1.0 + 0.7 * number)
    slap = _band(rng.standard_normal(len(time)), 150.0, 5500.0, rate) * np.exp(-time / 0.018)
    return np.asarray(sound + (0.7 + 0.6 * hardness) * slap, dtype=np.float32)


def _guitar(time: Sound, pitch: float, hardness: float, rate: int, rng: np.random.Generator) -> Sound:
    """A plucked string: every harmonic, those with a node at the finger missing, high ones dying first."""
    numbers = np.arange(1, 19)
    finger = 0.17 + 0.1 * float(rng.random())
    levels = np.abs(np.sin(np.pi * numbers * finger)) / numbers ** (1.25 - 0.5 * hardness)
    decays = 0.55 / (1.0 + 0.22 * (numbers - 1))
    ratios = numbers * np.sqrt(1.0 + 0.0002 * numbers**2)
    pluck = _band(rng.standard_normal(len(time)), 800.0, 4000.0, rate) * np.exp(-time / 0.004)
    string = _partials(time, pitch, ratios.tolist(), levels.tolist(), decays.tolist(), rate)
    return np.asarray(string + 0.25 * pluck, dtype=np.float32)


def _trumpet(time: Sound, pitch: float, hardness: float, rate: int, rng: np.random.Generator) -> Sound:
    """A blown tone whose upper harmonics swell after the lower ones (Risset 1966), accented, with vibrato."""
    hold = NOTE_SECONDS["trumpet"]
    rise = np.clip(time / 0.04, 0.0, 1.0) * (0.45 + 0.55 * np.exp(-((time - 0.04).clip(0.0) / 0.12)))
    breath = rise * np.clip((hold - time) / 0.10, 0.0, 1.0)
    vibrato = 1.0 + 0.012 * np.sin(2 * np.pi * 5.5 * time) * np.clip(time / 0.2, 0.0, 1.0)
    phase = _phase(pitch * vibrato * (0.94 + 0.06 * np.clip(time / 0.03, 0.0, 1.0)), rate)
    sound = np.zeros_like(time)
    for number in range(1, 13):
        if number * pitch < 0.48 * rate:
            level = number ** (-0.35 + 0.2 * hardness) * np.exp(-(((number * pitch - 1400.0) / 3200.0) ** 2))
            sound += level * breath ** (0.6 + 0.35 * number) * np.sin(number * phase)
    return np.asarray(sound, dtype=np.float32)


def _maracas(time: Sound, pitch: float, hardness: float, rate: int, rng: np.random.Generator) -> Sound:
    """Seeds that strike a shell: noise in short grains round a resonance (after Cook's shakers, 1997)."""
    centre = 4.0 * pitch
    noise = _band(rng.standard_normal(len(time)), 0.6 * centre, min(2.6 * centre, 0.47 * rate), rate)
    envelope = np.exp(-time / 0.02)
    for _ in range(9):
        start = 0.02 + 0.22 * float(rng.random()) ** 1.3
        envelope += (time >= start) * np.exp(-(time - start).clip(0.0) / 0.012) * 0.9 * (1.0 - start / 0.3)
    return np.asarray(noise * envelope * (0.7 + 0.3 * hardness), dtype=np.float32)


def _xylophone(time: Sound, pitch: float, hardness: float, rate: int, rng: np.random.Generator) -> Sound:
    """A wooden bar tuned to the twelfth (1 : 3 : 6), short and pure, with the knock of the mallet."""
    sound = _partials(time, pitch, (1.0, 3.0, 6.1), (1.0, 0.35 + 0.3 * hardness, 0.2), (0.11, 0.045, 0.02), rate)
    knock = np.sin(2 * np.pi * 2900.0 * time) * np.exp(-time / 0.004)
    return np.asarray(sound + 0.35 * knock, dtype=np.float32)


def _frog(time: Sound, pitch: float, hardness: float, rate: int, rng: np.random.Generator) -> Sound:
    """A croak: a buzz with two formants, chopped into about thirty pulses a second, rising a little."""
    hold = NOTE_SECONDS["frog"] - 0.03
    phase = _phase(pitch * (1.0 + 0.12 * time / hold), rate)
    buzz = np.zeros_like(time)
    for number in range(1, 17):
        frequency = number * pitch
        if frequency < 0.48 * rate:
            formants = np.exp(-(((frequency - 900.0) / 450.0) ** 2)) + 0.8 * np.exp(
                -(((frequency - 2400.0) / 500.0) ** 2)
            )
            buzz += (formants + 0.1) * np.sin(number * phase + number * number)
    beat = (time * (27.0 + 6.0 * hardness)) % 1.0
    pulses = np.clip(beat / 0.12, 0.0, 1.0) * np.exp(-4.0 * beat)
    shape = np.clip((0.12 + time) / 0.2, 0.0, 1.0) * np.clip((hold - time) / 0.05, 0.0, 1.0)
    return np.asarray(buzz * pulses * shape, dtype=np.float32)


def _bird(time: Sound, pitch: float, hardness: float, rate: int, rng: np.random.Generator) -> Sound:
    """Three quick whistles, each a pure tone that sweeps up and falls back."""
    frequency = np.full_like(time, pitch)
    level = np.zeros_like(time)
    for number in range(3):
        place = (time - 0.11 * number) / 0.09
        inside = (place >= 0.0) & (place < 1.0)
        arch = np.sin(np.pi * place.clip(0.0, 1.0)).clip(0.0)
        frequency += inside * pitch * (1.2 + 0.5 * hardness) * arch**1.5
        level += inside * np.clip(4.0 * arch, 0.0, 1.0) * (1.0 - 0.15 * number)
    phase = _phase(frequency, rate)
    return np.asarray(level * (np.sin(phase) + 0.06 * np.sin(2 * phase)), dtype=np.float32)


_VOICES: dict[str, Callable[[Sound, float, float, int, np.random.Generator], Sound]] = {
    "bell": _bell,
    "drum": _drum,
    "guitar": _guitar,
    "trumpet": _trumpet,
    "maracas": _maracas,
    "xylophone": _xylophone,
    "frog": _frog,
    "bird": _bird,
}


def _partials(
    time: Sound,
    pitch: float,
    ratios: Sequence[float],
    levels: Sequence[float],
    decays: Sequence[float],
    rate: int,
) -> Sound:
    """Sines at ``ratios`` of the pitch that decay to 1/e in ``decays`` seconds; none above the Nyquist frequency."""
    sound = np.zeros_like(time)
    for ratio, level, decay in zip(ratios, levels, decays, strict=True):
        if ratio * pitch < 0.48 * rate:
            wave = np.sin(np.float32(2 * np.pi * ratio * pitch) * time)
            sound += np.float32(level) * wave * np.exp(time * np.float32(-1.0 / decay))
    return sound


def _phase(frequency: Sound, rate: int) -> Sound:
    return np.asarray(2 * np.pi * np.cumsum(frequency, dtype=np.float64) / rate, dtype=np.float32)


def _band(noise: NDArray[np.float64], low: float, high: float, rate: int) -> Sound:
    sections = butter(2, (low, min(high, 0.48 * rate)), "bandpass", fs=rate, output="sos")
    return np.asarray(sosfilt(sections, noise), dtype=np.float32)
