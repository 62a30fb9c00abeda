"""A run folder as the report reads it: everything that is intact, and a line about each thing that is not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.errors import UserError
from avssl.evaluate.core.rows import ResultRow, row_of
from avssl.system.hub import fetched_run, name_on_hub
from avssl.trainer.run_config import read_config

if TYPE_CHECKING:
    from avssl.tasks.base import Task


@dataclass(frozen=True)
class TaskLevels:
    """Of a task of the run: the measure that its curves show first, and the chance level of each measure."""

    loss: str = "loss"
    chance: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunParts:
    """What a run folder holds.

    Attributes:
        name: what the report calls it: the shortest end of the path that no other run has.
        letter: "A" for the first run of the report, and so on.
        config: every option.
        environment: where and with what it was made; empty if that cannot be read.
        metrics: lines of ``metrics.jsonl`` that say step, split and task.
        levels: by task.
        rows: result rows by the name of their file in ``results/``, without ``.json``.
        facts: what other JSON files in ``results/`` say.
        demos: by picture beside the run's files, the JSON of the demo that made it.
        faults: a line each about what cannot be read.
    """

    path: Path
    name: str
    letter: str
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    levels: Mapping[str, TaskLevels]
    rows: Mapping[str, Sequence[ResultRow]]
    facts: Mapping[str, Any]
    demos: Mapping[Path, Mapping[str, Any]]
    faults: Sequence[str]

    @property
    def pictures(self) -> list[Path]:
        """Pictures in the folder and in its ``results/``, sheet and curves left out."""
        folders = (self.path, self.path / "results")
        found = [path for folder in folders for path in sorted(folder.glob("*.png"), key=lambda path: path.stem)]
        return [path for path in found if path not in (self.path / "sheet.png", self.path / "curves.png")]

    @property
    def reference(self) -> str:
        """As ``--run`` names it in a command that adds to the page."""
        there = name_on_hub(self.path)
        return f"hf://{there}" if there else str(self.path)

    @property
    def hears(self) -> bool:
        """Whether it has encoders of picture and sound, so that retrieval and localization can be asked of it."""
        return (self.path / "encoders" / "audio.json").exists() and (self.path / "encoders" / "vision.json").exists()


def read_runs(
    paths: Sequence[str | Path], command: str = "avssl report", *, with_levels: bool = True
) -> list[RunParts]:
    """The runs in these folders, or by their names on a hub, in this order.

    Args:
        command: that needs them, for the message.
        with_levels: read what chance gives, too, which loads torch.

    Raises:
        UserError: one is no run, or is given twice.
    """
    folders = [Path(fetched_run(path)) for path in paths]
    seen: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder; {command} needs folders of runs, such as runs/quickstart")
        if folder.resolve() in seen:
            raise UserError(f"{folder} is given twice; give each run once")
        seen.add(folder.resolve())
    names = _short_names([Path(name_on_hub(folder) or folder.resolve()) for folder in folders])
    return [
        _read_run(folder, name, _letter(number), with_levels)
        for number, (folder, name) in enumerate(zip(folders, names, strict=True))
    ]


def _letter(number: int) -> str:
    # After Z: A1, A2, …
    return chr(ord("A") + number) if number < 26 else f"A{number - 25}"


def _short_names(folders: Sequence[Path]) -> list[str]:
    """The last parts of each path, as many as distinguish all of them."""
    # runs/a/mine and runs/b/mine are "a/mine" and "b/mine"; the last parts alone where they differ.
    for depth in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def _read_run(folder: Path, name: str, letter: str, with_levels: bool) -> RunParts:
    config = read_config(folder)
    faults: list[str] = []
    rows: dict[str, Sequence[ResultRow]] = {}
    facts: dict[str, Any] = {}
    for path in sorted((folder / "results").glob("*.json")):
        there = _read_json(path, folder, faults)
        found = _rows(there, path.relative_to(folder), faults) if isinstance(there, list) else []
        if found:
            rows[path.stem] = found
        elif there not in (None, [], {}):
            facts[path.stem] = there
    environment = _read_json(folder / "environment.json", folder, faults)
    return RunParts(
        path=folder,
        name=name,
        letter=letter,
        config=config,
        environment=environment if isinstance(environment, dict) else {},
        metrics=_metrics(folder / "metrics.jsonl", faults),
        levels=_levels(folder, faults) if with_levels else {},
        rows=rows,
        facts=facts,
        demos=_demos(folder, faults),
        faults=faults,
    )


def _read_json(path: Path, folder: Path, faults: list[str]) -> Any:
    """The content of a JSON file; None with a line about it if it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        faults.append(f"{path.relative_to(folder)} is not there")
    except OSError as error:
        faults.append(f"{path.relative_to(folder)} cannot be read: {error.strerror or error}")
    except ValueError as error:  # undecodable text, or no JSON
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        faults.append(f"{path.relative_to(folder)} is damaged{where}: it is no JSON; make it again, or copy it again")
    return None


def _rows(entries: Sequence[Any], path: Path, faults: list[str]) -> list[ResultRow]:
    """The entries that are result rows; none if the file was never meant to hold such."""
    found = [row_of(entry) for entry in entries]
    rows = [row for row in found if row is not None]
    if rows and len(rows) < len(entries):
        faults.append(f"{path}: {len(entries) - len(rows)} of {len(entries)} entries are no result rows; left out")
    return rows


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl``; a last line that was cut off while writing is left out."""
    found: list[dict[str, Any]] = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(text))
            except ValueError:  # the process was killed while it wrote
                break
    return found


def _metrics(path: Path, faults: list[str]) -> list[Mapping[str, Any]]:
    try:
        lines = read_metrics(path)
        count = len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0
    except (OSError, ValueError):
        faults.append("metrics.jsonl cannot be read")
        return []
    if count > len(lines):
        faults.append(f"metrics.jsonl is damaged, or still being written, from line {len(lines) + 1} of {count} on")
    return [
        line
        for line in lines
        if isinstance(line, dict)
        and isinstance(line.get("step"), int | float)
        and line.get("split") in ("train", "val")
        and isinstance(line.get("task"), str)
    ]


def _levels(folder: Path, faults: list[str]) -> dict[str, TaskLevels]:
    from avssl.evaluate.data.load_run import run_tasks  # loads torch: not to refuse a folder that is no run

    try:
        tasks = run_tasks(folder)
    # A run of another version may hold options that its task does not know here: the report shows all else.
    except (UserError, LookupError, TypeError, ValueError) as error:
        faults.append(f"levels of chance are not drawn, as the task cannot be made again: {error}")
        return {}
    return {task.name: levels_of(task) for task in tasks}


def levels_of(task: Task) -> TaskLevels:
    """What the curves of a task show first, and where chance lies."""
    chance = {task.loss_measure: task.chance_loss(), "accuracy": 1 / task.classes if task.classes else None}
    return TaskLevels(task.loss_measure, {name: value for name, value in chance.items() if value is not None})


def _demos(folder: Path, faults: list[str]) -> dict[Path, Mapping[str, Any]]:
    """Strips of frames that ``avssl localize`` wrote into the run, with their verdict."""
    found: dict[Path, Mapping[str, Any]] = {}
    for picture in [*sorted(folder.glob("*.png")), *sorted((folder / "results").glob("*.png"))]:
        beside = picture.with_suffix(".json")
        if beside.exists() and beside.parent == folder:  # in results/ a JSON of this name holds rows
            content = _read_json(beside, folder, faults)
            if isinstance(content, dict) and "moments" in content and "verdict" in content:
                found[picture] = content
    return found
