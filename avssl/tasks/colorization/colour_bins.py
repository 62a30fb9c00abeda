"""Colours as classes: the ab plane of Lab cut into bins (Zhang, Isola & Efros, Colorful Image Colorization, 2016)."""

from __future__ import annotations

import heapq
import math
from functools import lru_cache
from itertools import count as count_up
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avssl.networks.colour import rgb_to_lab

# Colours are rounded to this many decimals of Lab units before bins are cut from them.
_DECIMALS = 1

# Distances from pixels to bins that are computed at once: 32 MB.
_DISTANCES_AT_ONCE = 1 << 23

# Values per channel when the colours of a screen are listed: 0, 5, … 255.
_STEPS = 52


@lru_cache(maxsize=8)
def bin_centres(grid: float) -> NDArray[np.float32]:
    """The centres, multiples of ``grid`` in a and b, of all bins that hold a colour of sRGB. (Q, 2)

    With grid 10 the published list has 313 bins, this one 260 (262 where every colour is looked at, and 261 points of
    that grid lie within 5 units of the convex hull of the gamut): the published file also holds bins around the gamut
    that contain no sRGB colour, by a rule that is not published. A figure over bins names their number.
    """
    steps = torch.linspace(0, 1, _STEPS)
    red, green, blue = (axis.flatten() for axis in torch.meshgrid(steps, steps, steps, indexing="ij"))
    ab = rgb_to_lab(torch.stack([red, green, blue])[None, :, :, None])[0, 1:, :, 0].T
    centres = np.unique(torch.round(ab / grid).to(torch.int64).numpy(), axis=0) * np.float32(grid)
    centres.flags.writeable = False
    return centres.astype(np.float32)


def equal_bins(ab: NDArray[np.floating], count: int) -> NDArray[np.float32]:
    """The mean colours (count, 2) of cells that hold about as many of the pixels ``ab`` (n, 2) each, in Lab units.

    The fullest cell is halved until there are enough. Colours that look the same (to a tenth of a Lab unit) are one,
    and stay together: all greys do, but for rounding. A cell of one colour is not halved.

    A square grid has one bin for all that is nearly grey, the likeliest answer wherever a network is unsure. Cells of
    equal weight are small about grey and large elsewhere: no answer is likelier than another to begin with.

    Raises:
        ValueError: there are fewer than ``count`` different colours.
    """
    order = count_up()
    pixels = np.round(np.array(ab, np.float64), _DECIMALS).astype(np.float64) + 0.0  # no -0.0
    cells = [(-len(ab), next(order), pixels)]  # a heap: the fullest first, then the oldest
    whole: list[NDArray[np.float64]] = []
    while len(cells) + len(whole) < count:
        if not cells:
            raise ValueError(f"there are only {len(whole)} different colours")
        cell = heapq.heappop(cells)[2]
        halves = _halves(cell)
        if halves is None:
            whole.append(cell)
        else:
            for half in halves:
                heapq.heappush(cells, (-len(half), next(order), half))
    return np.stack([cell.mean(0) for cell in [*whole, *(c for _, _, c in cells)]]).astype(np.float32)


