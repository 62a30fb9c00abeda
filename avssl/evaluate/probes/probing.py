"""Shared by the probes: every stage of every encoder, selection on held-out training data, one use of the test part.

A probe learns from frozen features of some items and scores others. Here it is put to each stage of the trained
encoder, of the same architecture with random weights, and of whatever else stands beside them; the rows are

    trained/STAGE, random/STAGE   each stage
    trained, random               the stage that is best on held-out training data, which its note names
    gain                          trained minus random, on the same items
    drop                          trained: the best of the earlier stages minus the last; below 0 there is no drop
    shuffled-labels               the probe of the best stage trained on permuted labels: must fall to chance
    majority                      always the most frequent class

Beside each accuracy stands a row "balanced-accuracy", the mean of the classes' accuracies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.evaluate.core.rows import Context, ResultRow, mean_of_repeats
from avssl.evaluate.core.scores import (
    Scores,
    gain_row,
    majority_rows,
    metric_value,
    score_row,
    score_rows,
    with_balanced,
)
from avssl.evaluate.data.labelled import Indices, Labelled, hold_out
from avssl.samplers.keys import generator
from avssl.system.console import Log, counted, no_log

# Features of items: (items, views, features)
Array = NDArray[np.float32]

# How often labels are permuted for the control
SHUFFLES = 4


@dataclass(frozen=True)
class TrainingSet:
    """What a probe learns from."""

    features: Array  # (n, views, features)
    data: Labelled  # the truth of all items
    items: Indices  # the indices of these n
    seed: int = 0  # of what is drawn

    @property
    def targets(self) -> NDArray[np.int8]:
        return self.data.targets[self.items]

    def part(self, items: Indices) -> TrainingSet:
        """Only these of its items."""
        place = {int(item): k for k, item in enumerate(self.items)}
        return replace(self, features=self.features[[place[int(i)] for i in items]], items=items)

    def split(self) -> tuple[TrainingSet, TrainingSet]:
        """(what to fit on, what to choose on), no source in both."""
        rest, held = hold_out(self.items, self.data.targets, self.data.sources, seed=self.seed)
        if not len(held) or not len(rest):
            raise UserError(
                f"{counted(len(self.items), 'item')} of training data: too few to choose on; "
                "give at least two sources a class"
            )
        return self.part(rest), self.part(held)


@dataclass(frozen=True)
class Prediction:
    """A probe's predictions of items."""

    scores: Scores  # (items, classes)
    held_out: float  # its figure on the part of the training data that it chose its parameters on
    chosen: str  # what it chose, for people


class Probe(Protocol):
    """A way to train on features: chooses its parameters on a part of ``training``, then scores ``queries``."""

    def __call__(self, training: TrainingSet, queries: Array, query_items: Indices) -> Prediction: ...


class Staged(Protocol):
    """Features by stage: :class:`avssl.evaluate.data.features.Features`, or baseline features of a single stage."""

    @property
    def stages(self) -> tuple[str, ...]: ...

    def stage(self, name: str) -> Array: ...


@dataclass(frozen=True)
class Encoded:
    """The features of one encoder over the parts of the data."""

    name: str
    parts: Sequence[Staged]

    @property
    def stages(self) -> tuple[str, ...]:
        return self.parts[0].stages

    def chosen(self, stages: Sequence[str] | None) -> Iterator[tuple[str, str]]:
        """Of those that are asked for (all if None), the stage and the name of its row; a single stage always."""
        if len(self.stages) == 1:
            yield self.stages[0], self.name
            return
        yield from ((stage, f"{self.name}/{stage}") for stage in self.stages if stages is None or stage in stages)

    def stage(self, name: str) -> Array:
        """(items of all parts, views, features)."""
        # A single one is not copied: a stage may fill gigabytes
        arrays = [part.stage(name) for part in self.parts]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


@dataclass(frozen=True)
class Outcome:
    """What came of one stage: the scores of all evaluated items, and the figure on held-out training data."""

    encoder: str
    stage: str
    scores: Scores
    held_out: float
    chosen: str


