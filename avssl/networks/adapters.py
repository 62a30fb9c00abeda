"""Foreign encoders: any torch module with a feature function."""

from __future__ import annotations

import hashlib
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from avssl.errors import UserError, reason_of
from avssl.networks.config import MEAN, STD
from avssl.networks.encoder import ImageEncoder, WaveformEncoder, device_of
from avssl.networks.front_end import FrontEnd, FrontEndConfig
from avssl.networks.photometry import normalised

Found = Tensor | Mapping[str, Tensor] | Sequence[Tensor]
# A function of the module and its input that returns the features: one map, or those of stages in order of depth.
Features = Callable[[Any, Tensor], Found]

# Tokens before those of the patches: one of the class in ViT, one and four registers in DINOv2.
MOST_PREFIX_TOKENS = 8


class ModuleEncoder(nn.Module):
    """What modules of pictures and of sound have in common as encoders.

    Args:
        net: the module; its own object, not copied.
        features: called with the module and its input; None: the module is called itself. It must reach the weights
            through its first argument, since the encoder is copied where a copy of it learns.
    """

    def __init__(self, net: nn.Module, features: Features | None) -> None:
        super().__init__()
        self.net, self.features = net, features
        self.channels = 0  # known once the module was tried on an example

    takes: str  # shapes of features that can be made a map, for messages

    def example(self) -> Tensor:
        """An input of two rows, the same every time."""
        raise NotImplementedError

    def fed(self, x: Tensor) -> Tensor:
        """What the module is given of frames or waveforms."""
        raise NotImplementedError

    def sequence_to_map(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Features of three dimensions as a map, of inputs of this size."""
        raise NotImplementedError

    def map_of(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Features as a map (N, C, h, w), of inputs of this size; UserError if they are of no such shape."""
        match x.ndim:
            case 4:
                return x
            case 3:
                return self.sequence_to_map(x, size)
            case 2:
                return x[:, :, None, None]
        raise UserError(f"the features have the shape {tuple(x.shape)}; give {self.takes}")

    def stages(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """The map of each stage by name, in order of depth."""
        return self.maps(self.fed(x))

    def maps(self, fed: Tensor) -> OrderedDict[str, Tensor]:
        """:meth:`stages` of what the module is given."""
        found = self.net(fed) if self.features is None else self.features(self.net, fed)
        size = (int(fed.shape[-2]), int(fed.shape[-1]))
        return OrderedDict((name, self.map_of(one, size)) for name, one in _named(found).items())

    def forward(self, x: Tensor) -> Tensor:
        """The last map."""
        return next(reversed(self.stages(x).values()))

    def describe(self) -> dict[str, Any]:
        """Identifies this encoder: a digest of its output, since a function cannot be serialised."""
        # A function has no name that means the same in another process; its output on a fixed input does.
        state = hashlib.blake2b(digest_size=16)
        for name, one in self._on_example().items():
            state.update(name.encode())
            state.update(one.float().cpu().contiguous().numpy().tobytes())
        return {"type": "module", "config": {"name": type(self.net).__name__, "features": state.hexdigest()}}

    def _on_example(self) -> OrderedDict[str, Tensor]:
        training, example = self.training, self.example()
        try:
            with torch.no_grad():
                return self.eval().stages(example.to(device_of(self)))
        except RuntimeError as error:  # torch's word for shapes that do not fit
            raise UserError(
                f"{type(self.net).__name__} does not take an input of shape {tuple(example.shape)}: "
                f"{reason_of(error)}; features=lambda module, x: … can reshape it"
            ) from None
        finally:
            self.train(training)


class ImageModule(ModuleEncoder, ImageEncoder):
    """A module of pictures: (N, 3, side, side) normalised floats to (N, C, h, w), tokens (N, places, C) or (N, C).

    Tokens become a map with the aspect of the picture; those before the patches (of the class, registers) are dropped.

    Args:
        side: pixels of the square pictures that it is made for.
        mean, std: of its pictures on the scale 0..1, a colour each.
    """

    takes = "maps (N, C, h, w), tokens (N, places, C) or vectors (N, C)"

    def __init__(
        self,
        net: nn.Module,
        features: Features | None = None,
        *,
        side: int,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ) -> None:
        super().__init__(net, features)
        self.side, self.grey = side, False
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))
        self.channels = next(reversed(self._on_example().values())).shape[1]

    def see_grey(self) -> None:
        """From now on see lightness alone."""
        self.grey = True

    def example(self) -> Tensor:
        return torch.rand(2, 3, self.side, self.side, generator=torch.Generator().manual_seed(0))

    def fed(self, x: Tensor) -> Tensor:
        return normalised(x, self.get_buffer("mean"), self.get_buffer("std"), self.grey)

    def sequence_to_map(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return tokens_to_map(x, size)


class WaveformModule(ModuleEncoder, WaveformEncoder):
    """A module of sound: waveforms (N, samples), or with a front end spectrograms (N, 1, bands, frames).

    Its features are maps (N, C, frequency, time), sequences (N, C, time) or vectors (N, C).

    Args:
        rate: samples a second.
        seconds: length of the sounds that it is made for.
        front_end: makes the spectrogram that the module takes; its rate and length must be these.
    """

    takes = "maps (N, C, frequency, time), sequences (N, C, time) or vectors (N, C)"

    def __init__(
        self,
        net: nn.Module,
        features: Features | None = None,
        *,
        rate: int,
        seconds: float,
        front_end: FrontEnd | FrontEndConfig | None = None,
    ) -> None:
        super().__init__(net, features)
        self.rate, self.seconds = rate, seconds
        self.front_end = FrontEnd(front_end) if isinstance(front_end, FrontEndConfig) else front_end
        config = None if self.front_end is None else self.front_end.config
        if config is not None and (config.rate, config.seconds) != (rate, seconds):
            raise UserError(
                f"the front end takes {config.seconds:g} s at {config.rate} Hz, the encoder {seconds:g} s at {rate} "
                "Hz; make them the same"
            )
        self.channels = next(reversed(self._on_example().values())).shape[1]

    def example(self) -> Tensor:
        noise = torch.rand(2, round(self.rate * self.seconds), generator=torch.Generator().manual_seed(0))
        return noise * 2 - 1

    def trunk_map(self, fed: Tensor) -> Tensor:
        """From what the front end gives to the last map."""
        return next(reversed(self.maps(fed).values()))

    def fed(self, x: Tensor) -> Tensor:
        return x if self.front_end is None else self.front_end(x)

    def sequence_to_map(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return x[:, :, None]


def tokens_to_map(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Tokens (N, prefix + h · w, C), row by row, to a map (N, C, h, w) with the aspect of a picture of this size.

    Raises:
        UserError: no h and w of this aspect make so many tokens, however many of the class and registers come first.
    """
    height, width = size
    for prefix in range(MOST_PREFIX_TOKENS + 1):
        places = tokens.shape[1] - prefix
        if places < 1:
            break
        patch = math.sqrt(height * width / places)
        h, w = round(height / patch), round(width / patch)
        # The aspect decides how many tokens come first: of 197 for a square picture 196 = 14 × 14 are patches.
        if h * w == places and abs(height / h - width / w) < 1e-6 * width:
            return tokens[:, prefix:].transpose(1, 2).reshape(len(tokens), -1, h, w)
    raise UserError(
        f"{tokens.shape[1]} tokens are no map of a picture of {height} × {width} px; give maps (N, C, h, w), or the "
        "tokens of the patches alone"
    )


def _named(found: Found) -> Mapping[str, Tensor]:
    """Stages by names that files and modules may bear."""
    if isinstance(found, Tensor):
        found = {"features": found}
    elif not isinstance(found, Mapping):
        found = {f"stage{number}": one for number, one in enumerate(found, start=1)}
    if not found or not all(isinstance(one, Tensor) for one in found.values()):
        raise UserError(
            f"features must be a tensor, or the tensors of stages by name, not {type(found).__name__}; pass "
            "features=… that picks them"
        )
    return {re.sub(r"[^\w-]", "-", str(name)): one for name, one in found.items()}
