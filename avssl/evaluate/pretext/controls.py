"""Controls: trainings that must stay at chance, on the same puzzles and evaluated on the same held-out ones."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType

import torch
from torch import nn

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.statistics import FEW, SHARE, t_interval
from avssl.evaluate.pretext.predictions import HeldOut, accuracy_row
from avssl.media.facts import Media
from avssl.media.skip_bad_files import on_readable
from avssl.samplers.keys import generator
from avssl.system.console import counted, log
from avssl.tasks.base import Task
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan
from avssl.trainer.seeds import own_random_state, seed_torch

# Task → the module that evaluates it; a task that is not here and has classes is evaluated by plain accuracy.
# ``evaluate(task, networks, held_out)`` gives the rows of each network by name, and of what needs no network (a
# ceiling, the constant answer). ``evaluate_control``, where there is one, takes the same and evaluates a control;
# without it a control's accuracy is taken, and where there are no classes the rows of its own name.
PROTOCOLS = {
    "av-correspondence": "avssl.evaluate.pretext.correspondence",
    "av-instance": "avssl.evaluate.pretext.correspondence",
    "av-sync": "avssl.evaluate.pretext.synchronization",
    "shuffle-learn": "avssl.evaluate.pretext.shuffle_learn",
    "colorization": "avssl.evaluate.pretext.colorization",
    "inpainting": "avssl.evaluate.pretext.inpainting",
    "instance-contrast": "avssl.evaluate.pretext.instance_contrast",
    "video-colorization": "avssl.evaluate.pretext.video_colorization",
    "frame-filling": "avssl.evaluate.pretext.frame_filling",
}

NOTES = {
    "trained": "the network that was trained",
    "untrained": "the same network with random weights",
    "vision-only": "sees the picture, hears nothing",
    "audio-only": "hears the sound, sees nothing",
    "shuffled-labels": "trained on answers drawn at random",
    "single-frame": "sees the middle frame alone",
    "outer-frames": "sees the outer frames alone",
    "one-neighbour": "sees the earlier neighbour alone",
}


SHUFFLED = "shuffled-labels"
Evaluate = Callable[[Task, dict[str, nn.Module], HeldOut], list[ResultRow]]
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
) -> list[ResultRow]:
    """Train each control of a trained task for ``steps`` steps (0: none) and evaluate all on so many held-out puzzles.

    The controls take the same batches, rate and seed as the training.

    Returns:
        rows named "trained", "untrained" and by the task's controls; the trained network's first.
    """
    skip = options.on_bad_file == "skip"
    networks = {"trained": network, "untrained": untrained(task, options.seed)}

    def held_out(part: Media) -> HeldOut:
        return HeldOut(part, pairs, options.seed, device, command)

    log(f"evaluating on {counted(len(test), 'item')}, beside random weights")
    rows = on_readable(test, lambda part: evaluate_trained(task, networks, held_out(part)), skip=skip)
    if not steps:
        return rows
    for name, variant in task.controls().items():
        log(f"control {name}: {counted(steps, 'step')}; it must stay at chance")
        brief = replace(
            options,
            steps=steps,
            epochs=None,
            minutes=None,
            keep="last",
            # A control of few steps must not spend all of them on warming up.
            warmup_steps=min(options.warmup_steps, steps // 5),
        )

        # The defaults hold what the loop has now; it has gone on before some of these are called.
        def trained(
            seed: int, name: str = name, variant: Task = variant, brief: TrainOptions = brief
        ) -> list[ResultRow]:
            network = fit([TaskPlan(variant, train)], replace(brief, seed=seed), None).networks[variant.name]
            return on_readable(test, lambda part: evaluate_control(variant, {name: network}, held_out(part)), skip=skip)

        found = trained(options.seed)
        # One network of random labels may lie off chance by itself, see mean_row; several tell that from a leak.
        if name == SHUFFLED and any(_off_chance(variant, row) for row in found):
            log(f"control {name}: not at chance, perhaps by chance variation; training {_MORE_NETWORKS} more")
            more = [trained(generator(options.seed, name, k).integers(2**31).item()) for k in range(_MORE_NETWORKS)]
            found = [mean_row(each) for each in zip(found, *more, strict=True)]
        rows += found
    return [replace(row, note=row.note or NOTES.get(row.name, "")) for row in rows]


def evaluate_trained(task: Task, networks: dict[str, nn.Module], held_out: HeldOut) -> list[ResultRow]:
    """The rows of a task's own protocol, or plain held-out accuracy."""
    evaluate: Evaluate = getattr(_protocol(task), "evaluate", held_out_accuracy)
    return evaluate(task, networks, held_out)


def evaluate_control(task: Task, networks: dict[str, nn.Module], held_out: HeldOut) -> list[ResultRow]:
    """The rows of a control by the task's own protocol, or plain held-out accuracy."""
    if task.classes is None:
        return [row for row in evaluate_trained(task, networks, held_out) if row.name.split("/")[0] in networks]
    evaluate: Evaluate = getattr(_protocol(task), "evaluate_control", held_out_accuracy)
    return evaluate(task, networks, held_out)


