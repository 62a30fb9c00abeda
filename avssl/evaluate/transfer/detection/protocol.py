"""Detection: Faster R-CNN on an encoder, frozen or not, learns from pictures with boxes and is evaluated on others.

AdamW, a warm-up over a tenth of the steps, then half a cosine to zero; the last step is evaluated. Both starts are
given the same pictures in the same order. Rows are made by :mod:`avssl.evaluate.transfer.detection.rows`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avssl.errors import UserError
from avssl.evaluate.choices import DetectionChoices
from avssl.evaluate.core.optimize import minimize, repetitions
from avssl.evaluate.data.labelled import Indices
from avssl.evaluate.transfer.detection.box_precision import Detections, Floats
from avssl.evaluate.transfer.detection.box_sets import BoxPicture, BoxSet
from avssl.media.decoding.images import read_image
from avssl.networks.detector import detector
from avssl.networks.encoder import ImageEncoder
from avssl.system.console import Log, Progress, no_log
from avssl.trainer.seeds import hashed, own_random_state, seed_torch

# Pictures that the scale of the stage is measured on
MEASURED = 64


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
    """Train a detector from each start for each seed and ask it about the pictures of ``test``.

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
