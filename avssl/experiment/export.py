"""An encoder of a run as a file that needs no avssl."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from avssl.errors import UserError
from avssl.options import REQUIRED, argument, option
from avssl.system.files import whole_file
from avssl.system.hub import fetched_run
from avssl.system.stages import stages
from avssl.trainer.run_config import check_encoder_name, encoder_names
from avssl.version import __version__

if TYPE_CHECKING:
    from avssl.networks.exporting import Exported, Portable

Format = Literal["torchvision", "onnx", "torch-export"]
# By the suffix of the file.
FORMATS: dict[str, Format] = {
    ".safetensors": "torchvision",
    ".pth": "torchvision",
    ".onnx": "onnx",
    ".pt2": "torch-export",
}
# Of a ResNet-18 on two idle cores, about: the libraries give no sign of how far they are.
SECONDS: dict[Format, float] = {"torchvision": 0.5, "onnx": 8.0, "torch-export": 5.0}


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Which encoder, and as what."""

    run: str = argument("the folder of a finished run, or hf://ORG/NAME")
    output: str = option(REQUIRED, "the file to write", short="-o", metavar="FILE")
    encoder: str | None = option(None, "vision, audio, vision-TASK (default: vision, if there is one)")
    format: Format | None = option(
        None, f"{', '.join(get_args(Format))} (default: by the suffix of FILE)", metavar="NAME"
    )
    embedding: bool = option(False, "the 128-d embedding instead of the map")

    def chosen_format(self) -> Format:
        """The format that is named, or that of the file's suffix.

        Raises:
            UserError: neither says one, or it cannot hold an embedding.
        """
        suffix = Path(self.output).suffix
        if self.format is None and suffix not in FORMATS:
            raise UserError(f"{self.output}: the suffix must be one of {', '.join(FORMATS)}; or give --format")
        form = self.format or FORMATS[suffix]
        if form == "torchvision" and self.embedding:
            raise UserError("torchvision's networks have no 128-d embedding; write it as .onnx or .pt2")
        return form


@dataclass(frozen=True)
class ExportedFile:
    """What was written.

    Attributes:
        path: the file.
        size: bytes.
        facts: what there is to know of the encoder.
        module: what was exported.
        check: how near the file, read back, comes to it, and how it is read.
    """

    path: Path
    size: int
    facts: dict[str, Any]
    module: Portable
    check: Exported


def export_encoder(options: ExportOptions) -> ExportedFile:
    """Write the file, once it was read back and compared with the module.

    Raises:
        UserError: no such encoder, a format that cannot hold it, or a file that gives something else than the module.
    """
    # A format that cannot be is refused before a run is fetched from a hub.
    form, path = options.chosen_format(), Path(options.output)
    options = replace(options, run=fetched_run(options.run))
    _chosen(options)  # refuses a wrong name before torch is loaded
    with stages("exporting", {"loading the run": 2.5, "writing, reading back and comparing": SECONDS[form]}) as begin:
        begin("loading the run")
        from avssl.networks.exporting import exported

        module, facts = _module(options)
        begin("writing, reading back and comparing")
        check = exported(module, form, facts, path.suffix)  # before anything is written to the disk
    with whole_file(path) as file:
        file.write(check.data)
    return ExportedFile(path, len(check.data), facts, module, check)


def _chosen(options: ExportOptions) -> str:
    """The name of the encoder."""
    names = encoder_names(Path(options.run))
    name = options.encoder or ("vision" if "vision" in names else names[0])
    check_encoder_name(options.run, name, names)
    return name


def _module(options: ExportOptions) -> tuple[Portable, dict[str, Any]]:
    """What is to be exported, and what there is to know about it."""
    from avssl.evaluate.data.encoders import open_encoder
    from avssl.networks.audio import AudioEncoder
    from avssl.networks.exporting import Portable
    from avssl.networks.model import load
    from avssl.networks.vision import VisionEncoder

    run = Path(options.run)
    name = _chosen(options)
    encoder, fusion = open_encoder(run, name), None
    if options.embedding:
        role = encoder.role
        # Of several tasks only av-correspondence trains the space in which both meet.
        if name not in (role, f"{role}-av-correspondence"):
            raise UserError(f"the encoder {name!r} has no 128-d embedding; --embedding needs --encoder {role}")
        model = load(run)
        if model.fusion is None:
            raise UserError(f"{run} has no 128-d embedding; --embedding needs a run of avssl train av-correspondence")
        fusion = model.fusion
        own = model.audio_encoder if isinstance(encoder, AudioEncoder) else model.vision
        assert own is not None
        encoder = own  # of a run of several tasks, with the batch statistics that the embedding was trained on
    # The run by its name alone: a file that is given away should not say where it lay here.
    facts: dict[str, Any] = {"version": __version__, "run": run.resolve().name, "encoder": name}
    assert isinstance(encoder, AudioEncoder | VisionEncoder)  # a run saves no others
    facts["architecture"] = encoder.config.architecture
    if isinstance(encoder, AudioEncoder):
        facts |= {"rate": encoder.rate, "seconds": encoder.seconds}
    else:
        facts |= {"side": encoder.side}
    return Portable(encoder, fusion), facts
