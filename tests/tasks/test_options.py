"""Every option of a task does something: to what is drawn, to the network, to the loss or to how it is decoded."""

from __future__ import annotations

import dataclasses
import hashlib
import typing
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from made_pictures import Textures
from toy_media import FPS, RATE, SIDE, ToyVideos

from avssl.experiment.data import DataOptions
from avssl.samplers.keys import Key
from avssl.tasks.registry import BUILT_IN, get
from avssl.trainer.options import TrainOptions

SMALL: dict[str, dict[str, Any]] = {
    "av-correspondence": {"side": 32, "rate": RATE, "width": 4, "bands": 16, "norm": "group"},
    "av-instance": {"side": 32, "rate": RATE, "width": 4, "bands": 16, "norm": "group", "negatives": 9},
    "av-sync": {"side": 24, "rate": RATE, "width": 4, "audio_width": 4, "bands": 16, "features": 8, "norm": "group"},
    "shuffle-learn": {"side": 32, "width": 4, "norm": "group", "grid": 2, "features": 8, "hidden": 8},
    "colorization": {"side": 32, "width": 4, "head_width": 8, "norm": "group", "bins": "grid"},
    "jigsaw": {
        "tiles": 2,
        "permutations": 6,
        "cell": 16,
        "tile": 13,
        "width": 4,
        "features": 8,
        "hidden": (8,),
        "norm": "group",
    },
    "relative-position": {"patch": 12, "gap": 4, "jitter": 1, "pixels_low": 1500, "pixels_high": 1700, "grid": 2}
    | {"width": 4, "features": 8, "hidden": (8,), "norm": "group"},
    "rotation": {"side": 32, "width": 4, "norm": "group", "pad": 2},
    "inpainting": {"side": 32, "width": 4, "decoder_width": 4, "norm": "group"},
    "instance-contrast": {"side": 16, "width": 4, "blocks": 2, "dimensions": 8, "norm": "group", "queue": 8}
    | {"cell": 8, "tile": 6},
    "video-colorization": {"side": 32, "width": 4, "head_width": 8, "dimensions": 8, "colours": 4, "norm": "group"},
    "frame-filling": {"side": 32, "width": 4, "head_width": 8, "norm": "group", "frames": 3},
}

WITH: dict[str, dict[str, Any]] = {
    # What an option needs beside it to do anything at all.
    "av-correspondence.temperature": {"fusion": "ave"},  # avol scales its similarities itself
    "av-correspondence.hard_negatives": {"negatives": "drawn"},
    "av-correspondence.negative_sounds": {"negatives": "drawn"},
    "av-instance.agreement": {"agreement_epoch": 0, "agreed": 2},
    **{
        f"av-instance.{name}": {"agreement": "consensus", "agreement_epoch": 0, "agreed": 2}
        for name in ("agreement_epoch", "agreed", "within_negatives", "within_weight")
    },
    "av-sync.hard": {"easy_epochs": 0},
    "av-sync.super_hard": {"easy_epochs": 0},
    "av-sync.least_shift": {"easy_epochs": 0, "hard": 0.0, "super_hard": 1.0, "least_shift": 0.1},
    "av-sync.easy_epochs": {"hard": 1.0},
    "colorization.colours": {"bins": "equal"},
    "colorization.rebalance_mix": {"rebalance": True},
    # Of the same items, which are videos for it: of pictures nothing of these options is used.
    **{
        f"instance-contrast.{name}": {"of": "sounds", "bands": 16, "rate": 8000, "first_stride": 2}
        for name in ("rate", "bands", "seconds", "mixing", "gain", "masking", "transpose", "min_loudness_db")
    },
    "instance-contrast.queue": {"method": "moco"},
    "instance-contrast.key_momentum": {"method": "moco"},
    "instance-contrast.shuffle": {"method": "moco", "norm": "batch"},
    "instance-contrast.bank_momentum": {"method": "pirl"},
    "instance-contrast.bank_negatives": {"method": "pirl"},
    "instance-contrast.tiles_area_low": {"method": "pirl"},
    "instance-contrast.cell": {"method": "pirl"},
    "instance-contrast.tile": {"method": "pirl"},
    "colorization.divergence_weight": {"latent": 2, "free_nats": 0.001},
    "colorization.free_nats": {"latent": 2},
    "relative-position.jitter": {"pixels_low": 2500, "pixels_high": 2700},
    "relative-position.gap": {"pixels_low": 2500, "pixels_high": 2700},
    "relative-position.grid": {"pixels_low": 2500, "pixels_high": 2700},
    "rotation.crop_high": {"crop_low": 0.5},
    **{f"frame-filling.{name}": {"hide": "tubes"} for name in ("frames", "patch", "hidden_share", "layers")},
    "frame-filling.same_patches": {"hide": "tubes"},
    "shuffle-learn.gap_min": {"tau_max": 0.3},
    "shuffle-learn.tau_min": {"reach": 0.3},
}

