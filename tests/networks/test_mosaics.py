"""Mosaics: a picture's own quarter is whole, the others are of its four in the batch."""

from __future__ import annotations

import pytest
import torch

from avssl.networks.mosaics import companions, mosaics


def plain(count: int = 4, frames: int = 1, side: int = 32) -> torch.Tensor:
    """Picture n is of the colour n."""
    return torch.arange(float(count)).view(-1, 1, 1, 1, 1).expand(count, frames, 3, side, side).clone()


@pytest.mark.parametrize(
    ("row", "column", "wanted"), [(0, 0, [0, 1, 2, 3]), (0, 1, [3, 0, 1, 2]), (1, 1, [1, 2, 3, 0])]
)
def test_the_four_quarters_of_a_whole_mosaic(row: int, column: int, wanted: list[int]) -> None:
    made = mosaics(plain(frames=2), torch.tensor([[row, column, 1.0]] * 4))
    for first, picture in enumerate(made):
        expected = [(first + step) % 4 for step in wanted]
        for frame in picture[:, 0]:
            assert [round(float(frame[y, x])) for y in (8, 24) for x in (8, 24)] == expected


@pytest.mark.parametrize("share", [0.55, 0.7, 1.0])
def test_a_picture_is_seen_whole_and_from_its_own_corner(share: float) -> None:
    torch.manual_seed(0)
    frames = torch.rand(4, 1, 3, 40, 40)
    small = torch.nn.functional.adaptive_avg_pool2d(frames[0], 20)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        cut = mosaics(frames, torch.tensor([[row, column, share]] * 4))[0]
        long = round(20 / share)  # pixels of its own quarter in what is cut
        own = cut[..., -long:, :] if row else cut[..., :long, :]
        own = own[..., -long:] if column else own[..., :long]
        back = torch.nn.functional.interpolate(own, (20, 20), mode="bilinear", align_corners=False)
        assert float((back - small).abs()[..., 2:-2, 2:-2].mean()) < 0.08


def test_a_picture_without_a_mosaic_is_left_as_it_is_to_the_bit() -> None:
    frames = torch.rand(5, 1, 3, 33, 33)
    made = mosaics(frames, torch.tensor([[0, 0, 0.0], [1, 0, 0.7], [0, 1, 0.0], [0, 0, 0.9], [1, 1, 0.0]]))
    assert [torch.equal(a, b) for a, b in zip(made, frames, strict=True)] == [True, False, True, False, True]


@pytest.mark.parametrize("count", [4, 5, 7, 8, 11, 64])
def test_every_picture_lies_beside_three_others_near_it(count: int) -> None:
    for own, others in enumerate(companions(count).tolist()):
        assert len({own, *others}) == 4 and max([own, *others]) - min([own, *others]) == 3


def test_halves_of_a_batch_have_the_mosaics_of_the_whole() -> None:
    assert torch.equal(companions(16)[8:] - 8, companions(8))
    assert companions(1).tolist() == [[0, 0, 0]] and companions(2).tolist() == [[1, 0, 1], [0, 1, 0]]
