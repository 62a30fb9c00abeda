"""Where the rows of an evaluation go: to -o, and to the run's ``results/`` under a name that says which data."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.experiment.data import absolute_source
from avssl.system.console import log
from avssl.system.files import whole_file, write_json

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import ResultRow
    from avssl.experiment.protocols.base import Outcome

_PLAIN = ("train", "test", "val", "valid", "validation", "data", "images", "videos")
"""Names of folders that say nothing alone: the folder above is named, too."""


def places(run: str | Path | None, output: str | None, name: str, data: str | None, *, own: bool = False) -> list[Path]:
    """Where the results of an evaluation belong, each a path without suffix.

    In the folder of -o they are NAME. In the run's ``results/`` the first data are NAME, too, and
    further data NAME-DATA, so that no other figures are written over; the same data are written over their own.

    Args:
        run: its folder; None where there is none.
        output: the folder of -o; None where it was not given.
        name: of the protocol, with its variant ("neighbors-sounds").
        data: what was evaluated on; None of a run's own held-out part.
        own: whether NAME belongs to the run's own held-out part, so that all other data are NAME-DATA.
    """
    found = [] if output is None else [Path(output) / name]
    if run is not None:
        results = Path(run) / "results"
        if not found or results.resolve() != Path(output or ".").resolve():
            found.append(results / _name_within(results, name, data, own))
    return sorted(dict.fromkeys(found))


def write(outcome: Outcome, run: str | Path | None, output: str | None) -> None:
    """Write the rows of an evaluation, and what stands beside them, to all its places; logs where that is."""
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
    candidates = [] if own else [name]
    candidates += [named, *(f"{named}-{number}" for number in range(2, 1000))]
    return next(one for one in candidates if _data_of(folder / f"{one}.json") in (None, place))


def data_name(data: str) -> str:
    """How data are called in the name of a file: "cifar10" of ``…/cifar10.csv``, "lab-test" of ``…/lab/test``."""
    place = Path(data)
    words = [place.stem] if place.stem.lower() not in _PLAIN else [place.parent.name, place.stem]
    return re.sub(r"[^\w.]+", "-", "-".join(word for word in words if word)).strip("-") or "data"


def _data_of(file: Path) -> str | None:
    """The data that a file of rows is of; None where there is no file, "" where it does not say."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return ""
    first = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    return str(first.get("data") or "") or _data_in(str(first.get("command") or ""))


def _data_in(command: str) -> str:
    """The data in a command: of rows from before they said so themselves."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    for option in ("--test", "--data"):
        for place, word in enumerate(words):
            if word == option and place + 1 < len(words):
                return absolute_source(words[place + 1])
            if word.startswith(f"{option}="):
                return absolute_source(word.split("=", 1)[1])
    return ""
