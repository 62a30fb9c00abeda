"""Average precision of boxes: VOC's, with our own matching, and COCO's, matched by pycocotools.

Boxes are (n, 4) as x0, y0, x1, y1. A picture may be counted several times or not at all (``weights``), so that an
interval can be drawn over pictures without matching again; a test holds the figures against pycocotools' own.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avssl.errors import UserError
from avssl.installation import install_hint

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
# eleven-point: mean of the highest precision at recalls of 0, 0.1, …, 1 at least (VOC up to 2009); envelope: area under
# that curve (VOC from 2010 on)
Points = Literal["eleven-point", "envelope"]

# COCO's IoUs, recalls, and detections a picture of a class (pycocotools, ``Params.setDetParams``)
COCO_BARS = np.linspace(0.5, 0.95, 10)
COCO_RECALLS = np.linspace(0.0, 1.0, 101)
COCO_DETECTIONS = 100


@dataclass(frozen=True)
class Detections:
    """The detections of a picture.

    Attributes:
        boxes: float (n, 4), pixels, continuous: the first pixel reaches from 0 to 1.
        labels: int (n,), classes from 0 on.
        scores: float (n,), higher for what is more likely.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class Truth:
    """What is true of a picture.

    Attributes:
        boxes, labels: as of :class:`Detections`.
        ignored: bool (n,), counts neither as found nor as missed (VOC's "difficult", COCO's crowds).
        crowd: bool (n,), a region of many objects, which any number of detections may lie in.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    crowd: NDArray[np.bool_]


@dataclass(frozen=True)
class Matched:
    """All detections of one class, from the highest score on, of D in P pictures, at T bars of IoU.

    Attributes:
        scores: (D,) descending.
        pictures: int (D,) of which picture.
        hits: bool (T, D) whether a truth was found.
        ignored: bool (T, D) whether it counts neither way.
        positives: int (P,) truths to be found in each picture.
        ties_are_one: whether equal scores are one threshold, so that the order of pictures does not matter.
    """

    scores: Floats
    pictures: NDArray[np.int64]
    hits: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    positives: NDArray[np.int64]
    ties_are_one: bool


def iou(a: ArrayLike, b: ArrayLike, *, inclusive: bool = False) -> Floats:
    """Intersection over union of boxes (n, 4) with boxes (m, 4): (n, m) in 0..1.

    Args:
        inclusive: corners are numbers of pixels that belong to the box, as VOC's: a box is one wider and one higher
            than its corners are apart.
    """
    one = 1.0 if inclusive else 0.0
    x, y = (np.asarray(boxes, np.float64).reshape(-1, 4) for boxes in (a, b))
    low, high = np.maximum(x[:, None, :2], y[None, :, :2]), np.minimum(x[:, None, 2:], y[None, :, 2:])
    common = (high - low + one).clip(0).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2] + one).prod(1) for boxes in (x, y)]
    union = areas[0][:, None] + areas[1][None] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def voc_outcomes(
    boxes: ArrayLike, scores: ArrayLike, truths: ArrayLike, difficult: ArrayLike, bar: float = 0.5
) -> NDArray[np.int8]:
    """What becomes of the detections of one class in one picture: 1 found, 0 false, −1 neither; in the order given.

    From the highest score on, each is matched to the truth that it overlaps most (inclusive corners): if IoU > ``bar``
    it has found that truth, unless that is difficult (neither) or was found before (false); else it is false (VOC's
    development kit, ``VOCevaldet.m``; detectron2, ``pascal_voc_evaluation.py``).

    Args:
        boxes: (n, 4), inclusive corners.
        scores: (n,).
        truths: (m, 4), inclusive corners.
        difficult: bool (m,).
    """
    overlaps = iou(boxes, truths, inclusive=True)
    hard, taken = np.asarray(difficult, bool), np.zeros(overlaps.shape[1], bool)
    outcomes = np.zeros(len(overlaps), np.int8)
    for i in np.argsort(-np.asarray(scores, np.float64), kind="stable") if overlaps.shape[1] else ():
        best = int(overlaps[i].argmax())
        if overlaps[i, best] > bar:
            outcomes[i] = -1 if hard[best] else 0 if taken[best] else 1
            taken[best] |= not hard[best]
    return outcomes


def voc_matched(detections: Sequence[Detections], truths: Sequence[Truth], classes: int) -> list[Matched]:
    """Of each class, matched as :func:`voc_outcomes`. Continuous boxes become VOC's, which count pixels from 1."""
    found: list[Matched] = []
    for k in range(classes):
        scores, pictures, outcomes, positives = [], [], [], []
        for number, (one, true) in enumerate(zip(detections, truths, strict=True)):
            mine, theirs = one.labels == k, true.labels == k
            # Pixel 1 reaches from 0 to 1: a box from 0 to 3 is VOC's from 1 to 3
            corner = np.array([1, 1, 0, 0], np.float64)
            own = one.scores[mine].astype(np.float64)
            outcomes.append(
                voc_outcomes(one.boxes[mine] + corner, own, true.boxes[theirs] + corner, true.ignored[theirs])
            )
            scores.append(own)
            pictures.append(np.full(len(own), number))
            positives.append(int((theirs & ~true.ignored).sum()))
        every, outcome = np.concatenate(scores), np.concatenate(outcomes)
        hits, ignored = (outcome == 1)[None], (outcome == -1)[None]
        found.append(_in_order(every, np.concatenate(pictures), hits, ignored, np.array(positives), True))
    return found


