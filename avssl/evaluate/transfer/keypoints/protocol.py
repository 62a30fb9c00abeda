"""Keypoints: a small head on an encoder learns where the joints of people are, and is evaluated on other people.

The head (:class:`avssl.networks.pose.PoseNetwork`) sits on all stages of the frozen encoder, or the encoder is
fine-tuned with it. AdamW, a warm-up over a tenth of the steps, then half a cosine to zero; the last step is evaluated.
Of several learning rates each start takes its own best by the area under PCK on a held-out part of the training people.
Blind: the mean place of each joint in the square, over the training people.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avssl.errors import UserError
from avssl.evaluate.choices import KeypointChoices
from avssl.evaluate.core.optimize import best_of, minimize, repetitions
from avssl.evaluate.core.rows import Context, ResultRow, mean_of_repeats
from avssl.evaluate.core.statistics import DIFFERENCE, SHARE, Bounds, accuracy_interval, cluster_bootstrap
from avssl.evaluate.data.encoders import random_twin
from avssl.evaluate.transfer.keypoints.pck import AUC_STEP, is_correct, joint_areas, pck, pck_auc
from avssl.evaluate.transfer.keypoints.people import Floats, Indices, divide
from avssl.evaluate.transfer.keypoints.people_scored import BLIND, EvaluatedPeople, Unit, errors_of, mean_pose
from avssl.evaluate.transfer.keypoints.pose_augmentation import PoseInputs
from avssl.networks.dense import stage_channels
from avssl.networks.encoder import ImageEncoder
from avssl.networks.pose import PoseNetwork, pose_loss
from avssl.system.console import Log, no_log
from avssl.trainer.seeds import hashed, own_random_state, seed_torch

BATCH = 32
# Share of the training people on which the learning rate is chosen
CHOSEN_ON = 0.2


@dataclass(frozen=True)
class Outcome:
    """What :func:`evaluate_keypoints` found."""

    rows: list[ResultRow]
    # Predictions of the trained encoder's head for the evaluated people with the first seed: (people, joints, 2) as
    # shares of their squares
    points: Floats
    # (people, evaluated joints) in units, with the first seed: "trained", "random", "mean-pose"
    errors: dict[str, Floats]


def evaluate_keypoints(
    encoder: ImageEncoder,
    inputs: PoseInputs,
    train: Indices,
    evaluated: EvaluatedPeople,
    choices: KeypointChoices,
    context: Context,
    *,
    seeds: int = 1,
    device: torch.device | str = "cpu",
    log: Log = no_log,
) -> Outcome:
    """An encoder, and the same with random weights, each with a head that learns from ``train``, all with each seed.

    Raises:
        UserError: no such stage, pictures too small for the encoder, or too few people to choose a rate on.
    """
    found: dict[str, list[Floats]] = {"trained": [], "random": []}
    notes: dict[str, str] = {}
    predicted: list[Floats] = []
    how = "fine-tuned" if choices.finetune else "frozen"

    def starts(seed: int) -> dict[str, ImageEncoder]:
        return {"trained": encoder, "random": random_twin(encoder, seed)}

    for seed, name, start in repetitions(starts, context.seed, seeds):
        network, chosen = learn(start, inputs, train, choices, evaluated.unit, seed, device)
        predicted.append(predict(network, inputs, evaluated.items))
        found[name].append(errors_of(predicted[-1], evaluated))
        notes.setdefault(name, f"{how}, {chosen}")
        log(f"{name}, seed {seed}: {chosen}")
    blind = errors_of(mean_pose(inputs.people, train)[None].repeat(len(evaluated.items), axis=0), evaluated)
    rows = keypoint_rows(found, blind, evaluated, context, notes)
    return Outcome(rows, predicted[0], {name: some[0] for name, some in found.items()} | {BLIND: blind})


def learn(
    start: ImageEncoder,
    inputs: PoseInputs,
    items: Indices,
    choices: KeypointChoices,
    unit: Unit,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> tuple[PoseNetwork, str]:
    """A network trained on these people, with the best of the learning rates, and which one it was.

    Raises:
        UserError: no such stage, pictures too small for the encoder, or too few people to choose a rate on.
    """
    if len(choices.rates) == 1:
        return fit(start, inputs, items, choices, choices.rates[0], seed, device), f"learning rate {choices.rates[0]:g}"
    people = inputs.people.part(items)
    rest, held, _ = divide(replace(people, splits=(None,) * len(people)), CHOSEN_ON, seed)
    evaluated = EvaluatedPeople(inputs.people, items[held], unit, len(held))

    def score(rate: float) -> float:
        network = fit(start, inputs, items[rest], choices, rate, seed, device)
        return float(np.nan_to_num(pck_auc(errors_of(predict(network, inputs, items[held]), evaluated), unit.alpha)))

    rate = best_of(choices.rates, score)
    return fit(start, inputs, items, choices, rate, seed, device), f"learning rate {rate:g}"


def fit(
    start: ImageEncoder,
    inputs: PoseInputs,
    items: Indices,
    choices: KeypointChoices,
    rate: float,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> PoseNetwork:
    """A network trained from a copy of ``start`` on these people, in eval mode."""
    with own_random_state():
        seed_torch(hashed(seed, "pose-head"))
        network = _network(start, inputs, choices).to(device).train()
    size = min(choices.batch_size, max(2, len(items)))

    def loss(places: Indices, rng: np.random.Generator) -> Tensor:
        frames, truth = inputs.training(items[places], rng, device)
        return pose_loss(network, network(frames), truth)

    # "looks" is part of the seed: with another word the same seed would give other figures.
    decay = choices.weight_decay
    minimize(network, loss, len(items), size, choices.steps, rate, seed=seed, key="looks", weight_decay=decay)
    return network.eval()


@torch.no_grad()
def predict(network: PoseNetwork, inputs: PoseInputs, items: Indices) -> Floats:
    """Where the joints of some people are, in shares 0..1 of their squares: (items, joints, 2)."""
    device = next(network.head.parameters()).device
    found = [
        network.points(network(inputs.evaluation(items[first : first + BATCH]).to(device))).cpu().numpy()
        for first in range(0, len(items), BATCH)
    ]
    return np.concatenate(found).astype(np.float64)


def _network(start: ImageEncoder, inputs: PoseInputs, choices: KeypointChoices) -> PoseNetwork:
    encoder = copy.deepcopy(start).cpu()
    channels = {name: count for name, (count, _) in stage_channels(encoder, inputs.side).items()}
    strange = [name for name in choices.stages or () if name not in channels]
    if strange:
        raise UserError(f"the encoder has no stage called {strange[0]!r}; it has: {', '.join(channels)}")
    chosen = {name: count for name, count in channels.items() if choices.stages is None or name in choices.stages}
    # A heatmap of a quarter of the picture's side, as Xiao, Wu & Wei 2018 have it
    cells = max(16, inputs.side // 4)
    return PoseNetwork(encoder, chosen, len(inputs.people.skeleton.joints), cells, choices.width, not choices.finetune)


def keypoint_rows(
    found: Mapping[str, Sequence[Floats]],
    blind: Floats,
    evaluated: EvaluatedPeople,
    context: Context,
    notes: Mapping[str, str],
) -> list[ResultRow]:
    """The rows: of each start the mean, the area and the joints; then the blind ones; then the first start's gain.

    With one seed an interval is of the evaluated people; with several a value is the mean over seeds, and there is a
    row START/seedN each.

    Args:
        found: errors (people, evaluated joints) of each start, for each seed; ``blind`` are those of the mean pose.
        notes: a line on each start.
    """
    rows: list[ResultRow] = []
    for name, runs in found.items():
        each = [_figures(name, errors, blind, evaluated, context, notes.get(name, "")) for errors in runs]
        if len(runs) == 1:
            rows += each[0]
            continue
        for k, some in enumerate(each):
            seed = context.seed + k
            rows += [replace(row, name=f"{name}/seed{seed}", seed=seed) for row in some if row.name == name]
        rows += [mean_of_repeats([some[k] for some in each], "seeds") for k in range(len(each[0]))]
    note = f"the mean place of each joint in the square; {evaluated.note}"
    # The mean pose is itself the level of chance.
    rows += [replace(row, chance=None) for row in _figures(BLIND, blind, blind, evaluated, context, note)]
    first, *others = found
    if others:
        rows.append(_gain(first, found[first][0], others[0], found[others[0]][0], evaluated, context))
    return rows


def _figures(
    name: str, errors: Floats, blind: Floats, evaluated: EvaluatedPeople, context: Context, note: str
) -> list[ResultRow]:
    unit = evaluated.unit
    marks, areas = is_correct(errors, unit.alpha), joint_areas(errors, unit.alpha)
    groups, count, curve = evaluated.groups, len(errors), f"{unit.metric.split('@')[0]}-auc@0..{unit.alpha:g}"
    context = _of_people(context, evaluated)
    sizes: dict[str, Any] = {"n": count, "clusters": len(set(groups))}
    about = f"area under PCK for α from 0 to {unit.alpha:g} by {AUC_STEP:g}, divided by {unit.alpha:g}"
    mean, area = pck(errors, unit.alpha), pck_auc(errors, unit.alpha)
    levels = pck(blind, unit.alpha), pck_auc(blind, unit.alpha)
    of_mean, of_area = _wilson(marks, groups), _bootstrap(areas, groups, context, SHARE)
    rows = [
        context.row(name, unit.metric, mean, of_mean, chance=levels[0], note=note, method="wilson", **sizes),
        context.row(name, curve, area, of_area, chance=levels[1], note=about, **sizes),
    ]
    blind_marks = is_correct(blind, unit.alpha)
    for k, joint in enumerate(evaluated.joints):
        there = np.isfinite(errors[:, k])
        if there.any():
            owners = [(group,) for group, known in zip(groups, there, strict=True) if known]
            chance = float(blind_marks[there, k].mean())
            label = f"{name}/{joint.replace(' ', '-')}"
            rows.append(context.share_row(label, unit.metric, marks[there, k], owners, chance=chance))
    return rows


def _gain(
    name: str, ours: Floats, other: str, theirs: Floats, evaluated: EvaluatedPeople, context: Context
) -> ResultRow:
    """How much higher the first figure is on the same people; the bootstrap draws both alike."""
    alpha = evaluated.unit.alpha
    difference = is_correct(ours, alpha) - is_correct(theirs, alpha)
    return _of_people(context, evaluated).row(
        "gain",
        f"{evaluated.unit.metric}-difference",
        float(np.nanmean(difference)),
        _bootstrap(difference, evaluated.groups, context, DIFFERENCE),
        n=len(ours),
        clusters=len(set(evaluated.groups)),
        chance=0.0,
        note=f"{name} minus {other}",
    )


def _of_people(context: Context, evaluated: EvaluatedPeople) -> Context:
    groups = evaluated.groups
    return replace(context, unit="group" if len(set(groups)) < len(groups) else "person", listed=evaluated.listed)


def _wilson(marks: Floats, groups: Sequence[str]) -> tuple[float, float]:
    """Of the share of joints that are right: Wilson's on their effective number; on that of groups where all are alike,
    since then the correlation between the joints of a person, or the people of a film, is unknown."""
    return accuracy_interval(marks[np.isfinite(marks)], [(group,) for group in _members(marks, groups)])


def _bootstrap(values: Floats, groups: Sequence[str], context: Context, bounds: Bounds) -> tuple[float, float]:
    """Of the mean of the values (people, joints) that are there, whole groups drawn."""
    members = _members(values, groups)
    there = values[np.isfinite(values)]
    return cluster_bootstrap(there, members, draws=context.draws, seed=context.seed, bounds=bounds)


def _members(values: Floats, groups: Sequence[str]) -> list[str]:
    """The group of each value that is there, in the order of ``values[isfinite]``."""
    counts = np.isfinite(values).sum(1)
    return [group for group, count in zip(groups, counts, strict=True) for _ in range(count)]
