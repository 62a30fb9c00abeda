"""A ten-line task and in-memory media, for tests of the loop; also a program that trains it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from PIL import Image
from torch import nn
from torch.nn import functional as F

from avssl.errors import MediaError, UserError
from avssl.media.facts import Facts
from avssl.samplers.keys import generator
from avssl.tasks.base import Answers, Losses, Task
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import Sharing, TaskPlan
from avssl.trainer.run_folder import RunFolder


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
    bad: tuple[int, ...] = ()
    idle_weights: bool = False
    fail_on_rank: int | None = None


class ToyEncoder(nn.Sequential):
    def describe(self):
        return {"type": "toy", "config": {}}


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
        return {"vision": ToyEncoder(nn.Conv2d(3, 8, 3, padding=1), norm, nn.ReLU(), nn.Dropout(self.options.dropout))}

    def network(self, encoders):
        network = nn.Sequential(encoders["vision"], nn.Flatten(), nn.Linear(128, 2))
        if self.options.idle_weights:
            network.now_and_then, network.never = (nn.Parameter(torch.ones(2, 1)) for _ in range(2))
        return network

    def loss(self, network, batch):
        if self.options.fail_on_rank == int(os.environ.get("RANK", "0")) and int(batch["keys"][0, 1]) > 1:
            raise ArithmeticError("a fault of the program")
        _reductions_at_loss.append(_reductions[0])
        logits = network(batch["picture"])
        loss = F.cross_entropy(logits.float(), batch["label"])
        some = batch["keys"][:, 2] % 16 < 4  # of every second batch of 8 the first half: rank 0's, where there are two
        if self.options.idle_weights and bool(some.any()):
            loss = loss + ((logits.float() @ network.now_and_then)[:, 0] * some).mean()
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


def weights_digest(networks):
    """A digest of every bit of the weights and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(nn.ModuleDict(networks).state_dict().items()):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def toy_plans(count=1, **options):
    tasks = [Toy(ToyOptions(**options)), OtherToy(ToyOptions(**options))][:count]
    media = ToyMedia(bad=tuple(options.get("bad", ())))
    return [TaskPlan(task, media, ToyMedia(60), weight) for task, weight in zip(tasks, (2, 1), strict=False)]


class Streams:
    """As much of ``torch.cuda`` as a transfer asks for; writes down what happens."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.made = 0

    def Stream(self, device):
        return "side"

    @contextmanager
    def stream(self, stream):
        self.notes.append(f"on {stream}")
        yield
        self.notes.append(f"off {stream}")

    def Event(self):
        self.made += 1
        return Event(self.made, self.notes)

    def current_stream(self, device):
        return self

    def wait_event(self, event):
        self.notes.append(f"wait {event.number}")


class Event:
    def __init__(self, number, notes):
        self.number, self.notes = number, notes

    def record(self, stream):
        self.notes.append(f"event {self.number} on {stream}")


_all_reduce, _reductions = dist.all_reduce, [0]
_reductions_at_loss = []
"""How many reductions beside those of gradients there had been when each loss was computed."""


def _counted(*arguments, **options):
    _reductions[0] += 1
    return _all_reduce(*arguments, **options)


def train(folder, options, toy=None, tasks=1, mix="alternating"):
    """Train in a run folder as the command line would; the digest goes to FOLDER/final.txt. Returns the status."""
    torch.set_num_threads(1)
    dist.all_reduce = _counted
    config = {"task": toy or {}, "train": options, "tasks": tasks, "mix": mix}
    try:
        with RunFolder(folder, config) as run:
            plans = toy_plans(tasks, **(toy or {}))
            sharing = Sharing(mix, own_statistics=True, by_chance=True)
            result = fit(plans, TrainOptions(**options), run, sharing=sharing)
    except UserError as error:
        print(f"avssl: {error}", file=sys.stderr, flush=True)
        return 2
    if run.writes:
        run.path.joinpath("reductions.json").write_text(json.dumps(_reductions_at_loss))
        run.path.joinpath("final.txt").write_text(weights_digest(result.networks))
        weights = nn.ModuleDict(result.networks)
        gradients = {name: weight.grad for name, weight in weights.named_parameters() if weight.grad is not None}
        torch.save({"weights": weights.state_dict(), "gradients": gradients}, run.path / "final.pt")
    return 0


def train_and_exit(log, environment, *arguments):
    """As :func:`train`, as a process of its own whose words go to the file ``log``."""
    os.environ.update(environment)
    with Path(log).open("a") as file:
        sys.stdout = sys.stderr = file
        try:
            sys.exit(train(*arguments))
        except ArithmeticError:
            time.sleep(100)  # a program that caught the error and lives on
        except Exception:
            traceback.print_exc()  # into the log, where the test finds it
            raise


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    Path(f"{given[0]}-rank{os.environ['RANK']}.pid").write_text(str(os.getpid()))
    sys.exit(train(*given))
