"""Labels of the first frame carried through videos: by an encoder, the same with random weights, and what sees less.

``blind/unmoved`` leaves the first labels where they are; ``blind/unmoved-cells`` does so at the size of the map;
``blind/colour`` carries them by the colour of the cells; ``truth-at-map-size`` is the truth of every frame at the size
of the map: more no features can reach there. NAME/whole-frame lets labels come from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avssl.evaluate.choices import PropagationChoices
from avssl.evaluate.data.encoders import random_twin
from avssl.evaluate.transfer.propagation.carrying import (
    Carrying,
    carry,
    labels_of_mask,
    labels_of_points,
    mask_of_labels,
    points_of_labels,
)
from avssl.evaluate.transfer.propagation.features import StageMaps, colour_maps, window_of
from avssl.evaluate.transfer.propagation.scoring import Scores, score_masks, score_points
from avssl.evaluate.transfer.propagation.videos import Frames, LabelledVideo, Masks, Points, VideoSet
from avssl.networks.encoder import ImageEncoder, device_of
from avssl.system.console import Progress

UNMOVED, UNMOVED_CELLS, COLOUR, CEILING = "blind/unmoved", "blind/unmoved-cells", "blind/colour", "truth-at-map-size"
FLOW = "optical-flow"

# Carried labels: masks uint8 (frames, H, W), or points (frames, points, 2)
Carried = NDArray[np.uint8] | NDArray[np.float64]


@dataclass(frozen=True)
class Propagated:
    """Scores of each row by its name, videos in order, and what was carried through the first videos, for a picture."""

    scores: Mapping[str, Sequence[Scores]]
    shown: Sequence[tuple[LabelledVideo, Mapping[str, Carried]]]
    stage: str
    map_size: tuple[int, int]  # of the first video
    window: int


def propagate(
    encoder: ImageEncoder,
    videos: VideoSet,
    choices: PropagationChoices,
    seed: int = 0,
    *,
    flow: Callable[[Frames, Masks | Points], Carried] | None = None,
    show: int = 6,
    on_progress: Progress | None = None,
) -> Propagated:
    """Carry the labels of all videos in every way, and score what came of it.

    Args:
        encoder: of pictures, on the device that computes.
        flow: carries labels by optical flow, where there is a row of it.
        show: videos whose carried labels are kept.

    Raises:
        UserError: no such stage, or frames too small for the encoder.
        MediaError: a video or its labels cannot be read.
    """
    device = device_of(encoder)
    twins = {f"random/seed{seed + k}": random_twin(encoder, seed + k).to(device) for k in range(choices.seeds)}
    if choices.seeds == 1:
        twins = {"random": next(iter(twins.values()))}
    maps = {name: StageMaps(one, choices) for name, one in {"trained": encoder, **twins}.items()}
    scores: dict[str, list[Scores]] = {}
    shown: list[tuple[LabelledVideo, dict[str, Carried]]] = []
    size, window = (0, 0), 0
    for number, video in enumerate(videos.videos):
        frames, truth = video.frames(), video.truth()
        kept: dict[str, Carried] = {}
        for name, carried, (height, width) in _ways(frames, truth, maps, choices, flow):
            scores.setdefault(name, []).append(_score(carried, truth))
            kept[name] = carried
            if not number and name == "trained":
                size, window = (height, width), window_of(choices, (height, width))
        if number < show:
            shown.append((video, kept))
        if on_progress is not None:
            on_progress(number + 1, len(videos.videos))
    return Propagated(scores, shown, maps["trained"].stage, size, window)


def _ways(
    frames: Frames,
    truth: Masks | Points,
    maps: Mapping[str, StageMaps],
    choices: PropagationChoices,
    flow: Callable[[Frames, Masks | Points], Carried] | None,
) -> Iterator[tuple[str, Carried, tuple[int, int]]]:
    """The labels carried in each way: the name of the row, the labels, and the size of the map."""
    size = (frames.shape[2], frames.shape[3])
    picture = maps["trained"].shown(size)
    for name, of_stage in maps.items():
        features = of_stage(frames)
        cells = (features.shape[2], features.shape[3])
        yield from _carried(name, features, truth, choices, picture, size)
    colours = colour_maps(frames, cells).to(features.device)
    yield from _carried(COLOUR, colours, truth, choices, picture, size, "distance")
    for name, labels in (
        (UNMOVED_CELLS, _first(truth, cells, size, choices)[None].expand(len(frames), -1, -1, -1)),
        (CEILING, _each(truth, cells, size, choices)),
    ):
        yield name, _read_out(labels, truth, choices, picture, size), cells
    yield UNMOVED, _unmoved(truth, len(frames)), cells
    if flow is not None:
        yield FLOW, flow(frames, truth), cells


def _carried(
    name: str,
    features: Tensor,
    truth: Masks | Points,
    choices: PropagationChoices,
    picture: tuple[int, int],
    size: tuple[int, int],
    similarity: str = "cosine",
) -> Iterator[tuple[str, Carried, tuple[int, int]]]:
    cells = (features.shape[2], features.shape[3])
    first = _first(truth, cells, size, choices).to(features.device)
    within = Carrying(
        choices.context,
        window_of(choices, cells),
        choices.top,
        choices.temperature,
        "cosine" if similarity == "cosine" else "distance",
        choices.first_anywhere,
    )
    ways = {name: within}
    if choices.whole_frame:
        ways[f"{name}/whole-frame"] = replace(within, window=None)
    for called, how in ways.items():
        yield called, _read_out(carry(features, first, how), truth, choices, picture, size), cells


def _first(truth: Masks | Points, cells: tuple[int, int], size: tuple[int, int], choices: PropagationChoices) -> Tensor:
    if isinstance(truth, Points):
        return labels_of_points(torch.from_numpy(truth.places[0]), cells, size)
    return labels_of_mask(torch.from_numpy(truth.labels[0]), truth.objects, cells, choices.cells)


def _each(truth: Masks | Points, cells: tuple[int, int], size: tuple[int, int], choices: PropagationChoices) -> Tensor:
    """The labels that the truth gives to each frame."""
    if isinstance(truth, Points):
        return torch.stack([labels_of_points(torch.from_numpy(one), cells, size) for one in truth.places])
    marked = [labels_of_mask(torch.from_numpy(one), truth.objects, cells, choices.cells) for one in truth.labels]
    return torch.stack(marked)


def _read_out(
    labels: Tensor, truth: Masks | Points, choices: PropagationChoices, picture: tuple[int, int], size: tuple[int, int]
) -> Carried:
    if isinstance(truth, Points):
        return np.asarray(points_of_labels(labels, size).cpu().numpy())
    return np.asarray(mask_of_labels(labels, picture, size, choices.stretch).cpu().numpy())


def _unmoved(truth: Masks | Points, frames: int) -> Carried:
    if isinstance(truth, Points):
        return np.repeat(truth.places[:1], frames, axis=0)
    known = np.where(truth.labels[:1] <= truth.objects, truth.labels[:1], 0).astype(np.uint8)
    return np.repeat(known, frames, axis=0)


def _score(carried: Carried, truth: Masks | Points) -> Scores:
    if isinstance(truth, Points):
        return score_points(np.asarray(carried, np.float64), truth)
    return score_masks(np.asarray(carried, np.uint8), truth)
