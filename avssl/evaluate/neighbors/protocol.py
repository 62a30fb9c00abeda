"""Nearest neighbours of frames, patches or sounds in the features of a stage, each from another source.

Features are L2-normalised, so that the nearest by scalar product is the nearest by angle. Figures of the k nearest:

    NAME           precision@k: share of neighbours with the query's label (in the generated world, its kind)
    NAME/ATTRIBUTE shared: how far neighbours agree in something that is known of both, see :func:`shared_rows`
    gain, gain/…   trained minus random, on the same queries

NAME is "trained", "random" (the same network with random weights), "supervised", or another run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.core.statistics import influence_interval, touching

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
# Queries whose similarity to everything is held at once
CHUNK = 512


@dataclass(frozen=True)
class Neighbors:
    """The neighbours of each item, the nearest first."""

    indices: NDArray[np.int64]  # of the neighbours, (n, k)
    similarity: NDArray[np.float32]  # their cosine to the query, (n, k)


@dataclass(frozen=True)
class Attribute:
    """Something that is known of each item, and how far two of them differ in it."""

    name: str
    values: Floats  # (n, features); of a category one code a name
    category: bool = False  # whether two items are equal or not, instead of some distance apart
    unit: str = ""  # what a distance is measured in

    def distances(self, some: NDArray[np.int64], others: NDArray[np.int64]) -> Floats:
        """Between items ``some`` and ``others``, whose shapes are broadcast: 0 or 1, or the Euclidean distance."""
        a, b = self.values[some], self.values[others]
        if self.category:
            return np.asarray((a != b).any(-1), np.float64)
        return np.asarray(np.linalg.norm(a - b, axis=-1))


def nearest(vectors: Vectors, sources: Sequence[str], k: int, device: torch.device | str = "cpu") -> Neighbors:
    """The nearest items of other sources by unit vectors (n, d): of each of the k nearest sources the nearest item.

    Frames of one clip look alike; five of the same clip would be one neighbour five times.

    Raises:
        UserError: there are not k other sources.
    """
    group = _ids(sources)
    count = int(group.max()) + 1
    if count <= k:
        raise UserError(
            f"{k} neighbours from other sources are wanted, but there are only {count - 1} other sources; ask for "
            "fewer with --k, or give more data"
        )
    there, member = torch.from_numpy(vectors).to(device), torch.from_numpy(group).to(device)
    indices: list[torch.Tensor] = []
    similarity: list[torch.Tensor] = []
    with torch.no_grad():
        for first in range(0, len(vectors), CHUNK):
            rows = slice(first, first + CHUNK)
            cosine = there[rows] @ there.T
            cosine.masked_fill_(member[rows, None] == member[None], -torch.inf)
            by_source = torch.full((len(cosine), count), -torch.inf, device=cosine.device)
            # First the nearest item of each source, then the nearest sources: five frames of a clip are one neighbour.
            by_source.scatter_reduce_(1, member.expand_as(cosine), cosine, "amax")
            best = by_source.topk(k, dim=1)
            items = [cosine.masked_fill(member != best.indices[:, j, None], -torch.inf).argmax(1) for j in range(k)]
            indices.append(torch.stack(items, dim=1).cpu())
            similarity.append(best.values.cpu())
    return Neighbors(torch.cat(indices).numpy(), torch.cat(similarity).numpy())


def precision_rows(
    found: Mapping[str, Neighbors],
    labels: Sequence[str],
    sources: Sequence[str],
    context: Context,
    notes: Mapping[str, str],
) -> list[ResultRow]:
    """precision@k of each encoder by name, and the gain of "trained" over "random".

    Chance is the share of the items of other sources with the query's label, the mean over queries.
    """
    k = next(iter(found.values())).indices.shape[1]
    label, group = _ids(labels), _ids(sources)
    own = _ids([f"{one}/{source}" for one, source in zip(label, group, strict=True)])
    same, others = _frequency(label) - _frequency(own), len(group) - _frequency(group)
    shares: dict[str, tuple[float, Floats]] = {}
    for name, one in found.items():
        hits = (label[one.indices] == label[:, None]).astype(np.float64)
        shares[name] = float(hits.mean()), _moves(hits, one, group)
    chance = float((same / others).mean())
    return _rows(shares, f"precision@{k}", sources, context, notes, chance=chance)


def shared_rows(
    found: Mapping[str, Neighbors], attributes: Sequence[Attribute], sources: Sequence[str], context: Context
) -> list[ResultRow]:
    """How far neighbours share each attribute: 1 − (mean difference to neighbours) / (mean difference to random items).

    1: neighbours are equal in it; 0, which is chance: they share it no more than items of other sources drawn at
    random; below 0: they share it less. For a category the difference is 0 or 1, so that this is the share of equal
    neighbours, rescaled so that its chance is 0 (as Cohen's kappa is). The note holds the two means. Attributes in
    which all items are equal are left out. The interval is over sources, both as queries and as neighbours.
    """
    group = _ids(sources)
    each = np.arange(len(group))[:, None]
    rows: list[ResultRow] = []
    for attribute in attributes:
        random = mean_distances(attribute, sources)
        mean = float(random.mean())
        if mean <= 0:
            continue
        # Of the mean difference to random items, by the weight of a source: all pairs that it is part of.
        scale = 2 * np.bincount(group, random - mean) / len(group)
        shared: dict[str, tuple[float, Floats]] = {}
        notes: dict[str, str] = {}
        for name, one in found.items():
            distance = attribute.distances(each, one.indices)
            ratio = float(distance.mean()) / mean
            shared[name] = 1 - ratio, -(_moves(distance, one, group) - ratio * scale) / mean
            notes[name] = _note(attribute, float(distance.mean()), mean)
        # All neighbours of another category differ by 1 where random items differ by the mean.
        most = 1 / mean if attribute.category else math.inf
        rows += _rows(shared, "shared", sources, context, notes, chance=0.0, most=most, ending=f"/{attribute.name}")
    return rows


def mean_distances(attribute: Attribute, sources: Sequence[str]) -> Floats:
    """The mean distance of each item to all items of other sources, (n,): what random neighbours would have."""
    group = _ids(sources)
    everything = np.arange(len(group))
    means: list[Floats] = []
    for first in range(0, len(group), CHUNK):
        rows = everything[first : first + CHUNK, None]
        distances = attribute.distances(rows, everything[None])
        other = group[rows] != group[None]
        means.append((distances * other).sum(1) / np.maximum(other.sum(1), 1))
    return np.concatenate(means)


def _ids(names: Sequence[str]) -> NDArray[np.int64]:
    return np.asarray(np.unique(np.asarray(names), return_inverse=True)[1], np.int64)


def _frequency(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often the id of each item is there."""
    return np.asarray(np.bincount(ids)[ids], np.int64)


def _moves(values: Floats, found: Neighbors, group: NDArray[np.int64]) -> Floats:
    """How the mean of the values (n, k) of queries with their neighbours moves with the weight of each source."""
    queries = np.broadcast_to(group[:, None], values.shape)
    return touching(values - values.mean(), queries, group[found.indices], int(group.max()) + 1) / values.size


def _note(attribute: Attribute, near: float, random: float) -> str:
    if attribute.category:
        return f"the same in {100 * (1 - near):.1f} % of neighbours, in {100 * (1 - random):.1f} % of random items"
    unit = f" {attribute.unit}" if attribute.unit else ""
    return f"{near:.3g}{unit} from neighbours, {random:.3g} from random items"


def _rows(
    figures: Mapping[str, tuple[float, Floats]],
    metric: str,
    sources: Sequence[str],
    context: Context,
    notes: Mapping[str, str],
    *,
    chance: float,
    most: float = 1.0,
    ending: str = "",
) -> list[ResultRow]:
    """A row of each encoder, and the gain of "trained" over "random" on the same queries.

    Args:
        figures: by encoder the figure, and how it moves with the weight of each source.
        most: how far a figure can lie below 1.
        ending: of the names of the rows.
    """
    row = partial(context.row, n=len(sources), clusters=len(set(sources)), method="jackknife")
    rows = []
    for name, (value, moves) in figures.items():
        reach = influence_interval(value, moves, (1 - most, 1.0))
        rows.append(row(name + ending, metric, value, reach, chance=chance, note=notes[name]))
    if {"trained", "random"} <= figures.keys():
        (ours, our_moves), (theirs, their_moves) = figures["trained"], figures["random"]
        # Paired: what a source moves in both does not widen the difference.
        reach = influence_interval(ours - theirs, our_moves - their_moves, (-most, most))
        note = "trained minus random, on the same queries"
        rows.append(row(f"gain{ending}", f"{metric}-difference", ours - theirs, reach, chance=0.0, note=note))
    return rows
