"""How long an audio decoder must run before its output equals decoding from the start."""

from __future__ import annotations

from avssl.media.decoding.clock import Clock

WARM_UP_SECONDS = 0.1
WARM_UP_FRAMES = 10
"""How much sound is decoded and thrown away before a stretch: an Opus decoder needs 80 ms to settle (RFC 7845,
4.6), an MP3 frame may lean on the bits of nine frames before it, AAC and Vorbis overlap by one."""
USUAL_FRAME_SAMPLES = 1152


def warm_up_seconds(clock: Clock) -> float:
    if clock.audio_warm_up_seconds:
        return clock.audio_warm_up_seconds
    samples = WARM_UP_FRAMES * (clock.audio_frame_samples or USUAL_FRAME_SAMPLES)
    return max(WARM_UP_SECONDS, samples / clock.audio_rate)