def _halves(cell: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """A cell cut where its values change, as near to the median as may be; None if all its pixels are alike."""
    axis = int(cell.var(axis=0).argmax())
    ordered = cell[np.argsort(cell[:, axis], kind="stable")]
    changes = np.flatnonzero(np.diff(ordered[:, axis])) + 1
    if not len(changes):
        return None
    cut = int(changes[np.abs(changes - len(cell) / 2).argmin()])
    return ordered[:cut], ordered[cut:]


def nearest(ab: Tensor, centres: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` nearest bins of each pixel, nearest first.

    Args:
        ab: (N, 2, h, w).
        centres: (Q, 2).

    Returns:
        bin indices and squared distances, both (N, count, h, w).
    """
    # Coordinate by coordinate: exact, where a product of matrices would cancel and be rounded by autocast.
    distance = sum((ab[:, axis].unsqueeze(-1) - centres[:, axis]).square() for axis in range(2))  # (N, h, w, Q)
    assert isinstance(distance, Tensor)
    squared, bins = distance.topk(min(count, len(centres)), dim=-1, largest=False)
    return bins.movedim(-1, 1), squared.movedim(-1, 1)


def soft_encode(ab: Tensor, centres: Tensor, neighbours: int, sigma: float) -> tuple[Tensor, Tensor]:
    """Each pixel as a mix of its nearest bins, weighted by a Gaussian of the distance, summing to 1.

    Returns:
        bin indices and weights, both (N, neighbours, h, w).
    """
    bins, squared = nearest(ab, centres, neighbours)
    # A softmax is the Gaussian of the distances, normalised, without the underflow of far bins.
    return bins, torch.softmax(-squared / (2 * sigma**2), dim=1)


def smoothed_prior(counts: NDArray[np.float64], centres: NDArray[np.float32], sigma: float) -> NDArray[np.float64]:
    """How often each bin occurs, blurred by a Gaussian on the ab plane; sums to 1. (Q,)"""
    squared = np.square(centres[:, None].astype(np.float64) - centres[None]).sum(-1)
    kernel = np.exp(-squared / (2 * sigma**2))
    kernel /= kernel.sum(1, keepdims=True)  # each bin's mass is spread over bins, none lost at the rim of the gamut
    prior: NDArray[np.float64] = counts @ kernel / counts.sum()  # rows of the kernel sum to 1
    return prior


def rebalancing(prior: NDArray[np.float64], mix: float) -> NDArray[np.float64]:
    """The weight of each bin: 1 / ((1 - mix) prior + mix / Q), scaled so that its expectation is 1. (Q,)

    Args:
        prior: (Q,), sums to 1.
        mix: 0 weighs by the inverse of the prior, 1 weighs all alike; published ½.
    """
    weights: NDArray[np.float64] = 1 / ((1 - mix) * prior + mix / len(prior))
    weights /= (prior * weights).sum()
    return weights


def bin_statistics(
    colours: Tensor, centres: NDArray[np.float32], neighbours: int, sigma: float, mix: float | None
) -> dict[str, Any]:
    """How often each bin occurs among colours (n, 2), what it counts, and what the best constant answer costs.

    Args:
        mix: as :func:`rebalancing` takes it; None: all bins count alike.

    Returns:
        "prior" and "weights", Q values each, and "constant_cross_entropy" of the weighted loss, in nats.
    """
    count = len(centres)
    together = np.zeros((count, count))  # of a pixel: the bin it is nearest to, its share in each bin
    for part in torch.split(colours, max(1, _DISTANCES_AT_ONCE // count)):
        bins, shares = soft_encode(part.T[None, :, :, None], torch.from_numpy(centres.copy()), neighbours, sigma)
        place = (bins[:, :1] * count + bins).flatten().numpy()
        together += np.bincount(place, shares.flatten().numpy(), count**2).reshape(together.shape)
    together /= together.sum()
    prior = smoothed_prior(together.sum(1), centres, sigma)
    weights = np.ones(count) if mix is None else rebalancing(prior, mix)
    target = weights @ together
    cost = entropy(target) * float(target.sum())
    return {"prior": prior.tolist(), "weights": weights.tolist(), "constant_cross_entropy": cost}


def decode(logits: Tensor, centres: Tensor, temperature: float) -> Tensor:
    """The annealed mean: ab (N, 2, h, w) of logits (N, Q, h, w).

    The mean of the bins under softmax(log p / temperature): 1 is the mean (sepia), towards 0 the mode (vivid).
    """
    share = torch.softmax(logits.float() / temperature, dim=1)
    return torch.stack([(share * centres[:, axis].view(1, -1, 1, 1)).sum(1) for axis in range(2)], dim=1)


def sample(logits: Tensor, centres: Tensor, temperature: float, rng: np.random.Generator) -> Tensor:
    """One colouring drawn from the distribution: ab (N, 2, h, w).

    Gumbel noise is added to the log-probabilities and the annealed mean taken. The noise is the same for all
    pixels of a picture, so that pixels with like distributions get like colours: each pixel alone is drawn from
    its own distribution (the Gumbel-max trick, softened by the temperature), and the picture stays in one piece.
    """
    # Not from 0: its logarithm is infinite.
    uniform = rng.uniform(1e-9, 1.0, (len(logits), logits.shape[1]))
    gumbel = torch.from_numpy(-np.log(-np.log(uniform))).to(logits)
    return decode(torch.log_softmax(logits.float(), 1) + gumbel[:, :, None, None], centres, temperature)


def entropy(weighted: NDArray[np.float64]) -> float:
    """Cross-entropy of the best constant answer to targets of these (unnormalised) weights, in nats."""
    share = weighted / weighted.sum()
    positive = share[share > 0]
    return float(-(positive * np.log(positive)).sum()) if len(positive) else math.nan