def held_out_accuracy(task: Task, networks: dict[str, nn.Module], held_out: HeldOut) -> list[ResultRow]:
    """The held-out accuracy of each network; none of a task without classes."""
    if task.classes is None:
        return []
    found = zip(networks, held_out.predictions(task, networks), strict=True)
    context, chance = held_out.context(task.name), 1 / task.classes
    return [accuracy_row(name, predictions, context, chance=chance) for name, predictions in found]


def _protocol(task: Task) -> ModuleType | None:
    return importlib.import_module(PROTOCOLS[task.name]) if task.name in PROTOCOLS else None


def mean_row(rows: Sequence[ResultRow]) -> ResultRow:
    """The mean of one figure over networks, with Student's interval for the mean of such networks.

    A network trained on random labels is a random function, and its deviation is no accident of sampling: over many
    puzzles it may lie above or below chance by more than the interval over puzzles. Their mean may not.
    """
    values = [row.value for row in rows]
    low, high = t_interval(values, SHARE if rows[0].method == "wilson" else None)
    note = f"{NOTES.get(rows[0].name, rows[0].note)}; mean of {len(rows)} networks"
    value = sum(values) / len(values)
    return replace(rows[0], value=value, low=low, high=high, note=note, unit="network", clusters=len(rows), method="t")


def _off_chance(control: Task, row: ResultRow) -> bool:
    """Whether a control is not at chance; where chance is the best that knowing nothing gives, whether it is above."""
    if getattr(_protocol(control), "CHANCE_IS_HIGHEST", False):
        return _beats_chance(row)
    return row.chance is not None and not row.holds_chance


def _beats_chance(row: ResultRow) -> bool:
    return row.chance is not None and row.low > row.chance


def untrained(task: Task, seed: int) -> nn.Module:
    """The task's network with random weights, which depend on the seed alone."""
    with own_random_state():
        seed_torch(int(generator(seed, "untrained").integers(2**62)))
        return task.network(task.make_encoders())


def verdict(rows: Sequence[ResultRow]) -> str:
    """What was learned, on how many sources that rests, and whether a control shows that the puzzle leaks.

    It begins with what spoils the figure: test sources that were trained on. Below ``FEW`` sources it hedges, and
    says of controls at chance that they could not tell: no more is claimed of them than their intervals allow.
    Empty where the trained network has no row with a chance to compare with.
    """
    trained = next((row for row in rows if row.name == "trained" and row.chance is not None), None)
    if trained is None:
        return ""
    controls = [row for row in rows if row.name not in _OWN and row.metric == trained.metric and row.chance is not None]
    return " ".join(part for part in (_seen(trained), _learned(trained), _leaks(trained, controls)) if part)


# Not controls: some of them may well be above chance
_OWN = ("trained", "untrained", "ceiling", "constant", "majority-class", "mean-colour", "colour-histogram")


def _seen(trained: ResultRow) -> str:
    if not trained.seen:
        return ""
    return (
        f"{trained.seen} of the {trained.sources} test sources were trained on: this is not a held-out figure and does "
        "not show how it does on new sources."
    )


def _learned(trained: ResultRow) -> str:
    few = _few(trained)
    name = trained.metric.capitalize() if trained.seen else f"Held-out {trained.metric}"
    interval = f"{trained.value:.1%} ({trained.low:.1%} to {trained.high:.1%})"
    sources = counted(trained.clusters, "source")
    on = f" on {'only ' if few else ''}{sources}" if trained.clusters else ""
    known, hedge = "is above chance" if _beats_chance(trained) else "is NOT above chance", ""
    if few and _beats_chance(trained):
        known, hedge = "seems to be above chance", ": with so few sources a hint, not a proof"
    elif few:
        known, hedge = "is NOT shown to be above chance", ": so few sources can hide what was learned"
    return f"{name} {interval}{on} {known} ({trained.chance or 0.0:.0%}){hedge}."


def _leaks(trained: ResultRow, controls: Sequence[ResultRow]) -> str:
    """What the controls show; nothing is claimed of one that could not have shown a leak."""
    leaks = [row.name for row in controls if _beats_chance(row)]
    if leaks:
        return f"Beware: {' and '.join(leaks)} beat chance, so the puzzle leaks its answer."
    if not controls:
        return ""
    modalities = bool({"vision-only", "audio-only"} & {row.name for row in controls})
    what = "one modality alone gives the answer away" if modalities else "the puzzle leaks its answer"
    if any(_few(row) for row in [trained, *controls]):
        return f"No control beats chance, but these are too few sources to tell whether {what}."
    blind = [
        f"{row.name} by up to {row.high - (row.chance or 0):.0%}" for row in controls if not _could_show(row, trained)
    ]
    if blind:
        return f"No control beats chance, but {' and '.join(blind)} might: too few sources to tell whether {what}."
    return "No control beats chance" + (": neither modality alone gives the answer away." if modalities else ".")


def _few(row: ResultRow) -> bool:
    return row.unit != "network" and 0 < row.clusters < FEW


def _could_show(control: ResultRow, trained: ResultRow) -> bool:
    """Whether the interval of a control at chance leaves less than half of what was learned to a leak.

    Where nothing is known to be learned there is nothing to be explained by one.
    """
    if not _beats_chance(trained):
        return True
    chance = control.chance or 0.0
    return control.high - chance < max((trained.value - (trained.chance or 0.0)) / 2, _SLIGHT)


# A leak of so many points is none that matters: a network that learned little must not ask more of its controls
_SLIGHT = 0.05
