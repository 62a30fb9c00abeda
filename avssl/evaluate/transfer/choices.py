"""What may be chosen of each protocol that puts a head on an encoder; nothing heavy is imported for it."""

from __future__ import annotations

from dataclasses import dataclass

from avssl.options import option


@dataclass(frozen=True)
class HeadChoices:
    """Of all of them."""

    finetune: bool = option(False, "the encoder learns too")
    seeds: int = option(1, "how many times all is repeated; three for a claim", low=1)


@dataclass(frozen=True)
# Defaults of ours, for a CPU. Goyal et al. 2019 train 50,000 iterations of a ResNet-50-C4 on two GPUs, the rate (0.002)
# a tenth from iteration 38,000 on, the body frozen.
class DetectionChoices(HeadChoices):
    """Of detection."""

    steps: int = option(600, "steps of the optimizer", low=1)
    batch_size: int = option(4, "pictures a step", low=1)
    rate: float = option(1e-3, "the highest learning rate of AdamW", above=0)
    stage: str | None = option(None, "stage of the encoder (default: the last with a stride of 16 at most)")
    side: int = option(320, "pixels to which the shorter side of a picture is scaled", low=32)
    anchors: tuple[float, ...] = option((32.0, 64.0, 128.0, 256.0), "sides of the anchors in those pixels", above=0)
    width: int = option(128, "channels of the detector's map", low=1)
    representation: int = option(512, "features that describe a proposal", low=1)
    flip: bool = option(True, "mirror half of the pictures in training")


@dataclass(frozen=True)
class NormalsChoices(HeadChoices):
    """Of surface normals."""

    # 40 in the benchmark of Goyal et al. 2019
    clusters: int = option(0, "centres that pixels are classified to; 0: unit vectors are regressed", low=0)
    steps: int = option(400, "steps of the optimizer", low=1)
    batch_size: int = option(4, "pictures a step", low=1)
    rate: float = option(2e-3, "the highest learning rate of AdamW", above=0)
    side: int = option(240, "pixels to which the shorter side of a picture is scaled", low=32)
    width: int = option(64, "channels of the decoder", low=1)
    flip: bool = option(True, "mirror half of the pictures in training, x of their normals with them")


@dataclass(frozen=True)
class KeypointChoices(HeadChoices):
    """Of keypoints."""

    steps: int = option(600, "steps of the optimizer", low=1)
    batch_size: int = option(32, "people a step", low=2)
    rates: tuple[float, ...] = option((3e-3, 1e-3), "learning rates; the best on held-out training people", above=0)
    weight_decay: float = option(0.01, "of AdamW")
    width: int = option(64, "channels of the head", low=1)
    stages: tuple[str, ...] | None = option(None, "only these stages (default: all)", metavar="A,B,…")
