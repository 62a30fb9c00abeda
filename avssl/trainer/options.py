"""The options that every ``avssl train`` has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


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
    accumulate: int = field(default=1, metadata={"help": "pieces a batch is worked through in, to save memory"})
    seed: int = field(default=0, metadata={"help": "names the initial weights and every puzzle"})
    workers: int = field(default=1, metadata={"help": "loader processes; 0 draws puzzles in the training process"})
    device: str = field(default="auto", metadata={"help": "auto, cpu, cuda, cuda:1, mps"})
    precision: Literal["auto", "fp32", "bf16", "fp16"] = field(
        default="auto", metadata={"help": "auto: bf16 where the machine computes it natively, else fp32"}
    )
    optimizer: Literal["adamw", "adam", "sgd"] = field(
        default="adamw", metadata={"help": "adamw, adam or sgd (Nesterov)"}
    )
    learning_rate: float = field(default=1e-3, metadata={"help": "peak learning rate"})
    weight_decay: float = field(default=1e-4, metadata={"help": "weight decay; not applied to biases and norms"})
    momentum: float = field(default=0.9, metadata={"help": "momentum of sgd"})
    schedule: Literal["cosine", "constant", "step"] = field(
        default="cosine", metadata={"help": "learning rate after warm-up"}
    )
    warmup_steps: int = field(default=50, metadata={"help": "steps of linear warm-up"})
    clip_norm: float | None = field(default=None, metadata={"help": "clip the gradient to this norm"})
    compile: bool = field(default=False, metadata={"help": "torch.compile the network"})
    channels_last: bool = field(default=True, metadata={"help": "store maps channels-last: faster convolutions"})
    log_every: int = field(default=10, metadata={"help": "steps between lines of metrics.jsonl"})
    validate_every: int = field(default=100, metadata={"help": "steps between validations on held-out data"})
    validation_puzzles: int = field(default=256, metadata={"help": "held-out puzzles in each validation"})
    checkpoint_every: int = field(default=100, metadata={"help": "steps between checkpoints"})
