"""Audio-visual correspondence on held-out clips, by kind of negative.

"accuracy": negatives from any other clip. Where the truth of the generated world lies beside the clips, it is used
to evaluate (never to train): "accuracy-absent-kind" takes negatives whose sounding kinds are not in the picture, and
positives whose sounding kind is; "accuracy-one-visible" takes pairs whose picture shows one object. The rows named
"ceiling" are an oracle that knows which kinds are seen and heard and nothing else: 1 − 1/(2K) for one visible object
of K kinds. Where items have labels, "accuracy-other-label" takes negatives of another label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.pretext.predictions import HeldOut, Predictions, accuracy_row
from avssl.media.facts import Media
from avssl.tasks.av_correspondence.puzzle import CorrespondencePuzzle
from avssl.tasks.av_correspondence.task import AVCorrespondence
from avssl.tasks.base import Answers
from avssl.world.truth import sounding_kinds, visible_kinds

PROTOCOL = "av-correspondence"


@dataclass(frozen=True)
class PairTruth:
    """The ground truth of a pair: for the world the kinds, for labelled clips whether the labels differ."""

    label: int
    visible: frozenset[str] | None
    sounding: frozenset[str] | None
    other_label: bool | None

    @property
    def decided_by_kinds(self) -> bool:
        """Whether the kinds decide the label: a positive's sound is of something seen, a negative's of nothing seen."""
        if self.visible is None or not self.sounding:
            return False
        seen = self.sounding & self.visible
        return bool(seen) if self.label else not seen

    @property
    def oracle(self) -> bool:
        """What one would answer who knows the kinds: does anything that is heard belong to something seen?"""
        return bool(self.visible and self.sounding and self.sounding & self.visible)


def pair_truth(media: Media, puzzle: CorrespondencePuzzle, seconds: float) -> PairTruth:
    """The truth of a pair, from the annotations beside the clips and from their labels."""
    frame, sound = puzzle.pair.frame, puzzle.pair.sound
    seen, heard = media.annotation(frame.item), media.annotation(sound.item)
    visible = sounding = None
    if seen is not None and heard is not None and "objects" in seen and "objects" in heard:
        visible = frozenset(visible_kinds(seen, frame.frame_seconds))
        start = sound.sound_start_seconds
        sounding = frozenset(sounding_kinds(heard, start, start + seconds))
    labels = media.facts(frame.item).label, media.facts(sound.item).label
    other = None if None in labels else labels[0] != labels[1]
    return PairTruth(puzzle.label, visible, sounding, other)


def evaluate(task: AVCorrespondence, networks: dict[str, nn.Module], held_out: HeldOut) -> list[ResultRow]:
    """Rows of each network (by name) on the same held-out pairs.

    The world and labelled data add rows of their own; three times as many pairs are drawn there, so that enough
    are left of each kind.
    """
    media, seconds = held_out.media, task.options.seconds
    world = media.annotation(0) is not None
    times = 3 if world or media.facts(0).label is not None else 1
    found = held_out.predictions(task, networks, times=times, keep=lambda p: pair_truth(media, p, seconds))
    context = held_out.context(PROTOCOL)
    rows: list[ResultRow] = []
    for name, predictions in zip(networks, found, strict=True):
        rows += _rows(name, predictions, held_out.puzzles, context)
    if world and found:
        rows += _rows("ceiling", _oracle(found[0]), held_out.puzzles, context, "knows the kinds and nothing else")
    return rows


def _rows(name: str, predictions: Predictions, pairs: int, context: Context, note: str = "") -> list[ResultRow]:
    truths: list[PairTruth] = predictions.kept
    chosen: dict[str, Sequence[int]] = {
        "accuracy": range(pairs),
        "accuracy-one-visible": [i for i, t in enumerate(truths) if t.visible is not None and len(t.visible) == 1],
        "accuracy-absent-kind": _balanced([i for i, t in enumerate(truths) if t.decided_by_kinds], truths),
    }
    if truths[0].other_label is not None:
        other = [i for i, t in enumerate(truths) if t.label or t.other_label]
        chosen["accuracy-other-label"] = _balanced(other, truths)
    return [
        accuracy_row(name, predictions, context, metric=metric, chance=0.5, chosen=some, note=note)
        for metric, some in chosen.items()
        if some
    ]


def _balanced(indices: Sequence[int], truths: Sequence[PairTruth]) -> list[int]:
    """As many positives as negatives, in the order drawn, so that chance stays one half."""
    positive = [i for i in indices if truths[i].label]
    negative = [i for i in indices if not truths[i].label]
    each = min(len(positive), len(negative))
    return sorted(positive[:each] + negative[:each])


def _oracle(predictions: Predictions) -> Predictions:
    positive = torch.tensor([float(truth.oracle) for truth in predictions.kept])
    scores = torch.stack([1 - positive, positive], dim=1)
    return Predictions(Answers(scores, predictions.answers.truth), predictions.clusters, predictions.kept)
