"""Training steps on a CUDA device beside the compiled bare loop on tensors in its memory. Under six minutes on an H100.

    make bench-gpu
    python benchmarks/gpu_step.py --device cpu --steps 2 --warm 1 --tiny     every line of it, without a GPU

The training is measured with pictures decoded and cut on the device, and in the loader's processes (``--augment``).
Beside the table: what decoding and cutting a batch takes there, how long the first step of a command takes, and whether
two runs, and one that is stopped and continued, are equal to the bit. Each figure is printed as soon as it is known.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common.measure import machine, table
from common.steps import bare, options_of, prepared, task_of, timed, trained_seconds

from avssl.errors import UserError
from avssl.media.prepared.read import Prepared
from avssl.networks.cutting import Views, cut_views
from avssl.samplers.keys import Key
from avssl.samplers.views import Left
from avssl.trainer.augment import why_not_decoded
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


class Compared:
    """One recipe: what is measured of it, in pairs a second."""

    def __init__(self, recipe: Recipe, asked: argparse.Namespace, device: torch.device) -> None:
        self.recipe, self.asked, self.device = recipe, asked, device
        self.task = task_of(recipe.config, **recipe.options | (TINY if asked.tiny else {}))
        self.media = prepared(self.task)
        self.size = 4 if asked.tiny else recipe.batch_size
        self.found: dict[str, float] = {}

    def options(self, augment: str) -> TrainOptions:
        """How the training is called."""
        return options_of(
            self.recipe.config,
            steps=self.asked.steps + self.asked.warm,
            batch_size=self.size,
            log_every=self.asked.warm,
            validation_puzzles=0,
            compile=self.device.type == "cuda",
            device=self.asked.device,
            augment=augment,
        )

    def bare(self) -> float:
        """The loop on a batch in the device's memory."""
        one = bare(self.task, self.media, self.options("host"), self.device, compiled=self.device.type == "cuda")
        return self._known("bare", self.size / timed(one.step, self.asked.steps, self.asked.warm))

    def trained(self, augment: str) -> float:
        """The training, with pictures cut on the host or the device."""
        seconds = trained_seconds(self.task, self.media, self.options(augment), self.asked.warm)
        return self._known(augment, self.size / seconds)

    def row(self) -> tuple[str, ...]:
        """As the table has it."""
        bound = self.found.get("bare")
        cells = [f"{bound:,.0f}" if bound else "–"]
        for augment in ("device", "host"):
            rate = self.found.get(augment)
            cells += ["–", "–"] if rate is None or bound is None else [f"{rate:,.0f}", f"{rate / bound:.0%}"]
        return self.recipe.name, str(self.size), *cells, f"{self.recipe.aim:.0%}"

    def _known(self, name: str, rate: float) -> float:
        self.found[name] = rate
        if self.device.type == "cuda":  # what was compiled for this network holds its memory
            torch._dynamo.reset()
            gc.collect()
            torch.cuda.empty_cache()
        return round(rate)


def picture_milliseconds(one: Compared) -> dict[str, float | str]:
    """What cutting a batch takes on the device, alone and with decoding, and whether JPEGs would be decoded there."""
    assert isinstance(one.media, Prepared)
    found: dict[str, float | str] = {"decoded on the device": why_not_decoded(one.media, one.device) or "yes"}
    lefts: tuple[Left, ...] = ("cutting", "decoding")
    for left in lefts:
        task = one.task.variant(left_to_device=left)
        keys = [Key(0, 0, index % task.length(one.media)) for index in range(one.size)]
        views: Views = task.collate([task.draw(one.media, key) for key in keys])["frames"]
        try:
            there = views.to(one.device)
            found[f"{left}, ms"] = round(1000 * timed(lambda there=there: cut_views(there), 10, 3), 2)  # type: ignore[misc]
        except UserError as error:
            found[f"{left}, ms"] = str(error)
    return found


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
            print(f"{name}: {json.dumps(work())}", flush=True)
        else:
            print(f"{name}: not measured, the time is up", flush=True)

    recipes = [Compared(recipe, asked, device) for recipe in RECIPES]
    for one in recipes:
        in_time(f"{one.recipe.name}, bare loop", one.bare)
        in_time(f"{one.recipe.name}, pictures on the device", partial(one.trained, "device"))
    in_time("pictures of a batch of AVE-Net", lambda: picture_milliseconds(recipes[1]))
    in_time("seconds from the command to its first step", lambda: round(first_step_seconds(asked), 1))
    in_time("equal to the bit", lambda: equal_to_the_bit(asked, device))
    for one in recipes:
        in_time(f"{one.recipe.name}, pictures in the loader", partial(one.trained, "host"))
    heads = ["recipe", "batch", "bare loop, pairs/s", "device, pairs/s", "share", "host, pairs/s", "share", "aim"]
    print(table(heads, [one.row() for one in recipes]))
    print(f"{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
