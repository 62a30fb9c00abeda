"""Maps of features of all frames of a video: of an encoder's stage, or plain colours at the same size."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from avssl.errors import UserError
from avssl.evaluate.choices import PropagationChoices
from avssl.networks.colour import rgb_to_lab
from avssl.networks.encoder import ImageEncoder, device_of

# Frames that an encoder is given at once
BATCH = 8
# A label may move so far, as a share of the map's shorter side: 12 of 30 cells in DINO
WINDOW_SHARE = 0.4
# Shorter side of large frames, as in DAVIS's 480p
LARGEST = 480
FINEST = 8
# Divides Lab, so that at the temperature of 0.1 colours about 3 apart are alike (2.3 is just noticeable)
LAB_UNIT = 10.0


class StageMaps:
    """The maps of one stage of an encoder.

    Args:
        encoder: of pictures; it is put into eval mode.
        choices: stage and side.

    Raises:
        UserError: the encoder has no such stage.
    """

    def __init__(self, encoder: ImageEncoder, choices: PropagationChoices) -> None:
        self.encoder, self.side = encoder.eval(), choices.side
        self.stage, self.stride = _stage(encoder, choices.stage)

    def shown(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width at which the encoder is shown frames of ``size``: multiples of the stage's stride, so that
        the map covers the picture."""
        side = self.side or min(*size, LARGEST)
        step = math.lcm(self.stride, self.encoder.multiple)
        height, width = (max(math.floor(each * side / min(size) / step), 1) * step for each in size)
        return height, width

    @torch.no_grad()
    def __call__(self, frames: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
        """(frames, C, h, w), from frames uint8 (n, 3, H, W).

        Raises:
            UserError: they are too small for the encoder.
        """
        size = self.shown((frames.shape[2], frames.shape[3]))
        found, device = [], device_of(self.encoder)
        for first in range(0, len(frames), BATCH):
            some = resized(torch.from_numpy(frames[first : first + BATCH]), size).to(device)
            try:
                found.append(self.encoder.stages(some)[self.stage].float())
            except RuntimeError as error:
                raise UserError(f"frames of {size[0]} × {size[1]} px do not fit this encoder ({error})") from None
        return torch.cat(found)


def resized(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Frames uint8 (n, 3, H, W) at another size, bilinear and antialiased."""
    if tuple(frames.shape[-2:]) == size:
        return frames
    small = F.interpolate(frames.float(), size, mode="bilinear", antialias=True, align_corners=False)
    return small.round().clamp(0, 255).to(torch.uint8)


def colour_maps(frames: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], size: tuple[int, int]) -> Tensor:
    """The mean colour of each cell: Lab in units of :data:`LAB_UNIT`, (frames, 3, h, w)."""
    lab = [rgb_to_lab(torch.from_numpy(one[None])) for one in frames]  # singly: in float32 a video is large
    return torch.cat([F.interpolate(one, size, mode="area") for one in lab]) / LAB_UNIT


def window_of(choices: PropagationChoices, size: tuple[int, int]) -> int:
    """The radius of the window on maps of a size, in cells."""
    return max(1, round(WINDOW_SHARE * min(size))) if choices.window is None else choices.window


@torch.no_grad()
def _stage(encoder: ImageEncoder, named: str | None) -> tuple[str, int]:
    """The stage and its stride in pixels."""
    side = encoder.side
    maps = encoder.stages(torch.zeros(1, 3, side, side, device=device_of(encoder)))
    strides = {name: round(side / one.shape[-1]) for name, one in maps.items() if one.shape[-1] > 1 or named == name}
    if named is not None:
        if named not in maps:
            raise UserError(f"the encoder has no stage called {named!r}; it has: {', '.join(maps)}")
        return named, strides[named]
    if not strides:
        raise UserError("no stage of this encoder has a map of more than one cell; labels cannot be carried by it")
    fine = [name for name, stride in strides.items() if stride <= FINEST]
    # Of a ViT all stages have the stride of its patches.
    least = min(strides.values())
    chosen = fine or [name for name, stride in strides.items() if stride == least]
    return chosen[-1], strides[chosen[-1]]
