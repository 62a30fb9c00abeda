"""For training loops of your own: a task, its puzzles as a torch ``Dataset``, and its network as a module."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, get_args

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from avssl.errors import UserError
from avssl.experiment.data import DataOptions, ordered, usable
from avssl.experiment.places import open_source
from avssl.media.facts import Media
from avssl.media.skip_bad_files import PassedOver
from avssl.networks.own_modules import named
from avssl.options import build
from avssl.options.python_names import names_keywords
from avssl.samplers.keys import Key
from avssl.system import html
from avssl.system.console import counted, log
from avssl.tasks.base import Batch, Task
from avssl.tasks.registry import get
from avssl.trainer.loader import OnBadFile, Source

if TYPE_CHECKING:
    from PIL.Image import Image


@names_keywords
def task(name: str, **options: Any) -> Task:
    """A pretext task: ``avssl.task("av-correspondence", fusion="avol", side=112)``.

    Args:
        name: as ``avssl train --help`` lists them.
        options: those of ``avssl train NAME --help`` that are the task's own, with underscores.

    Raises:
        UserError: no task of this name, no such option (the nearest is named), or a value that it cannot have.
    """
    kind = get(name)
    return kind(build(kind.Options, named(options), f"{name}: "))


class PuzzleModel(nn.Module):
    """A task's network with its loss: a batch goes in by name, the loss and what is worth logging come out::

        model(data.collate([data[0], data[1]]))  # {"loss": …, "accuracy": …}, scalars; the loss has a gradient

    A batch may also come as keywords, as Hugging Face's Trainer passes it: ``model(**batch)``.

    Make it when the task knows its statistics, see :class:`PuzzleDataset`.

    Attributes:
        encoders: by role ("vision", "audio"): what remains when the puzzle is done.
        network: encoders and head.
    """

    # Read by Hugging Face's Trainer: the loss is a mean over the batch, whatever else is passed.
    accepts_loss_kwargs = False

    def __init__(self, task: Task) -> None:
        super().__init__()
        if not isinstance(task, Task):
            raise UserError("PuzzleModel needs a task that is made, such as the .task of a PuzzleDataset")
        self.task = task
        self.encoders = task.make_encoders()
        self.network = task.network(self.encoders)

    def forward(self, batch: Batch | None = None, /, **fields: Any) -> dict[str, Tensor]:
        """The loss of a batch of ``collate``, or of its fields, and the task's measures, detached."""
        losses = self.task.loss(self.network, fields if batch is None else batch)
        # The measures name the loss as well, detached: the one with a gradient stays.
        return {"loss": losses.loss} | {name: value for name, value in losses.measures.items() if name != "loss"}


