"""The stages of a training: open the folder, prepare the data, fit, evaluate, draw, report."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from avssl.errors import UserError
from avssl.experiment.data import Opened, Parts, opened, prepared
from avssl.experiment.extension import steps_before
from avssl.experiment.loading import load_torch
from avssl.experiment.request import Request
from avssl.media.selection import column_of
from avssl.media.skip_bad_files import each_bad_file_once, on_readable
from avssl.system.console import counted, duration, headed, log
from avssl.system.files import read_json, writing
from avssl.system.ranks import processes

if TYPE_CHECKING:
    from PIL.Image import Image

    from avssl.evaluate.core.rows import ResultRow
    from avssl.tasks.base import Task
    from avssl.trainer.result import FitResult
    from avssl.trainer.run_folder import RunFolder
    from avssl.trainer.schedule import Budget


@dataclass(frozen=True)
class Job:
    """A task of a training, its data, and its weight beside other tasks."""

    task: Task
    parts: Parts
    weight: float = 1.0


def run_request(request: Request) -> dict[str, Any] | None:
    """Train it.

    Returns:
        the config of the run, where another process writes its folder; else None: it is there.

    Raises:
        UserError: as :func:`avssl.trainer.loop.fit`; other data than the run began with; encoders of another make.
    """
    if processes() > 1:
        from avssl.trainer.distributed import join

        join(request.options.device)  # first: a process that fails before it joined would be waited for
    with ExitStack() as stack:
        # A run that is there is compared with what is asked before hours of preparing data; a new one only
        # begins once the data are known to be good.
        with writing(request.out):  # a name that is too long shows here
            there = (request.out / "config.yaml").exists()
        before = steps_before(request.out, request.options) if there else None
        folder = _folder(request, stack, before) if there else None
        load_torch()
        tasks = request.tasks()
        refuse_early(request, tasks, begun=there)
        jobs = []
        for part, one in zip(request.parts, open_parts(request, tasks), strict=True):
            with headed(part.name if request.sharing else ""):
                jobs.append(Job(one.task, prepared(one), part.weight))
        folder = folder or _folder(request, stack, None)
        _train(jobs, request, folder, before)
        return None if folder.writes else dict(request.config)


def refuse_early(request: Request, tasks: Sequence[Task], begun: bool) -> None:
    """Refuse a device, a network or weights that are not there before data are prepared, which may take hours.

    Raises:
        UserError: as the training itself.
    """
    from avssl.trainer.devices import choose_precision, named_device
    from avssl.trainer.initial_encoders import encoders_from
    from avssl.trainer.loggers.chosen import chosen
    from avssl.trainer.seeds import own_random_state

    chosen(request.options.log_to)
    choose_precision(request.options.precision, named_device(request.options.device))
    with own_random_state():
        for task in tasks:
            task.make_encoders()
        if request.init is not None and not begun:
            encoders_from(request.init, tasks)


def _folder(request: Request, stack: ExitStack, before: int | None) -> RunFolder:
    """The run folder, locked until the stack is left.

    Args:
        before: the steps of a run that is extended; see :func:`steps_before`.
    """
    from avssl.trainer.run_config import NO_MATTER
    from avssl.trainer.run_folder import RunFolder

    # A run may go on on another device, with results within its precision; and its controls may be made later.
    may_differ: tuple[str, ...] = (*NO_MATTER, "device", "controls")
    if before is not None:
        may_differ = (*may_differ, "steps")
    folder = RunFolder(request.out, dict(request.config), may_differ=may_differ, defaults=dict(request.defaults))
    stack.enter_context(folder)
    return folder


def open_parts(request: Request, tasks: Sequence[Task]) -> list[Opened]:
    """The data of each task, known to have what it wants: of all, before those of the first are prepared."""
    found = []
    for task, part in zip(tasks, request.parts, strict=True):
        with headed(part.name if request.sharing else ""):
            found.append(opened(task, part.data, request.options.seed, need_test=request.control.controls))
    return found


@each_bad_file_once()
def _train(jobs: Sequence[Job], request: Request, folder: RunFolder, before: int | None) -> None:
    from avssl.experiment.heard import fit_heard
    from avssl.trainer.initial_encoders import encoders_from
    from avssl.trainer.loop import fit
    from avssl.trainer.plan import TaskPlan

    options, several = request.options, request.sharing is not None
    try:
        _refuse_other_data(folder, jobs, several)
        if before is not None:  # only now: of a run that cannot be extended nothing is changed
            aside = folder.set_results_aside(before)
            log(f"{folder.path} goes on from step {before} to {options.steps}; earlier results are in {aside}")
        _write_sources(folder, jobs, several)
        new = not (folder.path / "curves.png").exists()  # drawn at the end; a run that is extended has them aside
        evaluated = _has_controls(folder)  # now, as a line about damaged ones is not to come after hours
        encoders = None
        # A run that has saved something goes on from there, whatever became of the run it began from.
        if request.init is not None and not folder.checkpoints.steps():
            encoders = encoders_from(request.init, [job.task for job in jobs])
        plans = [TaskPlan(job.task, job.parts.train, job.parts.validation, job.weight) for job in jobs]
        announce = None if evaluated else partial(_announce, jobs, request)
        result = fit(plans, options, folder, sharing=request.sharing, encoders=encoders, announce=announce)
    except BaseException:  # Ctrl-C and faults of the program, too
        _forget(folder)
        raise
    # Drawn before the controls are trained, which may take as long again: somebody may be waiting for the sheet.
    if folder.writes:
        skip = options.on_bad_file == "skip"
        for job in jobs if new else ():
            fit_heard(job.task, result.networks[job.task.name], job.parts, folder, skip)
        _draw(jobs, result, folder, skip)
    if request.control.controls and not evaluated:
        _evaluate(jobs, result, request, folder)
    if folder.writes:
        _report(jobs, folder, several)


def _announce(jobs: Sequence[Job], request: Request, left: Budget, step_seconds: float | None) -> None:
    """The whole of the command by its parts, with their time as far as it is known before the first step."""
    control, controls = request.control, sum(len(job.task.controls()) for job in jobs)
    training = left.seconds  # of --minutes; else steps times what one takes here
    if left.steps is not None and step_seconds is not None:
        training = left.steps * step_seconds
    parts = ["training" if training is None else f"training, about {duration(training)}"]
    if control.controls and controls and control.control_steps != 0:
        each, seconds = control.control_steps, None
        if each is not None and step_seconds is not None:
            seconds = controls * each * step_seconds
        elif each is None and training is not None:
            joint = request.sharing is not None and request.sharing.mix == "joint"
            # A task of several that alternate has its share of the steps, and its controls half of that.
            seconds = controls * training / 2 / (1 if joint else len(jobs))
        steps = "half the steps" if each is None else counted(each, "step")
        about = "" if seconds is None else f", at most about {duration(seconds)}"
        parts.append(f"{counted(controls, 'control')} of {steps} each{about}")
    if control.controls:
        parts.append(f"evaluation on {control.control_puzzles} held-out puzzles")
    if len(parts) > 1:  # of a training alone its own line says it all
        log(f"to do: {'; '.join(parts)}")


def _forget(folder: RunFolder) -> None:
    """A run that could not take its first step is none: the same --out serves when the fault is mended."""
    begun = (folder.path / "metrics.jsonl").exists() or folder.checkpoints.steps()
    if folder.writes and not begun:  # its own files alone: what else lies in the folder is somebody's
        for name in ("config.yaml", "data.json", "sources.json", "environment.json", "loggers.json"):
            (folder.path / name).unlink(missing_ok=True)
        for name in ("tasks", "checkpoints", "results", "tensorboard", "wandb"):
            shutil.rmtree(folder.path / name, ignore_errors=True)


def _has_controls(folder: RunFolder) -> bool:
    """Whether the controls' rows are there and whole; damaged ones are made again."""
    from avssl.evaluate.core.rows import read_rows

    path = folder.results / "controls.json"
    try:
        return path.exists() and bool(read_rows(path))
    except UserError as error:
        if folder.writes:
            log(str(error).replace("remove it and run the command that wrote it again", "it is made again"))
        return False


