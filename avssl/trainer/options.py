"""The options that every ``avssl train`` has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avssl.errors import UserError
from avssl.options import option


@dataclass(frozen=True)
class TrainOptions:
    """How to train: everything that is not the puzzle's own."""

    steps: int | None = option(None, "how many optimizer steps to train")
    epochs: float | None = option(None, "how many passes over the data, instead of --steps")
    minutes: float | None = option(
        None, "how long to train, instead of --steps; not repeatable to the bit, since machines differ"
    )
    batch_size: int = option(64, "puzzles in one optimizer step, over all processes")
    accumulate: int = option(
        1,
        "pieces a batch is worked through in, to save memory; a loss over all pairs of the batch "
        "then sees the pairs of a piece only: fewer negatives",
    )
    seed: int = option(0, "names the initial weights and every puzzle")
    workers: int = option(1, "loader processes; 0 draws puzzles in the training process")
    on_bad_file: Literal["raise", "skip"] = option(
        "raise", "a file that cannot be read while training: raise stops; skip takes another puzzle, counted"
    )
    device: str = option("auto", "auto (a CUDA GPU if there is one), cpu, cuda, cuda:1, mps")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto", "auto: bf16 where the machine computes it natively, else fp32"
    )
    optimizer: Literal["adamw", "adam", "sgd"] = option(
        "adamw", "adamw, adam or sgd (with Nesterov momentum, or --no-nesterov)"
    )
    learning_rate: float = option(1e-3, "peak learning rate")
    weight_decay: float = option(1e-4, "weight decay; not applied to biases and norms")
    momentum: float = option(0.9, "momentum of sgd")
    nesterov: bool = option(True, "sgd: Nesterov momentum instead of plain momentum")
    schedule: Literal["cosine", "constant", "step"] = option("cosine", "learning rate after warm-up")
    step_at: tuple[float, ...] = option((0.5, 0.75), "schedule step: the shares of training after which the rate drops")
    step_factor: float = option(0.1, "schedule step: what the rate is multiplied by there")
    warmup_steps: int = option(50, "steps of linear warm-up; at most a fifth of a training counted in steps")
    clip_norm: float | None = option(None, "clip the gradient to this norm")
    compile: bool = option(False, "torch.compile the network")
    channels_last: bool = option(True, "store maps channels-last: faster convolutions")
    log_every: int = option(10, "steps between lines of metrics.jsonl")
    validate_every: int = option(100, "steps between validations on held-out data")
    validation_puzzles: int = option(256, "held-out puzzles in each validation")
    checkpoint_every: int = option(100, "steps between checkpoints")
    keep: Literal["last", "best"] = option("last", "the network at the end of training, or the best one in validation")
    best_by: Literal["loss", "accuracy"] = option(
        "loss", "what makes a validation the best: the least loss or the greatest accuracy"
    )

    def check(self) -> None:
        """Refuse values that make no sense.

        Raises:
            UserError: names the flag, the value and what it must be.
        """
        budgets = [name for name in ("steps", "epochs", "minutes") if getattr(self, name) is not None]
        if len(budgets) != 1:
            said = "none is given" if not budgets else f"--{' and --'.join(budgets)} are given"
            raise UserError(f"say how long to train with one of --steps, --epochs and --minutes; {said}")
        for name in (budgets[0], "batch_size", "accumulate", "learning_rate", "log_every", "validate_every"):
            self._require(name, getattr(self, name) > 0, "must be more than 0")
        self._require("checkpoint_every", self.checkpoint_every > 0, "must be more than 0")
        for name in ("workers", "weight_decay", "warmup_steps", "validation_puzzles", "momentum"):
            self._require(name, getattr(self, name) >= 0, "must not be negative")
        self._require("clip_norm", self.clip_norm is None or self.clip_norm > 0, "must be more than 0")
        self._require("step_at", all(0 < share < 1 for share in self.step_at), "must be shares between 0 and 1")

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise UserError(f"--{name.replace('_', '-')} ({getattr(self, name)}) {rule}")
