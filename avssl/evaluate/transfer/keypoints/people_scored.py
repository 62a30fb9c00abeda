"""Who is evaluated on keypoints, in which unit, and the errors of predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avssl.errors import UserError
from avssl.evaluate.transfer.keypoints.pck import errors_in_units, head_unit
from avssl.evaluate.transfer.keypoints.people import Floats, Indices, People
from avssl.system.console import counted

# Name of the rows of the mean pose, which does not look
BLIND = "mean-pose"


@dataclass(frozen=True)
class Unit:
    """What errors are measured in."""

    name: str  # "torso" or "head"
    alpha: float  # the threshold, in units; a curve goes up to it

    @property
    def metric(self) -> str:
        """Name of the figure: pck@0.2, pckh@0.5."""
        return f"{'pckh' if self.name == 'head' else 'pck'}@{self.alpha:g}"

    def pixels(self, people: People) -> Floats:
        """The unit of each person in pixels, (people,); NaN where there is none."""
        return head_unit(people.head) if self.name == "head" else people.torso


def choose_unit(people: People, name: str | None = None, alpha: float | None = None) -> Unit:
    """The unit of this name; by itself the head box where any is known, with α = 0.5 (MPII), else the torso, 0.2.

    Raises:
        UserError: no person has it.
    """
    name = name or ("head" if np.isfinite(people.head).any() else "torso")
    unit = Unit(name, alpha or (0.5 if name == "head" else 0.2))
    if not (unit.pixels(people) > 0).any():
        what = "head box (MPII: in gt_NAME.mat or the .mat)" if name == "head" else "torso (left shoulder, right hip)"
        raise UserError(f"none of the {counted(len(people), 'person')} evaluated has a {what}; try another --unit")
    return unit


@dataclass(frozen=True)
class EvaluatedPeople:
    """The people that figures are of."""

    people: People  # all of them
    items: Indices  # indices of those that are evaluated
    unit: Unit
    listed: int  # how many there were, with those dropped for want of a unit

    @property
    def groups(self) -> list[str]:
        return [self.people.groups[i] for i in self.items]

    @property
    def joints(self) -> list[str]:
        """Names of the evaluated joints."""
        return [self.people.skeleton.joints[k] for k in self.people.skeleton.evaluated]

    @property
    def note(self) -> str:
        """What was dropped, in words."""
        missing = int(np.isnan(self.people.joints[self.items][:, self.people.skeleton.evaluated, 0]).sum())
        dropped = self.listed - len(self.items)
        what = "head box" if self.unit.name == "head" else "torso"
        return (
            f"{counted(missing, 'joint')} not annotated; {counted(dropped, 'person')} without {what} or joints dropped"
        )


def evaluated_people(people: People, items: Indices, unit: Unit) -> EvaluatedPeople:
    """Those of some people that have a unit and a joint to be evaluated.

    Raises:
        UserError: no person has one.
    """
    able = unit.pixels(people)[items] > 0
    able &= np.isfinite(people.joints[items][:, people.skeleton.evaluated, 0]).any(1)
    if not able.any():
        raise UserError(
            f"none of the {counted(len(items), 'person')} evaluated has what {unit.metric} is measured in; try --unit"
        )
    return EvaluatedPeople(people, items[able], unit, len(items))


def errors_of(points: Floats, evaluated: EvaluatedPeople) -> Floats:
    """Errors in units (people, evaluated joints) of predictions (people, joints, 2) in shares 0..1 of the squares."""
    people, items, joints = evaluated.people, evaluated.items, evaluated.people.skeleton.evaluated
    predicted = people.from_box(points, items)[:, joints]
    return errors_in_units(predicted, people.joints[items][:, joints], evaluated.unit.pixels(people)[items])


def mean_pose(people: People, items: Indices) -> Floats:
    """The mean place of each joint in the squares of some people: (joints, 2); the middle for one never annotated."""
    places = people.in_box[items]
    there = np.isfinite(places)
    counts = there.sum(0)
    return np.where(counts > 0, np.where(there, places, 0).sum(0) / np.maximum(counts, 1), 0.5)
