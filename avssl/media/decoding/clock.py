"""One clock for the frames and the sound of a file, and what a reader needs to keep to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from av.frame import Frame
from av.packet import Packet
from numpy.typing import NDArray

# A frame counts as shown from one microsecond before its time, so that times rounded to decimals still find it.
SHOWN_TOLERANCE_SECONDS = 1e-6

# How much sound is decoded and discarded before a segment: an Opus decoder needs 80 ms to converge (RFC 7845, 4.6), an
# MP3 frame may use the bit reservoir of nine frames before it, AAC and Vorbis overlap by one frame.
WARM_UP_SECONDS = 0.1
WARM_UP_FRAMES = 10
USUAL_FRAME_SAMPLES = 1152  # of MP3 (ISO/IEC 11172-3)


def _no_times() -> NDArray[np.float64]:
    return np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """What ``inspect`` learned of a file that reading from it needs.

    Media time = time in the container − ``origin_seconds``. Zero is the time at which the first frame is shown (a file
    of sound alone: its first sample). A clock is stored as :meth:`numbers` and the two arrays.
    """

    origin_seconds: float = 0.0  # time in the container of the media's zero
    video_stream: int = -1  # index of the picture stream in the container; -1 if there is none
    width: int = 0  # pixels as shown: square pixels, after rotation
    height: int = 0
    stored_size: tuple[int, int] = (0, 0)  # pixels of a frame as stored, before all that; (0, 0): not known
    # False where a seek was seen to give other frames than decoding from the start: such a file is read from its start.
    video_seekable: bool = True
    # True where frames have no usable time stamps: the n-th decoded frame has the n-th time.
    frames_are_counted: bool = False
    audio_stream: int = -1  # index of the sound stream in the container; -1 if there is none
    audio_rate: int = 0  # samples a second as decoded; 0 if there is no sound
    audio_start_seconds: float = 0.0  # media time of the first sample
    audio_end_seconds: float = 0.0  # media time of the end of the last sample
    audio_tick_seconds: float = 0.0  # resolution of the time stamps of packets of sound
    audio_seekable: bool = True
    # Samples in every packet of sound, where all have as many and follow each other without a gap; else 0.
    audio_frame_samples: int = 0
    # Media time of one packet, finer than time stamps; with audio_frame_samples it gives the time of every sample.
    audio_anchor_seconds: float = 0.0
    # How much sound must be decoded before a segment, if more than usual; 0: the usual.
    audio_warm_up_seconds: float = 0.0
    # The runs (sample_counting.Run) of sound that is placed by counting: start in media time, first sample, samples,
    # stretch. Empty where time stamps decide.
    audio_runs: Sequence[Sequence[float]] = ()
    # Packets at which a reader can begin to count: (time stamp in ticks, samples before).
    audio_anchors: Sequence[Sequence[int]] = ()
    # Media time at which each frame is first shown, ascending, the first 0.0. (n,)
    frame_times: NDArray[np.float64] = field(default_factory=_no_times)
    # Media times of the frames at which decoding can begin, ascending, the first 0.0, which stands for the start of the
    # file. Empty where no frame is marked so. (k,)
    key_times: NDArray[np.float64] = field(default_factory=_no_times)

    def numbers(self) -> dict[str, Any]:
        """All but the arrays, for JSON."""
        arrays = ("frame_times", "key_times")
        return {name: getattr(self, name) for name in self.__slots__ if name not in arrays}

    @property
    def has_video(self) -> bool:
        return self.video_stream >= 0

    @property
    def has_sound(self) -> bool:
        return self.audio_stream >= 0

    @property
    def warm_up_seconds(self) -> float:
        """How much sound must be decoded before the output equals that of decoding from the start."""
        if self.audio_warm_up_seconds:
            return self.audio_warm_up_seconds
        samples = WARM_UP_FRAMES * (self.audio_frame_samples or USUAL_FRAME_SAMPLES)
        return max(WARM_UP_SECONDS, samples / self.audio_rate)

    def media_seconds(self, item: Packet[Any] | Frame) -> float | None:
        """Media time of a packet or a frame; None where it has no time stamp."""
        tick = item.time_base
        if item.pts is None or not tick:
            return None
        return item.pts * tick.numerator / tick.denominator - self.origin_seconds

    def shown(self, seconds: float) -> int:
        """The number of the frame shown at this time: the last that has begun; before the first, the first."""
        count = int(np.searchsorted(self.frame_times, seconds + SHOWN_TOLERANCE_SECONDS, side="right"))
        return max(count - 1, 0)

    def groups(self, numbers: Sequence[int]) -> dict[int, list[int]]:
        """These frames by the number of the key frame from which to decode them; 0: the start of the file."""
        keys = self.key_times if self.video_seekable else np.zeros(0)
        found: dict[int, list[int]] = {}
        for number in numbers:
            # A frame that is decoded after a key frame but shown before it (an open group) belongs to the group before.
            key = int(np.searchsorted(keys, float(self.frame_times[number]) + 1e-9, side="right")) - 1
            found.setdefault(max(key, 0), []).append(number)
        return found

    def container_seconds(self, numbers: Sequence[int]) -> list[float]:
        """When these frames are shown, in the container's time."""
        return [self.origin_seconds + float(self.frame_times[number]) for number in numbers]
