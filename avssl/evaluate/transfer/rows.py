"""Rows of encoders under the head of another task: each initialisation, blind baselines, and the gain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from avssl.evaluate.core.rows import Context, Draws, ResultRow, over_seeds
from avssl.evaluate.core.statistics import Bounds

# Of each metric its value, and the same of each draw of a bootstrap, (draws,)
Figures = Mapping[str, tuple[float, Draws]]


def transfer_rows(
    context: Context,
    starts: Mapping[str, Sequence[Figures]],
    blind: Mapping[str, Figures],
    chance: Mapping[str, float],
    notes: Mapping[str, str],
    bounds: Callable[[str], Bounds],
    gain_note: str = "",
    **sizes: int,
) -> list[ResultRow]:
    """Rows of each start (see :func:`over_seeds`), of blind baselines, and "gain": the first start minus the second
    with the first seed; none of one start alone.

    Args:
        starts: figures for each seed, by the name of the row; all metrics of ``chance``.
        blind: figures of what does not look, by the name of the row.
        chance: by metric.
        notes: a line on each row name.
        bounds: smallest and largest value of a metric, whose differences reach as far either way.
        gain_note: behind the names of the two starts.
        sizes: n, clusters, listed and used, of all rows.
    """
    rows: list[ResultRow] = []
    for name, runs in starts.items():
        for metric, level in chance.items():
            of_metric = [
                context.drawn_row(
                    name, metric, *figures[metric], bounds=bounds(metric), chance=level, note=notes[name],
                    seed=context.seed + k, **sizes,
                )
                for k, figures in enumerate(runs)
            ]  # fmt: skip
            rows += over_seeds(of_metric, bounds(metric))
    for name, figures in blind.items():
        for metric, (value, drawn) in figures.items():
            note = notes[name]
            rows.append(context.drawn_row(name, metric, value, drawn, bounds=bounds(metric), note=note, **sizes))
    first, *others = starts
    if not others:
        return rows
    # Of the first seed: both were drawn the same pictures, which makes the difference paired
    ours, theirs = starts[first][0], starts[others[0]][0]
    note = f"{first} minus {others[0]}" + (", first seed" if len(starts[first]) > 1 else "") + gain_note
    for metric, (value, drawn) in ours.items():
        largest = bounds(metric)[1]
        # The difference of each draw, in which both have the same pictures: what they share does not widen it.
        rows.append(
            context.drawn_row(
                "gain", f"{metric}-difference", value - theirs[metric][0], drawn - theirs[metric][1],
                bounds=(-largest, largest), chance=0.0, note=note, **sizes,
            )
        )  # fmt: skip
    return rows
