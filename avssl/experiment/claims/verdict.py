"""What several seeds say to a question, and the questions to a claim: by intervals over seeds and data together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from avssl.evaluate.core.statistics import t_interval, widened

Answer = Literal["shown", "not shown", "against"]

# (value, low, high): a figure, or a difference of two, with its 95 % interval
Measured = tuple[float, float, float]


@dataclass(frozen=True)
class Answered:
    """A question with its answer.

    Attributes:
        ask: the question.
        metric: of the figures.
        seeds: the difference of each seed, with its interval over the evaluated items.
        value, low, high: over seeds and items together.
        margin: by how much the difference should be above zero.
        answer: "shown" if the interval lies above the margin, "against" if it lies below zero, else "not shown"; of
            one seed always that, since nothing is known of others.
    """

    ask: str
    metric: str
    seeds: Sequence[Measured]
    value: float
    low: float
    high: float
    margin: float
    answer: Answer


def difference(better: Measured, worse: Measured | None) -> Measured:
    """How much larger one figure is than another; by MOVER (see :func:`widened`) as if their items were others.

    Figures of the same items vary together, so that this interval is too wide rather than too narrow; where an
    evaluation makes rows of the difference itself, they are the sharper question.
    """
    if worse is None:
        return better
    value = better[0] - worse[0]
    # Of the second the ends are exchanged: where it is high, the difference is low.
    turned = -worse[0], -worse[2], -worse[1]
    return value, *widened(value, better, turned)


def answered(ask: str, metric: str, seeds: Sequence[Measured], margin: float = 0.0) -> Answered:
    """The answer of the seeds: the mean of their differences.

    The interval joins Student's over the seeds with the mean interval over the items. All seeds are evaluated on the
    same items, so that their share of the error does not become smaller with more seeds.

    Args:
        ask, metric: of the question.
        seeds: the difference of each.
        margin: by how much it should be above zero.
    """
    values = [value for value, _, _ in seeds]
    mean = math.fsum(values) / len(values)
    below = math.fsum(value - low for value, low, _ in seeds) / len(seeds)
    above = math.fsum(high - value for value, _, high in seeds) / len(seeds)
    low, high = widened(mean, (mean, mean - below, mean + above), (mean, *t_interval(values)))
    answer: Answer = "not shown"
    if len(seeds) > 1 and (low > margin or high < 0):
        answer = "shown" if low > margin else "against"
    return Answered(ask, metric, list(seeds), mean, low, high, margin, answer)


def answer_of(questions: Sequence[Answered]) -> Answer:
    """Of a claim: "shown" if each of its questions is, "against" if one of them is, else "not shown"."""
    answers = {question.answer for question in questions}
    return "against" if "against" in answers else "not shown" if "not shown" in answers else "shown"


def size_needed(points: Sequence[tuple[float, float]], half_width: float, margin: float) -> float | None:
    """The size at which a difference would stand clear of the margin, if it goes on as it began.

    A straight line through the differences over the logarithm of the size, by least squares.

    Args:
        points: (size, difference), three at least.
        half_width: how far the interval reaches below the difference.
        margin: which it must stay above.

    Returns:
        the size; None where the difference does not grow, or there are fewer than three sizes.
    """
    if len(points) < 3:  # a line through two points fits whatever they are
        return None
    xs, ys = [math.log(size) for size, _ in points], [value for _, value in points]
    x, y = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    spread = math.fsum((one - x) ** 2 for one in xs)
    slope = math.fsum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / spread if spread else 0.0
    if slope <= 0:
        return None
    return math.exp(x + (margin + half_width - y) / slope)
