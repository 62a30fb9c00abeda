"""Surface normals: a small decoder on an encoder learns surface normals, and is evaluated on other pictures.

The decoder (:class:`avssl.networks.normals.NormalsNetwork`) sits on all stages of the frozen encoder, or the encoder is
fine-tuned with it. By default it predicts unit vectors, trained by 1 − cosine: no codebook, and nothing below which its
error cannot fall. With ``clusters`` it predicts which of K centres (k-means of the training normals) a pixel is nearest
to, and their mean by probability is taken, as in the benchmark of Goyal et al. 2019 (K = 40).

All valid pixels of all pictures are pooled, at the size of the truth; intervals are over pictures, never over pixels.
``blind/constant`` is one normal for all pixels, the mean over the training pictures; ``blind/mean-map`` the mean normal
of each place; chance is the better of the two.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from avssl.errors import UserError
from avssl.evaluate.choices import NormalsChoices
from avssl.evaluate.core.optimize import minimize, repetitions
from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.core.statistics import SHARE, Bounds
from avssl.evaluate.data.labelled import Indices
from avssl.evaluate.transfer.normals.angles import METRICS, angles, drawn_figures, figures_of, tally
from avssl.evaluate.transfer.normals.sets import NormalPicture, NormalSet
from avssl.evaluate.transfer.rows import transfer_rows
from avssl.networks.dense import stage_scales
from avssl.networks.encoder import ImageEncoder
from avssl.networks.normals import FINEST, NormalsNetwork
from avssl.samplers.keys import generator
from avssl.system.console import Log, Progress, counted, no_log
from avssl.trainer.seeds import hashed, own_random_state, seed_torch

Floats = NDArray[np.float64]

# Training normals that the centres are made from, and pictures that the scale of the stages is measured on
SAMPLED, MEASURED = 20_000, 64

# What each baseline predicts, whatever the picture
BLIND = {
    "blind/constant": "the mean normal of all training pixels, everywhere",
    "blind/mean-map": "the mean normal of each place over the training pictures",
}


@dataclass(frozen=True)
class NormalTallies:
    """The rows of sums (pictures, columns) of each start, for each seed, and of blind baselines."""

    starts: Mapping[str, Sequence[Floats]]
    blind: Mapping[str, Floats]
    networks: Mapping[str, NormalsNetwork]  # of each start, the first seed's
    notes: Mapping[str, str]  # of each start


@dataclass(frozen=True)
class BlindNormals:
    """Predictions without looking: the mean of all training normals, and that of each place, (3,) and (3, h, w)."""

    constant: NDArray[np.float32]
    mean_map: NDArray[np.float32]


def evaluate_normals(
    starts: Mapping[str, ImageEncoder],
    train: NormalSet,
    test: NormalSet,
    choices: NormalsChoices,
    seed: int = 0,
    *,
    device: torch.device | str = "cpu",
    log: Log = no_log,
    on_progress: Progress | None = None,
) -> NormalTallies:
    """Train a decoder on each start for each seed and evaluate it on ``test``.

    Raises:
        UserError: too few different normals for the clusters, or the loss became NaN.
        MediaError: a picture cannot be read.
    """
    blind = blind_normals(train)
    without = {
        "constant": _tallied(test, lambda one: np.broadcast_to(blind.constant[:, None, None], one.normals.shape)),
        "mean-map": _tallied(test, lambda one: _scaled(blind.mean_map, one.valid.shape)),
    }
    found: dict[str, list[Floats]] = {name: [] for name in starts}
    networks: dict[str, NormalsNetwork] = {}
    for number, name, start in repetitions(starts, seed, choices.seeds):
        network = fit_normals(start, train, choices, number, device=device, on_progress=on_progress)
        networks.setdefault(name, network)
        found[name].append(_tallied(test, partial(predict_normals, network, side=choices.side)))
        figures = figures_of(found[name][-1].sum(0))
        log(f"{name}, seed {number}: mean {figures['angle-mean']:.1f}°, median {figures['angle-median']:.1f}°")
    how = ("fine-tuned" if choices.finetune else "frozen") + (
        f", {choices.clusters} centres" if choices.clusters else ", regression"
    )
    return NormalTallies(found, without, networks, dict.fromkeys(starts, how))


def fit_normals(
    start: ImageEncoder,
    train: NormalSet,
    choices: NormalsChoices,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    on_progress: Progress | None = None,
) -> NormalsNetwork:
    """A decoder trained on a copy of ``start``, in eval mode, by the seed alone (on the CPU)."""
    centres = torch.from_numpy(normal_centres(train, choices.clusters, seed)) if choices.clusters else None
    # One size for all, so that pictures can be stacked; those of another shape are refused when shown.
    size = _working_size(train[0].picture, choices.side)
    encoder = copy.deepcopy(start).to(device)
    first = range(min(MEASURED, len(train)))
    some = (torch.from_numpy(_resized(train[i].picture, size))[None].to(device) for i in first)
    scales = stage_scales(encoder, some)
    with own_random_state():
        seed_torch(hashed(seed, "normals"), torch.device(device))
        network = NormalsNetwork(encoder, scales, choices.width, centres, frozen=not choices.finetune).to(device)

        def loss(chosen: Indices, rng: np.random.Generator) -> Tensor:
            shown = [_shown(train[k], size, choices.flip and bool(rng.integers(2))) for k in chosen]
            frames, truth, valid = (torch.stack(list(part)).to(device) for part in zip(*shown, strict=True))
            return network.loss(network(frames), truth, valid)

        count = min(choices.batch_size, len(train))
        how = choices.steps, choices.rate
        minimize(network.train(), loss, len(train), count, *how, seed=seed, key="normals", on_progress=on_progress)
    return network.eval()


@torch.no_grad()
def predict_normals(network: NormalsNetwork, one: NormalPicture, side: int) -> NDArray[np.float32]:
    """The prediction for a picture: unit vectors (3, h, w) at the size of its truth."""
    device = network.gather.whole.weight.device
    frame = torch.from_numpy(_resized(one.picture, _working_size(one.picture, side)))[None].to(device)
    height, width = one.valid.shape
    return np.asarray(network.normals(network(frame), (height, width))[0].float().cpu().numpy())


def blind_normals(train: NormalSet) -> BlindNormals:
    """The mean normal of all training pixels, and of each place (of the first picture's size; elsewhere the former)."""
    first = train[0].valid.shape
    sums, counts = np.zeros((3, *first)), np.zeros(first)
    for one in train:
        at = _nearest(one.valid.shape, first)
        sums += one.normals[:, at[0], at[1]]
        counts += one.valid[at[0], at[1]]
    whole = sums.sum((1, 2))
    constant = whole / max(float(np.linalg.norm(whole)), 1e-12)
    length = np.linalg.norm(sums, axis=0)
    mean = np.where(length > 1e-6, sums / np.where(length > 1e-6, length, 1), constant[:, None, None])
    return BlindNormals(constant.astype(np.float32), mean.astype(np.float32))


def normal_centres(train: NormalSet, clusters: int, seed: int) -> NDArray[np.float32]:
    """Unit vectors (clusters, 3): k-means of a sample of the training normals.

    Raises:
        UserError: there are fewer different normals than clusters.
    """
    from sklearn.cluster import KMeans  # slow to import

    rng = generator(seed, "centres")
    found = []
    each = max(1, SAMPLED // len(train))
    for one in train:
        vectors = one.normals[:, one.valid].T
        found.append(vectors[rng.choice(len(vectors), min(each, len(vectors)), replace=False)])
    sample = np.concatenate(found)
    if len(np.unique(sample, axis=0)) < clusters:
        raise UserError(f"--clusters ({clusters}) is more than there are different normals to learn from")
    centres = KMeans(clusters, n_init=3, random_state=seed).fit(sample).cluster_centers_
    return np.asarray(centres / np.linalg.norm(centres, axis=1, keepdims=True), np.float32)


def _tallied(test: NormalSet, predict: Callable[[NormalPicture], NDArray[np.float32]]) -> Floats:
    return np.stack([tally(angles(predict(one), one.normals, one.valid)) for one in test])


def _working_size(picture: NDArray[np.uint8], side: int) -> tuple[int, int]:
    """Height and width at which the network sees a picture: multiples of what its answer is enlarged by."""
    height, width = picture.shape[1:]
    scale = side / min(height, width)
    return round(height * scale / FINEST) * FINEST, round(width * scale / FINEST) * FINEST


def _resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if picture.shape[1:] == size:
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    small = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def _nearest(have: Sequence[int], want: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of a map of size ``have`` that make one of size ``want``."""
    y, x = (((np.arange(w) + 0.5) * h / w).astype(np.int64) for h, w in zip(have, want, strict=True))
    return y[:, None], x[None]


def _shown(one: NormalPicture, size: tuple[int, int], mirrored: bool) -> tuple[Tensor, Tensor, Tensor]:
    """A picture in training at that size, and the truth of every other pixel: normals are picked, never mixed."""
    a, b = one.picture.shape[2] / one.picture.shape[1], size[1] / size[0]
    # Sides rounded to multiples change the shape a little.
    if abs(a / b - 1) > 0.02:
        raise UserError(
            f"pictures of {one.picture.shape[1:]} pixels have another shape than {size}; crop all pictures to one"
        )
    at = _nearest(one.valid.shape, (size[0] // FINEST, size[1] // FINEST))
    picture, normals, valid = _resized(one.picture, size), one.normals[:, at[0], at[1]], one.valid[at[0], at[1]]
    if mirrored:
        picture, valid = picture[:, :, ::-1], valid[:, ::-1]
        # In a mirrored picture the x axis points the other way
        normals = normals[:, :, ::-1] * np.array([-1, 1, 1], np.float32)[:, None, None]
    parts = [torch.from_numpy(np.ascontiguousarray(part)) for part in (picture, normals, valid)]
    return parts[0], parts[1], parts[2]


def _scaled(mean_map: NDArray[np.float32], size: Sequence[int]) -> NDArray[np.float32]:
    if mean_map.shape[1:] == tuple(size):
        return mean_map
    larger = F.interpolate(torch.from_numpy(mean_map)[None], tuple(size), mode="bilinear", align_corners=False)
    return np.asarray(larger[0].numpy())


def normal_rows(tallies: NormalTallies, test: NormalSet, context: Context) -> list[ResultRow]:
    """Rows of all metrics of each start, of blind baselines, and of "gain", the first start minus the second.

    Of angles less is better, so a gain below 0 is one. With several seeds the value is the mean over seeds, and
    there is a row START/seedN each.
    """
    blind = {f"blind/{name}": _figures(rows, context) for name, rows in tallies.blind.items()}
    chance = {}
    for metric in METRICS:
        better = max if metric.startswith("within") else min  # of angles less is better
        chance[metric] = better(values[metric][0] for values in blind.values())
    some = next(iter(tallies.blind.values()))
    context = replace(context, unit="picture")
    sizes: dict[str, Any] = {
        "n": int(some[:, 0].sum()),
        "clusters": len(test),
        "listed": test.listed,
        "used": len(test),
    }
    few = f"; only {counted(len(test), 'picture')} to draw from" if len(test) < 10 else ""
    starts = {name: [_figures(one, context) for one in runs] for name, runs in tallies.starts.items()}
    notes = {**tallies.notes, **BLIND}
    return transfer_rows(
        context, starts, blind, chance, {name: note + few for name, note in notes.items()}, _bounds, few, **sizes
    )


def _figures(rows: Floats, context: Context) -> dict[str, tuple[float, Floats]]:
    """Of each metric the figure and its draws."""
    whole, drawn = figures_of(rows.sum(0)), drawn_figures(rows, context.draws, context.seed)
    return {metric: (float(whole[metric]), drawn[metric]) for metric in METRICS}


def _bounds(metric: str) -> Bounds:
    return SHARE if metric.startswith("within") else (0.0, 180.0)
