"""Result rows of keypoints: the mean over joints, the area under its curve, each joint; chance is the mean pose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from avssl.evaluate.core.rows import Context, ResultRow, mean_of_repeats
from avssl.evaluate.core.statistics import DIFFERENCE, SHARE, Bounds, accuracy_interval, cluster_bootstrap
from avssl.evaluate.transfer.keypoints.pck import AUC_STEP, Floats, joint_areas, pck, pck_auc, right
from avssl.evaluate.transfer.keypoints.people_scored import BLIND, EvaluatedPeople


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
    marks, areas = right(errors, unit.alpha), joint_areas(errors, unit.alpha)
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
    blind_marks = right(blind, unit.alpha)
    for k, joint in enumerate(evaluated.joints):
        there = np.isfinite(errors[:, k])
        if there.any():
            rows.append(
                context.row(
                    f"{name}/{joint.replace(' ', '-')}",
                    unit.metric,
                    float(marks[there, k].mean()),
                    _wilson(marks[:, k : k + 1], groups),
                    n=int(there.sum()),
                    clusters=len({group for group, known in zip(groups, there, strict=True) if known}),
                    chance=float(blind_marks[there, k].mean()),
                    method="wilson",
                )
            )
    return rows


def _gain(
    name: str, ours: Floats, other: str, theirs: Floats, evaluated: EvaluatedPeople, context: Context
) -> ResultRow:
    """How much higher the first figure is on the same people; the bootstrap draws both alike."""
    alpha = evaluated.unit.alpha
    difference = right(ours, alpha) - right(theirs, alpha)
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
