"""From maps to result rows: every picture scored by every protocol, one picture at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from avssl.errors import UserError
from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.core.statistics import DRAWS, SHARE, cluster_bootstrap
from avssl.evaluate.localization import metrics
from avssl.evaluate.localization.annotations import Item
from avssl.evaluate.localization.metrics import Floats, Map, Mask
from avssl.evaluate.localization.protocols import ACL_BARS, SIDE, Protocol, normalise, predict, upsample

# The raw map of an item as a protocol needs its picture and sound; None where there is none
Maps = Callable[[Item, Protocol], "Map | None"]


# Levels that need no measuring; of the other figures of places the blind rows are the level
CHANCE = {"inside": 0.5}


def localization_context(seed: int = 0, command: str = "", draws: int = DRAWS) -> Context:
    """What the rows of localization share; their protocols differ."""
    return Context("localization", seed, command, draws=draws, unit="video")


@dataclass
class Scores:
    """What one source of maps scored, picture by picture; lists run in parallel."""

    items: list[Item] = field(default_factory=list)  # those that had a map
    missing: list[str] = field(default_factory=list)  # names of those that had none
    # Overlap by protocol; for "best-absolute" one number a threshold
    cious: dict[str, list[Floats]] = field(default_factory=dict)
    # By protocol without a prediction ("peak", "inside") whether the place is right, 0 to 1; None where the truth is
    # empty, or for "inside" the whole picture
    placed: dict[str, list[float | None]] = field(default_factory=dict)
    # Confidence of each upsampled map (mean of the largest quarter)
    confidences: dict[str, list[float]] = field(default_factory=dict)
    # Share of ties at the cut by protocol, constant maps, items without truth
    ties: dict[str, list[float]] = field(default_factory=dict)
    constant: int = 0
    empty: int = 0


def score_maps(items: Iterable[Item], maps: Maps, protocols: Sequence[Protocol]) -> Scores:
    """Score each item's map by each protocol.

    Raises:
        UserError: a map with NaN or infinity, or of no two dimensions; names the item.
    """
    scores = Scores()
    fixed: dict[tuple[int, str], _Fixed] = {}
    for item in items:
        found = {protocol.name: maps(item, protocol) for protocol in protocols}
        if any(m is None for m in found.values()):
            scores.missing.append(item.name)
            continue
        truth = item.truth()
        scores.items.append(item)
        empty = not metrics.area(truth)
        scores.empty += empty and not item.negative
        for number, protocol in enumerate(protocols):
            raw = found[protocol.name]
            assert raw is not None
            # A read-only map is one for all items: looked at once.
            if raw.flags.writeable or (id(raw), protocol.name) not in fixed:
                _check(raw, item)
            if number == 0:
                # Once for each map, whatever the number of protocols.
                scores.constant += metrics.is_constant(raw)
            _score_one(scores, item, raw, truth, protocol, fixed)
    return scores


def score_predictions(
    items: Iterable[Item], predictions: Callable[[Item, Protocol], Mask], protocols: Sequence[Protocol]
) -> Scores:
    """Score masks that come from no map (the whole image, the ceiling of a rule)."""
    scores = Scores()
    for item in items:
        truth = item.truth()
        scores.items.append(item)
        scores.empty += not metrics.area(truth) and not item.negative
        for protocol in protocols:
            value = metrics.ciou(predictions(item, protocol), truth)
            count = len(ACL_BARS) if protocol.rule == "best-absolute" else 1
            scores.cious.setdefault(protocol.name, []).append(np.full(count, value))
    return scores


def rows_of(
    name: str, scores: Scores, protocols: Sequence[Protocol], context: Context, note: str = ""
) -> list[ResultRow]:
    """The rows of one source of maps."""
    rows: list[ResultRow] = []
    for protocol in protocols:
        rows += _rows_of_protocol(name, scores, protocol, context, note)
    return rows


def mean_row(
    name: str,
    metric: str,
    values: Sequence[float] | Floats,
    clusters: Sequence[str],
    context: Context,
    **other: Any,
) -> ResultRow:
    """The mean of a figure from 0 to 1 an item, with its interval over videos, see :func:`mean_interval` and
    :meth:`Context.row`."""
    x = np.asarray(values, np.float64)
    low, high, method = mean_interval(x, clusters, context.draws)
    value = float(x.mean()) if len(x) else float("nan")
    fields = {"chance": CHANCE.get(metric), "method": method} | other
    return context.row(name, metric, value, (low, high), n=len(x), clusters=len(set(clusters)), **fields)


def mean_interval(values: Floats, clusters: Sequence[str], draws: int) -> tuple[float, float, str]:
    """The 95 % interval of a mean of figures from 0 to 1, and by which method: (low, high, method).

    A bootstrap over videos; where all values are equal, Wilson's upper end of a share of videos that would differ
    ("wilson"; see ``unseen_interval``).
    """
    if not len(values):
        return float("nan"), float("nan"), "none"
    low, high = cluster_bootstrap(values, clusters, draws=draws, bounds=SHARE)
    return low, high, "bootstrap" if values.min() < values.max() else "wilson"


def _check(raw: Map, item: Item) -> None:
    if raw.ndim != 2 or not raw.size:
        raise UserError(f"the map of {item.name} has the shape {raw.shape}; a map is (height, width)")
    if not np.isfinite(raw).all():
        raise UserError(f"the map of {item.name} holds values that are not finite; they cannot be ranked")


@dataclass
class _Fixed:
    """What is the same of one map for all items: the array itself, which it keeps alive, and what follows from it."""

    raw: Map
    upsampled: Floats
    constant: bool
    confidence: float
    ordered: Floats
    predicted: Mask | None

    @classmethod
    def of(cls, raw: Map, protocol: Protocol) -> _Fixed:
        m = normalise(upsample(raw, protocol.upsampling), protocol.normalisation)
        mask = None
        if protocol.rule not in ("adaptive", "topk-truth", "best-absolute"):
            mask = predict(m, np.zeros_like(m), protocol)
        confidence = metrics.confidence(m) if protocol.extended else 0.0
        return cls(raw, m, metrics.is_constant(m), confidence, np.sort(m, axis=None), mask)

    def predict(self, truth: Floats, protocol: Protocol) -> Mask:
        """The prediction; where only the rule's number of pixels depends on the truth, the order is known."""
        if self.predicted is not None:
            return self.predicted
        if protocol.rule == "adaptive":
            k = metrics.area(truth) or self.ordered.size // 2
            return np.asarray(self.upsampled > self.ordered[self.ordered.size - k])
        return predict(self.upsampled, truth, protocol)


