"""Self-supervised learning from videos: pretext tasks whose answers the program knows.

task = avssl.task("av-correspondence", fusion="avol")    # a puzzle; its options as the flags of `avssl train`
data = avssl.PuzzleDataset(task, "videos/", fit=True)    # a torch Dataset for a loop of one's own
run = avssl.train(task, "videos/", out="runs/mine")      # or all that `avssl train` does
run = avssl.Run("runs/mine")                             # its results, history, encoders
media = avssl.open("videos/")                            # files, indexed: frames and sound at exact times
found = avssl.audit("videos/")                           # duplicates, sources, and what leaks
model = avssl.load("runs/mine")                          # encoders, front end included
encoder = avssl.encoder(module, side=224)                # one of another make
share = avssl.metrics.success(overlaps)                  # metrics of the protocols: pure functions of arrays
rows = avssl.evaluate("linear", run, data="photos/")     # what `avssl evaluate` does, of a run or an encoder
avssl.localize("clip.mp4", run, out="heat.mp4")          # heat where its sound comes from
avssl.reproduce("rotation-semantics", data_root="data")  # a published claim: shown, not shown, or against
index = avssl.SearchIndex("videos.index")                # embeddings on disk: the nearest moments to a sound or picture
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from avssl.errors import MediaError, UserError
from avssl.system.cpu import wait_without_spinning
from avssl.version import __version__

if TYPE_CHECKING:
    from avssl import metrics
    from avssl.experiment.audit import audit
    from avssl.experiment.claims.reproduce import reproduce
    from avssl.experiment.dataset import PuzzleDataset, PuzzleModel, task
    from avssl.experiment.localize import localize
    from avssl.experiment.protocols import evaluate
    from avssl.experiment.run import Run
    from avssl.experiment.train import train
    from avssl.media.opening import open_media as open
    from avssl.networks.model import load
    from avssl.networks.opening import encoder
    from avssl.search.index import SearchIndex

# OpenMP reads its settings when torch is imported: they must be set before.
wait_without_spinning()

# Found when asked for: `import avssl` stays fast, and reading media needs no torch.
_LAZY = {
    "PuzzleDataset": ("avssl.experiment.dataset", "PuzzleDataset"),
    "PuzzleModel": ("avssl.experiment.dataset", "PuzzleModel"),
    "Run": ("avssl.experiment.run", "Run"),
    "SearchIndex": ("avssl.search.index", "SearchIndex"),
    "audit": ("avssl.experiment.audit", "audit"),
    "encoder": ("avssl.networks.opening", "encoder"),
    "evaluate": ("avssl.evaluate", ""),
    "load": ("avssl.networks.model", "load"),
    "localize": ("avssl.experiment.localize", "localize"),
    "metrics": ("avssl.metrics", ""),
    "reproduce": ("avssl.experiment.claims.reproduce", "reproduce"),
    "open": ("avssl.media.opening", "open_media"),
    "task": ("avssl.experiment.dataset", "task"),
    "train": ("avssl.experiment.train", "train"),
}

__all__ = [
    "MediaError",
    "PuzzleDataset",
    "PuzzleModel",
    "Run",
    "SearchIndex",
    "UserError",
    "__version__",
    "audit",
    "encoder",
    "evaluate",
    "load",
    "localize",
    "metrics",
    "open",
    "reproduce",
    "task",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'avssl' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return __all__