def probe_all(
    encoded: Sequence[Encoded],
    data: Labelled,
    probe: Probe,
    context: Context,
    *,
    stages: Sequence[str] | None = None,
    log: Log = no_log,
) -> list[ResultRow]:
    """Rows of each stage of each encoder (see the top of this file); the first of them is the one in question.

    Args:
        encoded: encoders with their features: "trained" first, "random" among them.
        stages: only these; all if None.
    """
    rows: list[tuple[ResultRow, Scores]] = []
    outcomes: dict[str, list[Outcome]] = {}
    for one in encoded:
        for stage, label in one.chosen(stages):
            outcome = probe_stage(one, stage, data, probe, context)
            row = score_row(label, outcome.scores, data, data.test, context, outcome.chosen)
            rows.append((row, outcome.scores))
            log(f"{label}: {row.metric} {row.value:.3f} ({outcome.chosen})")
            outcomes.setdefault(one.name, []).append(outcome)
    return with_balanced(rows, data) + _summary(encoded, outcomes, data, probe, context)


def probe_stage(
    one: Encoded, stage: str, data: Labelled, probe: Probe, context: Context, shuffle: int | None = None
) -> Outcome:
    """Learn and evaluate on each division in turn; with ``shuffle``, from labels that were permuted in this way."""
    features = one.stage(stage)
    scores: list[Scores] = []
    held_out: list[float] = []
    chosen: list[str] = []
    for number, division in enumerate(data.divisions):
        truth = data if shuffle is None else _permuted(data, division.train, context.seed, shuffle, number)
        training = TrainingSet(features[division.train], truth, division.train, context.seed)
        prediction = probe(training, features[division.test], division.test)
        scores.append(prediction.scores)
        held_out.append(prediction.held_out)
        chosen.append(prediction.chosen)
    choice = ", ".join(dict.fromkeys(chosen))
    return Outcome(one.name, stage, np.concatenate(scores), float(np.mean(held_out)), choice)


def fold_note(scores: Scores, data: Labelled) -> str:
    """The spread over folds, as a note: folds share training data and are no independent samples."""
    if len(data.divisions) < 2:
        return ""
    sizes = np.cumsum([len(division.test) for division in data.divisions])[:-1]
    parts = np.split(scores, sizes)
    values = [metric_value(s, data.targets[d.test], data.single) for s, d in zip(parts, data.divisions, strict=True)]
    return f"; folds {min(values):.3f} to {max(values):.3f}"


def _summary(
    encoded: Sequence[Encoded],
    outcomes: Mapping[str, Sequence[Outcome]],
    data: Labelled,
    probe: Probe,
    context: Context,
) -> list[ResultRow]:
    best: list[tuple[ResultRow, Scores]] = []
    for one in encoded:
        if len(one.stages) > 1:
            outcome = _best(outcomes[one.name])
            note = f"{outcome.stage}, the best on held-out training data{fold_note(outcome.scores, data)}"
            best.append((score_row(one.name, outcome.scores, data, data.test, context, note), outcome.scores))
    rows = with_balanced(best, data)
    ours = encoded[0].name
    top, (*earlier, end) = _best(outcomes[ours]), outcomes[ours]
    if "random" in outcomes and ours != "random":
        note = f"{ours} minus random, each at its best stage"
        theirs = _best(outcomes["random"]).scores
        # Each at its own best stage: else the trained one would choose for both.
        rows.append(gain_row("gain", top.scores, theirs, data, data.test, context, note))
    if earlier:
        before = _best(earlier)
        note = f"{ours}: {before.stage}, the best of the earlier stages, minus {end.stage}, the last"
        rows.append(gain_row("drop", before.scores, end.scores, data, data.test, context, note))
    rows += _shuffled(encoded[0], top.stage, data, probe, context)
    return rows + majority_rows(data, context)


def _best(outcomes: Sequence[Outcome]) -> Outcome:
    return max(outcomes, key=lambda outcome: outcome.held_out)


def _shuffled(one: Encoded, stage: str, data: Labelled, probe: Probe, context: Context) -> list[ResultRow]:
    """The mean over several shuffles: where classes lie apart, one shuffle may label a whole class right by chance."""
    permuted = [probe_stage(one, stage, data, probe, context, shuffle).scores for shuffle in range(SHUFFLES)]
    note = f"{one.name}/{stage}, labels of the training part permuted, {SHUFFLES} times: must be at chance"
    each = [score_rows("shuffled-labels", scores, data, context, note) for scores in permuted]
    return [mean_of_repeats(rows, "shuffles") for rows in zip(*each, strict=True)]


def _permuted(data: Labelled, items: Indices, seed: int, shuffle: int, number: int) -> Labelled:
    targets = data.targets.copy()
    targets[items] = targets[generator(seed, "shuffled-labels", shuffle, number).permutation(items)]
    return replace(data, targets=targets)