OTHERS: dict[str, Any] = {
    # Values where halving or doubling will not do.
    "av-correspondence.min_loudness_db": -20.0,
    "av-correspondence.first_stride": 1,
    "av-correspondence.vision_pools": 3,
    "av-correspondence.silent_rows": 0.5,
    "av-correspondence.crop_high": 0.9,
    "shuffle-learn.crop_high": 0.9,
    "colorization.crop_high": 0.9,
    "jigsaw.crop_high": 0.9,
    "rotation.crop_high": 0.8,
    "inpainting.crop_high": 0.9,
    "colorization.side": 48,
    "colorization.free_nats": 0.001,
    "colorization.stride": 8,
    "colorization.grey_limit": 20.0,
    "av-correspondence.front_end": "l3",
    "av-correspondence.vision": "resnet18",
    "av-correspondence.audio": "resnet18",
    "av-correspondence.seconds": 0.6,
    "av-correspondence.frames": 2,
    "av-correspondence.rate": 16000,
    "av-correspondence.crop_low": 0.5,
    "av-instance.within_negatives": 3,
    **{
        f"av-instance.{name}": value
        for name, value in (
            ("min_loudness_db", -20.0),
            ("first_stride", 1),
            ("vision_pools", 2),
            ("crop_high", 0.9),
            ("front_end", "l3"),
            ("vision", "resnet18"),
            ("audio", "resnet18"),
            ("seconds", 0.6),
            ("frames", 2),
            ("rate", 16000),
            ("crop_low", 0.5),
        )
    },
    **{
        f"av-sync.{name}": value
        for name, value in (
            ("easy_epochs", 0),
            ("hard", 1.0),
            ("super_hard", 0.75),
            ("least_shift", 0.5),
            ("min_loudness_db", -20.0),
            ("crop_high", 0.9),
            ("vision", "resnet18"),
            ("audio", "resnet18"),
            ("audio_pools", 0),
            ("rate", 16000),
        )
    },
    "shuffle-learn.window": 2.5,
    "shuffle-learn.gap_min": 0.2,
    "shuffle-learn.tau_min": 0.2,
    "shuffle-learn.reverse": 0.0,
    "shuffle-learn.tau_max": 0.3,
    "shuffle-learn.reach": 0.3,
    "shuffle-learn.look_alike": 60.0,
    "shuffle-learn.vision_pools": 2,
    "colorization.vision_pools": 2,
    "inpainting.vision_pools": 2,
    "jigsaw.tiles": 3,
    "jigsaw.cell": 18,
    "jigsaw.tile": 11,
    "jigsaw.vision": "nin",
    "relative-position.vision": "nin",
    "rotation.vision": "nin",
    "relative-position.grid": 3,
    "relative-position.pixels_low": 1300,
    "relative-position.pixels_high": 2500,
    "relative-position.patch": 14,
    "relative-position.gap": 6,
    "relative-position.coarsen": 0.6,
    "frame-filling.spacing_max": 0.4,
    "frame-filling.crop_high": 0.9,
    "frame-filling.vision_pools": 2,
    "frame-filling.patch": 16,
    "inpainting.hole_share": 0.4,
    "instance-contrast.rate": 16000,
    "instance-contrast.bands": 32,
    "instance-contrast.seconds": 0.6,
    "instance-contrast.min_loudness_db": -20.0,
    "instance-contrast.area_low": 0.5,
    "instance-contrast.jitter": (0.1, 0.1, 0.1, 0.0),
    "instance-contrast.jitter_share": 0.1,
    "instance-contrast.grey": 1.0,
    "instance-contrast.blur": 0.0,
    "instance-contrast.temperature": 0.5,
    "instance-contrast.hidden": 5,
    "instance-contrast.shuffle": 1,
    "instance-contrast.bank_negatives": 2,
    "inpainting.overlap": 3,
    "video-colorization.crop_high": 0.9,
    "video-colorization.side": 40,
    "video-colorization.stride": 8,
    "video-colorization.reverse": 0.0,
    "video-colorization.interval": 0.3,
    "video-colorization.vision_pools": 2,
}

OPTIONS = [(name, field.name) for name in BUILT_IN for field in dataclasses.fields(get(name).Options)]