def _refuse_other_data(folder: RunFolder, jobs: Sequence[Job], several: bool) -> None:
    """A run goes on with the data it began with: what it read is in ``data.json``."""
    from avssl.media.indexing.inspections import INSPECTION

    if not folder.writes:
        return
    now = {
        f"{job.task.name}/{name}" if several else name: {
            "items": len(part),
            "fingerprint": part.fingerprint,
            "look": INSPECTION,
        }
        for job in jobs
        for name, part in job.parts.by_split.items()
    }
    # By a digest of paths, sizes and facts: copying data elsewhere and back is no change of them.
    known = read_json(folder.path / "data.json")
    if known is None:
        folder.write_json("data.json", now)
        return
    # A part that was not there then (a validation part, say) is no change of those that were.
    changed = [name for name in now if name in known and not _same_data(known[name], now[name])]
    if changed and all(_only_read_otherwise(known[name], now[name]) for name in changed):
        log(
            f"{folder.path} was begun by a version that read these files slightly differently (times, lengths, what is "
            "damaged): it continues, but its weights will not equal those of an uninterrupted run bit for bit"
        )
        changed = []
    if changed:
        before = known[changed[0]]
        if not isinstance(before, dict) or not isinstance(before.get("items"), int):
            raise UserError(f"{folder.path / 'data.json'} is damaged; copy it again from the run")
        then, found = before["items"], now[changed[0]]["items"]
        raise UserError(
            f"the {changed[0]} data have changed since {folder.path} began ({then} items then, {found} now); "
            "choose another --out"
        )
    folder.write_json("data.json", {**known, **now})


