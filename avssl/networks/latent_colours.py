"""A head for colours with a latent variable: a conditional variational autoencoder (Sohn, Lee & Yan, NeurIPS 2015)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LatentColours(nn.Module):
    """Features of a grey picture and a latent variable to its colours; several variables, several colourings.

    In training the variable is drawn from the posterior, which sees the true colours; later from the prior, a standard
    normal distribution. It scales and shifts the features, so that what it does to a place depends on what is there.

    Args:
        width: channels of the features.
        size: dimensions of the variable.

    Features are (N, width, h, w), colours (N, 2, h, w) of about unit size, variables (N, size).
    """

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.see = nn.Sequential(
            nn.Conv2d(width + 2, width, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
        )
        self.posterior = nn.Linear(width, 2 * size)
        self.modulate = nn.Linear(size, 2 * width)
        self.colour = nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU(inplace=True), nn.Conv2d(width, 2, 1))

    def forward(self, features: Tensor, variable: Tensor) -> Tensor:
        """The colours."""
        scale, shift = self.modulate(variable)[:, :, None, None].chunk(2, dim=1)
        found: Tensor = self.colour(features * (1 + scale) + shift)
        return found

    def inferred(self, features: Tensor, colours: Tensor) -> tuple[Tensor, Tensor]:
        """Of each picture a variable that its colours may have come from, and the divergence of each dimension.

        Returns:
            the variable (N, size), drawn in training, else the posterior's mean; and KL(posterior ‖ prior) in nats,
            (N, size).
        """
        seen = self.see(torch.cat([features, colours], dim=1)).mean((2, 3))
        mean, log_variance = self.posterior(seen).float().chunk(2, dim=1)
        log_variance = log_variance.clamp(-8, 8)  # exp() of more is no spread that training comes back from
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance) / 2
        drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp() if self.training else mean
        return drawn, divergence
