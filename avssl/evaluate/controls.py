"""Controls: what must stay at chance, trained on the same puzzles and judged on the same held-out ones."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType

import torch
from torch import nn

from avssl.evaluate.judging import accuracy_row, held_out_keys, judge
from avssl.evaluate.rows import ResultRow
from avssl.evaluate.statistics import SHARE, t_interval
from avssl.media.facts import Media
from avssl.media.readable import on_readable
from avssl.samplers.keys import generator
from avssl.tasks.base import Task
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan

PROTOCOLS = {
    "av-correspondence": "avssl.evaluate.correspondence",
    "shuffle-learn": "avssl.evaluate.shuffle_learn",
    "colorization": "avssl.evaluate.colorization",
    "inpainting": "avssl.evaluate.inpainting",
}
"""Task → the module that judges it; a task that is not here and has classes is judged by plain accuracy.

``evaluate(task, networks, media, *, pairs, seed, device, command)`` gives the rows of each network by name, and of
what needs no network (a ceiling, the constant answer). ``evaluate_control``, where there is one, takes the same and
judges a control; without it a control's accuracy is taken.
"""

NOTES = {
    "trained": "the network that was trained",
    "untrained": "the same network with random weights",
    "vision-only": "sees the picture, hears nothing",
    "audio-only": "hears the sound, sees nothing",
    "shuffled-labels": "trained on answers drawn at random",
    "single-frame": "sees the middle frame alone",
    "outer-frames": "sees the outer frames alone",
}


SHUFFLED = "shuffled-labels"
_MORE_NETWORKS = 3


def run_controls(
    task: Task,
    network: nn.Module,
    train: Media,
    test: Media,
    options: TrainOptions,
    *,
    steps: int,
    pairs: int = 1024,
    device: torch.device | str = "cpu",
    command: str = "",
    say: Callable[[str], None] = print,
) -> list[ResultRow]:
    """Train each control of ``task`` for ``steps`` steps and judge all on held-out puzzles.

    Args:
        task: as trained, with its statistics.
        network: as trained.
        train, test: what the controls learn from, and what all are judged on.
        options: of the training; the controls take the same batches, rate and seed.
        steps: optimizer steps of each control; 0 trains none of them.
        pairs: held-out puzzles.

    Returns:
        rows named "trained", "untrained" and by the task's controls; the trained network's first.
    """
    skip = options.on_bad_file == "skip"
    judged = {"trained": network, "untrained": untrained(task, options.seed)}

    def evaluated(part: Media) -> list[ResultRow]:
        return evaluate_trained(task, judged, part, pairs=pairs, seed=options.seed, device=device, command=command)

    rows = on_readable(test, evaluated, skip=skip, say=say)
    if not steps:
        return rows
    for name, variant in task.controls().items():
        say(f"control {name}: {steps} steps; it must stay at chance")
        brief = replace(
            options,
            steps=steps,
            epochs=None,
            minutes=None,
            keep="last",
            warmup_steps=min(options.warmup_steps, steps // 5),
        )

        def trained(
            seed: int, name: str = name, variant: Task = variant, brief: TrainOptions = brief
        ) -> list[ResultRow]:
            network = fit([TaskPlan(variant, train)], replace(brief, seed=seed), None).networks[variant.name]

            def control(part: Media) -> list[ResultRow]:
                return _judge_control(name, variant, network, part, pairs, options.seed, device, command)

            return on_readable(test, control, skip=skip, say=say)

        found = trained(options.seed)
        if name == SHUFFLED and any(row.chance is not None and not row.holds_chance for row in found):
            say(f"control {name}: not at chance, perhaps by luck; {_MORE_NETWORKS} more will tell")
            more = [trained(generator(options.seed, name, k).integers(2**31).item()) for k in range(_MORE_NETWORKS)]
            found = [mean_row(each) for each in zip(found, *more, strict=True)]
        rows += found
    return [replace(row, note=row.note or NOTES.get(row.name, "")) for row in rows]


def evaluate_trained(
    task: Task,
    networks: dict[str, nn.Module],
    test: Media,
    *,
    pairs: int,
    seed: int,
    device: torch.device | str = "cpu",
    command: str = "",
) -> list[ResultRow]:
    """The rows of a task's own protocol, or plain held-out accuracy."""
    protocol = _protocol(task)
    if protocol is not None:
        found: list[ResultRow] = protocol.evaluate(
            task, networks, test, pairs=pairs, seed=seed, device=device, command=command
        )
        return found
    rows = []
    for name, network in networks.items():
        rows += judge_one(name, task, network, test, pairs, seed, device, command)
    return rows


