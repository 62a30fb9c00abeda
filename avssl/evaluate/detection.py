"""Detection: Faster R-CNN on an encoder, frozen or not, learns from pictures with boxes and is judged on others.

Rows of each start (``trained``, ``random``) and ``blind``: on every picture the mean box of each class, the commonest
class the surest. Metrics: ``ap``, ``ap50``, ``ap75`` as COCO's, ``voc07-map`` with eleven points and ``voc12-map`` with
the area, see :mod:`avssl.evaluate.box_precision`. Chance is the blind row's figure. Intervals: bootstrap over pictures,
everything recomputed but the matching.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avssl.errors import UserError
from avssl.evaluate.box_precision import (
    Floats,
    Said,
    Truth,
    coco_matched,
    coco_precision,
    voc_matched,
    voc_precision,
)
from avssl.evaluate.box_sets import BoxSet, Scene
from avssl.evaluate.figures import Context
from avssl.evaluate.fitting import descend, of_step
from avssl.evaluate.rows import ResultRow
from avssl.media.images import read_image
from avssl.networks.detector import detector
from avssl.networks.vision import VisionEncoder
from avssl.samplers.keys import generator
from avssl.trainer.seeds import hashed, own_random_state, seed_torch

METRICS = ("ap", "ap50", "ap75", "voc07-map", "voc12-map")

Tell = Callable[[str], None]
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Detect:
    """The protocol's choices.

    Attributes:
        steps: of the optimiser.
        batch_size: pictures a step.
        rate: the highest learning rate.
        finetune: whether the encoder learns too.
        stage: which stage the detector sits on; None: the last with a stride of 16 at most.
        side: pixels to which the shorter side of every picture is scaled.
        anchors: sides of the anchors in pixels of the scaled picture.
        width, representation: of the detector's map, and of what describes a proposal.
        flip: mirror half of the pictures in training.
        seeds: how many times all is repeated, with another detector and another order.
    """

    steps: int = 600
    batch_size: int = 4
    rate: float = 1e-3
    finetune: bool = False
    stage: str | None = None
    side: int = 320
    anchors: Sequence[float] = (32, 64, 128, 256)
    width: int = 128
    representation: int = 512
    flip: bool = True
    seeds: int = 1


@dataclass(frozen=True)
class Found:
    """What the detectors of each start say of the judged pictures, a list for each seed, and what is said blindly."""

    starts: Mapping[str, Sequence[Sequence[Said]]]
    blind: Sequence[Said]
    notes: Mapping[str, str]


def detect(
    starts: Mapping[str, VisionEncoder],
    train: BoxSet,
    test: BoxSet,
    choices: Detect,
    seed: int = 0,
    *,
    device: torch.device | str = "cpu",
    tell: Tell = lambda _: None,
    told: Told | None = None,
) -> Found:
    """Train a detector from each start for each seed and ask it about the pictures of ``test``.

    Raises:
        UserError: no such stage, or the loss is no number any more.
        MediaError: a picture cannot be read.
    """
    found: dict[str, list[list[Said]]] = {name: [] for name in starts}
    notes: dict[str, str] = {}
    for one in range(seed, seed + choices.seeds):
        for name, start in starts.items():
            network = fit(start, train, choices, one, device=device, told=told)
            found[name].append(say(network, test.scenes))
            backbone = network.backbone
            how = "fine-tuned" if choices.finetune else "frozen"
            notes[name] = f"{how}, {backbone.stage}, stride {backbone.geometry.stride}"
            tell(f"{name}, seed {one}: {sum(len(said.boxes) for said in found[name][-1])} detections")
    return Found(found, blind_boxes(train, test), notes)


def fit(
    start: VisionEncoder,
    train: BoxSet,
    choices: Detect,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    told: Told | None = None,
) -> Any:
    """A detector trained on a copy of ``start``, in eval mode, by the seed alone (on the CPU).

    Objects that are ignored are not learned from.
    """
    with own_random_state():
        seed_torch(hashed(seed, "detector"), torch.device(device))
        network = detector(
            copy.deepcopy(start).cpu(),
            len(train.classes),
            stage=choices.stage,
            side=choices.side,
            anchors=choices.anchors,
            frozen=not choices.finetune,
            width=choices.width,
            representation=choices.representation,
        )
        network.to(device).train()
        size = min(choices.batch_size, len(train.scenes))

        def loss(step: int) -> Tensor:
            rng = generator(seed, "detection", step)
            chosen = of_step(len(train.scenes), size, step, seed)
            pairs = [_shown(train.scenes[i], choices.flip and bool(rng.integers(2)), device) for i in chosen]
            parts: dict[str, Tensor] = network([picture for picture, _ in pairs], [target for _, target in pairs])
            return torch.stack(list(parts.values())).sum()

        descend(network, loss, steps=choices.steps, rate=choices.rate, told=told)
    return network.eval()


@torch.no_grad()
def say(network: Any, scenes: Sequence[Scene]) -> list[Said]:
    """What a detector says of each picture; one at a time, so that the answer does not hang on the others' sizes."""
    device = next(network.parameters()).device
    found: list[Said] = []
    for scene in scenes:
        out = network([_picture(scene, device)])[0]
        boxes, labels, scores = (out[name].cpu().numpy() for name in ("boxes", "labels", "scores"))
        found.append(Said(boxes, labels.astype(np.int64) - 1, scores))
    return found


