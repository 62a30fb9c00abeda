"""From a decoder's frames to mono, whatever the number, order and format of the channels.

Three kinds of frame crash PyAV or are refused by it:

* eight or more planar channels: it searches for the end of the list of planes where there is none;
* channels in a custom order (right before left, two centres): each access to such a layout frees memory that belongs
  to FFmpeg;
* samples of 64-bit integers.

So the first and the last go through FFmpeg's own converter, and the second is accessed once and then replaced.
"""

from __future__ import annotations

import math
from typing import Any, cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from numpy.typing import NDArray

Mono = NDArray[np.float32]

LOW_FREQUENCY_CHANNELS = {"LFE", "LFE2"}
MOST_PLANES = 7  # a frame has eight pointers to planes; PyAV reads beyond them if the last is used
# Sample formats that PyAV gives as arrays; planar ones have the same name with a "p".
SHOWN_FORMATS = {"u8", "s16", "s32", "flt", "dbl"}


# Options by which a decoder seeds the noise of a frame by the frame itself, not by where decoding began.
CONSISTENT = {key: {"cons_noisegen": "1"} for key in ("ac3", "eac3")}
# Full scale is 1. Floats scaled like 32-bit integers reach this; anything larger is damage.
LOUDEST = 2.0**31

# Codecs whose packets are plain floats, NaN and infinity among them.
FLOAT_CODECS = {"pcm_f32le": "<f4", "pcm_f32be": ">f4", "pcm_f64le": "<f8", "pcm_f64be": ">f8"}


class Mixer:
    """Mixes the frames of one stream to mono: the plain mean of all channels but the low-frequency ones.

    To be made before the decoder (or the stream's) has decoded anything.
    """

    def __init__(self, decoder: AudioCodecContext | AudioStream) -> None:
        context = decoder.codec_context if isinstance(decoder, AudioStream) else decoder
        if context.codec.name in CONSISTENT:
            context.options = CONSISTENT[context.codec.name]
        self._own_names = _names_of_an_own_order(context)
        self._converter: av.AudioResampler | None = None
        self._heard: tuple[int, list[int]] = (0, [])

    def mono(self, frame: AudioFrame) -> Mono:
        """float32 (samples,), full scale ±1."""
        count = frame.layout.nb_channels
        if count != self._heard[0]:  # at the first frame, and where mono changes to stereo
            self._heard, self._converter = (count, self._channels_heard(frame)), None
        heard = self._heard[1]
        if len(heard) <= 2 and frame.format.name == "fltp" and count <= MOST_PLANES:
            # What AAC, Opus, Vorbis and MP3 decode to; without copying all channels into one array first.
            planes = frame.planes
            rows = [np.frombuffer(cast("Any", planes[k]), np.float32, frame.samples) for k in heard]
            # Adding zero turns −0 into 0, as the mean of an array does: both ways give the same bytes.
            return (rows[0] + rows[1] + np.float32(0)) / np.float32(2) if len(rows) == 2 else rows[0].copy()
        data = self._array(frame, count)
        return _scaled_mean(data[heard] if len(heard) < count else data)

    def _channels_heard(self, frame: AudioFrame) -> list[int]:
        names = self._own_names
        if len(names) != frame.layout.nb_channels:
            names = [channel.name for channel in frame.layout.channels]
        heard = [place for place, name in enumerate(names) if name not in LOW_FREQUENCY_CHANNELS]
        return heard or list(range(len(names)))

    def _array(self, frame: AudioFrame, count: int) -> NDArray[np.generic]:
        """(channels, samples), of the stored type."""
        form = frame.format
        if form.packed.name not in SHOWN_FORMATS or (form.is_planar and count > MOST_PLANES):
            if self._converter is None:
                self._converter = av.AudioResampler(format="flt")
            parts = [np.asarray(part.to_ndarray()) for part in self._converter.resample(frame)]
            data = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
            return data.reshape(-1, count).T
        data = np.asarray(frame.to_ndarray())
        return data.reshape(-1, count).T if form.is_packed else data


def first_invalid_sample(samples: NDArray[np.floating]) -> int | None:
    """The index of the first sample that is NaN, infinite or absurdly large; None if there is none."""
    sizes = np.abs(samples)
    if not len(sizes) or sizes.max() <= LOUDEST:  # a maximum with NaN in it is NaN
        return None
    return int(np.argmin(sizes <= LOUDEST))


def describe_invalid_sample(sample: float) -> str:
    if math.isnan(sample):
        return "not a number"
    return "infinity" if math.isinf(sample) else f"a sample of {sample:.3g} (full scale is 1)"


def _names_of_an_own_order(context: AudioCodecContext) -> list[str]:
    """The names of channels in a custom order, which the decoder then forgets; [] for a standard layout."""
    layout = context.layout  # shares its memory with FFmpeg's …
    own = "channels" in layout.name or layout.name.startswith("ambisonic")
    if not own or not layout.nb_channels:
        return []  # a standard layout has no memory to share
    names = [channel.name for channel in layout.channels]
    context.layout = f"{layout.nb_channels} channels"  # … so that one of the two must give it up, or both free it
    return names


def _scaled_mean(data: NDArray[np.generic]) -> Mono:
    if data.dtype == np.uint8:
        scaled: Mono = (data.astype(np.float32) - 128) / np.float32(128)
    elif data.dtype.kind == "i":
        scaled = data.astype(np.float32) / np.float32(2 ** (8 * data.dtype.itemsize - 1))
    else:
        scaled = data.astype(np.float32)
    mono: Mono = scaled[0] if len(scaled) == 1 else scaled.mean(axis=0, dtype=np.float32)
    return mono