def coco_matched(detections: Sequence[Detections], truths: Sequence[Truth], classes: int) -> list[Matched]:
    """Of each class, matched by pycocotools at COCO's ten bars, objects of all sizes, 100 detections a picture.

    Raises:
        UserError: pycocotools is not installed.
    """
    evaluation = coco_evaluation(detections, truths, classes)
    found: list[Matched] = []
    for k in range(classes):
        parts = evaluation.evalImgs[k * len(detections) : (k + 1) * len(detections)]
        there = [(number, part) for number, part in enumerate(parts) if part is not None]
        positives = np.zeros(len(detections), np.int64)
        for number, part in there:
            positives[number] = int((np.asarray(part["gtIgnore"]) == 0).sum())
        none: Floats = np.zeros((len(COCO_BARS), 0))
        scores = np.concatenate([np.zeros(0), *(part["dtScores"] for _, part in there)])
        pictures = np.concatenate([np.zeros(0, np.int64), *(np.full(len(p["dtScores"]), n) for n, p in there)])
        hits, ignored = (
            np.concatenate([none, *(part[name] for _, part in there)], 1) > 0 for name in ("dtMatches", "dtIgnore")
        )
        found.append(_in_order(scores, pictures, hits, ignored, positives, False))
    return found


def _in_order(
    scores: Floats, pictures: Counts, hits: NDArray[np.bool_], ignored: NDArray[np.bool_], positives: Counts, ties: bool
) -> Matched:
    # Stable, so that equal scores stay in the order of the pictures, as in pycocotools
    order = np.argsort(-scores, kind="stable")
    return Matched(scores[order], pictures[order], hits[:, order], ignored[:, order], positives, ties)


