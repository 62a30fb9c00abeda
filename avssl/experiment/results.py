"""The result of an evaluation: rows, as a list with a table view, and the files it is written to."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.errors import UserError
from avssl.experiment.places import absolute_source
from avssl.installation import install_hint
from avssl.system.console import log
from avssl.system.files import whole_file, write_json
from avssl.system.hub import is_hub_run

if TYPE_CHECKING:
    import pandas

    from avssl.evaluate.core.rows import ResultRow
    from avssl.evaluate.core.training_overlap import Seen

# Names of folders that say nothing alone: the folder above is named, too.
_PLAIN = ("train", "test", "val", "valid", "validation", "data", "images", "videos")


@dataclass(frozen=True)
class Beside:
    """A file beside the rows.

    Attributes:
        what: it is: "picture".
        suffix: behind the name of the rows' file: ".png", "-shared.png".
        write: writes it; returns whether there was anything to write.
    """

    what: str
    suffix: str
    write: Callable[[Outcome, Path], bool]


@dataclass(frozen=True)
class Outcome:
    """What came of an evaluation.

    Attributes:
        name: of its files.
        rows: its figures.
        title: of their table: what was evaluated on which data; empty where there is no table.
        place: the data; None of a run's own held-out part.
        seen: what of the data was learned from; None where that does not matter.
        notes: lines behind the table.
        beside: files beside the rows.
        own: whether NAME is the file of a run's own held-out part alone.
        document: what is written instead of the rows, which are then only returned.
    """

    name: str
    rows: Sequence[ResultRow]
    title: str = ""
    place: str | None = None
    seen: Seen | None = None
    notes: Sequence[str] = ()
    beside: Sequence[Beside] = ()
    own: bool = False
    document: Mapping[str, object] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """Of a picture."""
        return f"{self.name}: {self.title}"

    def of_random_weights(self) -> Outcome:
        """The same, with rows named "untrained": no weights were given, so none were learned."""
        rows = [replace(row, name=re.sub(r"^trained\b", "untrained", row.name)) for row in self.rows]
        return replace(self, rows=rows)

    def marked(self) -> Outcome:
        """The same, rows and title saying what of the data was learned from."""
        if not self.seen:
            return self
        from avssl.evaluate.core.training_overlap import marked

        return replace(self, rows=marked(self.rows, self.seen), title=f"{self.title}, {self.seen.words}")


class Results(list["ResultRow"]):
    """Result rows, each with the name of its file.

    Args:
        rows: the rows.
        files: of each row the name of the file that it is from, without ``.json``; "" where there is none.
    """

    def __init__(self, rows: Iterable[ResultRow] = (), files: Sequence[str] = ()) -> None:
        super().__init__(rows)
        self.files = list(files) or [""] * len(self)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Results:
        """The rows of these files. Beside rows lie files of other facts, which are passed over.

        Raises:
            UserError: a file of rows is damaged.
        """
        from avssl.evaluate.core.rows import read_rows

        found = cls()
        # Beside rows lie documents of other shapes (neighbours, leaks): they are no damage.
        for path in paths:
            rows = read_rows(path) if _holds_rows(path) else []
            found.extend(rows)
            found.files += [path.stem] * len(rows)
        return found

    def of(self, file: str) -> Results:
        """The rows of one file: ``run.results.of("controls")``."""
        chosen = [row for row, name in zip(self, self.files, strict=True) if name == file]
        return Results(chosen, [file] * len(chosen))

    def __repr__(self) -> str:
        """A table, as wide as the terminal."""
        from avssl.report.tables import rows_text  # rich: not for help

        return rows_text(self) if self else "no rows"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        from avssl.report.notebook import rows_html

        return rows_html(self, self.files)

    def frame(self) -> pandas.DataFrame:
        """The same as a pandas frame: a row a result, a column a field, and the file first.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise UserError(f"a frame needs pandas: {install_hint('pandas')}") from None
        return pandas.DataFrame([{"file": file, **asdict(row)} for row, file in zip(self, self.files, strict=True)])


