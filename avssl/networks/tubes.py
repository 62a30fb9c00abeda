"""From a clip with hidden patches to their content: an encoder of each frame, and attention between all patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avssl.networks.config import Norm
from avssl.networks.dense import Hypercolumn, stage_channels
from avssl.networks.encoder import ImageEncoder

_HEADS = 4


class TubeNetwork(nn.Module):
    """A clip with hidden patches to the whole clip.

    Each frame goes through the encoder alone; the maps of its stages are combined to one token a patch. Tokens of all
    frames attend to each other, and each predicts the pixels of its patch, added to what was fed in its place.

    Masked autoencoders drop the hidden patches (Tong et al., VideoMAE, 2022); an encoder that convolves cannot. It is
    fed a colour in their place, and the tokens are marked as hidden or seen.

    Args:
        vision: of single frames, shared by them.
        side: of the frames, in pixels; ``frames`` of a clip.
        patch: pixels of a patch's side.
        width: of the tokens, rounded up to what four heads can divide.
        layers: of the transformer.

    Input: seen (N, frames, 3, side, side), uint8 or 0..1, and hidden (N, frames, grid, grid), 0 or 1. Output:
    (N, frames, 3, side, side), on the scale 0..1 but not cut off there.
    """

    def __init__(
        self, vision: ImageEncoder, *, side: int, frames: int, patch: int, width: int, layers: int, norm: Norm
    ) -> None:
        super().__init__()
        self.vision = vision
        self.grid, self.patch = side // patch, patch
        width = -(-width // _HEADS) * _HEADS
        channels = {name: count for name, (count, _) in stage_channels(vision, side).items()}
        self.tokens = Hypercolumn(channels, width, self.grid, norm)
        self.at_time = nn.Parameter(0.02 * torch.randn(frames, 1, width))
        self.at_place = nn.Parameter(0.02 * torch.randn(self.grid**2, width))
        self.if_hidden = nn.Parameter(0.02 * torch.randn(width))
        layer = nn.TransformerEncoderLayer(
            width, _HEADS, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.attend = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.pixels = nn.Linear(width, 3 * patch * patch)
        with torch.no_grad():  # it begins with what was fed
            self.pixels.weight.mul_(0.1)
            self.pixels.bias.zero_()

    def forward(self, seen: Tensor, hidden: Tensor) -> Tensor:
        clips = seen if seen.is_floating_point() else seen.float() / 255
        count, frames = clips.shape[:2]
        maps = self.vision.stages(clips.flatten(0, 1))
        tokens = self.tokens(maps).flatten(2).transpose(1, 2).unflatten(0, (count, frames))  # (N, frames, grid², width)
        tokens = tokens + self.at_time + self.at_place
        tokens = tokens + hidden.flatten(2).to(tokens)[..., None] * self.if_hidden
        attended = self.attend(tokens.flatten(1, 2))
        patches = self.pixels(attended).float().view(count, frames, self.grid, self.grid, 3, self.patch, self.patch)
        # Rows of patches and rows within them, then columns.
        out: Tensor = clips + patches.permute(0, 1, 4, 2, 5, 3, 6).reshape(clips.shape)
        return out