def blind_boxes(train: BoxSet, test: BoxSet) -> list[Said]:
    """For every picture of ``test`` the mean box of each class in ``train``, in shares of the picture; as sure as the
    class is common."""
    boxes: dict[int, list[Floats]] = {}
    for scene in train.scenes:
        size = np.array([scene.width, scene.height] * 2, np.float64)
        truth = scene.truth
        for box, label, ignored in zip(truth.boxes, truth.labels, truth.ignored, strict=True):
            if not ignored:
                boxes.setdefault(int(label), []).append(box / size)
    labels = np.array(sorted(boxes), np.int64)
    shares = np.stack([np.mean(boxes[k], axis=0) for k in labels])
    scores = np.array([len(boxes[k]) for k in labels], np.float32)
    sizes = [np.array([scene.width, scene.height] * 2) for scene in test.scenes]
    return [Said((shares * size).astype(np.float32), labels, scores / scores.sum()) for size in sizes]


def detection_rows(found: Found, test: BoxSet, seen: Sequence[bool], context: Context) -> list[ResultRow]:
    """Rows of all metrics, of each start, of the blind boxes and of "gain", the first start minus the second.

    With several seeds the value is the mean over seeds, the interval their range, and there is a row START/seedN each.

    Args:
        seen: of each class, whether there is one to learn from.
    """
    truths = test.truths
    weights = _draws(len(truths), context)
    blind, blind_drawn = _figures(found.blind, truths, len(test.classes), weights)
    common = ResultRow(
        name="",
        metric="",
        value=0.0,
        low=0.0,
        high=0.0,
        n=int(sum((~truth.ignored).sum() for truth in truths)),
        chance=None,
        split="test",
        seed=context.seed,
        command=context.command,
        protocol=context.protocol,
        unit="picture",
        clusters=len(truths),
        method="bootstrap",
        n_listed=test.listed,
        n_used=len(truths),
    )
    lost = [name for k, name in enumerate(test.classes) if not seen[k] and _there(truths, k)]
    unseen = f"; {len(lost)} classes without an example to learn from" if lost else ""
    rows: list[ResultRow] = []
    drawn: dict[str, tuple[dict[str, float], dict[str, Floats]]] = {}
    for name, runs in found.starts.items():
        each = [_figures(said, truths, len(test.classes), weights) for said in runs]
        drawn[name] = each[0]
        for metric in METRICS:
            several = [
                replace(_interval(common, values[metric], draws[metric]), seed=context.seed + k)
                for k, (values, draws) in enumerate(each)
            ]
            rows += _over_seeds(
                [replace(one, name=name, metric=metric, chance=blind[metric]) for one in several],
                found.notes[name] + unseen,
            )
    for metric in METRICS:
        row = _interval(common, blind[metric], blind_drawn[metric])
        note = "every class's mean box on every picture, the commonest class the surest"
        rows.append(replace(row, name="blind", metric=metric, note=note))
    first, *others = found.starts
    if others:
        (ours, our_draws), (theirs, their_draws) = drawn[first], drawn[others[0]]
        note = f"{first} minus {others[0]}" + (", first seed" if len(found.starts[first]) > 1 else "")
        for metric in METRICS:
            row = _interval(common, ours[metric] - theirs[metric], our_draws[metric] - their_draws[metric])
            rows.append(replace(row, name="gain", metric=f"{metric}-difference", chance=0.0, note=note))
    return rows