def voc_precision(matched: Matched, points: Points = "eleven-point", weights: ArrayLike | None = None) -> Floats:
    """VOC's average precision at each bar for each row of weights: (T, draws); NaN where nothing is to be found.

    A recall of exactly 0.3 reaches the bar of 0.3: tenths are compared as integers.

    Args:
        weights: int (draws, P), how often each picture counts; once if None.
    """

    def area(hits: Counts, total: Counts, positives: Counts) -> Floats:
        highest = _from_right(hits / np.maximum(total, 1))
        if points == "eleven-point":
            wanted = -(-np.arange(11)[None] * positives[:, None] // 10)  # tenths, rounded up to whole objects
            return np.asarray(_at(hits, highest, wanted).mean(1))
        steps = np.diff(hits, axis=1, prepend=0) / np.maximum(positives, 1)[:, None]
        return np.asarray((steps * highest).sum(1))

    return _areas(matched, weights, area)


def coco_precision(matched: Matched, weights: ArrayLike | None = None) -> Floats:
    """COCO's average precision at each bar for each row of weights: (T, draws); NaN where nothing is to be found.

    The mean over 101 recalls of the highest precision from there on, as ``COCOeval.accumulate`` computes it.
    """

    def area(hits: Counts, total: Counts, positives: Counts) -> Floats:
        # As pycocotools keeps its division from 0.
        highest = _from_right(hits / (total + np.spacing(1)))
        recall = hits / np.maximum(positives, 1)[:, None]
        return np.asarray(_at(recall, highest, np.tile(COCO_RECALLS, (len(hits), 1))).mean(1))

    return _areas(matched, weights, area)


def coco_evaluation(detections: Sequence[Detections], truths: Sequence[Truth], classes: int) -> Any:
    """A ``pycocotools.cocoeval.COCOeval`` that has matched, pictures numbered from 1 and classes from 0.

    Raises:
        UserError: pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise UserError(f"COCO's average precision needs pycocotools: {install_hint('detection')}") from None
    pictures = [{"id": number} for number in range(1, len(detections) + 1)]
    categories = [{"id": k, "name": str(k)} for k in range(classes)]
    objects = [one for number, true in enumerate(truths, 1) for one in _as_coco(number, true)]
    results = [
        _annotation(number, box, label) | {"score": score}
        for number, own in enumerate(detections, 1)
        for box, label, score in zip(own.boxes.tolist(), own.labels.tolist(), own.scores.tolist(), strict=True)
    ]
    for number, one in enumerate(objects, 1):
        one["id"] = number  # 0 would read as "not matched"
    for number, one in enumerate(results, 1):
        one["id"] = number
    with contextlib.redirect_stdout(io.StringIO()):  # it prints each of its steps
        sets = []
        for annotations in (objects, results):
            made = COCO()
            made.dataset = {"images": pictures, "categories": categories, "annotations": annotations}
            made.createIndex()
            sets.append(made)
        evaluation = COCOeval(*sets, iouType="bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, _ALL_SIZES]], ["all"]
        evaluation.params.maxDets = [COCO_DETECTIONS]
        evaluation.evaluate()
    return evaluation


_ALL_SIZES = 1e10  # pycocotools' upper end of "all"


def _as_coco(number: int, true: Truth) -> list[dict[str, Any]]:
    """An ignored object that is no crowd is given an area outside of all: the one way that COCOeval leaves open."""
    found = []
    rows = zip(true.boxes.tolist(), true.labels.tolist(), true.ignored, true.crowd, strict=True)
    for box, label, ignored, crowd in rows:
        one = _annotation(number, box, label) | {"iscrowd": int(crowd)}
        found.append(one | ({"area": 2 * _ALL_SIZES} if ignored and not crowd else {}))
    return found


def _annotation(number: int, box: Sequence[float], label: int) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    area = (x1 - x0) * (y1 - y0)
    return {"image_id": number, "category_id": label, "bbox": [x0, y0, x1 - x0, y1 - y0], "area": area}


def _areas(matched: Matched, weights: ArrayLike | None, area: Callable[[Counts, Counts, Counts], Floats]) -> Floats:
    """The area of each bar and draw: (T, draws)."""
    whole = np.ones((1, len(matched.positives)), np.int64)
    drawn = whole if weights is None else np.atleast_2d(np.asarray(weights, np.int64))
    positives = drawn @ matched.positives
    last = np.ones(len(matched.scores), bool)
    if matched.ties_are_one and len(last):
        last = np.append(matched.scores[1:] != matched.scores[:-1], True)
    found = np.empty((len(matched.hits), len(drawn)))
    rows = max(1, _HELD // (len(last) + 1))
    for first in range(0, len(drawn), rows):
        part = slice(first, first + rows)
        each = drawn[part][:, matched.pictures]
        for bar, (hits, ignored) in enumerate(zip(matched.hits, matched.ignored, strict=True)):
            good = np.cumsum(each * (hits & ~ignored), axis=1)[:, last]
            total = np.cumsum(each * ~ignored, axis=1)[:, last]
            found[bar, part] = area(good, total, positives[part])
    found[:, positives == 0] = np.nan
    return found


_HELD = 4_000_000  # counts held at a time


def _from_right(precision: Floats) -> Floats:
    return np.asarray(np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1])


def _at(reached: NDArray[Any], highest: Floats, wanted: NDArray[Any]) -> Floats:
    """In each row, the entry of ``highest`` where the ascending ``reached`` first is ``wanted`` or more; else 0.

    All rows are searched at once, each lifted above the one before. That rounds: only the first row is exact to the
    last bit, which holds the figure; the others are draws.
    """
    count, length = reached.shape
    lift = np.arange(count)[:, None] * (max(wanted.max(), reached.max(initial=0)) + 1)
    places = np.searchsorted((reached + lift).ravel(), (wanted + lift).ravel()).reshape(wanted.shape)
    places -= np.arange(count)[:, None] * length
    values = np.concatenate([highest, np.zeros((count, 1))], axis=1)
    return np.take_along_axis(values, places.clip(0, length), axis=1)
