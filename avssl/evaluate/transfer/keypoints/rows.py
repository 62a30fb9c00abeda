"""Result rows of keypoints: the mean over joints, the area under its curve, each joint; chance is the mean pose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from avssl.evaluate.core.bootstrap_rows import mean_of_repeats
from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.scores import Context
from avssl.evaluate.core.statistics import DIFFERENCE, SHARE, Bounds, accuracy_interval, cluster_bootstrap
from avssl.evaluate.transfer.keypoints.pck import AUC_STEP, Floats, joint_areas, pck, pck_auc, right
from avssl.evaluate.transfer.keypoints.people_scored import BLIND, JudgedPeople


def keypoint_rows(
    found: Mapping[str, Sequence[Floats]],
    blind: Floats,
    judged: JudgedPeople,
    context: Context,
    notes: Mapping[str, str],
) -> list[ResultRow]:
    """The rows: of each start the mean, the area and the joints; then the blind ones; then the first start's gain.

    With one seed an interval is of the judged people; with several a value is the mean over seeds, and there
    is a row START/seedN each.

    Args:
        found: errors (people, judged joints) of each start, for each seed.
        blind: those of the mean pose.
        judged: whose errors they are.
        context: what all rows share.
        notes: a line on each start.
    """
    rows: list[ResultRow] = []
    for name, runs in found.items():
        each = [_figures(name, errors, blind, judged, context, notes.get(name, "")) for errors in runs]
        if len(runs) == 1:
            rows += each[0]
            continue
        for k, some in enumerate(each):
            seed = context.seed + k
            rows += [replace(row, name=f"{name}/seed{seed}", seed=seed) for row in some if row.name == name]
        rows += [mean_of_repeats([some[k] for some in each], "seeds") for k in range(len(each[0]))]
    note = f"the mean place of each joint in the square; {judged.note}"
    rows += [replace(row, chance=None) for row in _figures(BLIND, blind, blind, judged, context, note)]
    first, *others = found
    if others:
        rows.append(_gain(first, found[first][0], others[0], found[others[0]][0], judged, context))
    return rows


def _figures(
    name: str, errors: Floats, blind: Floats, judged: JudgedPeople, context: Context, note: str
) -> list[ResultRow]:
    unit = judged.unit
    marks, areas = right(errors, unit.alpha), joint_areas(errors, unit.alpha)
    common = ResultRow(
        name=name,
        metric=unit.metric,
        value=pck(errors, unit.alpha),
        low=0.0,
        high=0.0,
        n=len(errors),
        chance=pck(blind, unit.alpha),
        split="test",
        seed=context.seed,
        note=note,
        command=context.command,
        protocol=context.protocol,
        unit="group" if len(set(judged.groups)) < len(errors) else "person",
        clusters=len(set(judged.groups)),
        method="wilson",
        n_listed=judged.listed,
        n_used=len(errors),
    )
    low, high = _wilson(marks, judged.groups)
    area = replace(
        common,
        metric=f"{unit.metric.split('@')[0]}-auc@0..{unit.alpha:g}",
        value=pck_auc(errors, unit.alpha),
        chance=pck_auc(blind, unit.alpha),
        note=f"area under PCK for α from 0 to {unit.alpha:g} by {AUC_STEP:g}, divided by {unit.alpha:g}",
    )
    area_low, area_high = _bootstrap(areas, judged.groups, context, SHARE)
    rows = [replace(common, low=low, high=high), replace(area, low=area_low, high=area_high, method="bootstrap")]
    blind_marks = right(blind, unit.alpha)
    for k, joint in enumerate(judged.joints):
        there = np.isfinite(errors[:, k])
        if not there.any():
            continue
        low, high = _wilson(marks[:, k : k + 1], judged.groups)
        rows.append(
            replace(
                common,
                name=f"{name}/{joint.replace(' ', '-')}",
                value=float(marks[there, k].mean()),
                low=low,
                high=high,
                n=int(there.sum()),
                chance=float(blind_marks[there, k].mean()),
                note="",
                clusters=len({group for group, known in zip(judged.groups, there, strict=True) if known}),
                n_used=int(there.sum()),
            )
        )
    return rows


def _gain(name: str, ours: Floats, other: str, theirs: Floats, judged: JudgedPeople, context: Context) -> ResultRow:
    """How much higher the first figure is on the same people; the bootstrap draws both alike."""
    alpha = judged.unit.alpha
    difference = right(ours, alpha) - right(theirs, alpha)
    low, high = _bootstrap(difference, judged.groups, context, DIFFERENCE)
    return ResultRow(
        name="gain",
        metric=f"{judged.unit.metric}-difference",
        value=float(np.nanmean(difference)),
        low=low,
        high=high,
        n=len(ours),
        chance=0.0,
        split="test",
        seed=context.seed,
        note=f"{name} minus {other}",
        command=context.command,
        protocol=context.protocol,
        unit="group" if len(set(judged.groups)) < len(ours) else "person",
        clusters=len(set(judged.groups)),
        method="bootstrap",
        n_listed=judged.listed,
        n_used=len(ours),
    )


def _wilson(marks: Floats, groups: Sequence[str]) -> tuple[float, float]:
    """Of the share of joints that are right: Wilson's on their effective number; on that of groups where all are alike,
    since then nothing says how much the joints of a person, or the people of a film, tell the same."""
    return accuracy_interval(marks[np.isfinite(marks)], [(group,) for group in _members(marks, groups)])


def _bootstrap(values: Floats, groups: Sequence[str], context: Context, bounds: Bounds) -> tuple[float, float]:
    """Of the mean of the numbers (people, joints) that are there, whole groups drawn."""
    members = _members(values, groups)
    there = values[np.isfinite(values)]
    return cluster_bootstrap(there, members, draws=context.draws, seed=context.seed, bounds=bounds)


def _members(values: Floats, groups: Sequence[str]) -> list[str]:
    """The group of each number that is there, in the order of ``values[isfinite]``."""
    counts = np.isfinite(values).sum(1)
    return [group for group, count in zip(groups, counts, strict=True) for _ in range(count)]
