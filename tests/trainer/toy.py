"""A ten-line task and in-memory media, for tests of the loop; also a program that trains it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from avssl.errors import MediaError
from avssl.media.facts import Facts
from avssl.samplers.keys import generator
from avssl.tasks.base import Answers, Losses, Task


@dataclasses.dataclass(frozen=True)
class ToyMedia:
    """Items that are nothing but numbers; those named in ``bad`` cannot be read."""

    count: int = 40
    bad: tuple[int, ...] = ()
    rejected = ()
    fingerprint = "toy"

    def __len__(self):
        return self.count

    def facts(self, i):
        return Facts(f"toy-{i}", "video", 1.0, 4, 4, 10, 10.0, 8000, 1, 0.0, 1.0)

    def frame_times(self, i):
        return np.arange(10) / 10

    def frames(self, i, times):
        if i in self.bad:
            raise MediaError(f"toy-{i}.mp4", "truncated", times[0])
        return generator("toy", i).integers(0, 256, (len(times), 3, 4, 4), dtype=np.uint8)

    def audio(self, i, start_seconds, duration_seconds, rate):
        return np.zeros(round(duration_seconds * rate), np.float32)

    def annotation(self, i):
        return None


@dataclasses.dataclass(frozen=True)
class ToyOptions:
    dropout: float = 0.5
    batch_norm: bool = False
    learnable: bool = True
    explode_at: int | None = None
    draw_seconds: float = 0.0


class Toy(Task):
    """Is the picture lit from above?"""

    name = "toy"
    summary = "a toy"
    Options = ToyOptions
    classes = 2

    def fit_statistics(self, media, seed):
        self.mean = float(np.mean([media.frames(i, [0.0]).mean() for i in range(3)]))

    def state(self):
        return {"mean": self.mean}

    def load_state(self, state):
        self.mean = state["mean"]

    def draw(self, media, key):
        time.sleep(self.options.draw_seconds)
        random = generator(*key)
        label = int(random.integers(2))
        picture = media.frames(key.index % len(media), [0.1])[0].astype(np.float32) - self.mean
        picture[:, :2] += (60 * label - 30) * self.options.learnable + 10 * random.standard_normal()
        return picture / 100, label, key

    def collate(self, puzzles):
        pictures, labels, keys = zip(*puzzles, strict=True)
        stacked = torch.from_numpy(np.stack(pictures)).float()
        return {"picture": stacked, "label": torch.tensor(labels), "keys": torch.tensor([list(k) for k in keys])}

    def held_out(self):
        other = type(self)(self.options)
        other.load_state(self.state())
        other.training = False
        return other

    def encoders(self):
        norm = nn.BatchNorm2d(8) if self.options.batch_norm else nn.GroupNorm(2, 8)
        return {
            "vision": nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), norm, nn.ReLU(), nn.Dropout(self.options.dropout))
        }

    def network(self, encoders):
        return nn.Sequential(encoders["vision"], nn.Flatten(), nn.Linear(128, 2))

    def loss(self, network, batch):
        logits = network(batch["picture"])
        loss = F.cross_entropy(logits.float(), batch["label"])
        if self.options.explode_at is not None and int(batch["keys"][0, 2]) == self.options.explode_at:
            loss = loss * float("inf")
        return Losses(loss, {"accuracy": (logits.argmax(1) == batch["label"]).float().mean()})

    def answers(self, network, batch):
        return Answers(network(batch["picture"]), batch["label"])

    def chance_loss(self):
        return float(np.log(2))

    def sheet(self, puzzles, answers=None):
        return Image.new("RGB", (8, 8))


class OtherToy(Toy):
    """The same question on the same encoder, with a head of its own."""

    name = "other-toy"


def save_toy_encoder(encoder, path):
    torch.save(encoder.state_dict(), path.with_suffix(".pt"))


def weights_digest(module):
    """A digest of every bit of the weights and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def main():
    """``python toy.py '{"run": …, "train": {…}, "task": {…}}'``: trains, prints the weights' digest last."""
    from avssl.errors import UserError
    from avssl.trainer.loop import fit
    from avssl.trainer.options import TrainOptions
    from avssl.trainer.plan import TaskPlan
    from avssl.trainer.run_folder import RunFolder

    torch.set_num_threads(1)
    asked = json.loads(sys.argv[1])
    options, toy_options = TrainOptions(**asked["train"]), ToyOptions(**asked.get("task", {}))
    tasks = [Toy(toy_options), OtherToy(toy_options)][: asked.get("tasks", 1)]
    plans = [TaskPlan(task, ToyMedia(), ToyMedia(60), weight) for task, weight in zip(tasks, (2, 1), strict=False)]
    try:
        with RunFolder(asked["run"], {"task": toy_options, "train": options}) as run:
            result = fit(plans, options, run, save_encoder=save_toy_encoder, mix=asked.get("mix", "alternating"))
    except UserError as error:
        print(f"avssl: {error}", file=sys.stderr)
        return 2
    weights = torch.cat([value.flatten() for value in result.networks["toy"].state_dict().values()])
    if run.writes:
        Path(asked["run"], "final.json").write_text(json.dumps(weights.tolist()))
        print(weights_digest(nn.ModuleDict(result.networks)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
