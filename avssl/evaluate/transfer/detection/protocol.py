"""Detection: Faster R-CNN on an encoder, frozen or not, learns from pictures with boxes and is evaluated on others.

AdamW, a warm-up over a tenth of the steps, then half a cosine to zero; the last step is evaluated. Both starts are
given the same pictures in the same order. Of ``trained``, ``random`` and ``blind`` the metrics ``ap``, ``ap50``,
``ap75`` are COCO's, ``voc07-map`` is VOC's of eleven points and ``voc12-map`` its area, see
:mod:`avssl.evaluate.transfer.detection.box_precision`; each the mean over the classes that have an object to find.
``blind`` predicts the mean box of each class on every picture, the commonest class with the highest score; chance is
its figure. Intervals: bootstrap over pictures, everything recomputed but the matching.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avssl.errors import UserError
from avssl.evaluate.choices import DetectionChoices
from avssl.evaluate.core.optimize import minimize, repetitions
from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.core.statistics import SHARE, resample
from avssl.evaluate.data.labelled import Indices
from avssl.evaluate.transfer.detection.box_precision import (
    Detections,
    Floats,
    Truth,
    coco_matched,
    coco_precision,
    voc_matched,
    voc_precision,
)
from avssl.evaluate.transfer.detection.box_sets import BoxPicture, BoxSet
from avssl.evaluate.transfer.rows import transfer_rows
from avssl.media.decoding.images import read_image
from avssl.networks.detector import detector
from avssl.networks.encoder import ImageEncoder
from avssl.system.console import Log, Progress, counted, no_log
from avssl.trainer.seeds import hashed, own_random_state, seed_torch

# Pictures that the scale of the stage is measured on
MEASURED = 64

METRICS = ("ap", "ap50", "ap75", "voc07-map", "voc12-map")


@dataclass(frozen=True)
class DetectionRuns:
    """Detections of each start in the evaluated pictures, a list for each seed, and those of the blind baseline."""

    starts: Mapping[str, Sequence[Sequence[Detections]]]
    blind: Sequence[Detections]
    notes: Mapping[str, str]


def detect(
    starts: Mapping[str, ImageEncoder],
    train: BoxSet,
    test: BoxSet,
    choices: DetectionChoices,
    seed: int = 0,
    *,
    device: torch.device | str = "cpu",
    log: Log = no_log,
    on_progress: Progress | None = None,
) -> DetectionRuns:
    """Train a detector from each start for each seed and run it on the pictures of ``test``.

    Raises:
        UserError: no such stage, or the loss became NaN.
        MediaError: a picture cannot be read.
    """
    found: dict[str, list[list[Detections]]] = {name: [] for name in starts}
    notes: dict[str, str] = {}
    for one, name, start in repetitions(starts, seed, choices.seeds):
        network = fit(start, train, choices, one, device=device, on_progress=on_progress)
        found[name].append(predict(network, test.scenes))
        backbone = network.backbone
        how = "fine-tuned" if choices.finetune else "frozen"
        notes[name] = f"{how}, {backbone.stage}, stride {backbone.geometry.stride}"
        log(f"{name}, seed {one}: {sum(len(each.boxes) for each in found[name][-1])} detections")
    return DetectionRuns(found, blind_boxes(train, test), notes)


def fit(
    start: ImageEncoder,
    train: BoxSet,
    choices: DetectionChoices,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    on_progress: Progress | None = None,
) -> Any:
    """A detector trained on a copy of ``start``, in eval mode, by the seed alone (on the CPU).

    Ignored objects are not trained on.
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
        network.to(device)
        # By a fixed scale, so that one learning rate suits encoders whose features differ by orders of magnitude
        some = (_picture(scene, device) for scene in train.scenes[:MEASURED])
        network.backbone.measure(network.transform([picture])[0].tensors for picture in some)
        network.train()
        count = len(train.scenes)

        def loss(chosen: Indices, rng: np.random.Generator) -> Tensor:
            pairs = [_shown(train.scenes[i], choices.flip and bool(rng.integers(2)), device) for i in chosen]
            parts: dict[str, Tensor] = network([picture for picture, _ in pairs], [target for _, target in pairs])
            return torch.stack(list(parts.values())).sum()

        how = choices.steps, choices.rate
        size = min(choices.batch_size, count)
        minimize(network, loss, count, size, *how, seed=seed, key="detection", on_progress=on_progress)
    return network.eval()


@torch.no_grad()
def predict(network: Any, scenes: Sequence[BoxPicture]) -> list[Detections]:
    """The detections of each picture; one at a time, so that they do not depend on the sizes of the others."""
    device = next(network.parameters()).device
    found: list[Detections] = []
    for scene in scenes:
        out = network([_picture(scene, device)])[0]
        boxes, labels, scores = (out[name].cpu().numpy() for name in ("boxes", "labels", "scores"))
        found.append(Detections(boxes, labels.astype(np.int64) - 1, scores))  # 0 is the background
    return found


