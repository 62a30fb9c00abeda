"""Videos that tell the truth about themselves: every picture shows its number, every moment has its tone.

A picture is a grid of 4 x 4 blocks. The top row is red, green, blue, white, so that turned, mirrored and
miscoloured pictures are noticed. The other twelve blocks are bits: eight of the number, four to check it.
The sound is a tone that takes another pitch every 10 ms and never repeats: comparing a stretch with the tone
at the time it should have tells by how much it is off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avssl.media.containers.demux import Deadline
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.pictures import Painter
from avssl.media.decoding.sound import read_audio
from avssl.media.decoding.video import FrameReader
from avssl.media.indexing.inspect import Inspection, inspect

MILLISECOND = 1e-3
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))


# --- pictures -------------------------------------------------------------------------------------------------


def draw(number: int, width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """The picture with this number (0 … 255): uint8 RGB (height, width, 3)."""
    cells = np.zeros((4, 4, 3), np.uint8)
    cells[0] = COLOURS
    bits = [number >> k & 1 for k in range(8)] + [(number >> k & 1) ^ (number >> (k + 4) & 1) for k in range(4)]
    cells[1:] = np.array(bits, np.uint8).reshape(3, 4, 1) * 255
    rows = np.arange(height) * 4 // height
    columns = np.arange(width) * 4 // width
    return cells[rows][:, columns]


def number_in(picture: NDArray[np.uint8]) -> int:
    """The number that a picture, uint8 RGB (3, height, width), shows.

    Raises:
        AssertionError: it is no upright picture of the right colours, or two pictures at once.
    """
    height, width = picture.shape[1:]
    cells = np.empty((4, 4, 3))
    for row in range(4):
        for column in range(4):
            inner = picture[
                :,
                (4 * row + 1) * height // 16 : (4 * row + 3) * height // 16,
                (4 * column + 1) * width // 16 : (4 * column + 3) * width // 16,
            ]
            cells[row, column] = inner.reshape(3, -1).mean(axis=1)
    assert np.abs(cells[0] - np.array(COLOURS)).max() < 100, f"the colours of the top row are {cells[0].round()}"
    grey = cells[1:].mean(axis=2).ravel()
    assert (np.abs(grey - 127.5) > 40).all(), f"two pictures at once: {grey.round()}"
    bits = [int(g > 127) for g in grey]
    number = sum(bit << k for k, bit in enumerate(bits[:8]))
    check = [(number >> k & 1) ^ (number >> (k + 4) & 1) for k in range(4)]
    assert bits[8:] == check, f"bits {bits[:8]} do not go with {bits[8:]}"
    return number


# --- sound ----------------------------------------------------------------------------------------------------

HOP_SECONDS = 0.01
FIRST_SECONDS = -20.0


@lru_cache(maxsize=1)
def _hops() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The pitch of every hop in Hz, and the phase at which it begins."""
    pitch = np.random.default_rng(7).uniform(300, 3000, 12_000)
    phase = np.concatenate([[0.0], np.cumsum(pitch * HOP_SECONDS)[:-1]])
    return pitch, phase


