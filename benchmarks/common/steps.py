"""A training's steps and the bare loop's on tensors that lie in memory: the same network, loss and optimizer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

import avssl
from avssl.media.facts import Media
from avssl.media.opening import open_media
from avssl.media.prepared.read import Prepared, is_prepared
from avssl.media.prepared.write import prepare
from avssl.options import read_yaml
from avssl.samplers.keys import Key
from avssl.system.files import cache_folder
from avssl.tasks.base import Task
from avssl.trainer.building import build, make_optimizer, to_device
from avssl.trainer.devices import choose_precision, moved
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan
from common.videos import videos

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def task_of(config: str | None = None, **options: Any) -> Task:
    """Audio-visual correspondence with the options of a file in ``configs/``, and those given over them."""
    written = read_yaml(CONFIGS / config) if config else {}
    known = {field.name for field in fields(avssl.task("av-correspondence").options)}
    return avssl.task("av-correspondence", **{k: v for k, v in written.items() if k in known} | options)


def prepared(task: Task) -> Media:
    """The light videos prepared for this task, in the cache."""
    side, rate = task.stored_side(), task.sound_rate()
    folder = cache_folder() / "benchmarks" / f"prepared-{side}-{rate}"
    if is_prepared(folder):
        return Prepared(folder)
    return prepare(open_media(videos("light"), progress=False), folder, side=side, rate=rate, progress=False)


def options_of(config: str | None, **more: Any) -> TrainOptions:
    """How a file in ``configs/`` trains: its optimizer, and what is given over it."""
    written = read_yaml(CONFIGS / config) if config else {}
    kept = ("optimizer", "learning_rate", "weight_decay", "clip_norm", "batch_size")
    return TrainOptions(**{k: written[k] for k in kept if k in written} | more)


@dataclass(frozen=True)
class Bare:
    """The loop that nothing is left out of but the training's own work: ``step()`` trains on the one batch there is."""

    step: Callable[[], None]
    batch_size: int


def bare(task: Task, media: Media, options: TrainOptions, device: torch.device, *, compiled: bool) -> Bare:
    """A batch drawn once and repeated to its size, and what a step does with it."""
    if task.needs_statistics():
        task.fit_statistics(media, 0)
    _, networks = build([TaskPlan(task, media)], options.seed)
    to_device([networks], device, options.channels_last)
    network = networks.train()[task.name]
    if compiled:
        network.compile()
    optimizer, precision = make_optimizer(networks, options, device), choose_precision(options.precision, device)
    batch = moved(_batch(task, media, options.batch_size), device, options.channels_last)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with precision.autocast():
            loss = task.loss(network, batch).loss
        loss.backward()
        if options.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(network.parameters(), options.clip_norm)
        optimizer.step()

    return Bare(step, options.batch_size)


def trained_seconds(task: Task, media: Media, options: TrainOptions, warm: int) -> float:
    """Seconds of a step of a training once it runs evenly: after the first ``warm`` steps (a multiple of log_every)."""
    result = fit([TaskPlan(task, media)], options, progress="none")
    at = {line["step"]: line["seconds"] for line in result.history}
    last = max(at)
    return float((at[last] - at[warm]) / (last - warm))


def timed(step: Callable[[], None], count: int, warm: int) -> float:
    """Seconds of a bare step, between two points at which the device has nothing left to do."""
    for _ in range(warm):
        step()
    _finish()
    began = time.perf_counter()
    for _ in range(count):
        step()
    _finish()
    return (time.perf_counter() - began) / count


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _batch(task: Task, media: Media, size: int) -> Mapping[str, Any]:
    """Puzzles of different keys as far as a few seconds of drawing reach, repeated to the size of a batch."""
    puzzles, began = [], time.perf_counter()
    for index in range(size):
        puzzles.append(task.draw(media, Key(0, 0, index % task.length(media))))
        if time.perf_counter() - began > 5 and len(puzzles) > 1:
            break
    return task.collate([puzzles[i % len(puzzles)] for i in range(size)])
