"""Encoders as files that need no avssl: ONNX, torch.export, or weights in torchvision's names.

Each file is read back from its own bytes and compared with the module on inputs of several kinds and two batch sizes
before anybody writes it; one that gives other values is refused. The front end goes along: what is exported takes
uint8 frames, or a waveform.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from avssl.errors import UserError
from avssl.installation import install_hint
from avssl.networks.audio import AudioEncoder
from avssl.networks.fusion import Fusion
from avssl.networks.torchvision_names import difference, torchvision_backbone
from avssl.networks.vision import VisionEncoder

Format = Literal["torchvision", "onnx", "torch-export"]

# The largest difference from the module that counts as rounding, as a share of the largest value.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Exported:
    """A file's content and how near it comes to the module."""

    data: bytes  # what to write
    difference: float  # the largest between a value of the file's and the module's
    largest: float  # the largest value of the module's, beside which the difference is to be seen
    usage: tuple[str, ...]  # lines of Python that read the file, called FILE in them


class Portable(nn.Module):
    """An encoder with its front end as one function of one tensor.

    Input: frames uint8 (N, 3, side, side), or waveform float32 (N, samples) at the front end's rate and of its length.
    Output: the map (N, C, h, w); with a fusion the embedding (N, 128) of a run of av-correspondence.
    """

    def __init__(self, encoder: VisionEncoder | AudioEncoder, fusion: Fusion | None = None) -> None:
        super().__init__()
        self.encoder, self.fusion = encoder, fusion
        self.hears = isinstance(encoder, AudioEncoder)

    @property
    def input_name(self) -> str:
        return "waveform" if self.hears else "frames"

    @property
    def output_name(self) -> str:
        return "map" if self.fusion is None else "embedding"

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.encoder(x)
        if self.fusion is None:
            return maps
        if self.hears:
            return self.fusion.embed_audio(maps)
        return self.fusion.vectors(self.fusion.embed_vision(maps))

    def examples(self, count: int) -> Tensor:
        """So many inputs unlike each other: noise, loud and soft, nothing at all, and something smooth."""
        # Silence and plain pictures, too: a logarithm or a division that an exporter changed shows there.
        rng = torch.Generator().manual_seed(count)
        loud = torch.tensor([1.0, 0.1, 0.0, 0.5])[torch.arange(count) % 4]
        smooth = torch.arange(count) % 4 == 3
        if isinstance(self.encoder, AudioEncoder):
            front_end = self.encoder.config.front_end
            samples = round(front_end.seconds * front_end.rate)
            noise = 0.3 * torch.randn(count, samples, generator=rng)
            tone = torch.sin(2 * torch.pi * 440 * torch.arange(samples) / front_end.rate) + 0.01 * noise
            return (torch.where(smooth[:, None], tone, noise) * loud[:, None]).clamp(-1, 1)
        side = self.encoder.config.side
        frames = torch.rand(count, 3, side, side, generator=rng)
        ramp = torch.linspace(0, 1, side).expand(count, 3, side, side)
        return (torch.where(smooth[:, None, None, None], ramp, frames) * loud.view(-1, 1, 1, 1) * 255).to(torch.uint8)


def exported(module: Portable, form: Format, facts: dict[str, Any], suffix: str = ".safetensors") -> Exported:
    """The bytes of a file, checked against the module.

    Args:
        module: what to export; it is put into eval mode on the CPU.
        form: "torchvision" for the weights of the backbone alone, without front end and embedding.
        facts: plain values to store beside the weights, where the format has a place for them.
        suffix: of the file; weights become a safetensors file, or with ".pth" one of torch.save.

    Raises:
        UserError: a package is missing, there is no torchvision name for the architecture, or the file would give
            other values than the module.
    """
    module = module.cpu().eval()
    if form == "torchvision":
        return _checked(_weights(module, facts, suffix))
    make = _onnx if form == "onnx" else _torch_export
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporters, about their own internals
        return _checked(make(module, facts))


def _checked(made: Exported) -> Exported:
    # "not <=" rather than ">": a difference that is NaN is refused, too.
    if not made.difference <= TOLERANCE * max(made.largest, 1e-6):
        raise UserError(
            f"the exported network differs from the module by {made.difference:.2g} (of values up to "
            f"{made.largest:.2g}): nothing is written; try another format, or other versions of its packages"
        )
    return made


def _weights(module: Portable, facts: dict[str, Any], suffix: str) -> Exported:
    encoder = module.encoder
    backbone = torchvision_backbone(encoder)
    x = module.examples(4)
    with torch.no_grad():
        prepared = encoder.front_end(x) if isinstance(encoder, AudioEncoder) else encoder.normalise(x)
    found, largest = difference(backbone, encoder, prepared)
    if suffix == ".safetensors":
        from safetensors.torch import save

        data = save(backbone.state, {"format": "pt", "avssl": json.dumps(facts), "recipe": "\n".join(backbone.recipe)})
        reading = "safetensors.torch.load_file(FILE)"
    else:
        buffer = io.BytesIO()
        torch.save(backbone.state, buffer)
        data, reading = buffer.getvalue(), "torch.load(FILE)"
    return Exported(data, found, largest, (*backbone.recipe, f"net.load_state_dict({reading})"))


def _torch_export(module: Portable, facts: dict[str, Any]) -> Exported:
    program = torch.export.export(module, (module.examples(2),), dynamic_shapes=_batches())
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={"avssl.json": json.dumps(facts)})
    read: Any = torch.export.load(io.BytesIO(buffer.getvalue())).module()
    usage = ("encoder = torch.export.load(FILE).module()", f"{module.output_name} = encoder({module.input_name})")
    return Exported(buffer.getvalue(), *_compared(module, read), usage)


def _onnx(module: Portable, facts: dict[str, Any]) -> Exported:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  torch's exporter stands on it
    except ImportError as error:
        raise UserError(f"to write ONNX the package {error.name} is missing: {install_hint('export')}") from None
    program: Any = torch.onnx.export(
        module,
        (module.examples(2),),
        input_names=[module.input_name],
        output_names=[module.output_name],
        dynamic_shapes=_batches(),
        dynamo=True,
        verbose=False,
    )
    proto = program.model_proto
    for key, value in facts.items():
        proto.metadata_props.add(key=f"avssl.{key}", value=str(value))
    data: bytes = proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def read(x: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {module.input_name: x.numpy()})[0])

    usage = (
        "session = onnxruntime.InferenceSession(FILE)",
        f'{module.output_name} = session.run(None, {{"{module.input_name}": {module.input_name}}})[0]',
    )
    return Exported(data, *_compared(module, read), usage)


def _batches() -> tuple[dict[int, torch.export.Dim]]:
    """The first dimension of the only input may be of any size."""
    return ({0: torch.export.Dim("batch")},)


def _compared(module: Portable, read: Callable[[Tensor], Tensor]) -> tuple[float, float]:
    """(largest difference, largest value) on batches of two sizes, as exporters like to fix the one they saw."""
    furthest = largest = 0.0
    for size in (1, 5):
        x = module.examples(size)
        ours, theirs = module(x), read(x)
        if ours.shape != theirs.shape or not torch.isfinite(theirs).all():
            return float("inf"), float(ours.abs().max())
        furthest = max(furthest, float((ours - theirs).abs().max()))
        largest = max(largest, float(ours.abs().max()))
    return furthest, largest