def _score_one(
    scores: Scores, item: Item, raw: Map, truth: Floats, protocol: Protocol, known: dict[tuple[int, str], _Fixed]
) -> None:
    if protocol.rule in ("peak", "inside"):
        placed = metrics.pointing(raw, truth) if protocol.rule == "peak" else _inside(raw, truth, protocol)
        scores.placed.setdefault(protocol.name, []).append(placed)
        return
    fixed = None
    if not raw.flags.writeable:  # the same array for many items, as those of blind rows are
        key = (id(raw), protocol.name)
        fixed = known[key] if key in known else known.setdefault(key, _Fixed.of(raw, protocol))
    m = fixed.upsampled if fixed else normalise(upsample(raw, protocol.upsampling), protocol.normalisation)
    if protocol.extended:
        scores.confidences.setdefault(protocol.name, []).append(fixed.confidence if fixed else metrics.confidence(m))
    ours = protocol.rule.startswith("topk")
    if protocol.rule == "best-absolute":
        value = np.asarray([metrics.ciou(metrics.absolute(m, bar), truth) for bar in ACL_BARS])
    elif item.negative or (ours and (fixed.constant if fixed else metrics.is_constant(m))):
        # Of a constant map a rule of so many pixels would predict the first ones, and might be right by that.
        value = np.zeros(1)
    else:
        predicted = fixed.predict(truth, protocol) if fixed else predict(m, truth, protocol)
        value = np.asarray([metrics.ciou(predicted, truth)])
    scores.cious.setdefault(protocol.name, []).append(value)
    k = metrics.area(truth) if protocol.rule in ("topk-truth", "adaptive") else m.size // 2
    tied = 0.0 if protocol.rule in ("absolute", "best-absolute") or raw.size > SIDE else metrics.tied_share(m, k)
    scores.ties.setdefault(protocol.name, []).append(tied)


def _inside(raw: Map, truth: Floats, protocol: Protocol) -> float | None:
    """1 where the mean of the map is greater inside the truth than outside, one half where the two are equal."""
    there = truth > 0
    if not there.any() or there.all():
        return None
    m = upsample(raw, protocol.upsampling)
    within, without = float(m[there].mean()), float(m[~there].mean())
    if np.isclose(within, without, rtol=1e-9, atol=1e-12):
        return 0.5
    return float(within > without)


