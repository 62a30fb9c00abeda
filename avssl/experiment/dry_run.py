"""``avssl train … --dry-run``: what a training would do, without doing it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from avssl.errors import UserError
from avssl.experiment.data import Opened, Parts, as_it_is
from avssl.experiment.places import about_others
from avssl.experiment.request import Request
from avssl.media.selection import column_of, facts_of
from avssl.system.console import counted, duration, log, size
from avssl.system.ranks import processes

if TYPE_CHECKING:
    from avssl.trainer.rehearsal import Rehearsal

NAMED_REASONS = 5  # of files that are left out; `avssl index` lists all


@dataclass(frozen=True)
class DryRun:
    """What a training would do, and what that takes.

    Attributes:
        items: by task how many there are in each part: {"av-correspondence": {"train": 900, "validation": 100, …}}.
        sources: by task how many sources they come from.
        left_out: why files and items are not used, and how many for each reason.
        prepared_bytes: what preparing the data would write into the cache; 0 if it is done, or is not worth it.
        run_bytes: what the run folder would hold: checkpoints and encoders.
        free_bytes: on the disk of the run folder.
        memory_bytes: of the training process (on a GPU of its memory), and of all loader processes.
        workers: loader processes.
        steps: optimizer steps, and the passes over the training data that they are.
        step_seconds: from step to step.
        train_seconds: training one, with all cores or the GPU.
        draw_seconds: drawing its batch in one process; of data that would be prepared from the files as they are, which
            takes longer.
        seconds: of the training, and of its controls; not of looking at files and preparing them.
    """

    items: Mapping[str, Mapping[str, int]]
    sources: Mapping[str, int]
    left_out: Mapping[str, int]
    prepared_bytes: int
    run_bytes: int
    free_bytes: int
    memory_bytes: int
    worker_bytes: int
    workers: int
    steps: int
    epochs: float
    step_seconds: float
    train_seconds: float
    draw_seconds: float
    seconds: float
    control_seconds: float


def dry_run(request: Request) -> DryRun:
    """Open the data of a training, try a few of its steps, and log what it would do. No run folder is written.

    Files are looked at, and clips generated where no data are named, as by any command: that stays in the cache.

    Raises:
        UserError: as the training itself.
    """
    if processes() > 1:
        raise UserError("--dry-run tries the steps of one process; run it without torchrun")
    from avssl.experiment.training import open_parts, refuse_early
    from avssl.trainer.plan import Sharing, TaskPlan
    from avssl.trainer.rehearsal import rehearse

    tasks = request.tasks()
    refuse_early(request, tasks, begun=False)  # as the training would: a dry run that succeeds promises that it begins
    found = open_parts(request, tasks)
    divided = [as_it_is(one) for one in found]
    plans = [
        TaskPlan(one.task, parts.train, parts.validation, part.weight)
        for one, (parts, _), part in zip(found, divided, request.parts, strict=True)
    ]
    tried = rehearse(plans, request.options, request.sharing)
    mix = (request.sharing or Sharing()).mix
    answer = _answer(request, found, divided, tried, [plan.task.length(plan.train) for plan in plans], mix == "joint")
    _log(answer, request)
    return answer


def _answer(
    request: Request,
    found: Sequence[Opened],
    divided: Sequence[tuple[Parts, int]],
    tried: Rehearsal,
    lengths: Sequence[int],
    joint: bool,
) -> DryRun:
    from avssl.trainer.auto import BATCHES_OF_A_WORKER, WORKER_BYTES, Costs, choose_workers, seconds_between_steps
    from avssl.trainer.checkpoints import KEPT
    from avssl.trainer.devices import choose_device
    from avssl.trainer.schedule import budget

    options = request.options
    on_cpu = choose_device(options.device).type == "cpu"
    costs = Costs(tried.draw_seconds, tried.train_seconds if on_cpu else None, tried.batch_bytes)
    workers = (
        options.workers if options.workers != "auto" else choose_workers(costs, choose_device(options.device)).count
    )
    step = seconds_between_steps(tried.draw_seconds, tried.train_seconds, workers, on_cpu)
    asked = budget(options, lengths, "joint" if joint else "alternating")
    # Of --minutes the steps that fit into them, at the pace of those that were tried.
    steps = asked.steps if asked.steps is not None else max(1, round((asked.seconds or 0) / step))
    a_task = steps if joint else steps / len(found)  # joint: every task at every step
    # Without those that are in doubt and trained once more.
    of_controls = 0.0
    if request.control.controls:
        each = a_task / 2 if request.control.control_steps is None else request.control.control_steps
        of_controls = step * each * sum(len(one.task.controls()) for one in found)
    # Beside each weight SGD keeps its momentum, Adam and its kin a first and a second moment.
    moments = {"sgd": 1}.get(options.optimizer, 2)
    # The newest and the one before, and the best where it is kept.
    checkpoints = (KEPT + (options.keep == "best")) * (1 + moments) * tried.weights_bytes
    return DryRun(
        items={
            one.task.name: {name: len(part) for name, part in parts.by_split.items()}
            for one, (parts, _) in zip(found, divided, strict=True)
        },
        sources={one.task.name: _count_sources(parts) for one, (parts, _) in zip(found, divided, strict=True)},
        left_out=_left_out(found),
        prepared_bytes=sum(written for _, written in divided),
        run_bytes=checkpoints + tried.weights_bytes,
        free_bytes=_free(request),
        memory_bytes=round(tried.memory_bytes),
        worker_bytes=round(workers * (WORKER_BYTES + BATCHES_OF_A_WORKER * tried.batch_bytes)),
        workers=workers,
        steps=steps,
        epochs=a_task * options.batch_size / max(sum(lengths) / len(lengths), 1),
        step_seconds=step,
        train_seconds=tried.train_seconds,
        draw_seconds=tried.draw_seconds,
        seconds=steps * step,
        control_seconds=of_controls,
    )


def _count_sources(parts: Parts) -> int:
    return len({source for part in parts.by_split.values() for source in column_of(part, "source")})


def _left_out(found: Sequence[Opened]) -> dict[str, int]:
    """Files that cannot be used at all, and items that a task cannot use."""
    reasons: Counter[str] = Counter()
    for one in found:
        for media in filter(None, (one.media, one.test)):
            reasons.update(file.reason for file in media.rejected if not about_others(file.path))
            reasons.update(reason for facts in facts_of(media) if (reason := one.task.unusable(facts)) is not None)
    return dict(reasons.most_common())


def _free(request: Request) -> int:
    folder = request.out.absolute()  # which is made by the training only
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _log(found: DryRun, request: Request) -> None:
    options = request.options
    log("a dry run: nothing is trained to the end, and no run folder is written")
    for name, parts in found.items.items():
        counts = ", ".join(f"{count} for {part}" for part, count in parts.items())
        log(f"{name}: {counted(sum(parts.values()), 'item')} of {counted(found.sources[name], 'source')}: {counts}")
    for reason, count in list(found.left_out.items())[:NAMED_REASONS]:
        log(f"left out: {count} × {reason}")
    if (more := len(found.left_out) - NAMED_REASONS) > 0:
        log(f"left out for {more} other reasons; `avssl index` lists every file")
    prepared = f"{size(found.prepared_bytes)} of prepared data in the cache, " if found.prepared_bytes else ""
    log(f"disk: {prepared}about {size(found.run_bytes)} in {request.out}, of {size(found.free_bytes)} free there")
    loaders = counted(found.workers, "loader process")
    log(f"memory: about {size(found.memory_bytes)}, and {size(found.worker_bytes)} for {loaders}")
    from_files = ", from the files as they are: prepared ones are faster" if found.prepared_bytes else ""
    log(
        f"steps: {found.steps} of {counted(options.batch_size, 'puzzle')}, {found.epochs:.3g} epochs; here one takes "
        f"{found.train_seconds:.2g} s to train and {found.draw_seconds:.2g} s to draw{from_files}"
    )
    controls = f", and {duration(found.control_seconds)} for the controls" if found.control_seconds else ""
    log(f"time: about {duration(found.seconds)} of training{controls}")
