"""A claim as its file says it: what is published, what is trained and evaluated, and which figures are compared.

One file a claim, ``published/NAME.yaml``, to which ``configs/claims`` leads::

    claim: rotation teaches semantics
    published: what the paper says, with its figures
    source: Gidaris, Singh & Komodakis 2018, table 1
    verified: how far that was checked
    compared: one line
    scales:
      cpu:
        minutes: 30
        data: [cifar10]                  # what must lie in --data-root; "{root}" stands for it below
        trainings:
          rotation: {task: rotation, data: "{root}/cifar10/train.tar", steps: 500}
        evaluations:
          linear: {protocol: linear, run: rotation, data: "{root}/cifar10/train.tar", beside: ["{supervised}"]}
        questions:
          - ask: the probe of block 2 stands above that of random weights
            better: [linear, trained/block2, accuracy]
            worse: [linear, random/block2, accuracy]

A scale, a training or an evaluation with ``like: OTHER`` has that one's values where it gives none of its own.
``{NAME}`` within a value is the folder of the training NAME of the same seed, or of the world NAME.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avssl.errors import UserError, did_you_mean
from avssl.options import read_yaml

# A figure: an evaluation, the name of a row of it, and the metric.
Figure = tuple[str, str, str]

_CLAIM = {"claim", "published", "source", "verified", "compared", "scales", "differs"}
_SCALE = {"minutes", "data", "worlds", "trainings", "evaluations", "questions", "sizes"}
_QUESTION = {"ask", "better", "worse", "difference", "margin"}
_SIZES = {"option", "trainings", "values"}


@dataclass(frozen=True)
class Question:
    """Which figure should be the larger.

    Attributes:
        ask: in words, as a statement that is true if the claim is.
        better, worse: the figures, first the one that should be larger (of errors: the worse network's); ``worse`` is
            None where ``better`` is already a difference over the same items.
        margin: by how much at least.
    """

    ask: str
    better: Figure
    worse: Figure | None
    margin: float = 0.0


@dataclass(frozen=True)
class Sizes:
    """The same trainings with less, for the trend: an option of them, and its values in rising order."""

    option: str
    trainings: Sequence[str]
    values: Sequence[float]


@dataclass(frozen=True)
class Scale:
    """What is done at one size.

    Attributes:
        minutes: about how long it takes with three seeds.
        data: what must be in the folder of data.
        worlds: settings of generated clips by name, the same clips for all seeds.
        trainings: options of :func:`avssl.train` by name; "task" names the task.
        evaluations: options of :func:`avssl.evaluate` by name; "protocol" and "run" among them.
        questions: what is compared.
        sizes: the same at other sizes, for the trend.
    """

    minutes: float
    data: Sequence[str]
    trainings: Mapping[str, Mapping[str, Any]]
    evaluations: Mapping[str, Mapping[str, Any]]
    questions: Sequence[Question]
    sizes: Sizes | None = None
    worlds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A claim of the field; see the module.

    Attributes:
        name: of the file.
        claim: in a sentence without a full stop.
        published: what was published, with figures.
        source: where.
        verified: how far that was checked.
        compared: what is compared here, in a line.
        differs: where the experiment differs from the publication.
        scales: "cpu" and "gpu".
    """

    name: str
    claim: str
    published: str
    source: str
    verified: str
    compared: str
    scales: Mapping[str, Scale]
    differs: str = ""
    path: Path = field(default=Path(), compare=False)

    def at(self, scale: str) -> Scale:
        """What is done at this size; :class:`UserError` where the claim has none."""
        if scale not in self.scales:
            raise UserError(f"{self.name} has no scale {scale!r}; it has {', '.join(self.scales)}")
        return self.scales[scale]


def claim_files() -> dict[str, Path]:
    """The files of the claims that come with this package, by name."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "published").glob("*.yaml"))}


def read_claim(name: str | Path) -> Claim:
    """A claim by its name, or by the path of a file of one's own.

    Raises:
        UserError: there is no such claim, or its file says something that it must not.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = claim_files()
        if str(name) not in known:
            hint = did_you_mean(str(name), known) or "; avssl reproduce --list shows all"
            raise UserError(f"no claim is called {str(name)!r}{hint}")
        path = known[str(name)]
    values = read_yaml(path)
    _only(values, _CLAIM, path, needed=_CLAIM - {"differs"})
    found = _mapping(values["scales"], path)
    scales = {
        key: _scale(_like(value, found, f"{path}, scale {key}"), f"{path}, scale {key}") for key, value in found.items()
    }
    # A paragraph each, whatever lines the file breaks them into: a line of a table must not have a break.
    texts = {key: " ".join(str(values[key]).split()) for key in _CLAIM - {"scales"} if key in values}
    return Claim(path.stem, scales=scales, path=path, **texts)


def _like(values: Any, scales: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values with those of the scale that they are like: of trainings and evaluations option by option."""
    own = dict(_mapping(values, where))
    if (other := own.pop("like", None)) is None:
        return own
    # One step and no chain, which could lead back to where it began.
    if other not in scales or "like" in _mapping(scales[other], where):
        raise UserError(f"{where}: is like {other!r}, which is no scale of its own")
    base = dict(scales[other])
    # Option by option: a larger scale says how many steps, and all else of its trainings stays as it was.
    for kind in ("worlds", "trainings", "evaluations"):
        changed = _mapping(own.pop(kind, {}), where)
        both = _mapping(base.get(kind, {}), where)
        base[kind] = both | {name: both.get(name, {}) | _mapping(one, where) for name, one in changed.items()}
    return base | own


def _scale(values: Any, where: str) -> Scale:
    _only(values, _SCALE, where, needed=_SCALE - {"data", "worlds", "sizes"})
    trainings, evaluations = (
        {name: dict(_mapping(one, where)) for name, one in _mapping(values[kind], where).items()}
        for kind in ("trainings", "evaluations")
    )
    for several in (trainings, evaluations):
        for name, one in several.items():
            if "like" in one:  # another of this scale, option by option
                several[name] = {**_named(several, one.pop("like"), where), **one}
    for kind, key, options in (("trainings", "task", trainings), ("evaluations", "protocol", evaluations)):
        for name, one in options.items():
            if key not in one:
                raise UserError(f"{where}: {kind} {name} needs {key!r}")
            run = one.get("run")
            if kind == "evaluations" and run is not None and run not in trainings:
                raise UserError(f"{where}: {name} evaluates {run!r}, which is not trained")
    questions = [_question(one, evaluations, where) for one in values["questions"]]
    if not questions:
        raise UserError(f"{where}: asks no question")
    sizes = _sizes(values["sizes"], trainings, where) if values.get("sizes") else None
    worlds = {name: _mapping(one, where) for name, one in _mapping(values.get("worlds", {}), where).items()}
    data = list(values.get("data", ()))
    return Scale(float(values["minutes"]), data, trainings, evaluations, questions, sizes, worlds)


def _named(several: Mapping[str, dict[str, Any]], name: str, where: str) -> dict[str, Any]:
    # Those that stand before are resolved already: nothing can be like itself.
    if name not in several or "like" in several[name]:
        raise UserError(f"{where}: 'like: {name}' names nothing that stands before it")
    return several[name]


def _question(values: Any, evaluations: Mapping[str, Any], where: str) -> Question:
    _only(values, _QUESTION, where, needed={"ask"})
    if ("difference" in values) == ("better" in values) or ("better" in values) != ("worse" in values):
        raise UserError(f"{where}: {values['ask']!r} needs 'better' and 'worse', or 'difference'")
    figures = []
    for key in ("difference", "better", "worse"):
        if key not in values:
            continue
        figure = values[key]
        if not (isinstance(figure, list) and len(figure) == 3 and all(isinstance(word, str) for word in figure)):
            raise UserError(f"{where}: {key} of {values['ask']!r} needs [evaluation, row, metric]")
        if figure[0] not in evaluations:
            raise UserError(f"{where}: {values['ask']!r} is of {figure[0]!r}, which is not evaluated")
        figures.append((figure[0], figure[1], figure[2]))
    return Question(values["ask"], figures[0], figures[1] if len(figures) > 1 else None, float(values.get("margin", 0)))


def _sizes(values: Any, trainings: Mapping[str, Any], where: str) -> Sizes:
    _only(values, _SIZES, where, needed=_SIZES)
    for name in values["trainings"]:
        if name not in trainings:
            raise UserError(f"{where}: sizes are of {name!r}, which is not trained")
    return Sizes(str(values["option"]), list(values["trainings"]), [float(value) for value in values["values"]])


def _mapping(value: Any, where: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: {value!r} should be lines of the form 'name: value'")
    return value


def _only(values: Any, known: set[str], where: object, needed: set[str]) -> None:
    for key in _mapping(values, where):
        if key not in known:
            raise UserError(f"{where}: unknown key {key!r}{did_you_mean(str(key), known)}")
    if missing := sorted(needed - set(values)):
        raise UserError(f"{where}: needs {', '.join(missing)}")