def tone(seconds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The sound of these moments of media time, amplitude 0.5."""
    pitch, phase = _hops()
    place = (seconds - FIRST_SECONDS) / HOP_SECONDS
    hop = np.clip(np.floor(place).astype(int), 0, len(pitch) - 1)
    return (0.5 * np.sin(2 * np.pi * (phase[hop] + pitch[hop] * (place - hop) * HOP_SECONDS))).astype(np.float32)


def lateness(samples: NDArray[np.float32], start_seconds: float, rate: int, search_seconds: float = 0.05) -> float:
    """By how many seconds a stretch is later than the tone says; negative: earlier.

    Args:
        samples: mono, read as the stretch that begins at ``start_seconds`` of media time.

    Raises:
        AssertionError: it is not the tone at all.
    """
    fine = 2
    count = len(samples)
    reach = round(search_seconds * rate)
    times = start_seconds + np.arange(-reach * fine, (count + reach) * fine) / (rate * fine)
    truth = tone(times).astype(np.float64)
    spread = np.zeros((count - 1) * fine + 1)
    spread[::fine] = samples
    size = 1 << (len(truth) + len(spread)).bit_length()
    products = np.fft.irfft(np.fft.rfft(truth, size) * np.conj(np.fft.rfft(spread, size)), size)
    shifts = np.arange(2 * reach * fine + 1)
    best_shift = int(shifts[np.argmax(products[shifts])])
    match = truth[best_shift : best_shift + len(spread)][::fine]
    best = float(match @ samples / (np.linalg.norm(match) * np.linalg.norm(samples) + 1e-12))
    assert best > 0.8, f"the sound is not the tone: correlation {best:.2f}"
    return -(best_shift / fine - reach) / rate


# --- files ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """What to make. Times are seconds in the container, before what its muxer does to them."""

    suffix: str
    video: str | None = "libx264"
    sound: str | None = "aac"
    frames: int = 40
    rate: Fraction = Fraction(25)
    frame_seconds: tuple[Fraction, ...] = ()
    """When each frame is shown, where they are not even."""
    tick: Fraction | None = None
    """Time base of the pictures; by default one frame."""
    width: int = 64
    height: int = 48
    pixels: str = "yuv420p"
    aspect: Fraction | None = None
    turn: int = 0
    """Degrees counter-clockwise by which a player shall turn the pictures."""
    mirror: bool = False
    group: int = 12
    b_frames: int = 0
    open_groups: bool = False
    video_start: Fraction = Fraction(0)
    sound_start: Fraction = Fraction(0)
    sound_seconds: float = 1.6
    sound_rate: int = 44_100
    layout: str = "mono"
    channels: tuple[float, ...] = ()
    """The loudness of the tone in each channel; by default 1."""
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    picture: Callable[[int, int, int], NDArray[np.uint8]] = draw
    """Its number, width and height to uint8 RGB (height, width, 3)."""

    @property
    def times(self) -> NDArray[np.float64]:
        """Media time at which each frame is shown."""
        return np.array([float(t) for t in self.shown])

    @property
    def shown(self) -> tuple[Fraction, ...]:
        even = tuple(Fraction(n) / self.rate for n in range(self.frames))
        return self.frame_seconds or even


FORMATS = {"ogv": "ogg", "ts": "mpegts", "mkv": "matroska", "mpg": "vob"}


def make(folder: Path, recipe: Recipe, name: str = "made") -> str:
    """Writes the file and says where."""
    path = str(folder / f"{name}.{recipe.suffix}")
    form = recipe.format or FORMATS.get(recipe.suffix, recipe.suffix)
    with av.open(path, "w", format=form, options=recipe.options) as container:
        video = _video_stream(container, recipe) if recipe.video else None
        sound = _sound_stream(container, recipe) if recipe.sound else None
        packets: list[tuple[float, Any]] = []
        if video is not None:
            packets += _video_packets(video, recipe)
        if sound is not None:
            packets += _sound_packets(sound, recipe)
        for _, packet in sorted(packets, key=lambda pair: pair[0]):
            container.mux(packet)
    return path


def _video_stream(container: Any, recipe: Recipe) -> Any:
    options = {}
    if recipe.video == "libx264":
        keys = f"keyint={recipe.group}:min-keyint=1:scenecut=0:b-adapt=0:open-gop={int(recipe.open_groups)}"
        options = {"preset": "ultrafast", "x264-params": f"{keys}:bframes={recipe.b_frames}:threads=1"}
    elif recipe.video == "libx265":
        keys = f"keyint={recipe.group}:min-keyint=1:scenecut=0:b-adapt=0:open-gop={int(recipe.open_groups)}"
        options = {"preset": "ultrafast", "x265-params": f"{keys}:bframes={recipe.b_frames}:log-level=none:pools=none"}
    elif recipe.video in ("libvpx", "libvpx-vp9"):
        options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0" if not recipe.b_frames else "8"}
        options["auto-alt-ref"] = "1" if recipe.b_frames else "0"
    elif recipe.video in ("mpeg4", "mpeg1video", "mpeg2video", "flv", "h263", "wmv2"):
        # MPEG-1 cannot say a change from black to white with a finer quantiser than 5.
        options = {"bf": str(recipe.b_frames), "sc_threshold": "1000000000", "qmin": "6", "qmax": "8"}
    stream = container.add_stream(recipe.video, rate=recipe.rate, options=options)
    stream.width, stream.height, stream.pix_fmt = recipe.width, recipe.height, recipe.pixels
    context = stream.codec_context
    context.gop_size = recipe.group
    context.thread_count = 1
    context.time_base = recipe.tick or 1 / recipe.rate
    if recipe.video not in ("libx264", "libx265", "ffv1", "libsvtav1"):
        context.bit_rate = 2_000_000
    if recipe.video == "mjpeg":
        context.color_range = 2
    if not recipe.open_groups and recipe.video in ("mpeg1video", "mpeg2video", "mpeg4"):
        context.flags |= av.codec.context.Flags.closed_gop
    if recipe.aspect:
        context.sample_aspect_ratio = recipe.aspect
    if recipe.turn or recipe.mirror:
        stream.set_display_rotation(recipe.turn, hflip=recipe.mirror)
    return stream


def _video_packets(stream: Any, recipe: Recipe) -> list[tuple[float, Any]]:
    tick = recipe.tick or 1 / recipe.rate
    found: list[Any] = []
    for number, seconds in enumerate(recipe.shown):
        picture = recipe.picture(number, recipe.width, recipe.height)
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=recipe.pixels, threads=1)
        frame.pts = round((seconds + recipe.video_start) / tick)
        frame.time_base = tick
        found += stream.encode(frame)
    found += stream.encode(None)
    return [(float(p.dts * p.time_base), p) for p in found]


def _sound_stream(container: Any, recipe: Recipe) -> Any:
    # Without noise substitution: its noise depends on where a decoder began.
    options = {"aac": {"aac_pns": "0"}, "vorbis": {"strict": "experimental"}}.get(recipe.sound, {})
    stream = container.add_stream(recipe.sound, rate=recipe.sound_rate, layout=recipe.layout, options=options)
    if not recipe.sound.startswith(("pcm", "flac", "alac")):
        stream.codec_context.bit_rate = 64_000 * max(stream.layout.nb_channels, 1)
    stream.codec_context.time_base = Fraction(1, recipe.sound_rate)
    return stream


def _sound_packets(stream: Any, recipe: Recipe) -> list[tuple[float, Any]]:
    rate = recipe.sound_rate
    first = round(recipe.sound_start * rate)
    count = round(recipe.sound_seconds * rate)
    media = (first + np.arange(count)) / rate - float(recipe.video_start)
    mono = tone(media)
    gains = np.array(recipe.channels or [1.0] * stream.layout.nb_channels, np.float32)
    data = np.ascontiguousarray(gains[:, None] * mono[None])
    found: list[Any] = []
    step = 4096
    for at in range(0, count, step):
        # Sample by sample, not channel by channel: PyAV cannot take eight planes.
        together = np.ascontiguousarray(data[:, at : at + step].T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(together, "flt", recipe.layout)
        frame.sample_rate = rate
        frame.pts = first + at
        frame.time_base = Fraction(1, rate)
        found += stream.encode(frame)
    found += stream.encode(None)
    return [(float((p.dts if p.dts is not None else 0) * p.time_base), p) for p in found]


# --- what is read of them -------------------------------------------------------------------------------------


def inspected(path: str) -> Inspection:
    """The facts of a made file, which must be usable."""
    found = inspect(path)
    assert found.reason is None
    return found


def assert_in_time(path: str, found: Inspection, start: float, seconds: float, within: float = MILLISECOND) -> None:
    """The sound of a stretch is where its tone says that it belongs."""
    heard = read_audio(path, found.clock, start, seconds, found.audio_rate)
    assert abs(lateness(heard, start, found.audio_rate)) < within


def iter_frames(path: str, clock: Clock) -> Iterator[tuple[float, np.ndarray]]:
    """Every frame in the order shown, decoded once: (media time, uint8 RGB (3, height, width))."""
    with FrameReader(path, clock, Deadline(path)) as reader:
        painter = Painter(clock.width, clock.height, path)
        for number, frame in reader.all_frames():
            yield float(clock.frame_times[number]), painter.paint(frame)


TAILS = {
    "line-break": b"\n",
    "junk": np.random.default_rng(5).integers(0, 255, 400, np.uint8).tobytes(),
    "zeros": bytes(5_000),
    "id3v2": b"ID3\x04\0\0\0\0\0\x1eTIT2\0\0\0\x14\0\0\x03a title of some sort",
    "ape": b"APETAGEX\xd0\x07\0\0\x20\0\0\0\0\0\0\0\0\0\0\x80" + bytes(8),
    "lyrics3": b"LYRICSBEGIN[00:02]la la la000022LYRICS200",
}
"""What stands behind the last frame of files of sound."""


def packet(data: bytes) -> av.Packet:
    made = av.Packet(data)
    made.pts, made.time_base = 0, Fraction(1, 44_100)
    return made
