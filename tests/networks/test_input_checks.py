"""What would give embeddings that mean nothing is refused in a line that says what is wanted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avssl.errors import reason_of
from avssl.networks.audio import AudioConfig, AudioEncoder
from avssl.networks.config import VisionConfig
from avssl.networks.front_end import FrontEndConfig
from avssl.networks.fusion import FUSIONS
from avssl.networks.model import Model
from avssl.networks.vision import VisionEncoder


@pytest.fixture(scope="module")
def model():
    vision = VisionEncoder(VisionConfig(width=4, convs=1, side=32))
    audio = AudioEncoder(AudioConfig(FrontEndConfig(rate=8000, bands=16), width=4, convs=1))
    audio.front_end.set_statistics(-3.0, 2.0)
    return Model(vision, audio, FUSIONS["avol"](vision.channels, audio.channels)).eval()


FRAMES = np.random.default_rng(0).integers(0, 256, (2, 3, 40, 50), dtype=np.uint8)
SOUND = (np.random.default_rng(1).normal(size=(2, 8000)) * 0.1).astype(np.float32)


@pytest.mark.parametrize(
    ("frames", "error", "words"),
    [
        (FRAMES.astype(np.float32), ValueError, r"floats of 0 to 255; floats must be within 0\.\.1"),
        (FRAMES / 127.5 - 1, ValueError, "within 0"),
        (FRAMES.astype(np.int64), TypeError, "frames are int64; they must be uint8"),
        (FRAMES.astype(np.uint16), TypeError, "frames are uint16"),
        (FRAMES > 100, TypeError, "frames are bool"),
        (np.full((1, 3, 8, 8), np.nan, np.float32), ValueError, "floats of nan"),
        (FRAMES.transpose(0, 2, 3, 1), ValueError, r"\(2, 40, 50, 3\) must be .*channels come first"),
        (FRAMES[0], ValueError, r"one frame is frames\[None\]"),
        (FRAMES[:, :1], ValueError, r"\(2, 1, 40, 50\) must be \(N, 3, height, width\)"),
        (FRAMES[..., :0], ValueError, "must be"),
        ("cat.png", TypeError, "frames: str is not an array"),
    ],
)
def test_frames_that_mean_nothing_are_refused(model, frames, error, words):
    with pytest.raises(error, match=words) as found:
        model.image(frames)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("waveform", "rate", "error", "words"),
    [
        ((SOUND * 32767).astype(np.int16), 8000, TypeError, "waveform is int16; .*divide int16 by 32768"),
        (SOUND * 32767, 8000, ValueError, "divide int16 by 32768"),
        (SOUND[0], 8000, ValueError, r"one waveform is waveform\[None\]"),
        (SOUND[:, None].repeat(2, 1), 8000, ValueError, "mix channels to one"),
        (SOUND.T, 8000, ValueError, "samples come last"),
        (SOUND[:, :0], 8000, ValueError, "must be"),
        (SOUND, None, TypeError, "rate None must be a number"),
        (SOUND, "8000", TypeError, "rate '8000'"),
        (SOUND, 0, ValueError, "rate 0 must be samples a second"),
        (SOUND, 16, ValueError, "1000 or more"),
    ],
)
def test_sounds_that_mean_nothing_are_refused(model, waveform, rate, error, words):
    with pytest.raises(error, match=words) as found:
        model.audio(waveform, rate)
    assert "\n" not in str(found.value)


def test_the_rate_must_be_given(model):
    with pytest.raises(TypeError, match="rate"):
        model.audio(SOUND)


def test_pairs_must_be_as_many_frames_as_sounds(model):
    three = np.concatenate([FRAMES, FRAMES[:1]])
    for ask in (model.correspondence, model.heat):
        with pytest.raises(ValueError, match="3 frames and 2 waveforms"):
            ask(three, SOUND, 8000)


def test_floats_of_0_to_1_are_the_same_picture(model):
    expected = model.image(FRAMES)
    for same in (FRAMES / 255, (FRAMES / 255).astype(np.float32), torch.from_numpy(FRAMES).float() / 255):
        torch.testing.assert_close(model.image(same), expected)
    torch.testing.assert_close(model.audio(SOUND.astype(np.float64), 8000), model.audio(SOUND, 8000))
    torch.testing.assert_close(model.audio(SOUND, np.int64(8000)), model.audio(SOUND, 8000))


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("two\n  lines"), "two lines"), (ValueError(), "ValueError"), (ValueError("x" * 300), "x" * 200)],
)
def test_what_a_library_says_of_an_error_fits_a_line(error, line):
    assert reason_of(error) == line
