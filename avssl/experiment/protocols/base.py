"""Shared by the protocols: common options, the evaluation in progress, and its outcome."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from inspect import cleandoc, get_annotations
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from avssl.errors import UserError
from avssl.experiment.results import Outcome
from avssl.networks.config import LIBRARIES
from avssl.options import Option, option, options_of

if TYPE_CHECKING:
    import torch

    from avssl.evaluate.core.rows import Context
    from avssl.networks.encoder import Encoder, ImageEncoder

EncoderT = TypeVar("EncoderT", bound="Encoder")
Architecture = Literal["resnet18", "resnet34", "resnet50", "resnet101"]

# The data of localization where the generated world is meant, whatever the run learned from.
GENERATED = "world"


class Protocol(ABC):
    """What ``avssl evaluate NAME`` does: a frozen dataclass of its options, with its help and :meth:`evaluate`.

    Attributes:
        about, about_data, examples: for the help.
        heading: under which the help lists the options of a class.
        needs_run, needs_data: what is said where they must be given and are not; empty where they need not be.
        needs_values: lists that must not be empty.
        no_encoder: why the protocol takes no encoder instead of a run.
    """

    # A subclass names its bases in reverse: the fields of a dataclass's last base come first, in the help as well.
    about: ClassVar[str]
    about_data: ClassVar[str] = ""
    examples: ClassVar[str]
    heading: ClassVar[str] = "options"
    needs_run: ClassVar[str] = ""
    needs_data: ClassVar[str] = ""
    needs_values: ClassVar[tuple[str, ...]] = ()
    no_encoder: ClassVar[str] = ""

    @classmethod
    def help(cls) -> str:
        """What it does, in paragraphs."""
        return "\n\n".join(cleandoc(text) for text in (cls.about, cls.about_data) if text)

    def check(self) -> None:
        """Raise :class:`UserError` for options that do not fit together, before anything heavy is loaded."""

    @abstractmethod
    def evaluate(self, subject: Subject, name: str) -> Outcome:
        """Evaluate under this name. Heavy imports belong in here: the help needs the class alone."""


@dataclass(frozen=True)
class RunOptions(Protocol):
    """Of protocols that evaluate a run."""

    needs_run = "--run RUN, the folder of a finished run"

    run: str | None = option(None, "the folder of a finished run, or hf://ORG/NAME", metavar="RUN")
    data: str | None = option(None, "the data")

    @property
    def place(self) -> str | None:
        """The data that the rows are of."""
        return self.data


_ENCODER = "vision, audio, vision-TASK of the run; or instead of a run timm:NAME, torchvision:NAME, FILE.onnx"


@dataclass(frozen=True)
class EncoderOptions(RunOptions):
    """Of protocols that evaluate one encoder of a run."""

    needs_run = "--run RUN, the folder of a finished run; or --encoder timm:NAME, torchvision:NAME or FILE.onnx"

    encoder: str | None = option(None, _ENCODER + " (default: what fits)")


@dataclass(frozen=True)
class SplitOptions(EncoderOptions):
    """Of protocols that learn from one part of the data and predict another."""

    test: str | None = option(None, "the same, to evaluate on")

    @property
    def place(self) -> str | None:
        return self.test or self.data


@dataclass(frozen=True)
class BesideOptions(Protocol):
    """What stands beside the encoder that is evaluated."""

    heading = "features"

    beside: tuple[str, ...] = option(
        (), "further runs, timm:NAME:WEIGHTS or FILE.onnx to compare with", metavar="RUN,…"
    )
    supervised: str | None = option(None, "supervised weights of a torchvision ResNet, as a ceiling", metavar="FILE")
    supervised_network: Architecture = option("resnet18", "the ResNet of --supervised")


@dataclass(frozen=True)
class OutputOptions(Protocol):
    """Where results go."""

    output: str | None = option(
        None, "folder for rows and pictures (default: results/ of the run)", short="-o", metavar="DIR"
    )


@dataclass(frozen=True)
class ComputeOptions(OutputOptions):
    """Where results go, and how they are computed."""

    seed: int = option(0, "random seed of the untrained network and of all sampling")
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps")

    def torch_device(self) -> torch.device:
        """The device that was asked for; :class:`UserError` where it is not here."""
        from avssl.trainer.devices import choose_device

        return choose_device(self.device)


@dataclass(frozen=True)
class HeadOptions(ComputeOptions, SplitOptions):
    """Of protocols that train a head on an encoder of pictures, frozen or not."""

    encoder: str | None = option(None, _ENCODER)


def by_heading(kind: type[Any]) -> dict[str, list[Option]]:
    """The options of a protocol by the heading of the class that brings each; without one, under "the protocol"."""
    found: dict[str, list[Option]] = {}
    for one in options_of(kind):
        # A subclass may repeat a field with other help: it stays where the first class of the MRO's end put it.
        first = next(base for base in reversed(kind.__mro__) if one.name in get_annotations(base))
        found.setdefault(getattr(first, "heading", "the protocol"), []).append(one)
    return found


@dataclass(frozen=True)
class Subject:
    """What is evaluated: a run, or an encoder that belongs to none.

    Attributes:
        run: the folder of the run.
        encoder: instead of it.
        command: what repeats the evaluation; rows keep it.
    """

    run: str | None
    encoder: Encoder | None
    command: str

    def __str__(self) -> str:
        """As titles call it."""
        return str(self.run) if self.encoder is None else encoder_name(self.encoder)

    def encoder_of(self, role: str, name: str | None) -> tuple[Encoder, str]:
        """The encoder with this name, or the one of this role, and what it is called; :class:`UserError` without."""
        if self.encoder is None:
            assert self.run is not None
            return fitting_encoder(self.run, name, role)
        return of_role(self.encoder, role, str(self)), str(self)

    def image_encoder(self, name: str | None, *, learns: bool = False) -> ImageEncoder:
        """The encoder of pictures with this name, or the first; with ``learns`` one that can be trained.

        Raises:
            UserError: there is none, the one named is of sound, or it should learn and cannot.
        """
        from avssl.networks.encoder import is_image_encoder, refuse_frozen

        found, called = self.encoder_of("vision", name)
        if not is_image_encoder(found):
            raise UserError(f"--encoder {called} is of sound; this protocol needs an encoder of pictures")
        if learns:
            refuse_frozen(found)
        return found

    def context(self, protocol: str, seed: int, listed: int, draws: int | None = None) -> Context:
        """What all rows of the evaluation share."""
        from avssl.evaluate.core.rows import Context

        made = Context(protocol, seed, self.command, listed)
        return made if draws is None else replace(made, draws=draws)


def of_library(name: str | None) -> bool:
    """Whether an encoder is one of a library ("timm:NAME:FILE") or an ONNX file, and of no run."""
    return name is not None and ((":" in name and name.partition(":")[0] in LIBRARIES) or name.endswith(".onnx"))


def without_weights(name: str | None) -> bool:
    """Whether an encoder of a library is named without a file of weights: they are random then."""
    library, _, rest = (name or "").partition(":")
    # "module:" names a function that makes the network: it may load what weights it likes.
    return library in LIBRARIES and library != "module" and ":" not in rest


def fitting_encoder(run: str | Path, name: str | None, role: str) -> tuple[Encoder, str]:
    """As :meth:`Subject.encoder_of`, of a run, or of an encoder of a library that is named in its place."""
    from avssl.evaluate.data.encoders import open_encoder
    from avssl.trainer.run_config import encoder_names

    if of_library(str(run)):
        from avssl.networks.opening import encoder

        return of_role(encoder(run), role, str(run)), str(run)
    if name is None:
        # A run of several tasks has "vision" and "vision-TASK": the shared one, where it is there, else the first.
        fitting = [one for one in encoder_names(Path(run)) if one.split("-")[0] == role]
        if not fitting:
            what = "sound" if role == "audio" else "pictures"
            raise UserError(f"{run} has no encoder of {what}, and the data are {what}; take another run or other data")
        name = role if role in fitting else fitting[0]
    return open_encoder(run, name), name


def with_random_twin(encoder: EncoderT, seed: int) -> dict[str, EncoderT]:
    """The encoder and the same network with random weights, by the name of their rows."""
    from avssl.evaluate.data.encoders import random_twin

    return {"trained": encoder, "random": random_twin(encoder, seed)}


def of_role(encoder: Encoder, role: str, called: str) -> Encoder:
    """The encoder; :class:`UserError` where it does not take what the data are."""
    if encoder.role != role:
        takes, data = ("pictures", "sound") if role == "audio" else ("sound", "pictures")
        raise UserError(f"{called} takes {takes}, and the data are {data}; take another encoder or other data")
    return encoder


def label_of(place: str) -> str:
    """What rows call a run, or an encoder of a library or a file, that stands beside another."""
    library = place.partition(":")[0]
    if library in LIBRARIES:
        return ":".join(place.split(":")[: 3 if library == "module" else 2])
    return Path(place).resolve().name


def encoder_name(encoder: Encoder) -> str:
    """What an encoder that belongs to no run is called: its network's name, or its class."""
    config = encoder.describe()["config"]
    return str(config.get("name") or config.get("architecture") or type(encoder).__name__)


def log_passed_over(lines: Sequence[str], shown: int = 5) -> None:
    """Log the first that were skipped, and how many more there are."""
    from avssl.system.console import log

    for line in lines[:shown]:
        log(f"skipped: {line}")
    if len(lines) > shown:
        log(f"skipped: {len(lines) - shown} more")