def blind_boxes(train: BoxSet, test: BoxSet) -> list[Detections]:
    """For every picture of ``test`` the mean box of each class in ``train``, in shares of the picture; its
    score is the share of the class."""
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
    return [Detections((shares * size).astype(np.float32), labels, scores / scores.sum()) for size in sizes]


def _picture(scene: BoxPicture, device: torch.device | str) -> Tensor:
    picture = read_image(str(scene.picture))
    # The file may have been replaced since the set was opened, and the boxes would lie elsewhere.
    if picture.shape[1:] != (scene.height, scene.width):
        raise UserError(f"{scene.picture} has changed since the evaluation began; start it again")
    return torch.from_numpy(picture).to(device).float() / 255


def _shown(scene: BoxPicture, mirrored: bool, device: torch.device | str) -> tuple[Tensor, dict[str, Tensor]]:
    """A picture in training and what is to be found in it, labels from 1 on."""
    picture, truth = _picture(scene, device), scene.truth
    boxes = truth.boxes[~truth.ignored]
    if mirrored:
        picture = picture.flip(2)
        boxes = np.stack([scene.width - boxes[:, 2], boxes[:, 1], scene.width - boxes[:, 0], boxes[:, 3]], 1)
    labels = torch.from_numpy(truth.labels[~truth.ignored] + 1)
    return picture, {"boxes": torch.from_numpy(boxes).to(device), "labels": labels.to(device)}


def detection_rows(found: DetectionRuns, test: BoxSet, seen: Sequence[bool], context: Context) -> list[ResultRow]:
    """Rows of all metrics, of each start, of the blind boxes and of "gain", the first start minus the second.

    With several seeds the value is the mean over seeds, and there is a row START/seedN each. ``seen`` says of each
    class whether there was one to learn from.
    """
    truths = test.truths
    # How often each picture counts: first once, which gives the figure itself, then as often as each draw has it.
    drawn = resample(len(truths), context.draws, context.seed)
    weights = np.concatenate([np.ones((1, len(truths)), np.int64), drawn])
    blind = _figures(found.blind, truths, len(test.classes), weights)
    sizes: dict[str, Any] = {
        "n": int(sum((~truth.ignored).sum() for truth in truths)),
        "clusters": len(truths),
        "listed": test.listed,
        "used": len(truths),
    }
    context = replace(context, unit="picture")
    lost = [name for k, name in enumerate(test.classes) if not seen[k] and _there(truths, k)]
    unseen = f"; {counted(len(lost), 'class')} without an example to learn from" if lost else ""
    starts = {
        name: [_figures(predicted, truths, len(test.classes), weights) for predicted in runs]
        for name, runs in found.starts.items()
    }
    chance = {metric: value for metric, (value, _) in blind.items()}
    notes = {name: found.notes[name] + unseen for name in starts}
    notes["blind"] = "every class's mean box on every picture, the commonest class the surest"
    return transfer_rows(context, starts, {"blind": blind}, chance, notes, lambda _: SHARE, **sizes)


def seen_classes(train: BoxSet) -> list[bool]:
    """Of each class, whether there is one to learn from."""
    return [_there(train.truths, k) for k in range(len(train.classes))]


def _figures(
    detections: Sequence[Detections], truths: Sequence[Truth], classes: int, weights: NDArray[np.int64]
) -> dict[str, tuple[float, Floats]]:
    """The mean over classes of each metric, and of each draw of pictures."""
    by_metric: dict[str, list[Floats]] = {metric: [] for metric in METRICS}
    for coco, voc in zip(
        coco_matched(detections, truths, classes), voc_matched(detections, truths, classes), strict=True
    ):
        bars = coco_precision(coco, weights)
        by_metric["ap"].append(bars.mean(0))
        # Of COCO's ten IoUs 0.5 is the first and 0.75 the sixth
        by_metric["ap50"].append(bars[0])
        by_metric["ap75"].append(bars[5])
        by_metric["voc07-map"].append(voc_precision(voc, "eleven-point", weights)[0])
        by_metric["voc12-map"].append(voc_precision(voc, "envelope", weights)[0])
    means = {metric: _mean_of_those_there(np.stack(parts)) for metric, parts in by_metric.items()}
    return {metric: (float(one[0]), one[1:]) for metric, one in means.items()}


def _mean_of_those_there(values: Floats) -> Floats:
    """Mean over classes of (classes, draws), without those that have nothing to find in a draw; NaN where none has."""
    there = ~np.isnan(values)
    sums, counts = np.where(there, values, 0).sum(0), there.sum(0)
    return np.asarray(np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0))


def _there(truths: Sequence[Truth], label: int) -> bool:
    return any(bool(((truth.labels == label) & ~truth.ignored).any()) for truth in truths)
