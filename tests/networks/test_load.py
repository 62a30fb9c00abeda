"""What ``avssl.load`` gives: plain modules that carry their front end."""

from __future__ import annotations

import copy
import pickle

import torch
from probe_media import write_run
from torch import nn

import avssl


def test_the_encoders_of_a_run_are_plain_modules_with_their_front_end(tmp_path):
    model = avssl.load(write_run(tmp_path / "run", "multi-task", ("vision", "audio")))
    assert model.fusion is None
    for encoder, x, other in (
        (model.vision, torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8), lambda x: x.float() / 255),
        (model.audio_encoder, torch.randn(2, 4000), lambda x: x.double()),
    ):
        assert isinstance(encoder, nn.Module)
        assert not encoder.training
        maps = encoder(x)  # bytes of pictures and samples of sound, nothing to prepare
        assert maps.shape[:2] == (2, encoder.channels)
        torch.testing.assert_close(encoder(other(x)), maps)
        assert torch.equal(list(encoder.stages(x).values())[-1], maps)
        again = copy.deepcopy(encoder)
        with torch.no_grad():
            next(again.parameters()).zero_()
        again.load_state_dict(encoder.state_dict())
        assert torch.equal(pickle.loads(pickle.dumps(again))(x), maps)
        assert any(p.requires_grad for p in encoder.parameters())  # can be trained on


def test_statistics_of_the_spectrogram_come_with_the_weights(tmp_path):
    from probe_media import audio_encoder

    from avssl.networks.saving import save_module

    run = write_run(tmp_path / "run", "multi-task", ("audio",))
    encoder = audio_encoder()
    encoder.front_end.set_statistics(-5.0, 2.0)
    save_module(encoder, run / "encoders" / "audio")
    loaded = avssl.load(run).audio_encoder
    x = torch.randn(1, 4000)
    assert torch.equal(loaded(x), encoder(x))
    assert float(loaded.front_end.mean) == -5.0
