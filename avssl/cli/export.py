"""``avssl export``: an encoder of a run as a file that needs no avssl."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl import __version__
from avssl.cli.options import Command, Option, Values
from avssl.errors import UserError
from avssl.system.console import say, size
from avssl.system.files import whole_file

if TYPE_CHECKING:
    from avssl.networks.exporting import Portable

FORMATS = {".safetensors": "torchvision", ".pth": "torchvision", ".onnx": "onnx", ".pt2": "torch-export"}
"""By the suffix of the file."""

WHAT = """Write an encoder of a run as a file that can be used without avssl:

  FILE.safetensors, FILE.pth   the weights in torchvision's own key names (ResNets and AlexNets only)
  FILE.onnx                    ONNX, for onnxruntime and other engines (needs onnx, onnxscript and onnxruntime)
  FILE.pt2                     torch.export, for torch alone

ONNX and torch.export carry the front end: they take uint8 frames (N, 3, side, side), or a waveform (N, samples) at
the encoder's rate, any N, and give the last map (N, C, h, w); with --embedding the 128-d vector (N, 128) of a run of
av-correspondence. What is written is read back and compared with the module first; the largest difference is told."""
EXAMPLE = """avssl export runs/rotation -o resnet18.safetensors
avssl export runs/av --encoder audio --embedding -o audio.onnx
avssl export runs/multi --encoder vision-jigsaw -o jigsaw.pt2"""


def run(argv: Sequence[str]) -> None:
    """Export."""
    command = Command("avssl export", WHAT, EXAMPLE)
    command.positional("run", "the folder of a finished run")
    command.add(
        [
            Option("output", str | None, None, "the file to write", "-o", "FILE"),
            Option("encoder", str | None, None, "vision, audio, vision-TASK (default: vision, if there is one)"),
            Option("format", str | None, None, "torchvision, onnx or torch-export (default: by the suffix of FILE)"),
            Option("embedding", bool, False, "the 128-d embedding instead of the map"),
        ]
    )
    values = command.parse(argv)
    form, path = _format(values), Path(values["output"])
    from avssl.networks.exporting import exported

    module, facts = _module(values)
    made = exported(module, form, facts, path.suffix)  # type: ignore[arg-type]
    with whole_file(path) as file:
        file.write(made.data)
    told = ", ".join(f"{key} {value}" for key, value in facts.items() if key not in ("version", "run"))
    say(f"{path}: {size(len(made.data))}; {told}")
    if form != "torchvision":
        x = module.examples(1)
        shape = ", ".join(map(str, ("N", *x.shape[1:])))
        say(f"takes {module.input_name}, {str(x.dtype).removeprefix('torch.')} ({shape}); gives {module.output_name}")
    say(f"largest difference to the module: {made.difference:.2g}, of values up to {made.largest:.2g}")
    say("to read it:")
    for line in made.usage:
        say(f"  {line.replace('FILE', repr(path.name))}")


def _format(values: Values) -> str:
    if values["output"] is None:
        raise UserError("avssl export wants -o FILE; see avssl export --help")
    wanted, suffix = values["format"], Path(values["output"]).suffix
    if wanted is None and suffix not in FORMATS:
        raise UserError(f"{values['output']}: a file is named {', '.join(FORMATS)}; or say --format")
    form = str(wanted or FORMATS[suffix])
    if form not in FORMATS.values():
        raise UserError(f"--format wants one of {', '.join(dict.fromkeys(FORMATS.values()))}, not {form!r}")
    if form == "torchvision" and values["embedding"]:
        raise UserError("torchvision's networks have no 128-d embedding; write it as .onnx or .pt2")
    return form


def _module(values: Values) -> tuple[Portable, dict[str, Any]]:
    """What is to be exported, and what there is to know about it."""
    from avssl.evaluate.data.encoders import encoder_names, open_encoder
    from avssl.networks.audio import AudioEncoder
    from avssl.networks.exporting import Portable
    from avssl.networks.model import load

    run = Path(values["run"])
    names = encoder_names(run)
    name = values["encoder"] or ("vision" if "vision" in names else names[0])
    encoder, fusion = open_encoder(run, name), None
    if values["embedding"]:
        role = encoder.role
        if name not in (role, f"{role}-av-correspondence"):
            raise UserError(f"the encoder {name!r} has no 128-d embedding; --embedding wants --encoder {role}")
        model = load(run)
        if model.fusion is None:
            raise UserError(f"{run} has no 128-d embedding; --embedding wants a run of avssl train av-correspondence")
        fusion = model.fusion
        own = model.audio_encoder if isinstance(encoder, AudioEncoder) else model.vision
        assert own is not None
        encoder = own  # of a run of several tasks, with the batch statistics that the embedding was trained on
    facts: dict[str, Any] = {"version": __version__, "run": run.resolve().name, "encoder": name}
    facts["architecture"] = encoder.config.architecture
    if isinstance(encoder, AudioEncoder):
        facts |= {"rate": encoder.config.front_end.rate, "seconds": encoder.config.front_end.seconds}
    else:
        facts |= {"side": encoder.config.side}
    return Portable(encoder, fusion), facts
