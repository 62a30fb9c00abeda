"""``avssl export``: an encoder of a run as a file that needs no avssl."""

from __future__ import annotations

from collections.abc import Sequence

from avssl.cli.command import parsed
from avssl.experiment.export import ExportOptions, export_encoder
from avssl.system.console import log, size

WHAT = """Write an encoder of a run as a file that can be used without avssl:

  FILE.safetensors, .pth   the weights in torchvision's own key names (ResNets and AlexNets only)
  FILE.onnx                ONNX, for onnxruntime and other engines (needs onnx, onnxscript and onnxruntime)
  FILE.pt2                 torch.export, for torch alone

ONNX and torch.export carry the front end: they take uint8 frames (N, 3, side, side), or a waveform (N, samples) at
the encoder's rate, any N, and give the last map (N, C, h, w); with --embedding the 128-d vector (N, 128) of a run of
av-correspondence. The file is read back and compared with the module first; the largest difference is printed."""
EXAMPLE = """avssl export runs/rotation -o resnet18.safetensors
avssl export runs/av --encoder audio --embedding -o audio.onnx
avssl export runs/multi --encoder vision-jigsaw -o jigsaw.pt2"""


def run(argv: Sequence[str]) -> None:
    """Export."""
    options = parsed(argv, ExportOptions, "avssl export", WHAT, EXAMPLE)
    written = export_encoder(options)
    facts = ", ".join(f"{key} {value}" for key, value in written.facts.items() if key not in ("version", "run"))
    log(f"{written.path}: {size(written.size)}; {facts}")
    module, check = written.module, written.check
    if options.chosen_format() != "torchvision":
        x = module.examples(1)
        shape = ", ".join(map(str, ("N", *x.shape[1:])))
        log(f"takes {module.input_name}, {str(x.dtype).removeprefix('torch.')} ({shape}); gives {module.output_name}")
    log(f"largest difference to the module: {check.difference:.2g}, of values up to {check.largest:.2g}")
    log("to read it:")
    for line in check.usage:
        log(f"  {line.replace('FILE', repr(written.path.name))}")
