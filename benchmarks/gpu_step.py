"""Training steps on a CUDA device beside the compiled bare loop on tensors in its memory. Under six minutes on an H100.

    make bench-gpu
    python benchmarks/gpu_step.py --device cpu --steps 2 --warm 1 --tiny     every line of it, without a GPU

Beside the table: how long the first step of a command takes, and whether two runs, and one that is stopped and
continued, are equal to the bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from common.measure import machine, table
from common.steps import bare, options_of, prepared, task_of, timed, trained_seconds

from avssl.trainer.devices import choose_device
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan
from avssl.trainer.run_folder import RunFolder

TINY = {"side": 48, "width": 4, "rate": 8000}


@dataclass(frozen=True)
class Recipe:
    """A line of the table."""

    name: str
    config: str | None
    batch_size: int
    aim: float
    """Of the compiled bare loop's pairs a second."""
    options: dict[str, Any] = field(default_factory=dict)


RECIPES = (
    Recipe("L3-Net as published", "paper/av-correspondence-l3.yaml", 256, 0.90),
    Recipe("AVE-Net as published", "paper/av-correspondence-ave.yaml", 512, 0.90),
    Recipe("ResNet-18 twice at 224", None, 512, 0.90, {"vision": "resnet18", "audio": "resnet18", "side": 224}),
    Recipe("small AVOL at 112", "small/av-correspondence-world.yaml", 256, 0.75),
)


def compared(recipe: Recipe, asked: argparse.Namespace, device: torch.device) -> tuple[str, ...]:
    """The pairs a second of the bare loop and of the training."""
    compiled = device.type == "cuda"
    tiny = TINY if asked.tiny else {}
    task = task_of(recipe.config, **recipe.options | tiny)
    media = prepared(task)
    size = 4 if asked.tiny else recipe.batch_size
    options = options_of(
        recipe.config,
        steps=asked.steps + asked.warm,
        batch_size=size,
        log_every=asked.warm,
        validation_puzzles=0,
        compile=compiled,
        device=asked.device,
    )
    one = bare(task, media, options, device, compiled=compiled)
    bound = size / timed(one.step, asked.steps, asked.warm)
    del one
    free = torch.cuda.empty_cache if compiled else None
    if free is not None:
        free()
    found = size / trained_seconds(task, media, options, asked.warm)
    return recipe.name, str(size), f"{bound:,.0f}", f"{found:,.0f}", f"{found / bound:.0%}", f"{recipe.aim:.0%}"


def first_step_seconds(asked: argparse.Namespace) -> float:
    """From the start of the command on a prepared set to the line of metrics that follows its first step."""
    task = task_of("small/av-correspondence-world.yaml", **TINY if asked.tiny else {})
    media: Any = prepared(task)
    tiny = [word for name, value in TINY.items() for word in (f"--{name}", str(value))] if asked.tiny else []
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "avssl.cli.main", "train", "av-correspondence", "--data", str(media.folder)]
        words += ["--steps", "1", "--log-every", "1", "--no-controls", "--device", asked.device, *tiny]
        words += ["--batch-size", "4" if asked.tiny else "256", "--validation-puzzles", "0", "--out", f"{folder}/run"]
        began = time.time()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return (Path(folder) / "run" / "metrics.jsonl").stat().st_mtime - began


def equal_to_the_bit(asked: argparse.Namespace, device: torch.device) -> dict[str, bool]:
    """Of two runs, and of one that is stopped half-way and continued; plain, and compiled on a GPU."""
    task = task_of("small/av-correspondence-world.yaml", **TINY if asked.tiny else {})
    media = prepared(task)
    steps = 4 if asked.tiny else 20
    found = {}
    for compiled in (False, True) if device.type == "cuda" else (False,):
        options = options_of(
            "small/av-correspondence-world.yaml",
            batch_size=4 if asked.tiny else 64,
            steps=steps,
            checkpoint_every=steps // 2,
            validation_puzzles=0,
            schedule="constant",
            compile=compiled,
            device=asked.device,
        )
        one, other = (_weights(fit([TaskPlan(task, media)], options, progress="none").networks) for _ in "ab")
        kind = "compiled" if compiled else "plain"
        found[f"two {kind} runs"] = one == other
        found[f"a {kind} run and one stopped and continued"] = one == _continued(TaskPlan(task, media), options)
    return found


def _continued(plan: TaskPlan, options: TrainOptions) -> str:
    with tempfile.TemporaryDirectory() as folder, RunFolder(f"{folder}/run", {}) as run:
        assert options.steps is not None
        fit([plan], options, run, progress="none")
        last = run.checkpoints.steps()[-1]
        run.checkpoints.path(last).unlink()  # as if it had been killed before its last checkpoint
        result = fit([plan], replace(options, steps=options.steps), run, progress="none")
        return _weights(result.networks)


def _weights(networks: dict[str, torch.nn.Module]) -> str:
    digest = hashlib.sha256()
    for network in networks.values():
        for name, value in sorted(network.state_dict().items()):
            digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def main() -> None:
    """Print the table, and what is beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=60, help="steps that are timed")
    parser.add_argument("--warm", type=int, default=20, help="steps before them, in which kernels are compiled")
    parser.add_argument("--tiny", action="store_true", help="tiny networks and batches, to try the script")
    parser.add_argument("--seconds", type=float, default=270.0, help="what begins later than that is left out")
    asked = parser.parse_args()
    began, device = time.monotonic(), choose_device(asked.device)
    print(machine())

    def in_time(name: str, work: Callable[[], object]) -> None:
        if time.monotonic() - began < asked.seconds:
            print(name, json.dumps(work()), flush=True)
        else:
            print(name, "not measured: the time is up")

    rows = []
    for recipe in RECIPES:
        if time.monotonic() - began < asked.seconds:
            rows.append(compared(recipe, asked, device))
            print(f"{recipe.name}: done after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        else:
            rows.append((recipe.name, str(recipe.batch_size), "not measured: the time is up", "", "", ""))
    print(table(["recipe", "batch", "bare loop, pairs/s", "avssl, pairs/s", "share", "aim"], rows))
    in_time("seconds from the command to its first step:", lambda: round(first_step_seconds(asked), 1))
    in_time("equal to the bit:", lambda: equal_to_the_bit(asked, device))


if __name__ == "__main__":
    main()
