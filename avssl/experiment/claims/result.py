"""What came out of a claim, and how its figures are said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avssl.evaluate.core.rows import is_share
from avssl.experiment.claims.files import Claim
from avssl.experiment.claims.verdict import Answer, Answered


@dataclass(frozen=True)
class Reproduced:
    """What came out.

    Attributes:
        claim: what was reproduced.
        scale: at which size.
        questions: with their answers.
        answer: of the claim.
        needed: by question, the size at which it would be shown by the trend; only of those not shown.
        folder: with ``rows.json``, ``answer.json``, ``figure.png`` and ``page.md``.
    """

    claim: Claim
    scale: str
    questions: Sequence[Answered]
    answer: Answer
    needed: Mapping[str, float | None]
    folder: Path

    def line(self) -> str:
        """The answer in one line."""
        chosen = [one for one in self.questions if one.answer == self.answer] or self.questions
        seeds = len(self.questions[0].seeds)
        over = f"{seeds} seeds" if seeds > 1 else "one seed, which says nothing of others"
        return f"{self.answer}: {self.claim.claim} ({chosen[0].ask}: {figure_words(chosen[0])}; {over})"


def scaled(value: float, metric: str) -> str:
    """A difference with its sign: of shares in points (per cent of the whole), else as it is."""
    return f"{100 * value:+.1f}" if is_share(metric) else f"{value:+.3g}"


def figure_words(one: Answered) -> str:
    """ "+6.1 points (4.0 to 8.2)"."""
    unit = " points" if is_share(one.metric) else f" {one.metric}"
    value, low, high = (scaled(x, one.metric) for x in (one.value, one.low, one.high))
    return f"{value}{unit} ({low.removeprefix('+')} to {high.removeprefix('+')})"