def _judge_control(
    name: str,
    task: Task,
    network: nn.Module,
    test: Media,
    pairs: int,
    seed: int,
    device: torch.device | str,
    command: str,
) -> list[ResultRow]:
    own = getattr(_protocol(task), "evaluate_control", None)
    if own is None:
        return judge_one(name, task, network, test, pairs, seed, device, command)
    rows: list[ResultRow] = own(task, {name: network}, test, pairs=pairs, seed=seed, device=device, command=command)
    return rows


def _protocol(task: Task) -> ModuleType | None:
    return importlib.import_module(PROTOCOLS[task.name]) if task.name in PROTOCOLS else None


def judge_one(
    name: str,
    task: Task,
    network: nn.Module,
    test: Media,
    pairs: int,
    seed: int,
    device: torch.device | str,
    command: str,
) -> list[ResultRow]:
    """The held-out accuracy of one network."""
    if task.classes is None:
        return []
    judgement = judge(task.held_out(), [network], test, held_out_keys(seed, pairs), device=device)[0]
    return [accuracy_row(name, judgement, chance=1 / task.classes, seed=seed, command=command, protocol=task.name)]


def mean_row(rows: Sequence[ResultRow]) -> ResultRow:
    """The mean of one figure over networks, with Student's interval for the mean of such networks.

    A network taught random answers is a random function, and what it says is no accident of sampling: over many
    puzzles it may lie above or below chance by more than the interval over puzzles. Their mean may not.
    """
    values = [row.value for row in rows]
    low, high = t_interval(values, SHARE if rows[0].method == "wilson" else None)
    note = f"{NOTES.get(rows[0].name, rows[0].note)}; mean of {len(rows)} networks"
    value = sum(values) / len(values)
    return replace(rows[0], value=value, low=low, high=high, note=note, unit="network", clusters=len(rows), method="t")


def _beats_chance(row: ResultRow) -> bool:
    return row.chance is not None and row.low > row.chance


def untrained(task: Task, seed: int) -> nn.Module:
    """The task's network with random weights, which depend on the seed alone."""
    state = torch.random.get_rng_state()
    try:
        torch.manual_seed(int(generator(seed, "untrained").integers(2**62)))
        return task.network(task.make_encoders())
    finally:
        torch.random.set_rng_state(state)


def verdict(rows: Sequence[ResultRow]) -> str:
    """One sentence for people: what was learned, and whether a control says that the puzzle leaks.

    Empty where the trained network has no row with a chance to compare with.
    """
    trained = next((row for row in rows if row.name == "trained" and row.chance is not None), None)
    if trained is None:
        return ""
    chance = trained.chance or 0.0
    own = ("trained", "untrained", "ceiling", "constant")
    controls = [row for row in rows if row.name not in own and row.metric == trained.metric and row.chance is not None]
    leaks = [row.name for row in controls if _beats_chance(row)]
    learned = "is above chance" if trained.low > chance else "is NOT above chance"
    interval = f"{trained.value:.1%} ({trained.low:.1%} to {trained.high:.1%})"
    text = f"Held-out {trained.metric} {interval} {learned} ({chance:.0%})."
    if leaks:
        return f"{text} Beware: {' and '.join(leaks)} beat chance, so the puzzle leaks its answer."
    if {"vision-only", "audio-only"} & {row.name for row in controls}:
        return f"{text} No control beats chance: neither modality alone gives the answer away."
    if controls:
        return f"{text} No control beats chance."
    return text
