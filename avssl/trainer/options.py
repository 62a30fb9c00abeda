"""The options that every ``avssl train`` has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from avssl.errors import UserError


@dataclass(frozen=True)
class TrainOptions:
    """How to train: everything that is not the puzzle's own."""

    steps: int | None = field(default=None, metadata={"help": "how many optimizer steps to train"})
    epochs: float | None = field(default=None, metadata={"help": "how many passes over the data, instead of --steps"})
    minutes: float | None = field(
        default=None,
        metadata={"help": "how long to train, instead of --steps; not repeatable to the bit, since machines differ"},
    )
    batch_size: int = field(default=64, metadata={"help": "puzzles in one optimizer step, over all processes"})
    accumulate: int = field(
        default=1,
        metadata={
            "help": "pieces a batch is worked through in, to save memory; a loss over all pairs of the batch "
            "then sees the pairs of a piece only: fewer negatives"
        },
    )
    seed: int = field(default=0, metadata={"help": "names the initial weights and every puzzle"})
    workers: int = field(default=1, metadata={"help": "loader processes; 0 draws puzzles in the training process"})
    on_bad_file: Literal["raise", "skip"] = field(
        default="raise",
        metadata={"help": "a file that cannot be read while training: raise stops; skip takes another puzzle, counted"},
    )
    device: str = field(default="auto", metadata={"help": "auto (a CUDA GPU if there is one), cpu, cuda, cuda:1, mps"})
    precision: Literal["auto", "fp32", "bf16", "fp16"] = field(
        default="auto", metadata={"help": "auto: bf16 where the machine computes it natively, else fp32"}
    )
    optimizer: Literal["adamw", "adam", "sgd"] = field(
        default="adamw", metadata={"help": "adamw, adam or sgd (with Nesterov momentum, or --no-nesterov)"}
    )
    learning_rate: float = field(default=1e-3, metadata={"help": "peak learning rate"})
    weight_decay: float = field(default=1e-4, metadata={"help": "weight decay; not applied to biases and norms"})
    momentum: float = field(default=0.9, metadata={"help": "momentum of sgd"})
    nesterov: bool = field(default=True, metadata={"help": "sgd: Nesterov momentum instead of plain momentum"})
    schedule: Literal["cosine", "constant", "step"] = field(
        default="cosine", metadata={"help": "learning rate after warm-up"}
    )
    step_at: tuple[float, ...] = field(
        default=(0.5, 0.75), metadata={"help": "schedule step: the shares of training after which the rate drops"}
    )
    step_factor: float = field(default=0.1, metadata={"help": "schedule step: what the rate is multiplied by there"})
    warmup_steps: int = field(
        default=50, metadata={"help": "steps of linear warm-up; at most a fifth of a training counted in steps"}
    )
    clip_norm: float | None = field(default=None, metadata={"help": "clip the gradient to this norm"})
    compile: bool = field(default=False, metadata={"help": "torch.compile the network"})
    channels_last: bool = field(default=True, metadata={"help": "store maps channels-last: faster convolutions"})
    log_every: int = field(default=10, metadata={"help": "steps between lines of metrics.jsonl"})
    validate_every: int = field(default=100, metadata={"help": "steps between validations on held-out data"})
    validation_puzzles: int = field(default=256, metadata={"help": "held-out puzzles in each validation"})
    checkpoint_every: int = field(default=100, metadata={"help": "steps between checkpoints"})
    keep: Literal["last", "best"] = field(
        default="last", metadata={"help": "the network at the end of training, or the best one in validation"}
    )
    best_by: Literal["loss", "accuracy"] = field(
        default="loss", metadata={"help": "what makes a validation the best: the least loss or the greatest accuracy"}
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
