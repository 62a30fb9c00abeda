"""sRGB to CIE Lab and back, on the device of the tensor, without matrix products (which autocast would round).

sRGB is IEC 61966-2-1; Lab is CIE 1976 with the white of D65 (2°). L is 0..100, a and b about -100..100.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Rows: X, Y, Z from linear R, G, B (IEC 61966-2-1), and the white that R = G = B = 1 gives.
_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_TO_RGB = ((3.240479, -1.537150, -0.498535), (-0.969256, 1.875992, 0.041556), (0.055648, -0.204043, 1.057311))
_WHITE = (0.950456, 1.0, 1.088754)
_KNEE = 6 / 29


def rgb_to_lab(frames: Tensor) -> Tensor:
    """Lab of pictures: (N, 3, H, W) uint8 0..255 or float 0..1, to float32 (N, 3, H, W)."""
    rgb = frames.float()
    if not frames.is_floating_point():
        rgb = rgb / 255
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    x, y, z = (_curve(_mix(linear, row) / white) for row, white in zip(_TO_XYZ, _WHITE, strict=True))
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """The inverse: (N, 3, H, W) Lab to RGB 0..1, colours that no screen shows cut off at its limits."""
    lab = lab.float()
    y = (lab[:, 0] + 16) / 116
    x, z = y + lab[:, 1] / 500, y - lab[:, 2] / 200
    xyz = torch.stack([_uncurve(value) * white for value, white in zip((x, y, z), _WHITE, strict=True)], dim=1)
    linear = torch.stack([_mix(xyz, row) for row in _TO_RGB], dim=1).clamp(0, 1)
    return torch.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear).clamp(0, 1)


def _mix(channels: Tensor, row: tuple[float, float, float]) -> Tensor:
    return channels[:, 0] * row[0] + channels[:, 1] * row[1] + channels[:, 2] * row[2]


def _curve(t: Tensor) -> Tensor:
    return torch.where(t > _KNEE**3, t.clamp(min=_KNEE**3) ** (1 / 3), t / (3 * _KNEE**2) + 4 / 29)


def _uncurve(t: Tensor) -> Tensor:
    return torch.where(t > _KNEE, t**3, 3 * _KNEE**2 * (t - 4 / 29))
