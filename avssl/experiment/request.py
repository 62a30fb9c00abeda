"""A requested training of one or several tasks, all options resolved before anything is opened."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from avssl.errors import UserError
from avssl.experiment.data import DataOptions, refuse_unusable
from avssl.experiment.options import (
    COMMON,
    MULTI_TASK,
    ControlOptions,
    MultiTaskOptions,
    config_of,
    defaults_of,
    keep_division,
    keep_earlier,
    settle,
    training_options,
)
from avssl.experiment.places import refuse_missing
from avssl.options import Values, check_options, options_of, resolve
from avssl.system.console import counted
from avssl.tasks.registry import get, names, options_class
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import Sharing

if TYPE_CHECKING:
    from avssl.tasks.base import Task

    AnyTask = str | Task


@dataclass(frozen=True)
class Part:
    """A task of a training by its name, its options, where its data are, and its weight beside other tasks."""

    name: str
    options: Any
    data: DataOptions
    weight: float = 1.0


@dataclass(frozen=True)
class Request:
    """A training of which every option is settled.

    Attributes:
        config: every option that decides what it computes, as ``config.yaml`` keeps it.
        defaults: values by dotted key that a run of an earlier version was made with.
        command: what the result rows name as the command that repeats them.
        sharing: how several tasks train together; None of a single one.
        grey: whether all tasks see lightness alone.
    """

    parts: Sequence[Part]
    options: TrainOptions
    control: ControlOptions
    out: Path
    config: Mapping[str, Any]
    defaults: Mapping[str, Any]
    init: str | None
    command: str
    sharing: Sharing | None = None
    grey: bool = False

    def check(self) -> None:
        """Refuse what can be seen to be wrong before torch is imported and anything is opened.

        Raises:
            UserError: options that do not go together, or a place that is not there.
        """
        for part in self.parts:
            check_options(part.options)
            refuse_unusable(part.data)
        refuse_missing(self.init)

    def tasks(self) -> list[Task]:
        """The tasks, each knowing those before it, whose encoders it shares."""
        made: list[Task] = []
        for part in self.parts:
            task = get(part.name)(part.options)
            task.grey, task.before = self.grey, tuple(made)
            made.append(task)
        return made


def request_of(task: AnyTask | Sequence[AnyTask], asked: Mapping[str, Any], command: str | None = None) -> Request:
    """The training of one task, or of several where a list is given or "multi-task" is named, with these options.

    Args:
        task: by name, or made by :func:`avssl.task`; of "multi-task" ``asked["tasks"]`` names the tasks.
        asked: options by name; of several tasks for each, by its name, also the mapping of its own.
        command: see :class:`Request`; None: ``avssl train --config`` with the run's own config.

    Raises:
        UserError: an option that is not there or makes no sense; of several tasks fewer than two, one of them twice, or
            options that contradict each other, as an encoder that two tasks share can have one make only.
    """
    if task == MULTI_TASK:
        return _of_several((), asked, command)
    if _is_task(task):
        return _of_one(task, asked, command)
    # What is no name, no task and no list is named in the error, whatever it is.
    several = list(task) if isinstance(task, Iterable) else [task]
    if not isinstance(task, Iterable) or not all(map(_is_task, several)):
        raise UserError(f"the name of a task is wanted, one made by avssl.task, or a list of these, not {task!r}")
    return _of_several(several, asked, command)


def _is_task(task: object) -> TypeGuard[AnyTask]:
    if isinstance(task, str):
        return True
    from avssl.tasks.base import Task  # loads torch, as whoever has made a task did

    return isinstance(task, Task)


def _of_one(task: AnyTask, asked: Mapping[str, Any], command: str | None) -> Request:
    name = task if isinstance(task, str) else _registered(task)
    own = options_class(name)
    values = settle(asked, (*COMMON, own))
    if values["task"] not in (None, name):
        raise UserError(f"{values['config']} is of the task {values['task']}, not of {name}")
    if not isinstance(task, str):
        # Two places for one option could contradict each other; its own is the task.
        decided = {field.name for field in fields(own)} & values.given
        if decided:
            raise UserError(f"{min(decided)} is an option of the task, which is made already; give it to avssl.task")
        values.update({field.name: getattr(task.options, field.name) for field in fields(own)})
    options, control = training_options(values)
    out, defaults = Path(values["out"] or f"runs/{name}"), defaults_of(*COMMON, own)
    keep_division(values, out, defaults)  # before anything is built from the values, which these two may change
    keep_earlier(own, values, values, out, defaults)
    return Request(
        parts=[Part(name, values.build(own), values.build(DataOptions))],
        options=options,
        control=control,
        out=out,
        config={"task": name} | config_of(values, *COMMON, own, also=["init"]),
        defaults=defaults,
        init=values["init"],
        command=command or _repeat_command(name, out),
    )


def _registered(task: Task) -> str:
    """The name of a task object, by which the folder of the run will know it, too.

    Raises:
        UserError: another task has its name.
    """
    from avssl.tasks.registry import register

    try:
        # A run is read by its task's name: a class of one's own must be known by it from now on.
        return register(type(task)).name
    except ValueError as error:
        raise UserError(str(error)) from None


def _repeat_command(name: str, out: Path) -> str:
    return shlex.join(["avssl", "train", name, "--config", str(out / "config.yaml"), "--out", "RUN"])


@dataclass(frozen=True)
class _Section:
    """One task of several: its name, its options, and the values of these and of its data options."""

    name: str
    options: type[Any]
    values: Values

    def config(self) -> dict[str, Any]:
        """As the section of ``config.yaml``: of the data only what differs from that of all tasks."""
        own_data = sorted({f.name for f in fields(DataOptions)} & self.values.given)
        return config_of(self.values, self.options, also=own_data)


def _of_several(tasks: Sequence[AnyTask], asked: Mapping[str, Any], command: str | None) -> Request:
    asked, of_tasks = _by_task(asked)
    made = {_registered(task): task.options for task in tasks if not isinstance(task, str)}
    if tasks:
        asked["tasks"] = [task if isinstance(task, str) else task.name for task in tasks]
    values = settle(asked, (MultiTaskOptions, *COMMON), keys=[name.replace("-", "_") for name in names()])
    if values["task"] not in (None, MULTI_TASK):
        name = values["task"]
        raise UserError(f"{values['config']} is of the task {name}; train it with: avssl train {name}")
    weights = _weights(values)
    out, defaults = Path(values["out"] or f"runs/{MULTI_TASK}"), defaults_of(MultiTaskOptions, *COMMON)
    keep_division(values, out, defaults)
    sections = []
    # In the order in which they are named: the first one builds the encoders.
    for name in values["tasks"]:
        made_as = _not_default(made[name]) if name in made else {}
        sections.append(_section(name, values, made_as | of_tasks.pop(name, {})))
    _share_encoder(sections)
    # Each section has taken its own out: the rest is of tasks that nobody trains.
    if of_tasks:
        raise UserError(
            f"--{min(of_tasks)}.… is an option of a task that is not among --tasks {','.join(values['tasks'])}"
        )
    options, control = training_options(values)
    for section in sections:
        defaults |= defaults_of(section.options, section=section.name)
        keep_earlier(section.options, section.values, values, out, defaults, section.name)
    common = {"task": MULTI_TASK} | config_of(values, MultiTaskOptions, *COMMON, also=["init"])
    return Request(
        parts=[
            Part(section.name, section.values.build(section.options), section.values.build(DataOptions), weight)
            for section, weight in zip(sections, weights, strict=True)
        ],
        options=options,
        control=control,
        out=out,
        config=common | {section.name: section.config() for section in sections},
        defaults=defaults,
        init=values["init"],
        command=command or _repeat_command(MULTI_TASK, out),
        sharing=Sharing(values["mix"], values["statistics"] == "own", values["by_chance"]),
        grey=values["all_grey"],
    )


def _by_task(asked: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What is asked of all tasks, and by task what is asked of each."""
    # A keyword of Python has underscores where the task's name has dashes.
    called = {name.replace("-", "_"): name for name in names()}
    own: dict[str, Any] = {}
    of_tasks: dict[str, dict[str, Any]] = {}
    for name, value in asked.items():
        task = called.get(name.replace("-", "_"))
        if task is None:
            own[name] = value
        elif not isinstance(value, Mapping):
            raise UserError(f"{name} needs the options of that task, such as {name}={{'side': 64}}, not {value!r}")
        else:
            of_tasks[task] = dict(value)
    return own, of_tasks


