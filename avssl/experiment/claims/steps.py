"""The trainings and evaluations of a claim: which there are, in which order, with which options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.errors import UserError
from avssl.experiment.claims.files import Scale


@dataclass(frozen=True)
class Step:
    """A training, an evaluation, or the generating of clips.

    Attributes:
        kind: "train", "evaluate" or "generate".
        name: of the training or evaluation in the claim.
        seed: of both.
        size: the value of the option that sizes are of; None at the claim's own.
        folder: where its result goes: the run, or the folder of the rows.
        options: of the call, with all places filled in.
    """

    kind: str
    name: str
    seed: int
    size: float | None
    folder: Path
    options: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What tells two kinds of step apart whose times differ."""
        return f"{self.kind} {self.name} {self.size or ''}".strip()

    @property
    def label(self) -> str:
        """For people."""
        if self.kind == "generate":
            return self.name
        size = "" if self.size is None else f" at {self.size:g}"
        return f"{self.name}{size}, seed {self.seed}"


def steps_of(scale: Scale, seeds: Sequence[int], folder: Path, root: Path | None) -> list[Step]:
    """All steps in the order in which they are done: seed by seed, so that one that ends early leaves whole seeds."""
    worlds = {name: folder / "worlds" / name for name in scale.worlds}
    root_and_worlds = {name: str(path) for name, path in worlds.items()} | {"root": str(root)}
    steps = [Step("generate", name, 0, None, worlds[name], dict(given)) for name, given in scale.worlds.items()]
    for seed in seeds:
        steps += _steps(scale, seed, None, folder / f"seed{seed}", root_and_worlds)
    if scale.sizes is not None:  # smaller ones, of the first seed
        for value in scale.sizes.values:
            place = folder / f"seed{seeds[0]}-{scale.sizes.option}-{value:g}"
            steps += _steps(scale, seeds[0], value, place, root_and_worlds)
    return steps


def _steps(scale: Scale, seed: int, size: float | None, folder: Path, others: Mapping[str, str]) -> list[Step]:
    runs = {name: folder / "runs" / name for name in scale.trainings}
    places = {name: str(path) for name, path in runs.items()} | dict(others)
    steps = []
    for name, given in scale.trainings.items():
        options = _filled(given, places) | {"seed": seed}
        # YAML's 1000 is an int, a share is not: the option decides which it is, not how the size was written.
        if size is not None and scale.sizes is not None and name in scale.sizes.trainings:
            whole = isinstance(given.get(scale.sizes.option), int)
            options[scale.sizes.option] = int(size) if whole else size
        steps.append(Step("train", name, seed, size, runs[name], options))
    for name, given in scale.evaluations.items():
        options = _filled(given, places) | {"seed": seed}
        if given.get("run") is not None:
            options["run"] = places[given["run"]]
        steps.append(Step("evaluate", name, seed, size, folder / "rows" / name, options))
    return steps


def _filled(value: Any, places: Mapping[str, str]) -> Any:
    """The value with each ``{NAME}`` in its texts replaced."""
    if isinstance(value, str):
        try:
            return value.format_map(dict(places))
        except (KeyError, IndexError, ValueError) as error:
            raise UserError(f"{value!r} names {error}, which is no training of the claim") from None
    if isinstance(value, Mapping):
        return {key: _filled(one, places) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(one, places) for one in value]
    return value


def check_all(steps: Sequence[Step]) -> None:
    """Raise :class:`UserError` for options that no training, evaluation or world has, before the first begins."""
    import avssl.experiment.claims.supervised  # noqa: F401  registers the baseline that claims may train
    from avssl.experiment.protocols import get
    from avssl.experiment.request import request_of
    from avssl.options import build
    from avssl.world.settings import Settings

    for step in steps:
        options = dict(step.options)
        if step.kind == "train":
            request_of(options.pop("task"), options | {"out": str(step.folder)})
        elif step.kind == "evaluate":
            build(get(options.pop("protocol")), options, f"{step.name}: ")
        else:
            build(Settings, options, f"world {step.name}: ")
