"""Fine-tuning: the whole encoder and a linear classifier learn from labels, beside the same network from scratch.

The classifier sits on the mean over places of one stage, standardised by a batch norm without scale and shift. AdamW,
a warm-up over a tenth of the steps, then half a cosine to zero; the last step is evaluated. Both starts are given the
same items, views and steps; of several learning rates each start takes its own best on held-out training data. With
several numbers of labels a class the rows are a curve.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.evaluate.choices import FineTuneChoices
from avssl.evaluate.core.optimize import best_of, minimize, repetitions
from avssl.evaluate.core.rows import Context, ResultRow, over_seeds
from avssl.evaluate.core.scores import (
    Scores,
    gain_row,
    majority_rows,
    metric_name,
    metric_value,
    score_rows,
)
from avssl.evaluate.data.labelled import Division, Indices, Labelled, few_of_each, hold_out
from avssl.evaluate.probes.finetune_inputs import ItemViews
from avssl.networks.encoder import Encoder, refuse_frozen
from avssl.samplers.keys import generator
from avssl.system.console import Log, counted, no_log
from avssl.trainer.seeds import hashed, own_random_state, seed_torch

# Items whose views go through the network together when it is evaluated
BATCH = 16


class Classifier(nn.Module):
    """An encoder and a linear classifier on the mean over places of one of its stages.

    Input: what the encoder takes, (N, …). Output: logits (N, classes).
    """

    def __init__(self, encoder: Encoder, stage: str, channels: int, classes: int) -> None:
        super().__init__()
        refuse_frozen(encoder)
        self.encoder, self.stage = encoder, stage
        self.norm = nn.BatchNorm1d(channels, affine=False)
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.encoder.stages(x)[self.stage]
        out: Tensor = self.linear(self.norm(maps.mean((2, 3))))
        return out


def fine_tune_rows(
    starts: Mapping[str, Encoder],
    data: Labelled,
    views: ItemViews,
    choices: FineTuneChoices,
    context: Context,
    *,
    device: torch.device | str = "cpu",
    log: Log = no_log,
) -> list[ResultRow]:
    """Rows of each start for each number of labels; "gain" is the first start minus the second, on the same items.

    With several seeds the value is the mean over seeds, and there is a row START/seedN each. Beside each accuracy
    stands the balanced one: the mean of the classes' accuracies, as UCF101 and HMDB51 are reported.

    Raises:
        UserError: no such stage, or a class has fewer items than a number of labels.
    """
    rows: list[ResultRow] = []
    for count in choices.labels:
        labels = "all labels" if count == 0 else f"{count} a class"
        divisions = [_few(division, data, count, context.seed) for division in data.divisions]
        found: dict[str, list[Scores]] = {name: [] for name in starts}
        for seed, name, start in repetitions(starts, context.seed, choices.seeds):
            scores = []
            for division in divisions:
                predicted, chosen = _evaluated(start, data, division, views, choices, seed, device)
                scores.append(predicted)
                value = metric_value(predicted, data.targets[division.test], data.single)
                log(f"{name}, {labels}, seed {seed}, {division.name}: {value:.3f} ({chosen})")
            found[name].append(np.concatenate(scores))
        rows += _rows(found, data, count, context)
    return rows + majority_rows(data, context)


def fit(
    start: Encoder,
    data: Labelled,
    items: Indices,
    views: ItemViews,
    choices: FineTuneChoices,
    rate: float,
    seed: int,
    device: torch.device | str = "cpu",
) -> Classifier:
    """A classifier fine-tuned from a copy of ``start`` on these items, in eval mode."""
    with own_random_state():
        # The new layers depend on the seed alone, whatever was drawn before
        seed_torch(hashed(seed, "classifier"))
        network = _classifier(start, data, views, choices.stage, int(items[0])).to(device).train()
    truth = torch.from_numpy(data.targets)
    size = min(choices.batch_size, max(2, len(items)))  # batch normalisation needs two

    def loss(places: Indices, rng: np.random.Generator) -> Tensor:
        chosen = items[places]
        batch = torch.from_numpy(np.stack([views.training(int(i), rng) for i in chosen])).to(device)
        return _loss(network(batch), truth[chosen].to(device), data.single)

    decay = choices.weight_decay
    minimize(network, loss, len(items), size, choices.steps, rate, seed=seed, key="fine-tune", weight_decay=decay)
    return network.eval()


@torch.no_grad()
def predict(network: Classifier, items: Indices, views: ItemViews, single: bool) -> Scores:
    """The shares of the classes in each item, the mean over its views: (items, classes)."""
    device = network.linear.weight.device
    found: list[Scores] = []
    for first in range(0, len(items), BATCH):
        batch = [views.evaluation(int(i)) for i in items[first : first + BATCH]]
        logits = network(torch.from_numpy(np.concatenate(batch)).to(device))
        shares = logits.softmax(1) if single else logits.sigmoid()
        found += [np.asarray(part.mean(0).cpu().numpy()) for part in shares.split([len(some) for some in batch])]
    return np.stack(found)


def _evaluated(
    start: Encoder,
    data: Labelled,
    division: Division,
    views: ItemViews,
    choices: FineTuneChoices,
    seed: int,
    device: torch.device | str,
) -> tuple[Scores, str]:
    """Scores of the evaluated items, and which learning rate was taken."""
    rate = choices.rates[0]
    if len(choices.rates) > 1:
        rest, held = hold_out(division.train, data.targets, data.sources, seed=seed)
        if not len(held):
            raise UserError("too few items to choose a learning rate on; give one with --rates")

        def score(tried: float) -> float:
            network = fit(start, data, rest, views, choices, tried, seed, device)
            return metric_value(predict(network, held, views, data.single), data.targets[held], data.single)

        rate = best_of(choices.rates, score)
    network = fit(start, data, division.train, views, choices, rate, seed, device)
    return predict(network, division.test, views, data.single), f"learning rate {rate:g}"


def _classifier(start: Encoder, data: Labelled, views: ItemViews, stage: str | None, item: int) -> Classifier:
    # A copy: the start serves every seed, division and learning rate.
    encoder = copy.deepcopy(start).cpu().eval()
    with torch.no_grad():
        maps = encoder.stages(torch.from_numpy(views.evaluation(item)))
    stage = stage or list(maps)[-1]
    if stage not in maps:
        raise UserError(f"the encoder has no stage called {stage!r}; it has: {', '.join(maps)}")
    return Classifier(encoder, stage, maps[stage].shape[1], len(data.classes))


def _few(division: Division, data: Labelled, count: int, seed: int) -> Division:
    """So many items of each class to learn from, a larger number holding the smaller ones; all for 0."""
    if count == 0:
        return division
    counts = (data.targets[division.train] > 0).sum(0)
    if counts.min() < count:
        name, least = data.classes[int(counts.argmin())], int(counts.min())
        raise UserError(
            f"class {name!r} has only {counted(least, 'item')} to learn from; give --labels {least} or fewer"
        )
    order = generator(seed, "labels", division.name).permutation(division.train)
    return replace(division, train=few_of_each(order, data.targets, count))


def _loss(logits: Tensor, truth: Tensor, single: bool) -> Tensor:
    if single:
        return nn.functional.cross_entropy(logits, truth.argmax(1))
    each = nn.functional.binary_cross_entropy_with_logits(logits, (truth > 0).float(), reduction="none")
    return (each * (truth >= 0)).mean()


def _rows(found: Mapping[str, Sequence[Scores]], data: Labelled, count: int, context: Context) -> list[ResultRow]:
    rows: list[ResultRow] = []
    suffix = "" if count == 0 else f"-{count}-a-class"
    kind = (data.single, context.precision)
    for name, runs in found.items():
        note = "fine-tuned" if name == "trained" else "the same network from scratch" if name == "random" else ""
        for repeats in zip(*(score_rows(name, scores, data, context, note) for scores in runs), strict=True):
            metric = repeats[0].metric + suffix
            rows += over_seeds([replace(row, metric=metric, seed=context.seed + k) for k, row in enumerate(repeats)])
    first, *others = found
    if others:
        note = f"{first} minus {others[0]}" + (", first seed" if len(found[first]) > 1 else "")
        # Of the first seed: the comparison is paired by items, which means over seeds are not
        gain = gain_row("gain", found[first][0], found[others[0]][0], data, data.test, context, note)
        rows.append(replace(gain, metric=f"{metric_name(*kind)}{suffix}-difference"))
    return rows
