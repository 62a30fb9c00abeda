"""``avssl train``: data, training, controls, and where everything lies."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.cli.data import DataOptions, Parts, gather
from avssl.cli.options import BUDGET, Command, Option, Values, options_of, plain
from avssl.cli.screen import duration, say
from avssl.cli.tasks import split_task
from avssl.errors import UserError
from avssl.media.cache import read_json
from avssl.trainer.options import TrainOptions

if TYPE_CHECKING:
    from avssl.tasks.base import Task
    from avssl.trainer.result import FitResult
    from avssl.trainer.run_folder import RunFolder

WHAT = """Train a pretext task, then the controls that say whether the figure can be believed.
The same command again continues a run that was stopped (Ctrl-C saves), or says that it is finished."""
EXAMPLE = """  avssl train {task} --minutes 5                     on clips it generates, into runs/{task}
  avssl train {task} --data videos/ --out runs/mine --minutes 20
  avssl train {task} --config runs/mine/config.yaml --out runs/again    the same once more"""

DEFAULT_STEPS = 1000
"""Of a training for which no --steps, --epochs or --minutes is given."""


@dataclass(frozen=True)
class ControlOptions:
    """What comes after training."""

    controls: bool = field(
        default=True, metadata={"help": "train the controls and judge all on held-out puzzles (results/controls.json)"}
    )
    control_steps: int | None = field(
        default=None, metadata={"help": "steps of each control (default: half of the training's)"}
    )
    control_puzzles: int = field(default=1024, metadata={"help": "held-out puzzles that all are judged on"})

    def check(self) -> None:
        """Refuse values that make no sense.

        Raises:
            UserError: names the option.
        """
        if self.control_steps is not None and self.control_steps < 0:
            raise UserError(f"--control-steps ({self.control_steps}) must be 0 or more")
        if self.control_puzzles < 1:
            raise UserError(f"--control-puzzles ({self.control_puzzles}) must be at least 1")


def run(argv: Sequence[str]) -> None:
    """Train."""
    kind, words = split_task(argv, "avssl train", WHAT, EXAMPLE.format(task="av-correspondence"))
    values = command_of(kind).parse(words, config="config", extra_keys=["task"])
    if values["task"] not in (None, kind.name):
        raise UserError(f"{values['config']} is of the task {values['task']}, not of {kind.name}")
    if all(values[name] is None for name in BUDGET):
        say(f"none of --steps, --epochs and --minutes is given: {DEFAULT_STEPS} steps")
        values["steps"] = DEFAULT_STEPS
    options, data, control = values.build(TrainOptions), values.build(DataOptions), values.build(ControlOptions)
    options.check()
    control.check()
    out = Path(values["out"] or f"runs/{kind.name}")
    task = kind(values.build(kind.Options))
    with ExitStack() as stack:
        # A run that is there is compared with what is asked before hours of preparing data; a new one only
        # begins once the data are known to be good.
        opened = _open_folder(out, config_of(kind, values), stack) if (out / "config.yaml").exists() else None
        parts = gather(task, data, options.seed, say, need_test=control.controls)
        folder = opened or _open_folder(out, config_of(kind, values), stack)
        _train(task, options, control, parts, folder, command=shlex.join(["avssl", "train", *argv]))


def command_of(kind: type[Task]) -> Command:
    """The command line of ``avssl train TASK``."""
    command = Command(
        f"avssl train {kind.name}",
        f"{kind.summary}\n\n{WHAT}",
        EXAMPLE.format(task=kind.name),
        exclusive=[BUDGET],
    )
    out = Option("out", str | None, None, f"folder of the run (default: runs/{kind.name})", metavar="RUN")
    config = Option("config", str | None, None, "YAML file of options; flags override it", metavar="YAML")
    command.add([*options_of(DataOptions), out, config], "data and results")
    command.add(options_of(TrainOptions), "training")
    command.add(options_of(ControlOptions), "controls")
    command.add(options_of(kind.Options), f"the puzzle and the network of {kind.name}")
    return command


def config_of(kind: type[Task], values: Values) -> dict[str, Any]:
    """Every option that decides what a run computes, as ``config.yaml`` keeps it; paths absolute."""
    names = [field.name for cls in (DataOptions, TrainOptions, ControlOptions, kind.Options) for field in fields(cls)]
    config = {"task": kind.name} | {name: values[name] for name in names}
    for name in ("data", "test"):
        if config[name] is not None:
            config[name] = str(Path(config[name]).expanduser().absolute())
    return plain(config)


# --- how ------------------------------------------------------------------------------------------------


def _open_folder(out: Path, config: dict[str, Any], stack: ExitStack) -> RunFolder:
    from avssl.trainer.run_folder import NO_MATTER, RunFolder

    return stack.enter_context(RunFolder(out, config, may_differ=(*NO_MATTER, "device", "controls")))


def _train(
    task: Task, options: TrainOptions, control: ControlOptions, parts: Parts, folder: RunFolder, command: str
) -> None:
    from avssl.trainer.loop import fit
    from avssl.trainer.plan import TaskPlan

    try:
        _refuse_other_data(folder, parts)
        judged = (folder.results / "controls.json").exists()
        result = fit([TaskPlan(task, parts.train, parts.validation)], options, folder)
    except UserError:
        _forget(folder)
        raise
    if folder.writes:
        _draw(task, result, parts, folder)
    if control.controls and not judged:
        _judge(task, result, parts, options, control, folder, command)
    if folder.writes:
        _report(folder, parts)


def _forget(folder: RunFolder) -> None:
    """A run that could not take its first step is none: the same --out serves when the fault is mended."""
    begun = (folder.path / "metrics.jsonl").exists() or folder.checkpoints.steps()
    if folder.writes and not begun:
        for name in ("config.yaml", "data.json", "environment.json"):
            (folder.path / name).unlink(missing_ok=True)
        for name in ("tasks", "checkpoints", "results", "tensorboard"):
            shutil.rmtree(folder.path / name, ignore_errors=True)


def _refuse_other_data(folder: RunFolder, parts: Parts) -> None:
    """A run goes on with the data it began with: what it read is in ``data.json``."""
    if not folder.writes:
        return
    named = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    now = {name: {"items": len(part), "fingerprint": part.fingerprint} for name, part in named.items() if part}
    known = read_json(folder.path / "data.json")
    if known is None:
        folder.write_json("data.json", now)
        return
    changed = [name for name in now if name in known and known[name] != now[name]]
    if changed:
        then, found = known[changed[0]]["items"], now[changed[0]]["items"]
        raise UserError(
            f"the {changed[0]} data have changed since {folder.path} began ({then} items then, {found} now); "
            "choose another --out"
        )
    folder.write_json("data.json", {**known, **now})


def _draw(task: Task, result: FitResult, parts: Parts, folder: RunFolder) -> None:
    """``curves.png``, and ``sheet.png`` of held-out puzzles with the network's answers."""
    import torch

    from avssl.cli.show import save
    from avssl.evaluate.judging import held_out_keys
    from avssl.report.curves import draw_curves

    chance = {task.loss_measure: task.chance_loss(), "accuracy": 1 / task.classes if task.classes else None}
    known = {name: value for name, value in chance.items() if value is not None}
    draw_curves(
        result.history,
        folder.path / "curves.png",
        chance=known,
        title=f"{task.name} · {folder.path}",
        loss=task.loss_measure,
    )
    network = result.networks[task.name]
    held_out = task.held_out()
    media = parts.test or parts.validation or parts.train
    puzzles = [held_out.draw(media, key) for key in held_out_keys(0, 16)]
    device = next(network.parameters()).device
    batch = {
        name: value.to(device) if isinstance(value, torch.Tensor) else value
        for name, value in held_out.collate(puzzles).items()
    }
    with torch.no_grad():
        answers = held_out.answers(network, batch)
    answers.scores, answers.truth = answers.scores.float().cpu(), answers.truth.cpu()
    save(held_out.sheet(puzzles, answers), folder.path / "sheet.png")


