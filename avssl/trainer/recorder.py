"""What is due after a step: a line of metrics, a validation, a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from avssl.errors import UserError
from avssl.system.console import log
from avssl.trainer.devices import Precision
from avssl.trainer.distributed import World
from avssl.trainer.loader import Steps
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan, steps_per_epoch
from avssl.trainer.result import Tally, Window
from avssl.trainer.run_folder import RunFolder
from avssl.trainer.status import Status
from avssl.trainer.stepper import Stepper
from avssl.trainer.validation import Validation, at_chance


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
        self._doubted = False
        self._best_weights: dict[str, Any] | None = None

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
        save = stopped or share >= 1 or step % options.checkpoint_every == 0
        validate = bool(self._validations) and (share >= 1 or step % options.validate_every == 0)
        if save or validate or step % options.log_every == 0:
            self._log_training(status)
        if validate and self._validate(share, status):
            save = True
        if save:
            with self._setting.world.together():
                self._save()

    def best_weights(self) -> dict[str, Any] | None:
        """The networks' state at the best validation, on every rank; None if there was no validation."""
        best, setting = self.tally.best, self._setting
        if best is None or setting.run is None:
            return self._best_weights
        weights: dict[str, Any] = {}
        with setting.world.together():
            if setting.written:
                weights = setting.written.checkpoints.load(int(best["step"]))["networks"]
        return setting.world.broadcast(weights)

    # --- metrics ----------------------------------------------------------------------------------------

    def _earlier_lines(self) -> list[dict[str, Any]]:
        lines = []
        with self._setting.world.together():
            if self._setting.written:
                lines = self._setting.written.metrics.continue_after(self.tally.step)
        return self._setting.world.broadcast(lines)

    def _log_training(self, status: Status) -> None:
        waited = self.window.waited_share(self.tally)
        found = self.window.means(self._setting.world)
        with self._setting.world.together():
            self.window.check()
            for plan, means in found.items():
                if self.tally.passed_over:
                    means["passed_over"] = self.tally.passed_over
                self._log(plan, "train", means, waited)
                status.figures = {name: means[name] for name in ("loss", "accuracy") if name in means}
        self.window.restart(self.tally)

    def _log(self, plan: int, split: str, figures: Mapping[str, float], waited: float) -> dict[str, Any]:
        line = {
            "step": self.tally.step,
            "epoch": round(self._batches[plan] / self._epochs[plan], 4),
            "split": split,
            "task": self._setting.plans[plan].task.name,
            **figures,
            "seconds": round(self.tally.seconds, 3),
            "data_wait": round(waited, 4),
        }
        self.history.append(line)
        if self._setting.written:
            self._setting.written.metrics.log(line)
        return line

    # --- validation -------------------------------------------------------------------------------------

    def _validate(self, share: float, status: Status) -> bool:
        """Measure every task on its held-out puzzles; returns whether this is the best validation so far."""
        setting, doubting = self._setting, share >= 1 or (share >= 0.5 and not self._doubted)
        scores = []
        for plan, validation in self._validations:
            task = setting.plans[plan].task
            found = validation.measure(self._networks[task.name], setting.precision, setting.options.channels_last)
            line = self._log(plan, "val", found, self.tally.waited / max(self.tally.seconds, 1e-9))
            shown = "accuracy" if "accuracy" in line else "loss"
            status.figures[f"held-out {shown}"] = line[shown]
            by_accuracy = setting.options.best_by == "accuracy" and shown == "accuracy"
            scores.append(1 - line["accuracy"] if by_accuracy else line["loss"])
            sentence = at_chance(task, line) if doubting else None
            if sentence:
                log(sentence)
        self._doubted |= doubting
        return self._is_best(sum(scores) / len(scores))

    def _is_best(self, score: float) -> bool:
        if self.tally.best is not None and not score < self.tally.best["score"]:
            return False
        self.tally.best = {"step": self.tally.step, "score": score}
        if self._setting.run is None and self._setting.options.keep == "best":
            self._best_weights = copy.deepcopy(self._networks.state_dict())
        return True

    # --- checkpoints ------------------------------------------------------------------------------------

    def _save(self) -> None:
        run, best = self._setting.written, self.tally.best
        if run is None:
            return
        weights = self._networks.state_dict()
        _refuse_spoilt(weights, self.tally.step)
        state = {
            "networks": weights,
            "stepper": self._stepper.state(),
            "tasks": dict(self._states),
            "tally": asdict(self.tally),
            "config": run.config,
        }
        run.checkpoints.save(state, self.tally.step, int(best["step"]) if best else None)


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


def _refuse_spoilt(weights: Mapping[str, torch.Tensor], step: int) -> None:
    """A NaN gradient spoils the weights before any loss shows it: keep the good checkpoint."""
    for name, value in weights.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UserError(
                f"the weights {name} are NaN or infinite after step {step}, which was not saved; "
                "try a lower --learning-rate or --clip-norm 1"
            )
