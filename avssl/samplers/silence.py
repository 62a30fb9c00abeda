"""Room noise of many spectra and levels: sounds that belong to no picture, as negatives in training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Range of the level (RMS, dB of full scale): from a converter's own noise to a loud ventilation.
QUIETEST_DB, LOUDEST_DB = -80.0, -26.0

# Range of the exponent of the noise's amplitude over frequency: −1 is brown, −0.5 pink, 0 white.
STEEPEST, FLATTEST = -1.2, 0.2


def draw_silence(rng: np.random.Generator, samples: int, rate: int) -> NDArray[np.float32]:
    """Steady coloured noise whose level may drift by some dB: float32 (samples,); one in eight is digital silence."""
    if rng.random() < 0.125:  # as files that are muted, or begin before their sound
        return np.zeros(samples, np.float32)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequencies = np.fft.rfftfreq(samples, 1 / rate)
    # From a corner frequency on: at 0 Hz a power of less than 0 is infinite.
    spectrum *= (frequencies + rng.uniform(10.0, 80.0)) ** rng.uniform(STEEPEST, FLATTEST)
    if rng.random() < 0.5:  # a room, a microphone or a codec cuts off the top
        spectrum *= 1 / (1 + (frequencies / rng.uniform(0.05 * rate, 0.5 * rate)) ** 4)
    noise = np.fft.irfft(spectrum, samples)
    noise /= max(float(np.sqrt(np.mean(noise**2))), 1e-12)
    drift = rng.uniform(-3.0, 3.0, 2)
    level = rng.uniform(QUIETEST_DB, LOUDEST_DB) + np.linspace(drift[0], drift[1], samples)
    return (noise * 10 ** (level / 20)).astype(np.float32)
