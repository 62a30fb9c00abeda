"""Labels are carried as published: by affinity within a window, the most similar cells only, over several frames."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from avssl.evaluate.transfer.propagation import carrying
from avssl.evaluate.transfer.propagation.carrying import (
    Carrying,
    carry,
    labels_of_mask,
    labels_of_points,
    mask_of_labels,
    points_of_labels,
)


def plain_carry(features: np.ndarray, first: np.ndarray, how: Carrying) -> np.ndarray:
    """The same cell by cell: exp(cosine / temperature), those below the k-th value dropped, divided by their sum."""
    frames, _, height, width = features.shape
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    labels = [first]
    for t in range(1, frames):
        shown, found = [0, *range(max(1, t - how.context), t)], np.zeros_like(first)
        for y, x in itertools.product(range(height), range(width)):
            cells = {}
            for frame, v, u in itertools.product(shown, range(height), range(width)):
                free = how.window is None or (how.first_anywhere and frame == 0)
                if free or max(abs(v - y), abs(u - x)) <= how.window:
                    cells[frame, v, u] = np.exp(unit[t, :, y, x] @ unit[frame, :, v, u] / how.temperature)
            least = sorted(cells.values())[-min(how.top, len(cells))]
            kept = {cell: value for cell, value in cells.items() if value >= least}
            for (frame, v, u), value in kept.items():
                found[:, y, x] += value / sum(kept.values()) * labels[frame][:, v, u]
        labels.append(found)
    return np.stack(labels)


@pytest.mark.parametrize(
    "how",
    [
        Carrying(context=2, window=1, top=3),
        Carrying(context=0, window=None, top=4, temperature=0.5),
        Carrying(context=2, window=1, top=2, first_anywhere=True),
    ],
)
def test_labels_are_those_of_a_cell_by_cell_computation(how: Carrying, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    features, first = torch.randn(4, 5, 4, 5), torch.rand(3, 4, 5)
    expected = plain_carry(features.double().numpy(), first.double().numpy(), how)
    np.testing.assert_allclose(carry(features, first, how).numpy(), expected, atol=1e-5)
    monkeypatch.setattr(carrying, "_BLOCK", 1)  # a row of the map at a time: the same
    np.testing.assert_allclose(carry(features, first, how).numpy(), expected, atol=1e-5)


def test_what_moves_by_a_cell_a_frame_is_followed_and_needs_the_window() -> None:
    torch.manual_seed(0)
    scene = torch.randn(8, 6, 12)
    features = torch.stack([scene.roll(step, dims=2) for step in range(5)])  # each cell is unlike all others
    first = torch.zeros(2, 6, 12)
    first[1, 2:4, 1:3] = 1
    first[0] = 1 - first[1]
    how = Carrying(context=1, window=1, top=1)
    torch.testing.assert_close(carry(features, first, how)[4, :, :, 5:], first.roll(4, dims=2)[:, :, 5:])
    # Within a window of 0 nothing can move: whatever the features, the labels stay.
    torch.testing.assert_close(carry(features, first, replace(how, window=0))[4], first)


def test_cells_that_tie_with_the_last_that_is_taken_are_taken_too() -> None:
    features = torch.ones(2, 3, 1, 4)
    first = torch.eye(4)[:, None]
    carried = carry(features, first, Carrying(window=None, top=1))
    torch.testing.assert_close(carried[1], torch.full((4, 1, 4), 0.25))


def test_by_distance_the_nearest_colour_is_taken_and_not_the_one_of_the_same_hue() -> None:
    features = torch.tensor([[[1.0, 4.0]], [[0.0, 0.0]]]).movedim(0, 0)[None].repeat(2, 1, 1, 1)
    features[1, 0] = 3.9  # both cells of the second frame are nearly the second colour, in the same direction as both
    first = torch.eye(2)[:, None]
    assert carry(features, first, Carrying(top=1, similarity="distance"))[1, 1].tolist() == [[1.0, 1.0]]
    assert carry(features, first, Carrying(top=1))[1, 1].tolist() == [[0.5, 0.5]]


def test_first_labels_are_shares_of_a_cell_or_the_pixel_in_its_middle_and_void_is_background() -> None:
    mask = torch.zeros(4, 4, dtype=torch.uint8)
    mask[0, 0], mask[2:, 2:], mask[0, 3] = 1, 2, 255
    soft = labels_of_mask(mask, 2, (2, 2))
    assert soft[1].tolist() == [[0.25, 0.0], [0.0, 0.0]] and soft[2].tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert soft.sum(0).tolist() == [[1.0, 1.0], [1.0, 1.0]]
    hard = labels_of_mask(mask, 2, (2, 2), "nearest")
    assert set(hard.unique().tolist()) == {0.0, 1.0} and hard[2, 1, 1] == 1


def test_a_faint_label_is_read_out_where_it_is_strongest_only_if_labels_are_stretched() -> None:
    labels = torch.zeros(1, 2, 4, 4)
    labels[0, 1, 1:3, 1:3] = 0.4
    labels[0, 0] = 1 - labels[0, 1]
    assert mask_of_labels(labels, (8, 8), (16, 16), normalise=False).sum() == 0
    stretched = mask_of_labels(labels, (8, 8), (16, 16))
    assert stretched.shape == (1, 16, 16) and stretched.dtype == torch.uint8
    assert stretched[0, 4:12, 4:12].all() and not stretched[0, :2].any()


def test_points_come_back_where_they_were_and_those_that_vanish_are_lost() -> None:
    points = torch.tensor([[10.0, 20.0], [33.0, 8.5], [float("nan"), 1.0]])
    labels = labels_of_points(points, (10, 16), (40, 64))
    found = points_of_labels(labels[None], (40, 64))[0]
    assert (found[:2] - points[:2]).abs().max() <= 1.0  # a quarter of a cell
    assert found[2].isnan().all()
