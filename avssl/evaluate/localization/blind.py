"""Blind baselines, which neither look nor listen: rows beside every localization figure.

blind/centre-disc   −distance from the centre of the frame
blind/mean-map      the mean of other items' truths: of a training file's, or of the other half of the test file
blind/random        7×7 uniform noise
blind/whole-image   every pixel
ceiling             the best that the rule allows: as many pixels as it predicts, laid on the truth
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.localization import metrics
from avssl.evaluate.localization.annotations import Item
from avssl.evaluate.localization.metrics import Floats, Map, Mask
from avssl.evaluate.localization.protocols import SIDE, Protocol
from avssl.evaluate.localization.scoring import Scores, rows_of, score_maps, score_predictions
from avssl.samplers.keys import generator

# The coarsest grid of the published maps (EZ-VSL's object map)
NOISE_CELLS = 7


def blind_rows(
    items: Sequence[Item],
    protocols: Sequence[Protocol],
    context: Context,
    train: Sequence[Item] | None = None,
    missing: Sequence[str] = (),
) -> list[ResultRow]:
    """The rows of everything that is blind, and of the ceiling.

    Args:
        items: those that were scored, so that all rows stand on the same; negatives count in the protocols that take
            them.
        protocols: as for the model.
        train: items whose truths make the mean map; without them two halves of the test set serve each other.
        missing: names of listed items that were not scored: counted in ``n_listed``.
    """
    rows: list[ResultRow] = []
    for name, (scores, note) in blind_scores(items, protocols, context.seed, train).items():
        scores.missing += missing
        rows += rows_of(name, scores, protocols, context, note)
    return rows


def blind_scores(
    items: Sequence[Item], protocols: Sequence[Protocol], seed: int, train: Sequence[Item] | None = None
) -> dict[str, tuple[Scores, str]]:
    """Scores and a note by the name of the row."""
    # A mask has neither a peak nor a confidence
    masks = [p for p in protocols if p.rule not in ("peak", "inside") and not p.extended]
    mean, how = mean_map(items, train)
    disc, centre = centre_disc(), np.zeros((1, 1))  # one cell: its centre is the frame's
    return {
        "blind/centre-disc": (
            score_maps(items, lambda _, p: centre if p.rule == "peak" else disc, protocols),
            "nearness to the centre",
        ),
        "blind/mean-map": (score_maps(items, mean, protocols), how),
        "blind/random": (
            score_maps(items, lambda item, _: noise(item, seed), protocols),
            f"{NOISE_CELLS}×{NOISE_CELLS} uniform noise",
        ),
        "blind/whole-image": (
            score_predictions(items, lambda item, _: np.ones((SIDE, SIDE), bool), masks),
            "every pixel",
        ),
        "ceiling": (score_predictions(items, best, masks), "the best that this rule allows"),
    }


def centre_disc() -> Floats:
    """−distance of each pixel's centre from the centre of the frame: (SIDE, SIDE), read-only."""
    place = np.arange(SIDE) + 0.5 - SIDE / 2
    disc: Floats = -np.hypot(place[:, None], place[None, :])
    disc.flags.writeable = False
    return disc


def noise(item: Item, seed: int) -> Floats:
    """Uniform noise that depends on the item's name and the seed alone."""
    return generator(seed, item.name, "blind").random((NOISE_CELLS, NOISE_CELLS))


def mean_map(items: Sequence[Item], train: Sequence[Item] | None) -> tuple[Callable[[Item, Protocol], Map], str]:
    """The mean truth of training items; without them that of the other half of the test items, in the file's order."""
    if train is not None:
        whole = _mean(train)
        return (lambda item, _: whole), f"mean truth of {len(train)} training items"
    # Even items serve odd ones and the other way round, so that none sees its own truth
    means = _mean(items[0::2]), _mean(items[1::2] or items)
    place = {item.name: number for number, item in enumerate(items)}
    return (lambda item, _: means[1 - place[item.name] % 2]), "mean truth of the other half of the test items"


def best(item: Item, protocol: Protocol) -> Mask:
    """As many pixels as the rule predicts of a map without ties, laid on the truth as well as can be."""
    truth = item.truth()
    # As many as the rule predicts of a map without ties; of a threshold, which predicts any number, those of the truth.
    k = {
        "half": truth.size // 2,
        "topk-half": truth.size // 2,
        "half-strict": truth.size - truth.size // 2 - 1,
        "adaptive": (metrics.area(truth) or truth.size // 2) - 1,
    }.get(protocol.rule, metrics.area(truth))
    mask = np.zeros(truth.size, bool)
    for weight in (1.0, 0.5, 0.0):  # all that a truth is made of
        places = np.flatnonzero(truth == weight)[: max(k - int(mask.sum()), 0)]
        mask[places] = True
    return mask.reshape(truth.shape)


def _mean(items: Sequence[Item]) -> Floats:
    total = np.zeros((SIDE, SIDE))
    for item in items:
        total += item.truth()
    total /= max(len(items), 1)
    total.flags.writeable = False
    return total