def _rows_of_protocol(name: str, scores: Scores, protocol: Protocol, context: Context, note: str) -> list[ResultRow]:
    listed = len(scores.items) + len(scores.missing)
    common: dict[str, Any] = {
        "protocol": protocol.name, "listed": listed, "empty_truth": scores.empty, "note": note
    }  # fmt: skip
    if protocol.rule in ("peak", "inside"):
        found = scores.placed.get(protocol.name, [])
        kept = [(float(hit), item.cluster) for hit, item in zip(found, scores.items, strict=False) if hit is not None]
        if not kept:
            return []
        values, owners = zip(*kept, strict=True)
        return [mean_row(name, protocol.metrics[0], values, owners, context, **common)]
    if protocol.name not in scores.cious:
        return []
    if protocol.extended:
        return _extended_rows(name, scores, protocol, context, note, listed)
    table = np.asarray(scores.cious[protocol.name])
    ties = scores.ties.get(protocol.name, [])
    common["ties"] = float(np.mean(ties)) if ties else 0.0
    positive = np.asarray([not item.negative for item in scores.items])
    table, items = table[positive], [item for item in scores.items if not item.negative]
    if not items:
        return []
    column = 0
    if protocol.rule == "best-absolute":
        # ACL's evaluator keeps the threshold with the best AUC on the test set; so does its preset, and says so
        column = int(np.argmax([metrics.auc(table[:, j], protocol.levels) for j in range(table.shape[1])]))
        common["note"] = f"{note}; threshold {ACL_BARS[column]:.2f} chosen on the test set".removeprefix("; ")
    cious = table[:, column]
    clusters = [item.cluster for item in items]
    rows = [
        mean_row(name, metric, _values(metric, cious, protocol), clusters, context, **common)
        for metric in protocol.metrics
    ]
    by_clip = protocol.groups == "clip" and any(item.clip for item in items)
    pictures = [item.clip or item.picture if by_clip else item.picture for item in items]
    if len(set(pictures)) < len(pictures):
        if by_clip:
            note = f"{common['note']}; the frames of a clip are one group, as SSL-Align's code has it"
            common["note"] = note.removeprefix("; ")
        rows += _picture_rows(name, cious, pictures, protocol, context, common)
    return rows


def _values(metric: str, cious: Floats, protocol: Protocol) -> Floats:
    kind = metric.replace("/", "-").split("-")[0]
    if kind == "ciou":
        return (cious >= 0.5).astype(np.float64)
    return cious if kind == "iou" else metrics.auc_terms(cious, protocol.levels)


def _picture_rows(
    name: str, cious: Floats, pictures: Sequence[str], protocol: Protocol, context: Context, common: dict[str, Any]
) -> list[ResultRow]:
    """IIoU and IAUC: a picture succeeds if all its entries do."""
    worst = metrics.worst_of_groups(cious, pictures)
    names = sorted(set(pictures))
    ending = protocol.metrics[-1].removeprefix("auc")
    kinds = (
        (f"iiou{ending}", (worst >= 0.5).astype(np.float64)),
        (f"iauc{ending}", metrics.auc_terms(worst, protocol.levels)),
    )
    return [
        mean_row(name, metric, values, names, context, **{**common, "listed": len(names)}) for metric, values in kinds
    ]


def _extended_rows(
    name: str, scores: Scores, protocol: Protocol, context: Context, note: str, listed: int
) -> list[ResultRow]:
    """AP, max-F1 and LocAcc of an extended set; with doubtful negatives also without them."""
    positive = [not item.negative for item in scores.items]
    cious = np.asarray(scores.cious[protocol.name])[:, 0]
    confidences = scores.confidences.get(protocol.name, np.zeros(len(cious)))
    table = np.stack([positive, cious, confidences], axis=1).astype(np.float64)
    clusters = np.asarray([item.cluster for item in scores.items])
    certain = np.asarray([not (item.negative and item.label) for item in scores.items])
    figures: dict[str, Callable[[Floats], float]] = {
        "ap": lambda t: metrics.extended_ap(t[:, 0], t[:, 1], t[:, 2]),
        "max-f1": lambda t: metrics.extended_max_f1(t[:, 0], t[:, 1], t[:, 2]),
        "locacc": lambda t: metrics.success(t[t[:, 0] > 0, 1]) if t[:, 0].any() else float("nan"),
    }
    about: dict[str, Any] = {"protocol": protocol.name, "listed": listed, "empty_truth": scores.empty}
    draws = min(context.draws, 200)  # each draw walks the whole set at every bar
    parts = [(np.ones(len(table), bool), "", note)]
    if not certain.all():
        more = f"{note}; without negatives of their own or the same class's sound".removeprefix("; ")
        parts.append((certain, "-certain", more))
    return [
        context.clustered_row(
            name, f"{metric}/{protocol.name}{ending}", table[chosen], clusters[chosen].tolist(), statistic,
            draws=draws, note=words, **about,
        )
        for chosen, ending, words in parts
        for metric, statistic in figures.items()
    ]  # fmt: skip