def _same_data(then: Any, now: dict[str, Any]) -> bool:
    return isinstance(then, dict) and {**then, "look": 0} == {**now, "look": 0}


def _only_read_otherwise(then: Any, now: dict[str, Any]) -> bool:
    """Whether as many items as then differ after another version of the look at files: the files may be the same."""
    return isinstance(then, dict) and then.get("items") == now["items"] and then.get("look", 0) != now["look"]


def _write_sources(folder: RunFolder, jobs: Sequence[Job], several: bool) -> None:
    """``sources.json``: which items belong together and how that was found; of several tasks by task."""
    found = {job.task.name: job.parts.sources.as_json() for job in jobs if job.parts.sources is not None}
    if folder.writes and found:
        folder.write_json("sources.json", found if several else next(iter(found.values())))


def _draw(jobs: Sequence[Job], result: FitResult, folder: RunFolder, skip: bool) -> None:
    """``curves.png``, and ``sheet.png`` of held-out puzzles with the network's answers; several tasks in a column."""
    from avssl.report.pictures import save_picture

    save_picture(_column([_curves(job.task, result, folder) for job in jobs]), folder.path / "curves.png")
    sheet = _column([_sheet(job, result, skip) for job in jobs])
    save_picture(sheet, folder.path / "sheet.png")
    folder.metrics.picture(result.steps, "sheet", sheet)
    folder.metrics.close()  # nothing follows, and controls may take hours


def _curves(task: Task, result: FitResult, folder: RunFolder) -> Image:
    from PIL import Image as pillow

    from avssl.report.run_parts import levels_of
    from avssl.report.training_charts import draw_curves

    levels, path = levels_of(task), folder.path / "curves.png"
    lines = [line for line in result.history if line["task"] == task.name]
    draw_curves(lines, path, chance=levels.chance, title=f"{task.name} · {folder.path}", loss=levels.loss)
    return pillow.open(io.BytesIO(path.read_bytes())).convert("RGB")


