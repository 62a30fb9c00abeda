"""The page of a claim, its figure, and the list of all claims: text made from rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from avssl.evaluate.core.charts import INK, SOFT, TONES, blank_figure, dress, save_figure
from avssl.evaluate.core.rows import is_share
from avssl.experiment.claims.files import claim_files, read_claim
from avssl.experiment.claims.result import Reproduced, figure_words, scaled
from avssl.experiment.claims.verdict import Answered
from avssl.report.tables import console, fitted_table
from avssl.system.console import duration
from avssl.system.files import read_json, whole_file

if TYPE_CHECKING:
    from avssl.experiment.claims.options import Options

_MEANING = {
    "shown": "the interval lies above what was asked",
    "not shown": "the interval includes zero, or what was asked; more seeds, data or steps would be needed to tell",
    "against": "the interval lies below zero: here the opposite holds",
}


def write_page(made: Reproduced, options: Options) -> None:
    """Write ``page.md`` and ``figure.png`` into the folder of the claim."""
    draw(made.questions, made.folder / "figure.png")
    with whole_file(made.folder / "page.md", "w") as file:
        file.write(page(made, options))


def page(made: Reproduced, options: Options) -> str:
    """One page of Markdown."""
    claim, count = made.claim, options.seeds
    scale = claim.at(made.scale)
    root = f" --data-root {options.data_root}" if options.data_root else ""
    command = f"avssl reproduce {options.claim}{root} --scale {made.scale} --seeds {count}"
    parts = [
        f"# {claim.claim[0].upper()}{claim.claim[1:]}: {made.answer}",
        f"**Published.** {claim.published} *{claim.source}.* {claim.verified}",
        f"**Compared here.** {claim.compared} {count} {'seeds' if count > 1 else 'seed'} of everything that is "
        "random: weights, puzzles, order. The interval of a difference joins that over seeds with that over the "
        "evaluated items.",
        _table(made.questions),
        "![difference of each question, with its interval; a dot a seed](figure.png)",
        _answer(made),
    ]
    if claim.differs:
        parts.append(f"**Where this differs from the publication.** {claim.differs}")
    parts.append(
        f"Made by `{command}`; about {duration(60 * scale.minutes)} with three seeds. Every row behind it, with its "
        "command, is in `rows.json`."
    )
    return "\n\n".join(parts) + "\n"


def _table(questions: Sequence[Answered]) -> str:
    lines = ["| statement | difference (95 %) | seeds | answer |", "|---|---|---|---|"]
    for one in questions:
        seeds = ", ".join(scaled(value, one.metric) for value, _, _ in one.seeds)
        margin = f", by {scaled(one.margin, one.metric)} at least" if one.margin else ""
        lines.append(f"| {one.ask}{margin} | {figure_words(one)} | {seeds} | **{one.answer}** |")
    return "\n".join(lines)


def _answer(made: Reproduced) -> str:
    said = f"**{made.answer.capitalize()}**: {_MEANING[made.answer]}."
    if len(made.questions) > 1:
        counts = [sum(one.answer == answer for one in made.questions) for answer in _MEANING]
        said += " Of the statements " + ", ".join(
            f"{count} {'is' if count == 1 else 'are'} {answer}"
            for count, answer in zip(counts, _MEANING, strict=True)
            if count
        )
        said += "; the claim is shown if all of them are."
    sizes = made.claim.at(made.scale).sizes
    for ask, needed in made.needed.items():
        assert sizes is not None
        said += f" “{ask}”: "
        said += (
            f"if the difference goes on to grow as it did, {sizes.option} {needed:,.0f} would show it."
            if needed is not None
            else f"the difference does not grow with {sizes.option}, so that no size can be named."
        )
    return said


def draw(questions: Sequence[Answered], path: Path) -> None:
    """Each difference with its interval, and a dot a seed; shares and other figures have axes of their own."""
    kinds = [[one for one in questions if is_share(one.metric) is share] for share in (True, False)]
    groups = [group for group in kinds if group]
    # Inches: two lines of text a question, and an axis below each group.
    figure = blank_figure(7.2, 0.9 * len(groups) + 0.62 * len(questions))
    places = figure.subplots(len(groups), 1, squeeze=False, height_ratios=[len(group) + 1 for group in groups])
    for axes, group in zip(places[:, 0], groups, strict=True):
        factor = 100 if is_share(group[0].metric) else 1
        tone = {"shown": TONES["train"], "against": TONES["val"], "not shown": SOFT}
        for height, one in enumerate(reversed(group)):  # the axis counts upwards, and the first stands on top
            colour = tone[one.answer]
            axes.plot([factor * one.low, factor * one.high], [height, height], color=colour, linewidth=2.2)
            axes.plot([factor * one.value], [height], "D", color=colour, markersize=6)
            # Below the interval, which would hide them.
            axes.plot([factor * value for value, _, _ in one.seeds], [height - 0.2] * len(one.seeds), ".", color=SOFT)
            if one.margin:
                axes.plot([factor * one.margin] * 2, [height - 0.3, height + 0.3], color=INK, linewidth=1)
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_ylim(-0.6, len(group) - 0.4)
        axes.set_yticks(range(len(group)), [fill(one.ask, 36) for one in reversed(group)])
        axes.set_xlabel("points" if factor == 100 else group[0].metric, fontsize=8.5, color=SOFT, loc="right")
        dress(axes)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color="#eef1f4")
    save_figure(figure, path)


def listed(out: Path) -> list[dict[str, Any]]:
    """All claims with their last answers in a folder, as plain values."""
    found = []
    for name in claim_files():
        claim = read_claim(name)
        last = read_json(out / name / "answer.json") or {}
        found.append(
            {
                "name": name,
                "claim": claim.claim,
                "compared": claim.compared,
                "scales": {key: scale.minutes for key, scale in claim.scales.items()},
                "answer": last.get("answer", ""),
                "line": last.get("line", ""),
                "scale": last.get("scale", ""),
                "seeds": last.get("seeds", 0),
                "date": last.get("date", ""),
            }
        )
    return found


def print_list(out: Path) -> None:
    """Print them as a table."""
    found = listed(out)
    screen = console()
    between = "\n" if screen.is_terminal else ", "  # the claims want the width; elsewhere a claim is a line
    rows = []
    for one in found:
        last = (
            f"{one['answer']} ({one['scale']}, {one['seeds']} seeds, {one['date']})" if one["answer"] else "not run yet"
        )
        minutes = between.join(f"{key} {value:g} min" for key, value in one["scales"].items())
        rows.append([one["name"], one["claim"], minutes, last])
    screen.print(fitted_table(["name", "claim", "takes", "last answer"], rows, screen))
