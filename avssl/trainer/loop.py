"""The loop that every task is trained by."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from avssl.errors import UserError
from avssl.trainer.building import build, settle_states, to_device
from avssl.trainer.devices import choose_device, choose_precision
from avssl.trainer.distributed import World, join, share_batch_statistics
from avssl.trainer.loader import Fetched, Source, Steps, batches
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import Mix, TaskPlan, Turns, steps_per_epoch
from avssl.trainer.progress import Say, Status, Style, print_line, show_progress, spoken
from avssl.trainer.result import FitResult, Tally, Window
from avssl.trainer.run_folder import RunFolder, SaveEncoder
from avssl.trainer.schedule import budget, learning_rate
from avssl.trainer.seeds import hashed, own_random_state
from avssl.trainer.signals import Stopped, Watch, watch_signals
from avssl.trainer.stepper import Stepper
from avssl.trainer.validation import Validation, at_chance


def fit(
    plans: Sequence[TaskPlan],
    options: TrainOptions,
    run: RunFolder | None = None,
    *,
    mix: Mix = "alternating",
    encoders: Mapping[str, nn.Module] | None = None,
    save_encoder: SaveEncoder | None = None,
    say: Say = print_line,
    progress: Style = "auto",
) -> FitResult:
    """Train tasks, alone or together on shared encoders.

    A step is a pure function of the weights before it, the seed and its number; so a run that was killed and
    is started again ends in the very weights of an undisturbed one (but for ``minutes``), whatever the
    number of workers.

    Args:
        plans: the tasks with their data.
        options: how to train.
        run: where to write, and what to continue if a training was begun there; None writes nothing.
        mix: with several tasks, a batch of one task a step in turn, or of every task at every step.
        encoders: modules to start from, by role, instead of fresh ones; they are trained in place.
        save_encoder: how encoders are written to the run folder; None: :mod:`avssl.networks.saving`'s way.
        say: takes each line meant for people.
        progress: a bar, lines, nothing, or what suits the terminal.

    Raises:
        UserError: an option that makes no sense, a bad file, a full disk, a loss that is no number.
        Stopped: a signal ended it; the run folder, if any, holds the step that was reached.
    """
    options.check()
    if not plans:
        raise ValueError("fit needs at least one task")
    world = join()
    device = choose_device(options.device, world.local_rank)
    if not world.writes:
        say, progress = _hush, "none"
    with own_random_state(), watch_signals() as watch:
        training = _Training(plans, options, run, mix, encoders, save_encoder, say, world, device)
        return training.go(progress, watch)


class _Training:
    """One call of :func:`fit`. Public methods come in the order in which things happen."""

    def __init__(
        self,
        plans: Sequence[TaskPlan],
        options: TrainOptions,
        run: RunFolder | None,
        mix: Mix,
        encoders: Mapping[str, nn.Module] | None,
        save_encoder: SaveEncoder | None,
        say: Say,
        world: World,
        device: torch.device,
    ) -> None:
        self.plans, self.options, self.run, self.world = plans, options, run, world
        self.say, self.save_encoder = say, save_encoder
        self.precision = choose_precision(options.precision, device)
        saved = self._newest_checkpoint()
        self.states = settle_states(plans, options.seed, saved and saved["tasks"], world)
        self.steps = self._plan_steps(mix)
        lengths = [source.length for source in self.steps.sources]
        self.budget = budget(options, lengths, mix)
        self.epoch_steps = [steps_per_epoch(length, options.batch_size) for length in lengths]
        self.encoders, self.networks = self._build(encoders)
        joint_weights = [plan.weight if mix == "joint" else 1.0 for plan in plans]
        self.stepper = Stepper(self.networks, plans, joint_weights, options, self.precision, world)
        self.tally = Tally()
        self.history: list[dict[str, Any]] = []
        self.best_weights: dict[str, Any] | None = None
        if saved is not None:
            self._take_over(saved)
        self._keep_states()
        self.validations = self._plan_validations()
        self.window = Window(self.steps, [plan.task.name for plan in plans])
        self.batches_done = self._count_batches()

    def go(self, style: Style, watch: Watch) -> FitResult:
        if self.tally.finished:
            assert self.run is not None
            self.say(f"{self.run.path} is finished ({self.tally.step} steps); nothing is left to train")
            return self._result()
        began, first = time.monotonic() - self.tally.seconds, self.tally.step
        share = self.budget.share(first, self.tally.seconds)
        status = Status(first, self.budget.steps, self.options.batch_size, share, waited_seconds=0.0)
        self.window.seconds_before, self.window.waited_before = self.tally.seconds, self.tally.waited
        stream = batches(
            self.steps,
            first,
            self.budget.steps,
            workers=self.options.workers,
            pin=self.precision.device.type == "cuda",
        )
        bar = show_progress(style, self.say)
        try:
            while share < 1:
                fetched = self._fetch(stream, status)
                signal_number, seconds = self.world.greatest(watch.number, time.monotonic() - began)
                self._train(fetched, self.budget.share(self.tally.step, seconds))
                self.tally.seconds = time.monotonic() - began
                share = self.budget.share(self.tally.step, seconds)
                stopped = int(signal_number) if self.world.size > 1 else watch.number
                self.tally.finished = share >= 1
                self._write_down(share, bool(stopped), status)
                status.step, status.share = self.tally.step, share
                bar.update(status)
                if stopped and share < 1:
                    self._stop(stopped)
        finally:
            bar.close()
            stream.close()  # type: ignore[attr-defined]
        self._say_end()
        return self._result()

    # --- before -----------------------------------------------------------------------------------------

    def _newest_checkpoint(self) -> dict[str, Any] | None:
        saved = None
        with self.world.together():
            if self.run is not None and self.run.writes:
                saved = self.run.checkpoints.newest(self.say)
        return self.world.broadcast(saved)

    def _plan_steps(self, mix: Mix) -> Steps:
        sources = []
        for plan in self.plans:
            length = plan.task.length(plan.train)
            if length < 1:
                raise UserError(f"{plan.task.name} finds nothing to train on in its data")
            sources.append(Source(plan.task, plan.train, length))
        turns = Turns([plan.weight for plan in self.plans], mix)
        return Steps(
            sources,
            turns,
            self.options.seed,
            self.options.batch_size,
            self.options.accumulate,
            self.world.rank,
            self.world.size,
            self.options.on_bad_file,
        )

    def _build(self, given: Mapping[str, nn.Module] | None) -> tuple[dict[str, nn.Module], nn.ModuleDict]:
        encoders, networks = build(self.plans, self.options.seed, given)
        share_batch_statistics(networks, self.precision.device, self.world)
        to_device([networks, *encoders.values()], self.precision.device, self.options.channels_last)
        self.world.copy_from_first(list(networks.state_dict().values()))
        if self.options.compile:
            for network in networks.values():
                network.compile()
        return encoders, networks.train()

    def _take_over(self, saved: dict[str, Any]) -> None:
        self.networks.load_state_dict(saved["networks"])
        self.stepper.load_state(saved["stepper"])
        self.tally = Tally(**saved["tally"])
        lines = self.run.metrics.continue_after(self.tally.step) if self.run and self.run.writes else []
        self.history = self.world.broadcast(lines)
        if not self.tally.finished:
            self.say(f"continuing after step {self.tally.step}")

    def _keep_states(self) -> None:
        if self.run is not None:
            for name, state in self.states.items():
                self.run.write_json(f"tasks/{name}.json", state)

    def _plan_validations(self) -> dict[str, Validation]:
        options = self.options
        if options.validation_puzzles == 0:
            return {}
        return {
            plan.task.name: Validation(
                plan.task.held_out(),
                plan.validation,
                options.validation_puzzles,
                options.batch_size,
                options.workers,
                self.world,
            )
            for plan in self.plans
            if plan.validation is not None
        }

    def _count_batches(self) -> list[int]:
        """How many batches of each task came before this step."""
        counts = [0] * len(self.plans)
        turns = itertools.chain.from_iterable(self.steps.turns.at(step) for step in range(self.tally.step))
        for turn in turns:
            counts[turn.plan] += 1
        return counts

    # --- a step -----------------------------------------------------------------------------------------

    def _fetch(self, stream: Iterator[Fetched], status: Status) -> Fetched:
        before = time.monotonic()
        with self.world.together():
            fetched = next(stream)
        waited = time.monotonic() - before
        self.tally.waited += waited
        status.waited_seconds += waited
        for bad in fetched.passed_over:
            self.tally.passed_over += 1
            self.say(f"passed over ({self.tally.passed_over} so far): {bad}")
        return fetched

    def _train(self, fetched: Fetched, share: float) -> None:
        rate = learning_rate(self.options, self.budget, fetched.step, share)
        seed = hashed(self.options.seed, "step", fetched.step, self.world.rank)
        self.window.add(fetched.step, self.stepper.step(fetched, rate, seed))
        for plan in {piece.plan for piece in fetched.pieces}:
            self.batches_done[plan] += 1
        self.tally.step = fetched.step + 1
        if self.precision.device.type == "cpu":
            self.window.check()

    # --- writing down -----------------------------------------------------------------------------------

    def _write_down(self, share: float, stopped: bool, status: Status) -> None:
        """What is due after this step: metrics, validation, checkpoint."""
        step, options = self.tally.step, self.options
        save = stopped or share >= 1 or step % options.checkpoint_every == 0
        validate = share >= 1 or step % options.validate_every == 0
        if save or validate or step % options.log_every == 0:
            self._log_training(status)
        if validate and self.validations and self._validate(share, status):
            save = True
        if save:
            with self.world.together():
                self._save()

    def _log_training(self, status: Status) -> None:
        window, tally = self.window, self.tally
        waited = (tally.waited - window.waited_before) / max(tally.seconds - window.seconds_before, 1e-9)
        window.waited_before, window.seconds_before = tally.waited, tally.seconds
        with self.world.together():
            for plan, means in window.means().items():
                self._log(plan, "train", means, waited)
                status.figures = {name: means[name] for name in ("loss", "accuracy") if name in means}

    def _validate(self, share: float, status: Status) -> bool:
        """Measure all tasks on their held-out puzzles; returns whether they never were better."""
        scores = []
        for number, plan in enumerate(self.plans):
            validation = self.validations.get(plan.task.name)
            if validation is None:
                continue
            found = validation.measure(self.networks[plan.task.name], self.precision, self.options.channels_last)
            line = self._log(number, "val", found, self.tally.waited / max(self.tally.seconds, 1e-9))
            by_accuracy = self.options.best_by == "accuracy" and "accuracy" in line
            scores.append(1 - line["accuracy"] if by_accuracy else line["loss"])
            status.figures["val " + ("accuracy" if "accuracy" in line else "loss")] = line.get("accuracy", line["loss"])
            sentence = at_chance(plan.task, line) if self._is_time_to_doubt(share) else None
            if sentence:
                self.say(sentence)
        score = sum(scores) / len(scores)
        if self.tally.best is not None and not score < self.tally.best["score"]:
            return False
        self.tally.best = {"step": self.tally.step, "score": score}
        if self.run is None and self.options.keep == "best":
            self.best_weights = copy.deepcopy(self.networks.state_dict())
        return True

    def _is_time_to_doubt(self, share: float) -> bool:
        """At the end, and at the first validation past the middle."""
        if share >= 1:
            return True
        last = self.tally.step - self.options.validate_every
        return share >= 0.5 and self.budget.steps is not None and last < self.budget.steps / 2

    def _log(self, plan: int, split: str, figures: Mapping[str, float], waited: float) -> dict[str, Any]:
        line = {
            "step": self.tally.step,
            "epoch": round(self.batches_done[plan] / self.epoch_steps[plan], 4),
            "split": split,
            "task": self.plans[plan].task.name,
            **figures,
            "seconds": round(self.tally.seconds, 3),
            "data_wait": round(waited, 4),
        }
        self.history.append(line)
        if self.run is not None and self.run.writes:
            self.run.metrics.log(line)
        return line

    def _save(self) -> None:
        if self.run is None or not self.run.writes:
            return
        state = {
            "networks": self.networks.state_dict(),
            "stepper": self.stepper.state(),
            "tasks": self.states,
            "tally": asdict(self.tally),
            "best": self.tally.best,
        }
        best = self.tally.best
        self.run.checkpoints.save(state, self.tally.step, int(best["step"]) if best else None)

    # --- after ------------------------------------------------------------------------------------------

    def _stop(self, signal_number: int) -> None:
        if self.run is None:
            self.say(f"stopped after step {self.tally.step}; nothing was kept, as there is no run folder")
        else:
            self._choose()
            self.run.write_encoders(self._parts(), self.save_encoder)
            self.say(f"stopped after step {self.tally.step} and saved; the same command continues from there")
        raise Stopped(signal_number)

    def _say_end(self) -> None:
        tally = self.tally
        waited = 100 * tally.waited / max(tally.seconds, 1e-9)
        self.say(f"trained {tally.step} steps in {spoken(tally.seconds)}, {waited:.0f} % of it waiting for data")

    def _choose(self) -> None:
        """The weights that are kept: the last or the best."""
        if self.options.keep == "best" and self.tally.best is not None:
            self.networks.load_state_dict(self._best())
        self.networks.eval()
        for encoder in self.encoders.values():
            encoder.eval()

    def _result(self) -> FitResult:
        self._choose()
        if self.run is not None:
            with self.world.together():
                self.run.write_encoders(self._parts(), self.save_encoder)
        return FitResult(
            networks=dict(self.networks.items()),
            encoders=self.encoders,
            states=self.states,
            steps=self.tally.step,
            seconds=self.tally.seconds,
            data_wait=self.tally.waited / max(self.tally.seconds, 1e-9),
            history=self.history,
            best=self.tally.best,
            finished=self.tally.finished,
        )

    def _parts(self) -> dict[str, nn.Module]:
        """What goes to RUN/encoders: the encoders, and the parts that tasks want kept beside them."""
        parts = dict(self.encoders)
        for plan in self.plans:
            parts.update(plan.task.saved(self.networks[plan.task.name]))
        return parts

    def _best(self) -> dict[str, Any]:
        assert self.tally.best is not None
        if self.run is None:
            assert self.best_weights is not None
            return self.best_weights
        weights: dict[str, Any] = {}
        with self.world.together():
            if self.run.writes:
                weights = self.run.checkpoints.load(int(self.tally.best["step"]))["networks"]
        return self.world.broadcast(weights)


def _hush(_: str) -> None:
    """Ranks that do not write do not speak."""