def _holds_rows(path: Path) -> bool:
    """Whether it is meant to: it lists objects with a metric, or cannot be read at all."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True  # read_rows then says what is wrong with it
    return isinstance(entries, list) and any(isinstance(entry, dict) and "metric" in entry for entry in entries)


def places(run: str | Path | None, output: str | None, name: str, data: str | None, *, own: bool = False) -> list[Path]:
    """Where the results of an evaluation belong, each a path without suffix.

    In the folder of -o they are NAME. In the run's ``results/`` the first data are NAME, too, and further data
    NAME-DATA, so that no other figures are written over; the same data are written over their own.

    Args:
        run: its folder.
        output: the folder of -o.
        name: of the protocol, with its variant ("neighbors-sounds").
        data: what was evaluated on; None of a run's own held-out part.
        own: whether NAME belongs to the run's own held-out part, so that all other data are NAME-DATA.
    """
    found = [] if output is None else [Path(output) / name]
    if run is not None:
        results = Path(run) / "results"
        # -o may name the results/ of the run: the same rows twice would be NAME and NAME-DATA.
        if not found or results.resolve() != Path(output or ".").resolve():
            found.append(results / _name_within(results, name, data, own))
    return sorted(dict.fromkeys(found))  # -o may name the run's results/ itself


def write(outcome: Outcome, run: str | Path | None, output: str | None) -> None:
    """Write the rows of an evaluation, and what stands beside them, to all its places; logs where that is."""
    if is_hub_run(run):
        run = None  # what is fetched is the hub's: nothing is added to it
        if output is None:
            log("nothing is written: the run is on a hub; -o DIR keeps the rows")
    first: dict[str, Path] = {}
    for stem in places(run, output, outcome.name, outcome.place, own=outcome.own):
        if outcome.document:
            write_json(stem.with_name(f"{stem.name}.json"), outcome.document)
            log(f"all of them in {stem.with_name(f'{stem.name}.json')}")
        else:
            log(f"rows in {write_rows(outcome.rows, [stem], outcome.place)[0]}")
        for beside in outcome.beside:
            path = stem.with_name(f"{stem.name}{beside.suffix}")
            if beside.suffix in first:  # drawn once
                with whole_file(path) as file:
                    file.write(first[beside.suffix].read_bytes())
            elif not beside.write(outcome, path):
                continue
            first.setdefault(beside.suffix, path)
            log(f"{beside.what} in {path}")


def write_rows(rows: Sequence[ResultRow], stems: Iterable[Path], data: str | None) -> list[Path]:
    """Write the rows, which then say what they are of; returns the files."""
    place = "" if data is None else absolute_source(data)
    files = [stem.with_name(f"{stem.name}.json") for stem in stems]
    for file in files:
        with whole_file(file, "w") as open_file:
            json.dump([asdict(replace(row, data=place)) for row in rows], open_file, indent=1)
    return files


def _name_within(folder: Path, name: str, data: str | None, own: bool) -> str:
    if data is None:
        return name
    place = absolute_source(data)
    named = f"{name}-{data_name(place)}"
    # NAME is the first data's, unless it is kept for the run's own held-out part.
    candidates = [] if own else [name]
    candidates += [named, *(f"{named}-{number}" for number in range(2, 1000))]
    return next(one for one in candidates if _data_of(folder / f"{one}.json") in (None, place))


def data_name(data: str) -> str:
    """How data are called in the name of a file: "cifar10" of ``…/cifar10.csv``, "lab-test" of ``…/lab/test``."""
    place = Path(data)
    words = [place.stem] if place.stem.lower() not in _PLAIN else [place.parent.name, place.stem]
    return re.sub(r"[^\w.]+", "-", "-".join(word for word in words if word)).strip("-") or "data"


def _data_of(file: Path) -> str | None:
    """The data that a file of rows is of; None where there is no file, "" where that cannot be told."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return ""
    first = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    return str(first.get("data") or "") or _data_in(str(first.get("command") or ""))


def _data_in(command: str) -> str:
    """The data in a command: rows of earlier versions do not name them elsewhere."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    for option in ("--test", "--data"):  # where both are given, figures are of the first
        for place, word in enumerate(words):
            if word == option and place + 1 < len(words):
                return absolute_source(words[place + 1])
            if word.startswith(f"{option}="):
                return absolute_source(word.split("=", 1)[1])
    return ""
