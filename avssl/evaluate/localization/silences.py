"""Sounds without any object, of kinds that training does not draw.

Training learns to reject steady coloured Gaussian noise (:mod:`avssl.samplers.silence`). What is evaluated
is of another make: a converter's quantised noise, mains hum with its harmonics, and a room whose modes ring and whose
ventilation swells.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]
Silence = Literal["floor", "hum", "room", "zeros"]
SILENCES: tuple[Silence, ...] = ("floor", "hum", "room")

# Ranges of the level (RMS, dB of full scale)
FLOOR_DB = (-66.0, -50.0)
HUM_DB = ROOM_DB = (-55.0, -35.0)


def silence(what: Silence, rng: np.random.Generator, samples: int, rate: int) -> Wave:
    """A segment of so many samples: float32 (samples,)."""
    if what == "zeros":
        return np.zeros(samples, np.float32)
    wave, (low, high) = {"floor": (_floor, FLOOR_DB), "hum": (_hum, HUM_DB), "room": (_room, ROOM_DB)}[what]
    made = wave(rng, samples, rate)
    level = 10 ** (rng.uniform(low, high) / 20)
    return np.asarray(made / np.sqrt(np.mean(np.square(made))) * level, np.float32)


def _floor(rng: np.random.Generator, samples: int, _: int) -> NDArray[np.float64]:
    """White noise of about one step of a converter, rounded to its steps."""
    noise = np.rint(rng.standard_normal(samples) * rng.uniform(0.6, 2.0))
    return noise + 1e-3 * rng.standard_normal(samples)  # never quite constant


def _hum(rng: np.random.Generator, samples: int, rate: int) -> NDArray[np.float64]:
    """The mains, 50 or 60 Hz, with eight harmonics of any phase, and a little noise."""
    turns = float(rng.choice([50.0, 60.0])) * np.arange(samples) / rate
    tones = [np.sin(2 * np.pi * (k * turns + rng.random())) / k ** rng.uniform(0.5, 1.5) for k in range(1, 9)]
    together: NDArray[np.float64] = np.sum(tones, axis=0) + 0.02 * rng.standard_normal(samples)
    return together


def _room(rng: np.random.Generator, samples: int, rate: int) -> NDArray[np.float64]:
    """Brown noise through six resonances between 40 and 800 Hz, swelling by up to 6 dB once to thrice a second."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequencies = np.fft.rfftfreq(samples, 1 / rate)
    shape = 1 / (frequencies + 20.0)
    for _ in range(6):
        centre, sharpness = np.exp(rng.uniform(np.log(40), np.log(800))), rng.uniform(4, 20)
        shape = shape * (1 + 4 / (1 + (sharpness * (frequencies / centre - 1)) ** 2))
    swell = np.sin(2 * np.pi * (rng.uniform(1, 3) * np.arange(samples) / rate + rng.random()))
    swollen: NDArray[np.float64] = np.fft.irfft(spectrum * shape, samples) * 10 ** (rng.uniform(0, 6) * swell / 20)
    return swollen