def _sheet(job: Job, result: FitResult, skip: bool) -> Image:
    from avssl.evaluate.pretext.predictions import distinct, held_out_keys
    from avssl.experiment.show import answered_sheet

    task = job.task.held_out()
    media = job.parts.test or job.parts.validation or job.parts.train
    puzzles = on_readable(media, lambda part: [task.draw(part, key) for key in held_out_keys(0, 16)], skip=skip)
    return answered_sheet(task, result.networks[job.task.name], distinct(task, puzzles))


def _column(pictures: Sequence[Image]) -> Image:
    """Pictures one below the other on white."""
    from PIL import Image as pillow

    if len(pictures) == 1:
        return pictures[0]
    whole = pillow.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), "white")
    top = 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height
    return whole


def _evaluate(jobs: Sequence[Job], result: FitResult, request: Request, folder: RunFolder) -> None:
    """Train the controls and write their rows. All processes of a training take part, as their training is shared."""
    from avssl.evaluate.core.training_overlap import marked, seen_in_part
    from avssl.evaluate.pretext.controls import run_controls
    from avssl.trainer.plan import Turns

    began, control, sharing = time.monotonic(), request.control, request.sharing
    # The steps that each task had of all.
    turns = Turns([job.weight for job in jobs], sharing.mix if sharing else "alternating").counts(result.steps)
    rows: list[ResultRow] = []
    for job, trained in zip(jobs, turns, strict=True):
        assert job.parts.test is not None
        network = result.networks[job.task.name]
        found = run_controls(
            job.task,
            network,
            job.parts.train,
            job.parts.test,
            request.options,
            steps=trained // 2 if control.control_steps is None else control.control_steps,
            pairs=control.control_puzzles,
            device=next(network.parameters()).device,
            command=request.command,
        )
        found = marked(found, seen_in_part(job.parts.train, job.parts.test))
        rows += [replace(row, name=f"{row.name}/{job.task.name}") for row in found] if sharing else found
    folder.write_json("results/controls.json", [asdict(row) for row in rows])
    log(f"controls took {duration(time.monotonic() - began)}")


def _report(jobs: Sequence[Job], folder: RunFolder, several: bool) -> None:
    """The tables, what they mean, and where everything lies."""
    from avssl.evaluate.core.rows import read_rows

    path = folder.results / "controls.json"
    if path.exists():  # also of a run that was finished before, and is only shown again
        rows = read_rows(path)
        for job in jobs:
            if several:
                end = f"/{job.task.name}"
                own = [replace(row, name=row.name.removesuffix(end)) for row in rows if row.name.endswith(end)]
                _log_table(own, job, f"{job.task.name}, held out")
            else:
                _log_table(rows, job, "Held out")
    log(f"in {folder.path}:")
    if path.exists():
        log("  results/controls.json   the rows of the table")
    log("  sheet.png, curves.png   held-out puzzles with predictions; loss and accuracy over the steps")
    if (folder.path / "encoders").is_dir():
        log(f"  encoders/               in Python: avssl.load({str(folder.path)!r})")
    logged = "metrics.jsonl, tensorboard/" if (folder.path / "tensorboard").is_dir() else "metrics.jsonl"
    log(f"  config.yaml             every option; {logged}, checkpoints/ beside it")


def _log_table(rows: Sequence[ResultRow], job: Job, title: str) -> None:
    from avssl.evaluate.pretext.controls import verdict
    from avssl.report.tables import rows_text

    test = job.parts.test
    sources = len(set(column_of(test, "source"))) if test else 0
    if any(row.seen for row in rows):  # test items of sources that were trained on are not held out
        title = title.replace("held out", "test part").replace("Held out", "Test part")
    log(rows_text(rows, f"{title}: {counted(len(test), 'item')} of {counted(sources, 'source')}" if test else title))
    if meaning := verdict(rows):
        log(meaning)
