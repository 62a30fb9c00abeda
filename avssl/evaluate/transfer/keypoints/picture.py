"""A picture of keypoints: held-out people with the predicted skeleton beside the true one, and PCK over α."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avssl.evaluate.core.charts import INK, TONES, blank_figure, dress, save_figure
from avssl.evaluate.transfer.keypoints.pck import Floats, is_correct, pck_curve, thresholds
from avssl.evaluate.transfer.keypoints.people_scored import BLIND, EvaluatedPeople
from avssl.evaluate.transfer.keypoints.pose_augmentation import PoseInputs
from avssl.system.console import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 8
TRUE, PREDICTED = "#ffffff", "#ff8c1a"


def draw_keypoints(
    path: Path,
    title: str,
    inputs: PoseInputs,
    evaluated: EvaluatedPeople,
    points: Floats,
    errors: Mapping[str, Floats],
) -> None:
    """Write the picture of evaluated people.

    Args:
        points: predictions of the first start, (people, joints, 2) as shares of their squares.
        errors: by name, errors (people, evaluated joints) in units; the first is that of ``points``.
    """
    first = next(iter(errors.values()))
    shown = _spread(first)
    columns = max(1, -(-len(shown) // 2))
    figure = blank_figure(1.9 * columns + 4.6, 4.6)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    grid = figure.add_gridspec(2, columns + 1, width_ratios=[1.9] * columns + [4.4])
    for k, person in enumerate(shown):
        axes = figure.add_subplot(grid[k // columns, k % columns])
        _person(axes, inputs, evaluated, int(person), points[person], first[person])
    _curves(figure.add_subplot(grid[:, columns]), errors, evaluated)
    figure.supxlabel(
        "white: truth, orange: prediction; from the best to the worst of the people, with their share of joints right",
        fontsize=8.5, color=INK, x=0.01, ha="left",
    )  # fmt: skip
    save_figure(figure, path)


def _spread(errors: Floats) -> list[int]:
    """People at equal distances in the order of their mean error: the best and the worst are among them."""
    order = np.argsort(np.nanmean(errors, axis=1), kind="stable")
    places = np.linspace(0, len(order) - 1, min(SHOWN, len(order)))
    return [int(order[round(place)]) for place in places]


def _person(
    axes: Axes, inputs: PoseInputs, evaluated: EvaluatedPeople, person: int, points: Floats, errors: Floats
) -> None:
    item = evaluated.items[person]
    skeleton = inputs.people.skeleton
    frame = inputs.evaluation(evaluated.items[person : person + 1])[0].numpy().transpose(1, 2, 0)
    axes.imshow(frame, extent=(0, 1, 1, 0), interpolation="bilinear")
    truth = inputs.people.in_box[item]
    for places, colour in ((truth, TRUE), (points, PREDICTED)):
        _skeleton(axes, places, skeleton.limbs, colour)
    marks = is_correct(errors, evaluated.unit.alpha)
    axes.set_title(f"{np.nansum(marks):.0f} of {np.isfinite(marks).sum()}", fontsize=8.5, color=INK, pad=3)
    axes.set_xlim(0, 1)
    axes.set_ylim(1, 0)
    axes.axis("off")


def _skeleton(axes: Axes, places: Floats, limbs: Sequence[tuple[int, int]], colour: str) -> None:
    for a, b in limbs:
        pair = places[[a, b]]
        if np.isfinite(pair).all():
            # A dark line beneath, so that limbs are seen on any ground
            axes.plot(*pair.T, color="black", linewidth=2.6, alpha=0.5)
            axes.plot(*pair.T, color=colour, linewidth=1.3)
    across, down = places[np.isfinite(places).all(1)].T
    axes.scatter(across, down, s=9, color=colour, edgecolors="black", linewidths=0.5, zorder=3)


def _curves(axes: Axes, errors: Mapping[str, Floats], evaluated: EvaluatedPeople) -> None:
    unit = evaluated.unit
    alphas = thresholds(unit.alpha)
    colours = {"trained": TONES["train"], BLIND: TONES["chance"]}
    for number, (name, found) in enumerate(errors.items()):
        colour = colours.get(name, TONES["random" if name == "random" else f"other-{number % 4}"])
        style = (0, (5, 4)) if name == BLIND else "-"
        curve = 100 * pck_curve(found, alphas)
        axes.plot(alphas, curve, color=colour, linestyle=style, linewidth=1.8, label=f"{name}  {curve[-1]:.1f} %")
    what = "0.6 of the head box's diagonal" if unit.name == "head" else "sizes of the torso"
    axes.set_xlabel(f"α, in {what}", fontsize=9, color=INK)
    axes.set_ylabel(f"joints within α, % ({counted(len(evaluated.items), 'person')})", fontsize=9, color=INK)
    axes.set_xlim(0, unit.alpha)
    axes.set_ylim(0, 100)
    dress(axes)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False,
        fontsize=8.5, labelcolor=INK, columnspacing=1.2, handlelength=1.6, borderaxespad=0.2,
    )  # fmt: skip
