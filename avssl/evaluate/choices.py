"""The choices that the protocols offer; importing them is cheap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from avssl.options import option

Pool = Literal["max", "average"]


def _seeds() -> Any:
    return option(1, "repetitions with other seeds; three for a claim", low=1)


def _steps(default: int) -> Any:
    return option(default, "steps of the optimizer", low=1)


def _pictures_a_step() -> Any:
    return option(4, "pictures a step", low=1)


def _peak_rate(default: float) -> Any:
    return option(default, "peak learning rate of AdamW", above=0)


def _shorter_side(default: int) -> Any:
    return option(default, "pixels to which the shorter side of a picture is scaled", low=32)


def _weight_decay(default: float) -> Any:
    return option(default, "weight decay of AdamW")


@dataclass(frozen=True)
class PoolChoices:
    """How maps are pooled."""

    heading: ClassVar[str] = "features"

    pool: Pool = option("max", "how maps are pooled: the maximum (RotNet, L3-Net) or the mean (DeepCluster)")


@dataclass(frozen=True)
class FeatureChoices(PoolChoices):
    """How the maps of a stage become features."""

    # Square maps of 64, 192, 384, 256, 512, 1024 and 2048 channels become 12, 7, 5, 6, 4, 3 and 2 places wide, as
    # published (RotNet, DeepCluster, and the FAIR benchmark of 2019).
    max_features: int = option(
        9600, "at most so many features of a stage, by pooling; published: about 9,000", low=1, formerly="numbers"
    )


@dataclass(frozen=True)
class BootstrapChoices:
    """How intervals are drawn."""

    draws: int = option(2000, "draws of the bootstrap, for the intervals", low=1)


@dataclass(frozen=True)
class LinearChoices:
    """Of linear probes. Penalties are of the mean loss, times |W|²/2, tried from the strongest on."""

    penalties: tuple[float, ...] = option((1e-2, 1e-3, 1e-4, 1e-5), "L2 penalties to choose from", above=0)
    # So few leave a weak penalty short of its optimum, which regularises.
    iterations: int = option(100, "at most so many steps of L-BFGS for each penalty", low=1)


@dataclass(frozen=True)
class KNNChoices:
    """Of nearest neighbours; the numbers are those of DINO's ``eval_knn.py``."""

    # Chosen on held-out training data: "20 is usually best", as that file has it, need not be so for other features
    k: tuple[int, ...] = option(
        (10, 20, 100, 200), "numbers of neighbours to choose from", low=1, formerly="neighbours"
    )


@dataclass(frozen=True)
class SVMChoices:
    """Of linear SVMs."""

    # Four of ours: the 26 that are published (svm.PUBLISHED_COSTS) take six times as long
    costs: tuple[float, ...] = option((0.01, 0.1, 1.0, 10.0), "costs to choose from", above=0)


@dataclass(frozen=True)
class LowShotChoices:
    """Of SVMs from few labels. Numbers of positives that some class does not have are left out."""

    shots: tuple[int, ...] = option((1, 2, 4, 8, 16, 32, 64, 96), "positives a class", low=1, metavar="K,K,…")
    samples: int = option(5, "independent samples of the labels", low=1)
    # One for all: the published script takes the one with the best mean on the test set
    cost: float = option(0.5, "cost of the SVMs", above=0)


@dataclass(frozen=True)
class FineTuneChoices:
    """Of fine-tuning."""

    steps: int = option(600, "steps of the optimizer, whatever the number of labels", low=1)
    batch_size: int = option(64, "items a step", low=2)
    rates: tuple[float, ...] = option((1e-3,), "learning rates; of several the best on held-out training data", above=0)
    weight_decay: float = _weight_decay(0.05)
    stage: str | None = option(None, "the stage that the classifier is put on (default: the last)")
    labels: tuple[int, ...] = option((0,), "labelled items a class, 0 for all: 20,100,0 is a curve", low=0)
    seeds: int = _seeds()


@dataclass(frozen=True)
class HeadChoices:
    """Of the protocols that put a head on an encoder."""

    finetune: bool = option(False, "also train the encoder")
    seeds: int = _seeds()


@dataclass(frozen=True)
class DetectionChoices(HeadChoices):
    """Of detection."""

    # Defaults of ours, for a CPU. Goyal et al. 2019 train 50,000 iterations of a ResNet-50-C4 on two GPUs, the rate
    # (0.002) a tenth from iteration 38,000 on, the body frozen.
    steps: int = _steps(600)
    batch_size: int = _pictures_a_step()
    rate: float = _peak_rate(1e-3)
    stage: str | None = option(None, "stage of the encoder (default: the last with a stride of 16 at most)")
    side: int = _shorter_side(320)
    anchors: tuple[float, ...] = option((32.0, 64.0, 128.0, 256.0), "sides of the anchors in those pixels", above=0)
    width: int = option(128, "channels of the detector's map", low=1)
    representation: int = option(512, "features that describe a proposal", low=1)
    flip: bool = option(True, "mirror half of the pictures in training")


@dataclass(frozen=True)
class NormalsChoices(HeadChoices):
    """Of surface normals."""

    # 40 in the benchmark of Goyal et al. 2019
    clusters: int = option(0, "centres that pixels are classified to; 0: unit vectors are regressed", low=0)
    steps: int = _steps(400)
    batch_size: int = _pictures_a_step()
    rate: float = _peak_rate(2e-3)
    side: int = _shorter_side(240)
    width: int = option(64, "channels of the decoder", low=1)
    flip: bool = option(True, "mirror half of the pictures in training, x of their normals with them")


@dataclass(frozen=True)
class KeypointChoices(HeadChoices):
    """Of keypoints."""

    steps: int = _steps(600)
    batch_size: int = option(32, "people a step", low=2)
    rates: tuple[float, ...] = option((3e-3, 1e-3), "learning rates; the best on held-out training people", above=0)
    weight_decay: float = _weight_decay(0.01)
    width: int = option(64, "channels of the head", low=1)
    stages: tuple[str, ...] | None = option(None, "only these stages (default: all)", metavar="A,B,…")


@dataclass(frozen=True)
class PropagationChoices:
    """Of label propagation; context, top and temperature are those of DINO's ``eval_video_segmentation.py``."""

    stage: str | None = option(None, "stage of the encoder (default: the last with a stride of 8 at most)")
    side: int | None = option(None, "pixels of a frame's shorter side (default: its own, 480 at most)", low=16)
    context: int = option(7, "frames before that labels come from, beside the first", low=0)
    # DINO: 12 cells of a map that is 30 high
    window: int | None = option(None, "cells that a label may move (default: 0.4 of the map's shorter side)", low=0)
    top: int = option(5, "most similar cells that are taken", low=1)
    temperature: float = option(0.1, "of the similarity", above=0)
    first_anywhere: bool = option(False, "of the first frame a label may come from anywhere, as in CRW")
    cells: Literal["area", "nearest"] = option("area", "first labels of a cell: shares of its pixels, or its middle")
    stretch: bool = option(True, "stretch each label to 0..1 before the strongest is taken, as DINO does")
    whole_frame: bool = option(True, "rows without a window, too")
    seeds: int = option(1, "networks of random weights", low=1)
