"""What may be chosen of each probe; nothing heavy is imported for it."""

from __future__ import annotations

from dataclasses import dataclass

from avssl.options import option


@dataclass(frozen=True)
class LinearChoices:
    """Of linear probes. Penalties are of the mean loss, times |W|²/2, tried from the strongest on."""

    penalties: tuple[float, ...] = option((1e-2, 1e-3, 1e-4, 1e-5), "L2 penalties to choose from", above=0)
    # So few leave a weak penalty short of its optimum, which regularises.
    iterations: int = option(100, "the most steps of L-BFGS for each penalty", low=1)


@dataclass(frozen=True)
class KNNChoices:
    """Of nearest neighbours; the numbers are those of DINO's ``eval_knn.py``."""

    # Chosen on held-out training data: "20 is usually best", as that file has it, need not be so for other features
    k: tuple[int, ...] = option((10, 20, 100, 200), "how many neighbours, to choose from", low=1, formerly="neighbours")


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
    cost: float = option(0.5, "of the SVMs", above=0)


@dataclass(frozen=True)
class FineTuneChoices:
    """Of fine-tuning."""

    steps: int = option(600, "steps of the optimizer, whatever the number of labels", low=1)
    batch_size: int = option(64, "items a step", low=2)
    rates: tuple[float, ...] = option((1e-3,), "learning rates; of several the best on held-out training data", above=0)
    weight_decay: float = option(0.05, "of AdamW")
    stage: str | None = option(None, "the stage that the classifier sits on (default: the last)")
    labels: tuple[int, ...] = option((0,), "labelled items a class, 0 for all: 20,100,0 is a curve", low=0)
    seeds: int = option(1, "how many times all is repeated; three for a claim", low=1)
