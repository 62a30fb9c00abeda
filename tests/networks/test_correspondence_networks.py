"""From a batch to the maps of its pictures and sounds, and to a logit a puzzle."""

from __future__ import annotations

import pytest
import torch

from avssl.networks.audio import AudioConfig, AudioEncoder
from avssl.networks.config import VisionConfig
from avssl.networks.correspondence import CorrespondenceNetwork, SingleModalityNetwork, audio_maps, vision_maps
from avssl.networks.front_end import FrontEndConfig
from avssl.networks.fusion import FUSIONS
from avssl.networks.vision import VisionEncoder

SIDE, RATE = 32, 8000


def vision_encoder() -> VisionEncoder:
    torch.manual_seed(0)
    return VisionEncoder(VisionConfig(width=4, convs=1, side=SIDE, norm="group")).eval()


def audio_encoder() -> AudioEncoder:
    torch.manual_seed(1)
    return AudioEncoder(AudioConfig(FrontEndConfig(rate=RATE, bands=16), width=4, convs=1, norm="group")).eval()


def batch_of(puzzles: int, frames: int = 1) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(2)
    return {
        "frames": torch.randint(0, 256, (puzzles, frames, 3, SIDE, SIDE), dtype=torch.uint8, generator=rng),
        "waveform": 0.1 * torch.randn(puzzles, RATE, generator=rng),
        "brightness": torch.zeros(puzzles),
        "saturation": torch.ones(puzzles),
        "masks": torch.zeros(puzzles, 4),
    }


@torch.no_grad()
def test_the_map_of_several_frames_holds_at_each_place_the_largest_value_of_any_of_them():
    encoder, batch = vision_encoder(), batch_of(2, frames=3)
    together = vision_maps(encoder, batch)
    alone = [vision_maps(encoder, {**batch, "frames": batch["frames"][:, k : k + 1]}) for k in range(3)]
    largest = torch.maximum(torch.maximum(alone[0], alone[1]), alone[2])
    torch.testing.assert_close(together, largest)
    assert all(not torch.allclose(together, one) for one in alone), "no frame has all of the maxima"


@torch.no_grad()
def test_the_order_of_a_puzzles_frames_does_not_matter_and_those_of_other_puzzles_do_not_count():
    encoder, batch = vision_encoder(), batch_of(3, frames=2)
    maps = vision_maps(encoder, batch)
    turned = vision_maps(encoder, {**batch, "frames": batch["frames"].flip(1)})
    torch.testing.assert_close(turned, maps)
    other = batch["frames"].clone()
    other[1:] = 0
    torch.testing.assert_close(vision_maps(encoder, {**batch, "frames": other})[0], maps[0])


@torch.no_grad()
def test_a_picture_is_fed_as_shares_of_255_and_each_puzzles_colours_change_by_its_own_amount():
    encoder, batch = vision_encoder(), batch_of(2, frames=2)
    plain = encoder(batch["frames"].flatten(0, 1).float() / 255).reshape(2, 2, *vision_maps(encoder, batch).shape[1:])
    torch.testing.assert_close(vision_maps(encoder, batch), plain.amax(1))
    brighter = vision_maps(encoder, {**batch, "brightness": torch.tensor([0.0, 0.3])})
    torch.testing.assert_close(brighter[0], plain[0].amax(0))
    assert not torch.allclose(brighter[1], plain[1].amax(0))
    greyer = vision_maps(encoder, {**batch, "saturation": torch.tensor([0.0, 1.0])})
    torch.testing.assert_close(greyer[1], plain[1].amax(0))
    assert not torch.allclose(greyer[0], plain[0].amax(0))


@torch.no_grad()
def test_silence_goes_through_the_same_encoder_after_the_sounds_and_is_neither_shifted_nor_masked():
    encoder, batch = audio_encoder(), batch_of(2)
    silence = 0.01 * torch.randn(3, RATE)
    changed = {**batch, "transpose": torch.tensor([0.25, 0.0]), "masks": torch.tensor([[0, 0, 0, 0], [0, 0.5, 0, 0.5]])}
    maps = audio_maps(encoder, {**changed, "silence": silence})
    assert len(maps) == 5
    torch.testing.assert_close(maps[:2], audio_maps(encoder, changed))
    torch.testing.assert_close(maps[2:], encoder(silence))
    plain = encoder(batch["waveform"])
    torch.testing.assert_close(audio_maps(encoder, batch), plain)
    assert not torch.allclose(maps[0], plain[0]), "shifted"
    assert not torch.allclose(maps[1], plain[1]), "masked"


@torch.no_grad()
@pytest.mark.parametrize("name", ["l3", "ave", "avol"])
def test_the_logit_of_a_puzzle_is_the_fusions_of_its_own_picture_and_its_own_sound(name):
    vision, audio, batch = vision_encoder(), audio_encoder(), batch_of(3)
    network = CorrespondenceNetwork(vision, audio, FUSIONS[name](vision.channels, audio.channels)).eval()
    seen, heard = network.embed(batch)
    torch.testing.assert_close(network(batch), network.fusion.all_pairs(seen, heard).diagonal(), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_network_of_one_modality_pools_its_map_by_maximum():
    batch = batch_of(3)
    for encoder, maps in ((vision_encoder(), vision_maps), (audio_encoder(), audio_maps)):
        network = SingleModalityNetwork(encoder).eval()
        largest = maps(encoder, batch).flatten(2).max(-1).values
        torch.testing.assert_close(network(batch), network.head(largest)[:, 0])
