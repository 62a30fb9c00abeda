"""The training loop of every task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, NamedTuple

from torch import nn

from avssl.errors import UserError
from avssl.media.skip_bad_files import each_bad_file_once
from avssl.networks.batchnorm import share_batch_statistics
from avssl.system.console import Bar, Style, counted, duration, log
from avssl.system.cpu import freed_memory_kept
from avssl.system.ranks import local_processes
from avssl.tasks.base import Task
from avssl.trainer.augment import place
from avssl.trainer.auto import choose_workers, compiles, count_of, measure, seconds_between_steps
from avssl.trainer.bad_files import BadFiles
from avssl.trainer.building import build, load_weights, settle_states, to_device
from avssl.trainer.devices import choose_device, choose_precision
from avssl.trainer.distributed import OTHER_FAILED, join
from avssl.trainer.loader import Fetched, Source, Steps, batches
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import Mix, Sharing, TaskPlan, Turns
from avssl.trainer.recorder import Recorder, Setting
from avssl.trainer.result import FitResult
from avssl.trainer.run_folder import RunFolder
from avssl.trainer.schedule import Budget, budget, learning_rate
from avssl.trainer.seeds import hashed, own_random_state
from avssl.trainer.signals import Stopped, Watch, watch_signals
from avssl.trainer.status import Status
from avssl.trainer.stepper import Stepper
from avssl.trainer.transfer import Sent, Transfer


def fit(
    plans: Sequence[TaskPlan],
    options: TrainOptions,
    run: RunFolder | None = None,
    *,
    sharing: Sharing | None = None,
    encoders: Mapping[str, nn.Module] | None = None,
    progress: Style = "auto",
    announce: Callable[[Budget, float | None], None] | None = None,
) -> FitResult:
    """Train tasks, alone or together on shared encoders.

    A step is a pure function of the weights before it, the seed and its number; so a run that was killed and
    is started again ends in the very weights of an undisturbed one (but for ``minutes``), whatever the
    number of workers. (On a GPU as far as its kernels are deterministic.)

    Args:
        plans: the tasks with their data.
        options: how to train.
        run: where to write, and what to continue if a training was begun there; None writes nothing.
        sharing: how several tasks train together; None: in turn.
        encoders: modules to start from, by role, instead of fresh ones; they are trained in place.
        progress: a bar, lines, nothing, or what suits the terminal.
        announce: called before the first step with how much is left, and the measured seconds of a step, if any.

    Raises:
        UserError: an option that makes no sense, a bad file, a full disk, a loss that is NaN or infinite.
        Stopped: a signal ended it; the run folder, if any, holds the step that was reached.
    """
    options.check()
    if not plans:
        raise ValueError("fit needs at least one task")
    world = join(options.device)
    device = choose_device(options.device, world.local_rank)
    if not world.writes:  # one bar for all processes
        progress = "none"
    setting = Setting(plans, options, run, world, choose_precision(options.precision, device))
    with (
        freed_memory_kept(),
        own_random_state(),
        each_bad_file_once(),
        watch_signals() as watch,
        world.ending_with_others(),
    ):
        return _fit(_Training(setting, sharing or Sharing(), encoders), progress, watch, announce)


def _fit(
    training: _Training,
    progress: Style,
    watch: Watch,
    announce: Callable[[Budget, float | None], None] | None,
) -> FitResult:
    setting = training.setting
    if training.tally.finished:
        log(f"{setting.run.path if setting.run else 'this run'} is finished: nothing is left to train")
    else:
        if announce is not None:
            announce(training.left(), training.step_seconds)
        training.go(progress, watch)
    result = training.result()
    (number,) = setting.world.greatest(watch.number)
    if number:  # it came during the last step
        raise Stopped(int(number))
    return result


class _AllRanks(NamedTuple):
    """The most of any rank before a step: its batch failed, bad files in it, the signal that came, seconds so far."""

    failed: bool
    passed_over: int
    signal: int
    seconds: float


class _Drawn(NamedTuple):
    """A rank's part of the next batch (None: there is none, or an error), and the values of all ranks."""

    sent: Sent | Future[Sent] | None
    error: UserError | None
    greatest: Callable[[], Sequence[float]]

    def of_all_ranks(self) -> _AllRanks:
        """Wait for the values of all ranks."""
        failed, passed_over, signal, seconds = self.greatest()
        return _AllRanks(bool(failed), int(passed_over), int(signal), seconds)


