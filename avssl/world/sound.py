"""The sound of a clip: its hits played with the voices of their objects, in a room with noise and echo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import fftconvolve

from avssl.world.physics import Hit
from avssl.world.plan import ClipPlan, ObjectPlan
from avssl.world.rng import between
from avssl.world.voices import NOTE_SECONDS, Sound, note

GRAIN_SECONDS = 0.01  # resolution of loudness

# Voices of one breath: a new note ends the one before.
_BREATHS = frozenset({"trumpet", "frog", "bird"})


@dataclass(frozen=True)
class Source:
    """One thing that sounds, and the hits that make it sound."""

    plan: ObjectPlan
    hits: list[Hit]


@dataclass(frozen=True)
class Mix:
    """The finished sound."""

    samples: Sound  # float32 mono, full scale ±1
    # For each source the segments, in seconds, in which it is louder than the noise floor.
    heard: list[list[tuple[float, float]]]


def mix(plan: ClipPlan, sources: list[Source], seconds: float, rate: int) -> Mix:
    """Play all ``sources`` for ``seconds`` from the first frame on, at ``rate`` samples a second."""
    length = round(seconds * rate)
    grain = round(GRAIN_SECONDS * rate)
    floor = _floor(plan, length, rate)
    if not sources:
        return Mix(floor, [])
    dry = [_play(source, length, rate, plan.rng(f"voice {number}")) for number, source in enumerate(sources)]
    powers = [_power(sound, grain) for sound in dry]
    # Over 50 ms, as notes are normalised: a click must not set the level.
    loudest = max(float(np.convolve(power, np.full(5, 1 / 5), "same").max(initial=0.0)) for power in powers)
    gain = 10 ** (plan.level_db / 20) / np.sqrt(loudest) if loudest > 0 else 0.0
    samples = _in_room(np.sum(dry, axis=0) * np.float32(gain), plan, rate) + floor
    # Heard means 4 dB above the noise floor, and never below −56 dB of full scale. Each source for itself: masking by
    # others does not count.
    audible = 10 ** (max(plan.noise_db + 4.0, -56.0) / 10)
    heard = [_segments(power * gain**2 > audible, seconds) for power in powers]
    # Soft clipping: what is loud stays within full scale.
    return Mix(np.asarray(np.tanh(samples), dtype=np.float32), heard)


def _play(source: Source, length: int, rate: int, rng: np.random.Generator) -> Sound:
    """One source: soft and hard notes blended by the strength of each hit."""
    kind, pitch = source.plan.kind, source.plan.pitch_hz
    soft = note(kind, pitch, 0.0, rate, rng)
    hard = note(kind, pitch, 1.0, rate, rng)
    # Notes of hits before the first frame still sound in it.
    lead = round(NOTE_SECONDS[kind] * rate)
    track = np.zeros(lead + length + lead, dtype=np.float32)
    for hit in source.hits:
        start = lead + round(hit.seconds * rate)
        if not 0 <= start < lead + length:
            continue
        hardness = np.float32(min(hit.strength, 1.0))
        loudness = np.float32(min(max(hit.strength, 0.15), 1.3) ** 0.8)
        if kind in _BREATHS:
            release = round(0.012 * rate)
            track[start : start + release] *= np.linspace(1.0, 0.0, release, dtype=np.float32)
            track[start + release :] = 0.0
        track[start : start + lead] += loudness * (soft + hardness * (hard - soft))
    return track[lead : lead + length]


def _floor(plan: ClipPlan, length: int, rate: int) -> Sound:
    """Coloured noise, sometimes with a mains hum."""
    rng = plan.rng("room noise")
    spectrum = fft.rfft(rng.standard_normal(length, dtype=np.float32))
    frequencies = fft.rfftfreq(length, 1.0 / rate).astype(np.float32)
    spectrum *= (frequencies + 40.0) ** np.float32(-between(rng, 0.2, 0.9))
    noise = fft.irfft(spectrum, length)
    noise /= np.sqrt(np.mean(noise**2))
    if rng.random() < 0.3:
        hum = 2 * np.pi * 50.0 * np.arange(length) / rate
        noise += between(rng, 0.3, 1.0) * (np.sin(hum) + 0.5 * np.sin(2 * hum + 1.0))
    return np.asarray(10 ** (plan.noise_db / 20) * noise, dtype=np.float32)


def _in_room(dry: Sound, plan: ClipPlan, rate: int) -> Sound:
    """The sound with the echo of a small room: noise that decays within about a quarter of a second."""
    rng = plan.rng("room echo")
    time = np.arange(round(0.3 * rate)) / rate
    echo = rng.standard_normal(len(time)) * np.exp(-time / between(rng, 0.03, 0.08)) * (time > 0.004)
    echo = (plan.echo / np.sqrt(np.sum(echo**2)) * echo).astype(np.float32)
    return np.asarray(dry + fftconvolve(dry, echo)[: len(dry)], dtype=np.float32)


def _power(sound: Sound, grain: int) -> NDArray[np.float64]:
    """Mean square of each grain. (grains,)"""
    padded = np.pad(sound, (0, -len(sound) % grain)).astype(np.float64)
    return np.asarray((padded.reshape(-1, grain) ** 2).mean(axis=1))


def _segments(loud: NDArray[np.bool_], seconds: float) -> list[tuple[float, float]]:
    """Runs of loud grains, in seconds; gaps of less than five grains are bridged."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(np.int8), [0]])))
    runs: list[tuple[float, float]] = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if runs and start * GRAIN_SECONDS - runs[-1][1] < 5 * GRAIN_SECONDS:
            runs[-1] = (runs[-1][0], end * GRAIN_SECONDS)
        else:
            runs.append((start * GRAIN_SECONDS, end * GRAIN_SECONDS))
    return [(round(start, 2), round(min(end, seconds), 2)) for start, end in runs]