def _not_default(options: Any) -> dict[str, Any]:
    """The options of a task that is made already, where they are not the default: they count as asked for."""
    return {f.name: value for f in fields(options) if (value := getattr(options, f.name)) != f.default}


def _weights(values: Values) -> Sequence[float]:
    chosen: tuple[str, ...] = values["tasks"]
    if len(chosen) < 2:
        raise UserError(
            f"avssl train {MULTI_TASK} needs two tasks or more, such as --tasks shuffle-learn,av-correspondence; "
            f"there are {', '.join(names())}"
        )
    twice = next((name for name in chosen if chosen.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"--tasks names {twice} twice; a training has each task once")
    weights: Sequence[float] = values["weights"] or [1.0] * len(chosen)
    if len(weights) != len(chosen):
        raise UserError(
            f"--weights has {counted(len(weights), 'value')} for {counted(len(chosen), 'task')}; give one a task"
        )
    return weights


def _section(name: str, values: Values, asked: Mapping[str, Any]) -> _Section:
    """The options of one task: asked for by name, then in its section of the YAML file, then (of data) of all tasks."""
    options = options_class(name)
    own = {option.name: option for cls in (options, DataOptions) for option in options_of(cls)}
    written = values.get(name.replace("-", "_"))
    path = Path(values["config"] or "")
    if written is not None and not isinstance(written, Mapping):
        raise UserError(f"{path}: {name} needs lines of the form 'option: value' below it")
    try:
        found = resolve(own.values(), asked, section=None if written is None else (path, written))
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    for option in fields(DataOptions):
        if option.name not in found.given:
            found[option.name] = values[option.name]  # not in .given, so that the section of the config stays short
    return _Section(name, options, found)


# Options that only shape the vision encoder; in tasks with sound most of them shape both encoders.
ENCODER = ("vision", "width", "convs", "blocks", "first_stride", "vision_pools")


def _share_encoder(sections: Sequence[_Section]) -> None:
    """Give later tasks the first one's options of the encoder that they share; refuse others."""
    first = sections[0]
    for section in sections[1:]:
        with_sound = "audio" in section.values or "audio" in first.values
        for name in ENCODER[:1] if with_sound else ENCODER:
            if name not in section.values or name not in first.values:
                continue  # an option that one of the two tasks does not have shapes nothing that they share
            own, built = section.values[name], first.values[name]
            # Written into the config as it is built, so that the section repeats the run by itself.
            section.values[name] = built
            if name in section.values.given and own != built:
                flag, task, other = name.replace("_", "-"), section.name, first.name
                raise UserError(
                    f"--{task}.{flag} {own}: the encoder is shared, and {other}, named first, builds it with "
                    f"--{flag} {built}; give --{other}.{flag} {own}, or leave it out"
                )
