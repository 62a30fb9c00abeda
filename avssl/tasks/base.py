"""The base of pretext tasks: a puzzle, a network, a loss, metrics and a sheet, in one file."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import Tensor, nn

from avssl.media.facts import Facts, Media
from avssl.networks.cutting import Views, cut_views
from avssl.options import check_options
from avssl.options import option as option  # noqa: PLC0414  tasks of one's own take it from here
from avssl.samplers.keys import Key
from avssl.samplers.pictures import Cropping
from avssl.samplers.views import Left

if TYPE_CHECKING:
    from PIL.Image import Image

Batch = dict[str, Any]
"""What ``collate`` makes: tensors by name; other values (lists of texts) stay where they are."""


@dataclass(slots=True)
class Losses:
    """What ``Task.loss`` returns.

    Attributes:
        loss: the scalar to minimise: a mean over the batch, so that batches of any size compare.
        measures: detached scalars to log, such as {"accuracy": …}; means over the batch.
    """

    loss: Tensor
    measures: dict[str, Tensor] = field(default_factory=dict)


@dataclass(slots=True)
class Answers:
    """A network's predictions for a batch of puzzles, and the labels.

    Attributes:
        scores: (N, classes) logits, or (N, …) predictions where there are no classes; float32.
        truth: (N,) class indices, or the targets.
    """

    scores: Tensor
    truth: Tensor


class Task(ABC):
    """One pretext task. A subclass in a file of its own, registered with :func:`avssl.tasks.register`.

    A task knows its puzzle, its network, its loss and its sheet. It knows nothing of loops, devices,
    checkpoints or files. It can be pickled: loader workers call ``draw``.
    """

    name: ClassVar[str]
    """As on the command line: "av-correspondence"."""
    summary: ClassVar[str]
    """One line for ``avssl train --help``; of built-in tasks the registry has it, which imports none of them."""
    Options: ClassVar[type[Any]]
    """A frozen dataclass; every field is a flag and a YAML key, its ``metadata["help"]`` the help.

    Its ``check()``, if it has one, refuses what does not go together.
    """
    classes: ClassVar[int | None] = None
    """Number of classes of the puzzle, where it has classes; chance is 1 / classes if they are balanced."""
    loss_measure: ClassVar[str] = "loss"
    """The logged measure that training and validation share, whose chance is :meth:`chance_loss`; curves show it."""

    def __init__(self, options: Any) -> None:
        check_options(options)
        self.options = options
        self.training = True
        """False in :meth:`held_out` copies: no augmentation, puzzles drawn in the plain published way."""
        self.shuffled = False
        """Whether labels are drawn at random: the control "shuffled-labels"."""
        self.grey = False
        """Whether the vision encoder sees lightness alone, so that all tasks that share it see such pictures."""
        self.left_to_device: Left = "nothing"
        """What :meth:`draw` leaves to :meth:`finish` of making pictures; anything only where :attr:`can_leave`."""
        self.before: tuple[Task, ...] = ()
        """Tasks named before this one in a training of several: the first that has a role builds its encoder."""

    @cached_property
    def _cropping(self) -> Cropping:
        """The squares that are cut from pictures: options ``side``, ``crop_low``, ``crop_high`` and ``flip``."""
        options = self.options
        return Cropping(options.side, options.crop_low, options.crop_high, options.flip)

    def unusable(self, facts: Facts) -> str | None:
        """Why this task cannot use an item that is otherwise sound ("no sound"); None if it can."""
        return None

    def fit_statistics(self, media: Media, seed: int) -> None:
        """Compute what the task needs of the training data (spectrogram mean, colour bins).

        Called once before training, on training data alone; must depend on ``media`` and ``seed`` only.
        The result is in :meth:`state`.
        """

    def needs_statistics(self) -> bool:
        """Whether :meth:`fit_statistics` is still to be called: :meth:`state` is that of a new task."""
        learns = type(self).state is not Task.state
        return learns and self.state() == type(self)(self.options).state()

    def state(self) -> dict[str, Any]:
        """What :meth:`fit_statistics` computed, as JSON values. Kept in checkpoints and run folders."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore a :meth:`state`."""

    def stored_side(self) -> int | None:
        """Pixels of the shorter side that stored pictures need, so that none is scaled up; None keeps them whole.

        Unless a task says otherwise, what its options ``side``, ``crop_low`` and ``crop_high`` ask for, if it has them.
        """
        side = getattr(self.options, "side", None)
        low, high = (float(getattr(self.options, name, 1.0)) for name in ("crop_low", "crop_high"))
        return None if side is None else Cropping(int(side), low, high).stored_side()

    def sound_rate(self) -> int | None:
        """Samples a second of the sound that the task hears: its option ``rate``; None where it has none."""
        return getattr(self.options, "rate", None)

    def length(self, media: Media) -> int:
        """Puzzles in one epoch. Keys of an epoch have index 0 … length - 1."""
        return len(media)

    @abstractmethod
    def draw(self, media: Media, key: Key) -> Any:
        """The puzzle of this key: a pure function of (options, state, training, media, key). On the CPU."""

    @abstractmethod
    def collate(self, puzzles: Sequence[Any]) -> Batch:
        """Puzzles to a batch: uint8 pictures and raw waveforms where possible; the rest is the device's work."""

    @property
    def can_leave(self) -> bool:
        """Whether :meth:`draw` can leave the cutting of pictures to the device."""
        return False

    def finish(self, batch: Batch) -> Batch:
        """A batch on the device as the host would have made it: what :attr:`left_to_device` names is done now."""
        return {name: cut_views(value) if isinstance(value, Views) else value for name, value in batch.items()}

    def clusters(self, puzzle: Any) -> tuple[str, ...]:
        """The sources that a puzzle comes from: puzzles that share one are not independent.

        Where a puzzle has ``source``, that is it.
        """
        source = getattr(puzzle, "source", None)
        return () if source is None else (source,)

    def variant(self, **changes: Any) -> Self:
        """A copy with other attributes, such as ``training=False``; what is fitted is shared."""
        task = copy.copy(self)
        for name, value in changes.items():
            setattr(task, name, value)
        return task

    def held_out(self) -> Self:
        """A copy for validation and evaluation: same puzzle, true labels, no augmentation, ``training`` False."""
        return self.variant(training=False, shuffled=False, left_to_device="nothing")

    @abstractmethod
    def encoders(self) -> dict[str, nn.Module]:
        """Fresh encoders by role ("vision", "audio"). Tasks that train together share those of one role."""

    def make_encoders(self) -> dict[str, nn.Module]:
        """:meth:`encoders`, those shared with earlier tasks as these build them; with grey input if :attr:`grey`."""
        made = self.encoders()  # this task's own first: its roles, and the random draws that building them takes
        # From the last to the first: of several that build one role the first named wins.
        for other in reversed(self.before):
            made |= {role: encoder for role, encoder in other.encoders().items() if role in made}
        for encoder in made.values():
            see_grey: Callable[[], None] | None = getattr(encoder, "see_grey", None)
            if self.grey and see_grey is not None:
                see_grey()
        return made

    @abstractmethod
    def network(self, encoders: Mapping[str, nn.Module]) -> nn.Module:
        """The head (or heads) of this task on these encoders.

        The module returned holds the heads as its own sub-modules and the encoders too, so that its
        parameters are all that the task trains.
        """

    def saved(self, network: nn.Module) -> dict[str, nn.Module]:
        """The parts worth keeping of a trained network, by the name of their files in ``RUN/encoders``.

        Each has ``describe()``; see :mod:`avssl.networks.saving`.
        """
        return {}

    @abstractmethod
    def loss(self, network: nn.Module, batch: Batch) -> Losses:
        """The loss on this batch, and measures to log. In training and in validation alike."""

    def after_step(self, network: nn.Module) -> None:
        """What follows once the optimizer has moved the weights by a whole batch of this task, in every process.

        For what a network keeps beside its weights, such as their moving average or embeddings of earlier batches.
        """

    @abstractmethod
    def answers(self, network: nn.Module, batch: Batch) -> Answers:
        """The network's predictions for the puzzles of the batch. Called without gradients, in eval mode."""

    def features(self, network: nn.Module) -> Mapping[str, nn.Module]:
        """The parts of a trained network whose outputs are its features, by name: validation watches their health.

        An output is (N, D), or maps (N, C, …) whose mean is taken; several rows a puzzle, one after the other, are
        averaged.
        """
        return {}

    def positives(self, network: nn.Module, batch: Batch) -> Tensor | None:
        """(N,) bool: the puzzles whose two :meth:`features` are to be alike; None where features are not compared."""
        return None

    def chance_loss(self) -> float | None:
        """The expected loss without any information (ln 2 for two balanced classes); None if it is not known."""
        return None

    def training_chance_loss(self) -> float | None:
        """The same of the loss in training, where that is another: several tasks' losses are divided by theirs."""
        return self.chance_loss()

    def controls(self) -> dict[str, Task]:
        """Variants of this task that must stay at chance ("vision-only"), by the name of their result row.

        They are trained on the same puzzles and evaluated on the same held-out puzzles.
        """
        return {}

    @abstractmethod
    def sheet(self, puzzles: Sequence[Any], answers: Answers | None = None) -> Image:
        """A picture on which a person can do the puzzle; with ``answers`` also the network's predictions."""