class Clips(ToyVideos):
    """Sound that grows from nothing to loud; a grain of one colour that moves, ever faster; one clip is nearly grey."""

    def frames(self, i, times):
        rng = np.random.default_rng(i)
        grain, tint = rng.integers(60, 190, (1, SIDE, SIDE)), rng.integers(-40, 40, (3, 1, 1)) // (20 if i == 5 else 1)
        moved = [np.roll(grain, round(t * FPS) ** 2 // 20, axis=2) for t in times]
        return np.stack([(grain + tint).clip(0, 255).astype(np.uint8) for grain in moved])

    def audio(self, i, start_seconds, duration_seconds, rate):
        sound = super().audio(i, start_seconds, duration_seconds, rate)
        growing = np.linspace(start_seconds, start_seconds + duration_seconds, len(sound)) / self.seconds
        return (sound * growing).astype(np.float32)


def media_of(name: str, sounds: bool = False):
    of_videos = ("av-correspondence", "av-instance", "av-sync", "shuffle-learn", "video-colorization", "frame-filling")
    moving = (*of_videos, "colorization")
    return Clips(6, seconds=4.0) if name in moving or sounds else Textures(6)


def other(name: str, field: str) -> Any:
    """Another value of an option."""
    key = f"{name}.{field}"
    if key in OTHERS:
        return OTHERS[key]
    options = get(name).Options
    kind = typing.get_type_hints(options)[field]
    now = SMALL[name].get(field, getattr(options(), field))
    if typing.get_origin(kind) is typing.Literal:
        return next(value for value in typing.get_args(kind) if value != now)
    if isinstance(now, bool):
        return not now
    if isinstance(now, tuple):
        return (*now, 6)
    if isinstance(now, int):
        return now + 1
    if isinstance(now, float):
        return now / 2 if now else 0.5
    return "small" if now != "small" else "l3"


@cache
def fingerprints(name: str, more: tuple[tuple[str, Any], ...]) -> tuple[str, ...]:
    """Digests of all that a task does with these options, the cheapest first."""
    return tuple(_fingerprints(name, dict(more)))


def _fingerprints(name: str, more: dict[str, Any]):
    task = get(name)(get(name).Options(**{**SMALL[name], **more}))
    media = media_of(name, more.get("of") == "sounds")
    task.fit_statistics(media, 0)
    yield digest(task.state())
    keys = [Key(0, 0, index) for index in range(6)]
    batch = task.collate([task.draw(media, key) for key in keys])
    yield digest(batch)
    held_out = task.held_out()
    evaluated = held_out.collate([held_out.draw(media, key) for key in keys])
    yield digest(evaluated)
    torch.manual_seed(0)
    network = task.network(task.encoders())
    yield digest([(key, tuple(value.shape)) for key, value in network.state_dict().items()])
    torch.manual_seed(0)
    losses = task.loss(network, batch)
    losses.loss.backward()
    gradient = [float(one.grad.sum()) for one in network.parameters() if one.grad is not None]
    yield digest([float(losses.loss.detach()), losses.measures, gradient])
    with torch.no_grad():
        for one in network.parameters():
            one.add_(0.1 * one.requires_grad)
    task.after_step(network)
    yield digest(network.state_dict())  # with what a step leaves in a memory bank
    if hasattr(task, "decodings"):
        yield digest(task.decodings(held_out.answers(network.eval(), evaluated).scores))


def digest(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return digest([tuple(value.shape), value.detach().contiguous().numpy().tobytes()])
    if isinstance(value, dict):
        return digest([(key, digest(each)) for key, each in sorted(value.items())])
    if isinstance(value, list | tuple):
        return hashlib.sha256("|".join(digest(each) for each in value).encode()).hexdigest()
    return hashlib.sha256(value if isinstance(value, bytes) else repr(value).encode()).hexdigest()


def test_no_option_of_a_task_has_the_name_of_one_of_the_training_or_its_data() -> None:
    """They are flags of one command and keys of one YAML file."""
    taken = {field.name for kind in (TrainOptions, DataOptions) for field in dataclasses.fields(kind)}
    assert [(name, field) for name, field in OPTIONS if field in taken] == []


@pytest.mark.parametrize(("name", "field"), OPTIONS, ids=lambda value: value)
def test_every_option_does_something(name: str, field: str) -> None:
    beside = WITH.get(f"{name}.{field}", {})
    plain = fingerprints(name, tuple(beside.items()))
    changed = _fingerprints(name, {**beside, field: other(name, field)})
    assert any(one != another for one, another in zip(plain, changed, strict=True))
