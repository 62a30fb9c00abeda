"""Writing a video that plays in a browser: H.264, yuv420p, AAC, moov atom first; written atomically."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from avssl.system.files import whole_path

# Ticks a second of the pictures' time stamps, MPEG's own: frames keep their times, whatever their rate
TICKS = 90_000
# Rates that AAC is defined for, up to 48 kHz
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
# Read and encoded at a time, so that memory does not grow with the length of the film
SOUND_BLOCK_SECONDS = 1.0

Sound = Callable[[float, float, int], NDArray[np.float32]]


class MovieWriter:
    """Frames at their times, and a sound that is read as frames are written.

    Args:
        container: open for writing.
        size: (width, height), both even.
        fps: mean frames a second, for rate control alone.
        seconds: of the whole.
        sound: (start, duration, rate) → mono float32; None for a silent film.
        stored_rate: of the sound as it was; the next rate that AAC knows is taken.
    """

    def __init__(
        self,
        container: OutputContainer,
        size: tuple[int, int],
        fps: float,
        seconds: float = 0.0,
        sound: Sound | None = None,
        stored_rate: int = 0,
    ) -> None:
        self._container, self._sound, self._seconds = container, sound, seconds
        # NTSC's rates are multiples of 1000 / 1001
        rate = Fraction(min(max(fps, 1.0), 120.0)).limit_denominator(1001)
        # Without B-frames the first picture has the time 0 and needs no edit list.
        options = {"preset": "veryfast", "crf": "21", "bf": "0"}
        self._video = container.add_stream("libx264", rate=rate, options=options)
        self._video.width, self._video.height = size
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.time_base = Fraction(1, TICKS)
        self._video.time_base = Fraction(1, TICKS)
        self._rate = next((r for r in AAC_RATES if r >= stored_rate), AAC_RATES[-1])
        self._written = 0
        if sound is not None:
            self._audio = container.add_stream("aac", rate=self._rate, layout="mono")
            self._audio.bit_rate = 128_000 if self._rate >= 32_000 else 64_000
        self._ends: dict[int, int] = {}

    def show(self, picture: NDArray[np.uint8], begin: float, end: float) -> None:
        """A picture (height, width, 3), shown from ``begin`` to ``end`` seconds."""
        # Sound a block ahead of the picture: a player reads both in the order of the file.
        self._sound_until(begin + SOUND_BLOCK_SECONDS)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = round(begin * TICKS), Fraction(1, TICKS)
        self._ends[frame.pts] = round(end * TICKS)
        self._mux_video(frame)

    def close(self) -> None:
        """What is left in the encoders."""
        self._mux_video(None)
        if self._sound is not None:
            self._sound_until(self._seconds)
            for packet in self._audio.encode(None):
                self._container.mux(packet)

    def _mux_video(self, frame: av.VideoFrame | None) -> None:
        for packet in self._video.encode(frame):
            if packet.pts is not None and packet.pts in self._ends:
                packet.duration = max(self._ends.pop(packet.pts) - packet.pts, 1)
            self._container.mux(packet)

    def _sound_until(self, seconds: float) -> None:
        if self._sound is None:
            return
        whole = round(self._seconds * self._rate)
        block = round(SOUND_BLOCK_SECONDS * self._rate)
        while self._written < min(round(seconds * self._rate), whole):
            count = min(block, whole - self._written)
            samples = self._sound(self._written / self._rate, count / self._rate, self._rate)[:count]
            frame = av.AudioFrame.from_ndarray(np.clip(samples, -1, 1)[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = self._rate, self._written, Fraction(1, self._rate)
            self._written += count
            for packet in self._audio.encode(frame):
                self._container.mux(packet)


@contextmanager
def movie(
    path: Path,
    size: tuple[int, int],
    fps: float,
    seconds: float = 0.0,
    sound: Sound | None = None,
    stored_rate: int = 0,
) -> Iterator[MovieWriter]:
    """A movie that appears under its name only if the block ends without an error.

    Raises:
        UserError: no space, no right to write, or a read-only disk; then nothing is left behind.
    """
    with (
        whole_path(path) as partial,
        av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        writer = MovieWriter(container, size, fps, seconds, sound, stored_rate)
        yield writer
        writer.close()