def _judge(
    task: Task,
    result: FitResult,
    parts: Parts,
    options: TrainOptions,
    control: ControlOptions,
    folder: RunFolder,
    command: str,
) -> None:
    """Train the controls and write their rows. All processes of a training take part, as their training is shared."""
    from avssl.evaluate.controls import run_controls

    assert parts.test is not None
    network = result.networks[task.name]
    began = time.monotonic()
    rows = run_controls(
        task,
        network,
        parts.train,
        parts.test,
        options,
        steps=result.steps // 2 if control.control_steps is None else control.control_steps,
        pairs=control.control_puzzles,
        device=next(network.parameters()).device,
        command=command,
        say=say,
    )
    folder.write_json("results/controls.json", [asdict(row) for row in rows])
    say(f"controls took {duration(time.monotonic() - began)}")


def _report(folder: RunFolder, parts: Parts) -> None:
    """The table, what it means, and where everything lies."""
    from avssl.evaluate.controls import verdict
    from avssl.evaluate.rows import read_rows
    from avssl.report.tables import print_rows

    path = folder.results / "controls.json"
    if path.exists():
        rows = read_rows(path)
        print_rows(rows, f"Held out{f': {len(parts.test)} items' if parts.test else ''}")
        if meaning := verdict(rows):
            say(meaning)
    say(f"in {folder.path}:")
    if path.exists():
        say("  results/controls.json   the rows of the table")
    say("  sheet.png, curves.png   held-out puzzles with the network's answers; how training went")
    say(f"  encoders/               in Python: avssl.load({str(folder.path)!r})")
    say("  config.yaml             every option; metrics.jsonl, tensorboard/, checkpoints/ beside it")
