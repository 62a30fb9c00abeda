"""How healthy the features of a network are, from what its encoders give in a validation anyway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.media.facts import Media
from avssl.networks.feature_health import (
    alignment,
    effective_rank,
    feature_std,
    knn_accuracy,
    uniformity,
)
from avssl.tasks.base import Task

# Features of so many puzzles are looked at: the cost grows with their square, and a collapse shows in far fewer.
MOST_ROWS = 512

# Features that span less than two directions, or lie within about a degree of one, hardly tell inputs apart. Networks
# of random weights have ranks of 3.6 to 32 and deviations of 0.05 to 0.24 (photographs; clips of the generated world).
LEAST_RANK = 2.0
LEAST_STD = 0.02
# The rank of so few puzzles is low whatever the network.
LEAST_PUZZLES = 32


class Origin(NamedTuple):
    """Where a puzzle comes from, of each of its features in order; the last is that of the features after it."""

    paths: tuple[str, ...]
    sources: tuple[str, ...]


def origin_of(task: Task, puzzle: Any) -> Origin:
    """By the attribute ``names`` or ``name`` of a puzzle (paths of files) and by the task's clusters."""
    paths = getattr(puzzle, "names", None) or getattr(puzzle, "name", None) or ()
    return Origin((paths,) if isinstance(paths, str) else tuple(paths), task.clusters(puzzle))


class Features(NamedTuple):
    """Of some puzzles by name (N, D); where their two features are of a positive pair (N,) bool; where they come from.

    On the device first; read to the host together with the figures of the validation.
    """

    rows: Mapping[str, Tensor]
    positive: Tensor | None
    origins: Sequence[Origin]


class Watch:
    """Takes down what the modules that a task names give, while the network answers.

    Nothing is computed twice, and nothing that the network computes depends on it.
    """

    def __init__(self) -> None:
        # One for all validations: a compiled network keeps writing into the one that it was compiled with.
        self._seen: dict[str, Any] = {}

    @contextmanager
    def on(self, modules: Mapping[str, nn.Module]) -> Iterator[None]:
        """Within, outputs are taken down: of a call, and of an encoder asked for its stages the last map."""
        hooks = [module.register_forward_hook(self._hook(name)) for name, module in modules.items()]
        staged = [(module, name) for name, module in modules.items() if hasattr(module, "stages")]
        for module, name in staged:
            module.stages = self._stages(name, module.stages)
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for module, _ in staged:
                del module.stages
            self._seen.clear()

    def take(self, count: int) -> dict[str, Tensor]:
        """What was seen since the last call, a row for each of ``count`` puzzles: float32 means over places and views.

        What is no tensor, or not of so many puzzles, is left out.
        """
        found = {}
        for name, seen in self._seen.items():
            if isinstance(seen, Tensor) and seen.ndim > 1 and len(seen) and len(seen) % count == 0:
                rows = seen.detach().float().flatten(2).mean(2) if seen.ndim > 2 else seen.detach().float()
                found[name] = rows.reshape(count, -1, rows.shape[1]).mean(1)
        self._seen.clear()
        return found

    def _hook(self, name: str) -> Any:
        def taken(module: nn.Module, given: Any, output: Any) -> None:
            self._seen[name] = output

        return taken

    def _stages(self, name: str, stages: Any) -> Any:
        def taken(*given: Any) -> Any:
            maps = stages(*given)
            self._seen[name] = list(maps.values())[-1]
            return maps

        return taken


class Healths:
    """Figures of features, with the labels of the media that the puzzles were drawn from."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self._labels: dict[str, str | None] | None = None

    def of(self, batches: Sequence[Features]) -> dict[str, float]:
        """Effective rank, deviation, uniformity and neighbours' accuracy of each feature; alignment of positive pairs.

        Args:
            batches: with tensors on the host; they have the same features.

        Returns:
            by measure, where there are several features followed by "_" and the feature's name; none for features that
            are infinite or of a single puzzle.
        """
        figures: dict[str, float] = {}
        if not batches:
            return figures
        origins = [origin for batch in batches for origin in batch.origins][:MOST_ROWS]
        names = [name for name in batches[0].rows if all(name in batch.rows for batch in batches)]
        rows = {name: _joined([batch.rows[name] for batch in batches]) for name in names}
        rows = {name: value for name, value in rows.items() if len(value) > 1 and np.isfinite(value).all()}
        for place, name in enumerate(names):
            if name not in rows:
                continue
            features, ending = rows[name], f"_{name}" if len(names) > 1 else ""
            found = {
                "effective_rank": effective_rank(features),
                "feature_std": feature_std(features),
                "uniformity": uniformity(features),
                **self._neighbours(features, origins, place),
            }
            figures |= {measure + ending: value for measure, value in found.items()}
        positives = [batch.positive for batch in batches if batch.positive is not None]
        if len(rows) == 2 and positives:
            first, second = (features[_joined(positives)] for features in rows.values())
            if len(first) > 1:
                figures["alignment"] = alignment(first, second)
        return figures

    def _neighbours(self, features: NDArray[Any], origins: Sequence[Origin], place: int) -> dict[str, float]:
        if self._labels is None:
            self._labels = _labels(self._media)
        if not (self._labels and all(origin.paths and origin.sources for origin in origins)):
            return {}
        labels = [self._labels.get(origin.paths[min(place, len(origin.paths) - 1)]) for origin in origins]
        sources = [origin.sources[min(place, len(origin.sources) - 1)] for origin in origins]
        found = knn_accuracy(features, labels, sources)
        return {} if found is None else {"knn_accuracy": found.accuracy, "knn_chance": found.chance}


def collapsed(line: Mapping[str, Any]) -> str | None:
    """What of a line of metrics shows that features have collapsed, in words; None where nothing does."""
    if line["n"] < LEAST_PUZZLES:
        return None
    for measure, least in (("effective_rank", LEAST_RANK), ("feature_std", LEAST_STD)):
        for name, value in line.items():
            if name.startswith(measure) and value < least:
                feature = name.removeprefix(measure).replace("_", " ")
                seen = f"{measure.replace('_', ' ')} {value:.3g} (below {least:g})"
                return f"the{feature} features have collapsed: {seen}, so they hardly tell inputs apart"
    return None


def _joined(values: Sequence[Tensor]) -> NDArray[Any]:
    return np.concatenate([value.numpy() for value in values])[:MOST_ROWS]


def _labels(media: Media) -> dict[str, str | None]:
    """The label of each file; None where its parts have several. Empty where nothing has a label."""
    found: dict[str, str | None] = {}
    for item in range(len(media)):
        facts = media.facts(item)
        same = found.setdefault(facts.path, facts.label) == facts.label
        found[facts.path] = facts.label if same else None
    return found if any(label is not None for label in found.values()) else {}
