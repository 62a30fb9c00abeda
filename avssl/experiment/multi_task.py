"""Several tasks trained on the same encoders, each with its own head, data and options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from avssl.errors import UserError
from avssl.experiment.data import DataOptions
from avssl.experiment.options import COMMON, MULTI_TASK, MultiTaskOptions, absolute, defaults_of
from avssl.experiment.request import Part, Request, known, repeat_command, request_of_one
from avssl.experiment.settle import keep_division, settle, training_options, values_of
from avssl.options import Values, options_of, resolve
from avssl.tasks.registry import names, options_class
from avssl.trainer.plan import Sharing

if TYPE_CHECKING:
    from avssl.experiment.request import AnyTask


@dataclass(frozen=True)
class Section:
    """One task of a multi-task training: its name, its options, and the data options that are its own."""

    name: str
    options: type[Any]
    values: Values

    def config(self) -> dict[str, Any]:
        """As the section of ``config.yaml``."""
        own_data = sorted({f.name for f in fields(DataOptions)} & self.values.given)
        return absolute(values_of(self.values, self.options, also=own_data))


def request_of(task: AnyTask | Sequence[AnyTask], asked: Mapping[str, Any], command: str | None = None) -> Request:
    """The training of one task, or of several where a list is given or "multi-task" is named."""
    if task == MULTI_TASK:
        return request_of_several((), asked, command)
    if _is_task(task):
        return request_of_one(task, asked, command)
    several = list(task) if isinstance(task, Iterable) else [task]
    if not isinstance(task, Iterable) or not all(map(_is_task, several)):
        raise UserError(f"the name of a task is wanted, one made by avssl.task, or a list of these, not {task!r}")
    return request_of_several(several, asked, command)


def _is_task(task: object) -> TypeGuard[AnyTask]:
    if isinstance(task, str):
        return True
    from avssl.tasks.base import Task  # loads torch, as whoever has made a task did

    return isinstance(task, Task)


def request_of_several(tasks: Sequence[AnyTask], asked: Mapping[str, Any], command: str | None = None) -> Request:
    """The training of several tasks with these options.

    Args:
        tasks: the tasks; none where ``asked["tasks"]`` names them.
        asked: options by name, and for each task, by its name, the mapping of its own.
        command: what the result rows name as the command that repeats them.

    Raises:
        UserError: fewer than two tasks, one of them twice, options that contradict each other, as an encoder that two
            tasks share can have one make only.
    """
    asked, of_tasks = _divided(asked)
    made = {known(task).name: task.options for task in tasks if not isinstance(task, str)}
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
    for name in values["tasks"]:
        made_as = made_options(made[name]) if name in made else {}
        sections.append(_section(name, values, made_as | of_tasks.pop(name, {})))
    _share_encoder(sections)
    if of_tasks:
        raise UserError(
            f"--{min(of_tasks)}.… is an option of a task that is not among --tasks {','.join(values['tasks'])}"
        )
    options, control = training_options(values)
    for section in sections:
        defaults |= defaults_of(section.options, section=section.name)
    common = absolute({"task": MULTI_TASK} | values_of(values, MultiTaskOptions, *COMMON, also=["init"]))
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
        command=command or repeat_command(MULTI_TASK, out),
        sharing=Sharing(values["mix"], values["statistics"] == "own", values["by_chance"]),
        grey=values["all_grey"],
    )


def _divided(asked: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What is asked of all tasks, and by task what is asked of each."""
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


def made_options(options: Any) -> dict[str, Any]:
    """The options of a task that is made already, where they are not the default."""
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
        raise UserError(f"--weights has {len(weights)} values for {len(chosen)} tasks; give one a task")
    return weights


def _section(name: str, values: Values, asked: Mapping[str, Any]) -> Section:
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
            found[option.name] = values[option.name]
    return Section(name, options, found)


ENCODER = ("vision", "width", "convs", "blocks", "first_stride", "vision_pools")
"""Options that only shape the vision encoder; in tasks with sound most of them shape both encoders."""


def _share_encoder(sections: Sequence[Section]) -> None:
    """Give later tasks the first one's options of the encoder that they share; refuse others."""
    first = sections[0]
    for section in sections[1:]:
        hears = "audio" in section.values or "audio" in first.values  # there most of them shape both encoders
        for name in ENCODER[:1] if hears else ENCODER:
            if name not in section.values or name not in first.values:
                continue
            own, built = section.values[name], first.values[name]
            section.values[name] = built
            if name in section.values.given and own != built:
                flag, task, other = name.replace("_", "-"), section.name, first.name
                raise UserError(
                    f"--{task}.{flag} {own}: the encoder is shared, and {other}, named first, builds it with "
                    f"--{flag} {built}; give --{other}.{flag} {own}, or leave it out"
                )
