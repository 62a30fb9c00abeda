"""What is due after a step: a line of metrics, a validation, a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from torch import nn

from avssl.system.console import log
from avssl.trainer.checkpoint_writer import CheckpointWriter
from avssl.trainer.devices import Precision
from avssl.trainer.distributed import World
from avssl.trainer.feature_figures import collapsed
from avssl.trainer.loader import Steps
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan, steps_per_epoch
from avssl.trainer.result import Glance, Tally, Window
from avssl.trainer.run_folder import RunFolder
from avssl.trainer.status import Status
from avssl.trainer.stepper import Stepper
from avssl.trainer.validation import Validation, at_chance

# Devices that still compute the steps whose figures are due: these lines are written with the next ones.
READ_LATE = ("cuda",)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a training was called with, and where it runs."""

    plans: Sequence[TaskPlan]
    options: TrainOptions
    run: RunFolder | None
    world: World
    precision: Precision

    @property
    def written(self) -> RunFolder | None:
        """The run folder, where there is one and this process writes it."""
        return self.run if self.run is not None and self.run.writes else None


class _Late(NamedTuple):
    """Figures on their way from the device, and where the training was when they were asked for."""

    window: Window
    tally: Tally
    batches: Sequence[int]
    learning_rate: float


class Recorder:
    """Keeps the books of one training.

    Attributes:
        tally: where the training is; whoever trains moves ``step``, ``seconds`` and ``waited`` on.
        window: outcomes since the last line of metrics; whoever trains adds to it.
        history: the lines of metrics.
    """

    def __init__(
        self,
        setting: Setting,
        steps: Steps,
        networks: nn.ModuleDict,
        stepper: Stepper,
        states: Mapping[str, dict[str, Any]],
        saved: Mapping[str, Any] | None,
    ) -> None:
        self._setting, self._networks, self._stepper, self._states = setting, networks, stepper, states
        self.tally = Tally(**saved["tally"]) if saved else Tally()
        self.history = self._earlier_lines()
        self.window = Window(steps, [plan.task.name for plan in setting.plans])
        self.window.restart(self.tally)
        self._epochs = [steps_per_epoch(source.length, steps.batch_size) for source in steps.sources]
        self._batches = steps.turns.counts(self.tally.step)
        self._validations = list(_validations(setting))
        self._writer = CheckpointWriter()
        self._late: _Late | None = None
        self._glance = Glance()
        self._doubted = False
        self._collapsed: set[str] = set()
        self._best_weights: dict[str, Any] | None = None

    def validates(self, share: float) -> bool:
        """Whether there is a validation after this step, for which processes may be forked."""
        return bool(self._validations) and (share >= 1 or self.tally.step % self._setting.options.validate_every == 0)

    def after_step(self, turns: Sequence[int], share: float, stopped: bool, status: Status) -> None:
        """Write what is due.

        Args:
            turns: the numbers of the plans that this step trained.
            share: the part of the training that is done; 1 at its end.
            stopped: the training stops here and must be saved.
        """
        step, options = self.tally.step, self._setting.options
        for plan in turns:
            self._batches[plan] += 1
        self._show_newest(status)
        save = stopped or share >= 1 or step % options.checkpoint_every == 0
        validate = self.validates(share)
        if save or validate or step % options.log_every == 0:
            self._log_training(status)
            if save or validate or self._setting.precision.device.type not in READ_LATE:
                self._write_late(status)
        if validate:
            with self._setting.world.together():
                self._writer.wait()  # held-out puzzles may be drawn by processes that are forked now
            save |= self._validate(share, status)
        if save:
            with self._setting.world.together():
                self._save()
                if stopped or share >= 1:
                    self._writer.wait()

    def close(self) -> None:
        """Wait for the last checkpoint; UserError if it could not be written."""
        self._writer.close()

    def best_weights(self) -> dict[str, Any] | None:
        """The networks' state at the best validation, on every rank; None if there was no validation."""
        best, setting = self.tally.best, self._setting
        if best is None or setting.run is None:  # without a run folder they are kept in memory
            return self._best_weights
        weights: dict[str, Any] = {}
        with setting.world.together():
            if setting.written:
                weights = setting.written.checkpoints.load(int(best["step"]))["networks"]
        return setting.world.broadcast(weights)

    def _earlier_lines(self) -> list[dict[str, Any]]:
        lines = []
        with self._setting.world.together():
            if self._setting.written:
                lines = self._setting.written.metrics.continue_after(self.tally.step)
        return self._setting.world.broadcast(lines)

    def _log_training(self, status: Status) -> None:
        """Begin to read this window's figures, and write the lines of the one before, which have arrived by now."""
        before = self._late
        rate = self._stepper.learning_rate
        self._late = _Late(self.window.reading(), replace(self.tally), tuple(self._batches), rate)
        self.window.restart(self.tally)
        if before is not None:
            self._write_lines(before, status)

    def _show_newest(self, status: Status) -> None:
        """Figures up to this very step, or of a GPU the newest that have arrived: reading them waits for nothing.

        Of several processes they are as old as a line, as each has figures of its own share.
        """
        setting = self._setting
        if setting.world.size > 1:
            return
        late = setting.precision.device.type in READ_LATE
        found = self._glance.newest(self.window) if late else self.window.means(setting.world)
        for plan, means in found.items():
            status.figures |= self._shown(plan, means)

    def _write_late(self, status: Status) -> None:
        late, self._late = self._late, None
        if late is not None:
            self._write_lines(late, status)

    def _write_lines(self, late: _Late, status: Status) -> None:
        late.window.arrived()
        found = late.window.means(self._setting.world)
        with self._setting.world.together():
            late.window.check()
            for plan, means in found.items():
                if late.tally.passed_over:
                    means["passed_over"] = late.tally.passed_over
                self._log(plan, "train", means, late.window.waited_share(late.tally), late)
                if self._setting.world.size > 1:
                    status.figures |= self._shown(plan, means)

    def _log(
        self, plan: int, split: str, figures: Mapping[str, float], waited: float, late: _Late | None = None
    ) -> dict[str, Any]:
        tally, batches = (self.tally, self._batches) if late is None else (late.tally, late.batches)
        line = {
            "step": tally.step,
            "epoch": round(batches[plan] / self._epochs[plan], 4),
            "split": split,
            "task": self._setting.plans[plan].task.name,
            **figures,
            "seconds": round(tally.seconds, 3),
            "data_wait": round(waited, 4),
        }
        self.history.append(line)
        if self._setting.written:
            self._setting.written.metrics.log(line, **({} if late is None else {"learning_rate": late.learning_rate}))
        return line

    def _validate(self, share: float, status: Status) -> bool:
        """Measure every task on its held-out puzzles; returns whether this is the best validation so far."""
        setting, doubting = self._setting, share >= 1 or (share >= 0.5 and not self._doubted)
        scores = []
        for plan, validation in self._validations:
            task = setting.plans[plan].task
            found = validation.measure(self._networks[task.name], setting.precision, setting.options.channels_last)
            line = self._log(plan, "val", found, self.tally.waited / max(self.tally.seconds, 1e-9))
            shown = "accuracy" if "accuracy" in line else "loss"
            status.figures |= self._shown(plan, {shown: line[shown]}, "held-out ")
            by_accuracy = setting.options.best_by == "accuracy" and shown == "accuracy"
            scores.append(1 - line["accuracy"] if by_accuracy else line["loss"])
            sentence = at_chance(task, line) if doubting else None
            if sentence:
                log(sentence)
            collapse = None if task.name in self._collapsed else collapsed(line)
            if collapse:
                log(f"{task.name}, step {line['step']}: {collapse}")
                self._collapsed.add(task.name)
        self._doubted |= doubting
        return self._is_best(sum(scores) / len(scores))

    def _shown(self, plan: int, means: Mapping[str, float], which: str = "") -> dict[str, float]:
        """Of the figures of a task those that people look for, with its name where there are several tasks."""
        plans = self._setting.plans
        task = f"{plans[plan].task.name} " if len(plans) > 1 else ""
        return {f"{task}{which}{name}": means[name] for name in ("loss", "accuracy") if name in means}

    def _is_best(self, score: float) -> bool:
        # "not <": a score that is NaN is never the best.
        if self.tally.best is not None and not score < self.tally.best["score"]:
            return False
        self.tally.best = {"step": self.tally.step, "score": score}
        if self._setting.run is None and self._setting.options.keep == "best":
            self._best_weights = copy.deepcopy(self._networks.state_dict())
        return True

    def _save(self) -> None:
        run, best = self._setting.written, self.tally.best
        if run is None:
            return
        state = {
            "networks": self._networks.state_dict(),
            "stepper": self._stepper.state(),
            "tasks": dict(self._states),
            "tally": asdict(self.tally),
            "config": run.config,
        }
        self._writer.save(run.checkpoints, state, self.tally.step, int(best["step"]) if best else None)


def _validations(setting: Setting) -> list[tuple[int, Validation]]:
    """The number of each plan that is validated, with its held-out puzzles."""
    options = setting.options
    if options.validation_puzzles == 0:
        return []
    return [
        (number, Validation(plan.task.held_out(), plan.validation, options, setting.world))
        for number, plan in enumerate(setting.plans)
        if plan.validation is not None
    ]