class _Training:
    """One call of :func:`fit`: built, or taken over from the newest checkpoint; then trained."""

    def __init__(
        self,
        setting: Setting,
        sharing: Sharing,
        encoders: Mapping[str, nn.Module] | None,
    ) -> None:
        self.setting = setting
        options, world = setting.options, setting.world
        self._bad_files = BadFiles(sum(len(plan.train) for plan in setting.plans))
        self.step_seconds: float | None = None  # as measured before the first step; None where it was not
        # The order matters: what a task has fitted decides how its encoders and heads are built.
        saved = self._newest_checkpoint()
        self.states = settle_states(setting.plans, options, saved and saved["tasks"], world)
        placed = [place(plan, options, setting.precision.device) for plan in setting.plans]
        self.augmented = "; ".join(dict.fromkeys(each.where for each in placed))
        self.steps = _plan_steps(setting, [each.task for each in placed], sharing.mix)
        self.budget = budget(options, [source.length for source in self.steps.sources], sharing.mix)
        self.compiled = compiles(options, self.budget, setting.precision.device, world.size)
        self.encoders, self.networks = self._build(encoders, sharing.own_statistics)
        self.transfer = Transfer([each.task for each in placed], setting.precision.device, options.channels_last)
        weights = [_loss_weight(plan, sharing) for plan in setting.plans]
        self.stepper = Stepper(self.networks, setting.plans, weights, options, setting.precision, world)
        if saved is not None:
            load_weights(self.networks, saved["networks"], "" if setting.run is None else f" in {setting.run.path}")
            self.stepper.load_state(saved["stepper"])
        if setting.written:
            for name, state in self.states.items():
                setting.written.write_json(f"tasks/{name}.json", state)
        if saved is None or self.budget.share(saved["tally"]["step"], saved["tally"]["seconds"]) < 1:
            self.setting = setting = self._with_workers(saved["tally"]["step"] if saved else 0)
        self.recorder = Recorder(setting, self.steps, self.networks, self.stepper, self.states, saved)
        self.tally = self.recorder.tally
        if self.budget.steps is not None:  # a finished run may be asked for more
            self.tally.finished = self.tally.step >= self.budget.steps

    def left(self) -> Budget:
        """What of the budget is left."""
        steps, seconds = self.budget.steps, self.budget.seconds
        return Budget(
            None if steps is None else steps - self.tally.step,
            None if seconds is None else seconds - self.tally.seconds,
        )

    def go(self, style: Style, watch: Watch) -> None:
        """Train to the end of the budget, or until a signal comes."""
        self._log_beginning()
        with self.setting.world.together():
            if self.setting.written:
                tasks = [plan.task.name for plan in self.setting.plans]
                self.setting.written.start_loggers(self.setting.options.log_to, tasks)
        first, share = self.tally.step, self.budget.share(self.tally.step, self.tally.seconds)
        status = Status(first, self.budget.steps, self.setting.options.batch_size, share)
        on_gpu = self.setting.precision.device.type == "cuda"
        stream = batches(self.steps, first, self.budget.steps, workers=count_of(self.setting.options), pin=on_gpu)
        bar = Bar(style, log)
        began = time.monotonic() - self.tally.seconds
        try:
            drawn = self._draw(stream, status, watch, began)
            ranks = drawn.of_all_ranks()
            while share < 1:
                fetched = self._agreed(drawn, ranks)
                # The next batch comes before this one is trained: while it trains, the ranks hear from each other
                # whether all have the next, and none waits in a step that another cannot take.
                drawn = self._draw(stream, status, watch, began)
                self._train(fetched, share)
                ranks = drawn.of_all_ranks()
                self.tally.seconds = time.monotonic() - began
                share = self.budget.share(self.tally.step, ranks.seconds)
                self.tally.finished = share >= 1
                turns = sorted({piece.plan for piece in fetched.pieces})
                if self.recorder.validates(share):
                    self.transfer.wait()
                self.recorder.after_step(turns, share, bool(ranks.signal), status)
                status.step, status.share = self.tally.step, share
                bar.update(share, status.short, status.line)
                if ranks.signal and share < 1:
                    self._stop(ranks.signal)
        finally:
            bar.close()
            stream.close()
            self.transfer.close()
            self.recorder.close()  # its error is of an earlier step than any other, and the cause of some
        self._log_end()

    def result(self) -> FitResult:
        """Choose the weights that are kept, write the encoders, and return the result."""
        self._settle()
        tally = self.tally
        return FitResult(
            networks=dict(self.networks.items()),
            encoders=self.encoders,
            states=self.states,
            steps=tally.step,
            seconds=tally.seconds,
            data_wait=tally.waited / max(tally.seconds, 1e-9),
            history=self.recorder.history,
            best=tally.best,
            finished=tally.finished,
        )

    def _with_workers(self, first: int) -> Setting:
        """The setting with the number of loader processes that ``--workers auto`` comes to; noted in the run folder."""
        setting, options = self.setting, self.setting.options
        workers, reason = options.workers, "asked for"
        if workers == "auto":
            costs = measure(self.steps, first, self.networks, setting.precision, options.channels_last)
            left = None if self.budget.steps is None else max(self.budget.steps - first, 0)
            chosen = choose_workers(costs, setting.precision.device, local_processes(), left)
            workers, reason = chosen.count, chosen.reason
            if costs.train is not None:
                self.step_seconds = seconds_between_steps(costs.draw, costs.train, workers, on_cpu=True)
            if setting.run is not None:  # a control, or a part of something else, has no line of its own
                log(f"workers: {workers}, as {reason}")
        if setting.written:
            chosen_here = {"compiled": self.compiled, "pictures_cut_on": self.augmented}
            setting.written.note({"workers": workers, "workers_reason": reason, **chosen_here})
            if options.augment != "host" and self.augmented != "host":
                log(f"pictures are cut on: {self.augmented}")
        return replace(setting, options=replace(options, workers=workers))

    def _newest_checkpoint(self) -> dict[str, Any] | None:
        saved = None
        with self.setting.world.together():
            if self.setting.written:
                saved = self.setting.written.checkpoints.newest()
        return self.setting.world.broadcast(saved)

    def _build(
        self, given: Mapping[str, nn.Module] | None, own_statistics: bool
    ) -> tuple[dict[str, nn.Module], nn.ModuleDict]:
        options, device = self.setting.options, self.setting.precision.device
        encoders, networks = build(self.setting.plans, options.seed, given, own_statistics=own_statistics)
        # Converted before they are moved and compiled: conversion replaces layers.
        if self.setting.world.size > 1:
            share_batch_statistics(networks, device)
        to_device([networks, *encoders.values()], device, options.channels_last)
        if self.compiled:
            for network in networks.values():
                network.compile()
        return encoders, networks.train()

    def _draw(self, stream: Iterator[Fetched], status: Status, watch: Watch, began: float) -> _Drawn:
        """The next batch, if there is one; what the other ranks must know of it is on its way to them."""
        fetched: Fetched | None = None
        error: UserError | None = None
        before = time.monotonic()
        try:
            fetched = next(stream, None)
        except UserError as caught:
            error = caught
        waited = time.monotonic() - before
        self.tally.waited += waited
        status.waited_seconds += waited
        passed_over = len(fetched.passed_over) if fetched else 0

        def own() -> tuple[float, ...]:
            return error is not None, passed_over, watch.number, time.monotonic() - began

        sent = fetched and self.transfer.send(fetched)
        return _Drawn(sent, error, self.setting.world.greatest_soon(own))

    def _agreed(self, drawn: _Drawn, ranks: _AllRanks) -> Fetched:
        """The drawn batch, where every rank has one."""
        if drawn.error is not None:
            raise drawn.error
        if ranks.failed:
            raise UserError(OTHER_FAILED)
        assert drawn.sent is not None
        fetched = self.transfer.receive(drawn.sent)
        if ranks.passed_over:
            passed_over = self.setting.world.gathered(fetched.passed_over)
            self.tally.passed_over += len(passed_over)
            drawn_so_far = (fetched.step + 1) * self.setting.options.batch_size
            self._bad_files.add(passed_over, self.tally.passed_over, drawn_so_far)
        return fetched

    def _train(self, fetched: Fetched, share: float) -> None:
        options = self.setting.options
        rate = learning_rate(options, self.budget, fetched.step, share)
        seed = hashed(options.seed, "step", fetched.step, self.setting.world.rank)
        self.recorder.window.add(fetched.step, self.stepper.step(fetched, rate, seed))
        self.tally.step = fetched.step + 1
        if self.setting.precision.device.type == "cpu":
            self.recorder.window.check()  # at once where that is free; a GPU is asked when metrics are due

    def _stop(self, signal_number: int) -> None:
        self._settle()
        saved = "" if self.setting.run is None else " and saved; the same command continues from there"
        log(f"stopped after step {self.tally.step}{saved}")
        raise Stopped(signal_number)

    def _settle(self) -> None:
        """Into the networks the weights that are kept, the last or the best; the encoders into the run folder."""
        if self.setting.options.keep == "best":
            weights = self.recorder.best_weights()
            if weights is not None:
                self.networks.load_state_dict(weights)
        for module in [self.networks, *self.encoders.values()]:
            module.eval()
        with self.setting.world.together():
            if self.setting.written:
                self.setting.written.write_encoders(self._parts())

    def _parts(self) -> dict[str, nn.Module]:
        """What goes to RUN/encoders: the encoders, and the parts that tasks want kept beside them.

        An encoder that a task has with statistics of its own is kept as "ROLE-TASK".
        """
        parts = dict(self.encoders)
        for plan in self.setting.plans:
            for name, part in plan.task.saved(self.networks[plan.task.name]).items():
                own = parts.get(name, part) is not part
                parts[f"{name}-{plan.task.name}" if own else name] = part
        return parts

    def _log_beginning(self) -> None:
        options, precision = self.setting.options, self.setting.precision
        names = " and ".join(plan.task.name for plan in self.setting.plans)
        length = duration(60 * options.minutes) if options.minutes else counted(self.budget.steps or 0, "step")
        after = f", continuing after step {self.tally.step}" if self.tally.step else ""
        log(
            f"training {names} for {length} of {counted(options.batch_size, 'puzzle')} on {precision.device} "
            f"in {precision.name}{after}"
        )

    def _log_end(self) -> None:
        waited = 100 * self.tally.waited / max(self.tally.seconds, 1e-9)
        self._bad_files.log_all(self.tally.passed_over)
        log(
            f"trained {counted(self.tally.step, 'step')} in {duration(self.tally.seconds)}, "
            f"{waited:.0f} % of it waiting for data"
        )


def _plan_steps(setting: Setting, tasks: Sequence[Task], mix: Mix) -> Steps:
    sources = []
    for plan, task in zip(setting.plans, tasks, strict=True):
        length = task.length(plan.train)
        if length < 1:
            raise UserError(f"{plan.task.name} has no items to train on; `avssl index` lists why files cannot be used")
        sources.append(Source(task, plan.train, length))
    turns, options, world = Turns([plan.weight for plan in setting.plans], mix), setting.options, setting.world
    return Steps(
        sources,
        turns,
        options.seed,
        options.batch_size,
        options.accumulate,
        world.rank,
        world.size,
        options.on_bad_file,
    )


def _loss_weight(plan: TaskPlan, sharing: Sharing) -> float:
    """The factor of the task's loss. Called after its statistics are known: its chance may depend on them."""
    chance = plan.task.training_chance_loss() if sharing.by_chance else None
    return (plan.weight if sharing.mix == "joint" else 1.0) / (chance or 1.0)
