"""How this package and its peers are asked for frames of a video file, and for the sound around the first of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

import avssl
from avssl.media.decoding import kept_files
from common.videos import FPS

HALF, RATE = 0.5, 16_000
"""Of the sound: seconds before and after the frame, samples a second."""
_EARLY = 1e-3
"""Windows of time begin a little early: containers round their stamps."""


@dataclass(frozen=True)
class Draw:
    """What is read at once: the frames shown at these times (ascending), and perhaps the sound around the first."""

    path: str
    times: tuple[float, ...]
    with_sound: bool


Reader = Callable[[Draw], NDArray[np.uint8]]
"""Gives the frames: (n, 3, height, width). Sound is decoded and resampled as well, and left."""


def readers(folder: Path) -> tuple[dict[str, Reader], dict[str, str]]:
    """All that can be had, by name, and why the others cannot."""
    found: dict[str, Reader] = {}
    absent: dict[str, str] = {}
    for name, make in _READERS.items():
        try:
            found[name] = make(folder)
        except (ImportError, OSError, RuntimeError) as error:  # some find their libraries only when they are loaded
            absent[name] = str(error).strip().splitlines()[0]
    return found, absent


def _avssl(*, kept: bool) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        media = avssl.open(folder, progress=False)
        numbers = {media.facts(i).path: i for i in range(len(media))}

        def read(draw: Draw) -> NDArray[np.uint8]:
            item = numbers[draw.path]
            frames = media.frames(item, draw.times)
            if draw.with_sound:
                media.audio(item, draw.times[0] - HALF, 2 * HALF, RATE)
            return frames

        def read_opened(draw: Draw) -> NDArray[np.uint8]:
            # What the other reader of this process keeps stays as it is.
            others, kept_files._kept = kept_files._kept, kept_files._Kept()
            frames = read(draw)
            kept_files.close_files()
            kept_files._kept = others
            return frames

        return read if kept else read_opened

    return make


def _torchcodec(*, kept: bool) -> Callable[[Path], Reader]:
    def make(_: Path) -> Reader:
        from torchcodec.decoders import AudioDecoder, VideoDecoder

        videos: dict[str, Any] = {}
        sounds: dict[str, Any] = {}

        def read(draw: Draw) -> NDArray[np.uint8]:
            if not kept:
                videos.clear()
                sounds.clear()
            if draw.path not in videos:
                # Its exact mode reads all packets first, which pays only for who keeps the decoder.
                mode = "exact" if kept else "approximate"
                videos[draw.path] = VideoDecoder(draw.path, num_ffmpeg_threads=1, seek_mode=mode)
            frames: NDArray[np.uint8] = videos[draw.path].get_frames_played_at(list(draw.times)).data.numpy()
            if draw.with_sound:
                if draw.path not in sounds:
                    sounds[draw.path] = AudioDecoder(draw.path, sample_rate=RATE, num_channels=1)
                sounds[draw.path].get_samples_played_in_range(draw.times[0] - HALF, draw.times[0] + HALF)
            return frames

        return read

    return make


def _spdl(_: Path) -> Reader:
    import spdl.io as io

    def read(draw: Draw) -> NDArray[np.uint8]:
        window = (draw.times[0] - 1 / FPS + _EARLY, draw.times[-1] + _EARLY)
        decoded = io.decode_packets(io.demux_video(draw.path, timestamp=window), filter_desc="format=rgb24")
        frames = io.to_numpy(io.convert_frames(decoded))
        if draw.with_sound:
            window = (draw.times[0] - HALF, draw.times[0] + HALF)
            wanted = io.get_audio_filter_desc(sample_rate=RATE, num_channels=1, timestamp=window)
            sound = io.decode_packets(io.demux_audio(draw.path, timestamp=window), filter_desc=wanted)
            io.to_numpy(io.convert_frames(sound))
        last = _number(draw.times[-1])
        return np.stack([frames[len(frames) - 1 - last + _number(time)].transpose(2, 0, 1) for time in draw.times])

    return read


def _pyav(_: Path) -> Reader:
    def read(draw: Draw) -> NDArray[np.uint8]:
        found: dict[float, Any] = {}
        with av.open(draw.path) as container:
            stream = container.streams.video[0]
            stream.thread_count, stream.thread_type = 1, "NONE"
            container.seek(int(draw.times[0] / (stream.time_base or 1)), stream=stream)
            shown = None
            for frame in container.decode(stream):
                found.update({t: shown for t in draw.times if t not in found and frame.time > t + 1e-6})
                shown = frame
                if len(found) == len(draw.times):
                    break
        frames = [(found.get(t) or shown).to_ndarray(format="rgb24").transpose(2, 0, 1) for t in draw.times]
        _sound_by_pyav(draw)
        return np.stack(frames)

    return read


def _sound_by_pyav(draw: Draw) -> None:
    if not draw.with_sound:
        return
    with av.open(draw.path) as container:
        stream = container.streams.audio[0]
        stream.thread_count = 1
        container.seek(int(max(draw.times[0] - HALF - 0.2, 0) / (stream.time_base or 1)), stream=stream)
        resampler, parts, begin = av.AudioResampler("flt", "mono", RATE), [], None
        for frame in container.decode(stream):
            begin = frame.time if begin is None else begin
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
            if frame.time > draw.times[0] + HALF + 0.05:
                break
    first = max(round((draw.times[0] - HALF - (begin or 0.0)) * RATE), 0)
    np.concatenate(parts)[first : first + round(2 * HALF * RATE)].copy()


def _opencv(_: Path) -> Reader:
    import cv2

    cv2.setNumThreads(1)

    def read(draw: Draw) -> NDArray[np.uint8]:
        numbers = [_number(time) for time in draw.times]
        video = cv2.VideoCapture(draw.path)
        video.set(cv2.CAP_PROP_POS_FRAMES, numbers[0])
        shown = {}
        for number in range(numbers[0], numbers[-1] + 1):
            is_there, frame = video.read()
            if is_there and number in numbers:
                shown[number] = frame[..., ::-1].transpose(2, 0, 1)
        video.release()
        _sound_by_pyav(draw)
        return np.stack([shown[number] for number in numbers])

    return read


def _decord(_: Path) -> Reader:
    import decord

    def read(draw: Draw) -> NDArray[np.uint8]:
        video = decord.VideoReader(draw.path, num_threads=1)
        frames: NDArray[np.uint8] = video.get_batch([_number(time) for time in draw.times]).asnumpy()
        _sound_by_pyav(draw)
        return frames.transpose(0, 3, 1, 2)

    return read


def _number(seconds: float) -> int:
    """Of the frame shown then, where the rate is constant."""
    return int(seconds * FPS + 1e-6)


_READERS: dict[str, Callable[[Path], Reader]] = {
    "avssl": _avssl(kept=True),
    "avssl, opened each time": _avssl(kept=False),
    "torchcodec, kept open": _torchcodec(kept=True),
    "torchcodec, opened each time": _torchcodec(kept=False),
    "spdl": _spdl,
    "PyAV": _pyav,
    "OpenCV + PyAV": _opencv,
    "decord + PyAV": _decord,
}
