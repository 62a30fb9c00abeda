"""What protocols share: options that several of them have, the evaluation under way, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import get_annotations
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from avssl.errors import UserError
from avssl.networks.config import LIBRARIES
from avssl.options import Option, option, options_of

if TYPE_CHECKING:
    import torch

    from avssl.evaluate.core.rows import Context, ResultRow
    from avssl.evaluate.core.training_overlap import Seen
    from avssl.networks.encoder import Encoder, ImageEncoder

Architecture = Literal["resnet18", "resnet34", "resnet50", "resnet101"]

GENERATED = "world"
"""The data of localization where the generated world is meant, whatever the run learned from."""


class ProtocolOptions:
    """The root of all options.

    A protocol's own class lists its bases last part first: a dataclass has the fields of its last base first.

    Attributes:
        heading: under which the help lists the options of a class.
        needs_run, needs_data: what is said where they must be given and are not; empty where they need not be.
        no_encoder: why the protocol takes no encoder instead of a run.
    """

    heading: ClassVar[str] = "options"
    needs_run: ClassVar[str] = ""
    needs_data: ClassVar[str] = ""
    no_encoder: ClassVar[str] = ""

    def check(self) -> None:
        """Refuse what does not fit together, before anything heavy is loaded.

        Raises:
            UserError: names the options.
        """


@dataclass(frozen=True)
class RunOptions(ProtocolOptions):
    """Of protocols that evaluate a run."""

    needs_run = "--run RUN, the folder of a finished run"

    run: str | None = option(None, "the folder of a finished run", metavar="RUN")
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
class BesideOptions(ProtocolOptions):
    """What stands beside the encoder that is evaluated."""

    heading = "features"

    beside: tuple[str, ...] = option(
        (), "further runs, timm:NAME:WEIGHTS, FILE.onnx, rows beside this one's", metavar="RUN,…"
    )
    supervised: str | None = option(None, "weights of a torchvision ResNet: the ceiling", metavar="FILE")
    supervised_network: Architecture = option("resnet18", "whose weights")


@dataclass(frozen=True)
class OutputOptions(ProtocolOptions):
    """Where results go."""

    output: str | None = option(
        None, "folder for rows and pictures (default: results/ of the run)", short="-o", metavar="DIR"
    )


@dataclass(frozen=True)
class ComputeOptions(OutputOptions):
    """Where results go, and how they are computed."""

    seed: int = option(0, "of the random network and of what is drawn")
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps")

    def torch_device(self) -> torch.device:
        """The device that was asked for.

        Raises:
            UserError: it is not here.
        """
        from avssl.trainer.devices import choose_device

        return choose_device(self.device)


@dataclass(frozen=True)
class HeadOptions(ComputeOptions, SplitOptions):
    """Of protocols that train a head on an encoder of pictures, frozen or not."""

    encoder: str | None = option(None, _ENCODER)


def by_heading(kind: type[Any]) -> dict[str, list[Option]]:
    """The options of a protocol by the heading of the class that brings each, of others than these the protocol's."""
    found: dict[str, list[Option]] = {}
    for one in options_of(kind):
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
        """The encoder with this name, or the one of this role, and what it is called.

        Raises:
            UserError: there is none.
        """
        if self.encoder is None:
            assert self.run is not None
            return fitting_encoder(self.run, name, role)
        return of_role(self.encoder, role, str(self)), str(self)

    def image_encoder(self, name: str | None, *, learns: bool = False) -> ImageEncoder:
        """The encoder of pictures with this name, or the first.

        Args:
            name: of the run's encoder.
            learns: whether it is trained, too.

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
    return library in LIBRARIES and library != "module" and ":" not in rest  # a function may load what it likes


def fitting_encoder(run: str | Path, name: str | None, role: str) -> tuple[Encoder, str]:
    """The encoder of a run with this name, or the one of this role, and its name; or one of a library in its place.

    Raises:
        UserError: there is none.
    """
    from avssl.evaluate.data.encoders import open_encoder
    from avssl.trainer.run_config import encoder_names

    if of_library(str(run)):
        from avssl.networks.opening import encoder

        return of_role(encoder(run), role, str(run)), str(run)
    if name is None:
        fitting = [one for one in encoder_names(Path(run)) if one.split("-")[0] == role]
        if not fitting:
            what = "sound" if role == "audio" else "pictures"
            raise UserError(f"{run} has no encoder of {what}, and the data are {what}; take another run or other data")
        name = role if role in fitting else fitting[0]
    return open_encoder(run, name), name


def of_role(encoder: Encoder, role: str, called: str) -> Encoder:
    """The encoder, which must take what the data are.

    Raises:
        UserError: it does not.
    """
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


@dataclass(frozen=True)
class Beside:
    """A file beside the rows.

    Attributes:
        what: it is: "picture".
        suffix: behind the name of the rows' file: ".png", "-shared.png".
        write: writes it; returns whether there was anything to write.
    """

    what: str
    suffix: str
    write: Callable[[Outcome, Path], bool]


@dataclass(frozen=True)
class Outcome:
    """What came of an evaluation.

    Attributes:
        name: of its files.
        rows: its figures.
        title: of their table: what was evaluated on which data; empty where there is no table.
        place: the data; None of a run's own held-out part.
        seen: what of the data was learned from; None where that does not matter.
        notes: lines behind the table.
        beside: files beside the rows.
        own: whether NAME is the file of a run's own held-out part alone.
        document: what is written instead of the rows, which are then only returned.
    """

    name: str
    rows: Sequence[ResultRow]
    title: str = ""
    place: str | None = None
    seen: Seen | None = None
    notes: Sequence[str] = ()
    beside: Sequence[Beside] = ()
    own: bool = False
    document: Mapping[str, object] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """Of a picture."""
        return f"{self.name}: {self.title}"

    def of_random_weights(self) -> Outcome:
        """The same, with rows that do not claim that the encoder was trained."""
        rows = [replace(row, name=re.sub(r"^trained\b", "untrained", row.name)) for row in self.rows]
        return replace(self, rows=rows)

    def marked(self) -> Outcome:
        """The same, rows and title saying what of the data was learned from."""
        if not self.seen:
            return self
        from avssl.evaluate.core.training_overlap import marked

        return replace(self, rows=marked(self.rows, self.seen), title=f"{self.title}, {self.seen.words}")


def log_passed_over(lines: Sequence[str], shown: int = 5) -> None:
    """Log the first that were skipped, and how many more there are."""
    from avssl.system.console import log

    for line in lines[:shown]:
        log(f"skipped: {line}")
    if len(lines) > shown:
        log(f"skipped: {len(lines) - shown} more")