class PuzzleDataset(Dataset[Any]):
    """Puzzle ``i`` of an epoch, drawn when it is asked for::

        data = avssl.PuzzleDataset(task, "videos/", fit=True)
        loader = DataLoader(data, 64, collate_fn=data.collate, num_workers=2)

    The puzzle is a pure function of (seed, epoch, i): the same in any worker, in any order, and the same as
    ``avssl.train`` draws of these media. Each epoch has an order of its own already; a sampler may shuffle it again.

    Args:
        task: as :func:`avssl.task` makes it.
        media: the name of data, as ``--data`` takes it, or an open collection. Items that the task has no use for are
            left out. Nothing is divided: give it the training part alone.
        seed: of all puzzles.
        epoch: which puzzles of that seed; :meth:`set_epoch` changes it.
        fit: let the task learn what it must know of its training data (the scale of the sound, the frequency of
            colours) from these media. Needed once, before the network is made.
        on_bad_file: a file that cannot be read: "raise", or "skip" for the puzzle that the trainer takes in its place.
        order, shard_window: of an epoch, as the trainer's; by shards puzzles should be taken in their order.

    Raises:
        UserError: data of which nothing can be used, a task that has not learned what it must know of its data, or an
            argument of another type.
    """

    def __init__(
        self,
        task: Task,
        media: str | Path | Media,
        seed: int = 0,
        epoch: int = 0,
        *,
        fit: bool = False,
        on_bad_file: OnBadFile = "raise",
        order: Literal["auto", "items", "shards"] = "auto",
        shard_window: int = DataOptions.shard_window,
    ) -> None:
        _refuse_other_types(task, media, seed, on_bad_file)
        wanted = build(DataOptions, {"order": order, "shard_window": shard_window})
        name = str(media) if isinstance(media, str | Path) else "the collection"
        opened = open_source(str(media)) if isinstance(media, str | Path) else media
        self.task = task
        self.media = ordered(usable(opened, task, name), task, wanted)
        self.seed = int(seed)
        if fit:
            task.fit_statistics(self.media, seed)
        elif task.needs_statistics():
            raise UserError(
                f"{task.name} has no statistics of its training data yet: use PuzzleDataset(…, fit=True) on the "
                "training part, or take the task of a run: avssl.Run(path).trained().task"
            )
        # Shared with the workers of a loader, so that those that stay (persistent_workers) follow set_epoch.
        self._epoch = torch.tensor(epoch).share_memory_()
        self._on_bad_file: OnBadFile = on_bad_file
        # The trainer's own way to a puzzle, so that the same key gives the same one here.
        self._source = Source(task, self.media, task.length(self.media))

    @property
    def epoch(self) -> int:
        """Which puzzles are drawn."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw the puzzles of this epoch from now on, in the workers of a loader, too. Call it before each epoch."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return self._source.length

    def __getitem__(self, index: int) -> Any:
        """The puzzle of this index: what ``task.draw`` gives.

        Raises:
            MediaError: its file cannot be read, and is not to be skipped.
        """
        count = len(self)
        if not -count <= index < count:  # negative ones count from the end, as in a list
            raise IndexError(f"puzzles are numbered 0 to {count - 1}, not {index}")
        passed_over: list[PassedOver] = []
        puzzle = self._source.draw(Key(self.seed, self.epoch, int(index) % count), self._on_bad_file, passed_over)
        for line in passed_over:
            log(f"skipped: {line}")
        return puzzle

    def collate(self, puzzles: Sequence[Any]) -> Batch:
        """Puzzles to a batch, for ``DataLoader(collate_fn=…)``: what ``task.loss`` takes."""
        return self.task.collate(puzzles)

    def sheet(self, count: int = 8) -> Image:
        """The first puzzles as cards on which a person can do them."""
        return self.task.sheet([self[index] for index in range(min(count, len(self)))])

    def card(self, index: int) -> Image:
        """One puzzle as a picture on which a person can do it."""
        return self.task.sheet([self[index]])

    def _repr_html_(self) -> str:
        try:
            cards: object = html.picture(self.sheet())
        except UserError as error:  # a file that has gone must not fill the cell with a traceback
            cards = str(error)
        return html.section(repr(self)[1:-1], cards)

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'puzzle')} of {self.task.name}, seed {self.seed}, epoch {self.epoch}>"


def _refuse_other_types(task: object, media: object, seed: object, on_bad_file: object) -> None:
    """Refuse here what would fail far from its cause, or draw other puzzles than were meant."""
    if not isinstance(task, Task):
        made = f"avssl.task({task!r})" if isinstance(task, str) else 'such as avssl.task("rotation")'
        raise UserError(f"PuzzleDataset needs a task that is made: {made}")
    if not (isinstance(media, str | Path) or hasattr(media, "facts")):
        raise UserError(
            f"PuzzleDataset needs the name of data or an open collection, not {type(media).__name__}; "
            "avssl.open(…) makes one of a list of files"
        )
    if not isinstance(seed, SupportsIndex) or isinstance(seed, bool):  # True would be the seed 1
        raise UserError(f"seed needs a whole number, not {seed!r}")
    if on_bad_file not in get_args(OnBadFile):
        raise UserError(f"on_bad_file needs one of {', '.join(get_args(OnBadFile))}, not {on_bad_file!r}")