def seen_classes(train: BoxSet) -> list[bool]:
    """Of each class, whether there is one to learn from."""
    return [_there(train.truths, k) for k in range(len(train.classes))]


# --- how --------------------------------------------------------------------------------------------------------


def _figures(
    said: Sequence[Said], truths: Sequence[Truth], classes: int, weights: NDArray[np.int64]
) -> tuple[dict[str, float], dict[str, Floats]]:
    """The mean over classes of each metric, and of each draw of pictures."""
    by_metric: dict[str, list[Floats]] = {metric: [] for metric in METRICS}
    for coco, voc in zip(coco_matched(said, truths, classes), voc_matched(said, truths, classes), strict=True):
        bars = coco_precision(coco, weights)
        by_metric["ap"].append(bars.mean(0))
        by_metric["ap50"].append(bars[0])
        by_metric["ap75"].append(bars[5])
        by_metric["voc07-map"].append(voc_precision(voc, "eleven-point", weights)[0])
        by_metric["voc12-map"].append(voc_precision(voc, "envelope", weights)[0])
    means = {metric: _mean_of_those_there(np.stack(parts)) for metric, parts in by_metric.items()}
    return {metric: float(one[0]) for metric, one in means.items()}, {metric: one[1:] for metric, one in means.items()}


def _mean_of_those_there(values: Floats) -> Floats:
    """Mean over classes of (classes, draws), without those that have nothing to find in a draw; NaN where none has."""
    there = ~np.isnan(values)
    sums, counts = np.where(there, values, 0).sum(0), there.sum(0)
    return np.asarray(np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0))


def _draws(pictures: int, context: Context) -> NDArray[np.int64]:
    """How often each picture counts: first once, then as often as each draw has it. (1 + draws, pictures)"""
    rng = np.random.default_rng(context.seed)
    drawn = rng.multinomial(pictures, np.full(pictures, 1 / pictures), size=context.draws)
    return np.concatenate([np.ones((1, pictures), np.int64), drawn])


def _interval(row: ResultRow, value: float, drawn: Floats) -> ResultRow:
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return replace(row, value=value, low=float(low), high=float(high))


def _over_seeds(rows: Sequence[ResultRow], note: str) -> list[ResultRow]:
    if len(rows) == 1:
        return [replace(rows[0], note=note)]
    values = [row.value for row in rows]
    mean = replace(
        rows[0],
        value=float(np.mean(values)),
        low=min(values),
        high=max(values),
        method="range",
        note=f"{note}; mean and range of {len(values)} seeds",
    )
    return [*(replace(row, name=f"{row.name}/seed{row.seed}", note=note) for row in rows), mean]


def _there(truths: Sequence[Truth], label: int) -> bool:
    return any(bool(((truth.labels == label) & ~truth.ignored).any()) for truth in truths)


def _picture(scene: Scene, device: torch.device | str) -> Tensor:
    picture = read_image(str(scene.picture))
    if picture.shape[1:] != (scene.height, scene.width):
        raise UserError(f"{scene.picture} is not the picture any more that it was when the evaluation began")
    return torch.from_numpy(picture).to(device).float() / 255


def _shown(scene: Scene, mirrored: bool, device: torch.device | str) -> tuple[Tensor, dict[str, Tensor]]:
    """A picture in training and what is to be found in it, labels from 1 on."""
    picture, truth = _picture(scene, device), scene.truth
    boxes = truth.boxes[~truth.ignored]
    if mirrored:
        picture = picture.flip(2)
        boxes = np.stack([scene.width - boxes[:, 2], boxes[:, 1], scene.width - boxes[:, 0], boxes[:, 3]], 1)
    labels = torch.from_numpy(truth.labels[~truth.ignored] + 1)
    return picture, {"boxes": torch.from_numpy(boxes).to(device), "labels": labels.to(device)}
