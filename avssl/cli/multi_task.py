"""``avssl train multi-task``: several tasks on the same encoders, each with its own head, data and options."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from avssl.cli.options import BUDGET, Command, Values, options_of
from avssl.cli.train_options import add_common, settle_sources, settled
from avssl.errors import UserError
from avssl.experiment.data import DataOptions, Opened, Say, opened, prepared
from avssl.experiment.options import COMMON, absolute, defaults_of, open_folder
from avssl.experiment.training import Job, train_jobs
from avssl.system.console import say
from avssl.tasks.registry import get, names

if TYPE_CHECKING:
    from avssl.tasks.base import Task

MULTI_TASK = "multi-task"
SUMMARY = "several tasks on the same encoders, in turn or together"
WHAT = """Train several pretext tasks on the same encoders: one for pictures, one for sound, whoever needs them.
Each task has its own head, which is put on for its batches, and its own options: flags with the task's
name before them (--relative-position.gap 8), or a section of the YAML file:

  tasks: [relative-position, colorization]
  steps: 2000                     # of all tasks together where they alternate
  data: photos/                   # of all tasks; a section may name other data
  relative-position:
    gap: 8
  colorization:
    side: 64

`avssl train TASK --help` lists the options of a task. A shared encoder is built as the first task named
says. With --init RUN it starts as another run left it: train a task, then others from there.
The same command again continues a run that was stopped, or says that it is finished."""
EXAMPLE = """  avssl train multi-task --tasks shuffle-learn,av-correspondence --minutes 10
  avssl train multi-task --tasks relative-position,colorization --data photos/ --mix joint --weights 1,0.5
  avssl train multi-task --tasks rotation,av-correspondence --rotation.data photos/ --av-correspondence.data videos/
  avssl show relative-position --run runs/multi-task                 the answers of one of them"""


@dataclass(frozen=True)
class MultiTaskOptions:
    """How the tasks go together."""

    tasks: tuple[str, ...] = field(
        default=(), metadata={"help": "the tasks, two or more; the first builds the encoders"}
    )
    mix: Literal["alternating", "joint"] = field(
        default="alternating",
        metadata={"help": "a batch of one task a step in turn, or of every task at every step, gradients summed"},
    )
    weights: tuple[float, ...] = field(
        default=(),
        metadata={
            "help": "one a task: alternating tasks take turns in this proportion, joint losses are multiplied by it; "
            "without it all are alike"
        },
    )
    statistics: Literal["own", "shared"] = field(
        default="own",
        metadata={
            "help": "running statistics of a shared encoder's batch norms: each task's own, or mixed over all, "
            "which fit none in evaluation; encoders with norm group have none"
        },
    )
    all_grey: bool = field(
        default=False,
        metadata={"help": "every task's pictures in grey, so that those with colour look like those without"},
    )
    by_chance: bool = field(
        default=True, metadata={"help": "divide each loss by what knowing nothing costs, so that all start near 1"}
    )


@dataclass(frozen=True)
class Section:
    """One task of a multi-task training: its class, its options, and the data options that are its own."""

    kind: type[Task]
    values: Values

    def config(self) -> dict[str, Any]:
        """As the section of ``config.yaml``."""
        own_data = {f.name for f in fields(DataOptions)} & self.values.given
        names = [f.name for f in fields(self.kind.Options)]
        return absolute({name: self.values[name] for name in [*names, *sorted(own_data)]})


def run(argv: Sequence[str]) -> None:
    """Train several tasks."""
    own, of_tasks = _divided(argv)
    values = command_of().parse(
        own, config="config", extra_keys=["task", *(name.replace("-", "_") for name in names())]
    )
    if values["task"] not in (None, MULTI_TASK):
        raise UserError(
            f"{values['config']} is of the task {values['task']}; train it with: avssl train {values['task']}"
        )
    weights = _weights(values)
    out, defaults = Path(values["out"] or f"runs/{MULTI_TASK}"), defaults_of(MultiTaskOptions, *COMMON)
    settle_sources(values, out, defaults)
    sections = [_section(name, values, of_tasks.pop(name, [])) for name in values["tasks"]]
    _share_encoder(sections)
    if of_tasks:
        raise UserError(f"--{min(of_tasks)}.… is said of a task that is not among --tasks {','.join(values['tasks'])}")
    options, control = settled(values)
    config = config_of(values, sections)
    for section in sections:
        defaults |= defaults_of(section.kind.Options, section=section.kind.name)
    with ExitStack() as stack:
        opened = open_folder(out, config, stack, defaults) if (out / "config.yaml").exists() else None
        jobs = _jobs(sections, weights, values["all_grey"], options.seed, control.controls)
        folder = opened or open_folder(out, config, stack, defaults)
        from avssl.trainer.plan import Sharing

        sharing = Sharing(values["mix"], values["statistics"] == "own", values["by_chance"])
        command = shlex.join(["avssl", "train", MULTI_TASK, *argv])
        train_jobs(jobs, options, control, folder, command, sharing=sharing, init=values["init"])


def command_of() -> Command:
    """The command line of ``avssl train multi-task``."""
    command = Command(f"avssl train {MULTI_TASK}", f"{SUMMARY}\n\n{WHAT}", EXAMPLE, exclusive=[BUDGET])
    command.add(options_of(MultiTaskOptions), "the tasks")
    add_common(command, f"runs/{MULTI_TASK}")
    return command


def config_of(values: Values, sections: Sequence[Section]) -> dict[str, Any]:
    """Every option, as ``config.yaml`` keeps it: a section for each task."""
    names = [f.name for cls in (MultiTaskOptions, *COMMON) for f in fields(cls)]
    common = absolute({"task": MULTI_TASK} | {name: values[name] for name in [*names, "init"]})
    return common | {section.kind.name: section.config() for section in sections}


# --- how ------------------------------------------------------------------------------------------------


def _divided(argv: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """What was typed, and of it what is said of single tasks (``--TASK.option value``) as words to each."""
    own: list[str] = []
    of_tasks: dict[str, list[str]] = {}
    at = own
    for word in argv:
        if word.startswith("--"):
            task, dot, _ = word[2:].partition("=")[0].partition(".")
            if dot:
                if task not in names():
                    get(task)  # says what was meant
                at = of_tasks.setdefault(task, [])
                at.append(f"--{word[len(task) + 3 :]}")
                continue
            at = own
        at.append(word)
    return own, of_tasks


def _weights(values: Values) -> Sequence[float]:
    chosen: tuple[str, ...] = values["tasks"]
    if len(chosen) < 2:
        raise UserError(
            f"avssl train {MULTI_TASK} wants two tasks or more, such as --tasks shuffle-learn,av-correspondence; "
            f"there are {', '.join(names())}"
        )
    twice = next((name for name in chosen if chosen.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"--tasks names {twice} twice; a training has each task once")
    weights: Sequence[float] = values["weights"] or [1.0] * len(chosen)
    if len(weights) != len(chosen):
        raise UserError(f"--weights has {len(weights)} numbers for {len(chosen)} tasks; give one a task")
    return weights


def _section(name: str, values: Values, words: Sequence[str]) -> Section:
    """The options of one task: flags, then its section in the YAML file, then (of data) what holds for all tasks."""
    kind = get(name)
    command = Command(f"avssl train {MULTI_TASK}, options of {name}:", kind.summary)
    command.add(options_of(DataOptions))
    command.add(options_of(kind.Options, skip=_both(kind)))
    told = values.get(name.replace("-", "_"))
    path = Path(values["config"] or "")
    if told is not None and not isinstance(told, Mapping):
        raise UserError(f"{path}: {name} wants lines of the form 'option: value' below it")
    try:
        found = command.parse(words, section=None if told is None else (path, told))
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    for option in fields(DataOptions):
        if option.name not in found.given:
            found[option.name] = values[option.name]
    return Section(kind, found)


ENCODER = ("vision", "width", "convs", "blocks", "first_stride", "vision_pools")
"""Options that say how a vision encoder is built, and nothing else but in tasks that hear, too."""


def _share_encoder(sections: Sequence[Section]) -> None:
    """Give later tasks the first one's options of the encoder that they share; refuse it where they say otherwise."""
    first = sections[0]
    for section in sections[1:]:
        hears = "audio" in section.values or "audio" in first.values  # there most of them shape two encoders
        for name in ENCODER[:1] if hears else ENCODER:
            if name not in section.values or name not in first.values:
                continue
            told, built = section.values[name], first.values[name]
            section.values[name] = built
            if name in section.values.given and told != built:
                flag, task, other = name.replace("_", "-"), section.kind.name, first.kind.name
                raise UserError(
                    f"--{task}.{flag} {told}: the encoder is shared, and {other}, named first, builds it with "
                    f"--{flag} {built}; say --{other}.{flag} {told}, or leave it out"
                )


def _both(kind: type[Task]) -> set[str]:
    return {f.name for f in fields(kind.Options)} & {f.name for f in fields(DataOptions)}


def _jobs(sections: Sequence[Section], weights: Sequence[float], grey: bool, seed: int, need_test: bool) -> list[Job]:
    """Each task with its data, prepared as for the task alone, once all are known to have what they want."""
    found: list[Opened] = []
    for section in sections:
        task = section.kind(section.values.build(section.kind.Options))
        task.grey = grey
        task.before = tuple(one.task for one in found)
        found.append(opened(task, section.values.build(DataOptions), seed, _of(task, say), need_test=need_test))
    jobs = []
    for one, weight in zip(found, weights, strict=True):
        jobs.append(Job(one.task, prepared(one, _of(one.task, say)), weight))
    return jobs


def _of(task: Task, say: Say) -> Say:
    """``say``, each line headed by the task that it is about."""
    return lambda line: say(f"{task.name}: {line}")
