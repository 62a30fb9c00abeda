"""The options that every ``avssl train`` has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avssl.errors import UserError
from avssl.options import check_bounds, option


@dataclass(frozen=True)
class TrainOptions:
    """How to train: everything that is not the puzzle's own."""

    steps: int | None = option(None, "optimizer steps to train", above=0)
    epochs: float | None = option(None, "passes over the data, instead of --steps", above=0)
    minutes: float | None = option(
        None,
        "how long to train, instead of --steps; the training alone: its controls come after it, each up to half as "
        "long; not repeatable to the bit",
        above=0,
    )
    batch_size: int = option(64, "puzzles in one optimizer step, over all processes", above=0)
    accumulate: int = option(
        1,
        "gradient accumulation: pieces that a batch is split into, to save memory; a loss over all pairs of the batch "
        "then has the negatives of a piece only",
        above=0,
    )
    seed: int = option(0, "random seed: decides the initial weights and every puzzle")
    workers: int | Literal["auto"] = option(
        "auto",
        "loader processes; 0 draws puzzles in the training process; auto: what drawing needs, within cores and memory",
        low=0,
    )
    on_bad_file: Literal["raise", "skip"] = option(
        "raise", "a file that cannot be read while training: raise stops; skip takes another puzzle, counted"
    )
    device: str = option("auto", "auto (a CUDA GPU if there is one), cpu, cuda, cuda:1, mps")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto", "auto: bf16 where the machine computes it natively, else fp32"
    )
    augment: Literal["auto", "host", "device"] = option(
        "auto",
        "where pictures are cropped, scaled and mirrored, and JPEGs of a prepared set decoded: host, in the loader's "
        "processes; device; auto: a CUDA GPU with engines for JPEGs, if the data are prepared and its pixels are the "
        "host's, else the host",
    )
    optimizer: Literal["adamw", "adam", "sgd"] = option("adamw", "adamw, adam or sgd (Nesterov; --no-nesterov)")
    learning_rate: float = option(1e-3, "peak learning rate", above=0)
    weight_decay: float = option(1e-4, "weight decay; not applied to biases and norms", low=0)
    momentum: float = option(0.9, "momentum of sgd", low=0)
    nesterov: bool = option(True, "sgd: Nesterov momentum instead of plain momentum")
    schedule: Literal["cosine", "constant", "step"] = option("cosine", "learning rate after warm-up")
    step_at: tuple[float, ...] = option(
        (0.5, 0.75), "schedule step: shares of training where it drops", above=0, below=1
    )
    step_factor: float = option(0.1, "schedule step: what the rate is multiplied by there")
    warmup_steps: int = option(50, "steps of linear warm-up; at most a fifth of a training counted in steps", low=0)
    clip_norm: float | None = option(None, "clip the gradient to this norm", above=0)
    compile: bool | Literal["auto"] = option(
        "auto", "torch.compile the network; auto: on one CUDA GPU, where the training is long enough to win by it"
    )
    channels_last: bool = option(True, "store maps channels-last: faster convolutions")
    log_every: int = option(10, "steps between lines of metrics.jsonl", above=0)
    validate_every: int = option(100, "steps between validations on held-out data", above=0)
    validation_puzzles: int = option(256, "held-out puzzles in each validation", low=0)
    checkpoint_every: int = option(100, "steps between checkpoints", above=0)
    log_to: tuple[Literal["tensorboard", "wandb", "trackio", "mlflow", "none"], ...] = option(
        ("tensorboard",), "loggers beside metrics.jsonl; all but tensorboard need their package"
    )
    keep: Literal["last", "best"] = option("last", "keep the weights of the last step, or those of the best validation")
    best_by: Literal["loss", "accuracy"] = option(
        "loss", "what makes a validation the best: the least loss or the greatest accuracy"
    )

    def check(self) -> None:
        """Raise UserError if a value makes no sense: with the flag, the value and what it must be."""
        budgets = [name for name in ("steps", "epochs", "minutes") if getattr(self, name) is not None]
        if len(budgets) != 1:
            given = "none is given" if not budgets else f"--{' and --'.join(budgets)} are given"
            raise UserError(f"give one of --steps, --epochs and --minutes; {given}")
        if "none" in self.log_to and len(self.log_to) > 1:
            raise UserError(f"--log-to none cannot stand beside others: {','.join(self.log_to)}")
        check_bounds(self)
