"""The runs in folders, a line each: options, progress and headline figures. Does not import torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from avssl.errors import UserError
from avssl.evaluate.core.rows import ResultRow, read_rows
from avssl.report.tables import figure_text, figure_words, fitted_table, plain_table, table_width
from avssl.system.console import folder_size, size, visible_name
from avssl.system.files import read_json
from avssl.trainer.metrics import MetricsLog
from avssl.trainer.run_config import NO_RUN, read_config

_CONFIG, _CONTROLS = "config.yaml", "controls.json"
FEW_FOREIGN = 3


@dataclass(frozen=True)
class Headline:
    """What a run is evaluated by: the trained network's figure beside its controls, or the loss where there is none.

    Attributes:
        of: the task, in a run of several; else empty.
        metric: "accuracy", "validation loss".
        value: the figure; ``low`` and ``high`` are its 95 % interval, None of a loss.
        chance: what knowing nothing gives; None where there is no such level.
    """

    of: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    chance: float | None = None

    def words(self) -> str:
        """ "accuracy 90.7 % (88.5 – 92.6 %), chance 50.0 %"."""
        text = f"{self.metric} {figure_text(self.value, self.metric)}"
        if self.low is not None and self.high is not None and not math.isnan(self.low + self.high):
            low = figure_text(self.low, self.metric).removesuffix(" %")
            text += f" ({low} – {figure_text(self.high, self.metric)})"
        if self.chance is not None:
            text += f", chance {figure_text(self.chance, self.metric)}"
        return f"{self.of}: {text}" if self.of else text


@dataclass(frozen=True)
class RunSummary:
    """A run in a line.

    Attributes:
        path: its folder, as it was found.
        name: the folder below the one that was looked through.
        task: of several tasks all, joined by "+".
        steps: optimizer steps that were logged.
        asked: how much training was asked for: "500 steps", "10 minutes", "2 epochs".
        state: "finished", "not finished", or "controls missing" where only they are left to do.
        began: when, with its offset from UTC; None where that cannot be read.
        bytes: of all its files.
        headlines: one a task.
        faults: what of it cannot be read.
    """

    path: Path
    name: str
    task: str
    steps: int
    asked: str
    state: str
    began: datetime | None
    bytes: int
    headlines: Sequence[Headline]
    faults: Sequence[str]

    @property
    def progress(self) -> str:
        """ "500/500 steps", "812 in 10 minutes"."""
        return f"{self.steps}/{self.asked}" if self.asked.endswith("steps") else f"{self.steps} in {self.asked}"

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        began = None if self.began is None else self.began.isoformat()
        figures = [{name: _finite(value) for name, value in asdict(one).items()} for one in self.headlines]
        return asdict(self) | {"path": str(self.path), "began": began, "headlines": figures}


@dataclass(frozen=True)
class RunList:
    """The runs that were found, the newest first, and each other folder with the reason why it is none."""

    runs: Sequence[RunSummary]
    others: Sequence[tuple[Path, str]]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        others = [{"path": str(path), "reason": reason} for path, reason in self.others]
        return {"runs": [run.as_json() for run in self.runs], "others": others}


def _finite(value: Any) -> Any:
    """None for NaN, which JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def list_runs(folders: Sequence[str | Path]) -> RunList:
    """The runs that these folders are, hold, or hold one level deeper.

    Raises:
        UserError: one of them is no folder, or cannot be read.
    """
    runs: list[RunSummary] = []
    others: list[tuple[Path, str]] = []
    seen: set[Path] = set()
    for top in map(Path, folders):
        if not top.is_dir():
            raise UserError(f"{top} is no folder; give folders that hold runs: avssl runs experiments/")
        for path in _candidates(top):
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            try:
                runs.append(summary(path, _name(path, top)))
            except UserError as error:
                others.append((path, str(error).removeprefix(f"{path} ").removesuffix("; give the folder of one")))
            except OSError as error:
                others.append((path, f"cannot be read: {error.strerror or error}"))
    earliest = datetime.min.replace(tzinfo=UTC)
    return RunList(sorted(runs, key=lambda run: run.began or earliest, reverse=True), others)


def _candidates(top: Path) -> Iterator[Path]:
    """Folders that are runs or are listed as none; one that holds runs is not listed itself."""
    if _begun(top):
        yield top
        return
    for path in _folders_in(top):
        inner = [] if _begun(path) else _folders_in(path)
        yield from inner if any(map(_begun, inner)) else [path]


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def _begun(folder: Path) -> bool:
    try:
        return (folder / _CONFIG).exists()
    except OSError:  # no permission to look into it
        return False


def _name(path: Path, top: Path) -> str:
    return path.resolve().name if path == top else path.relative_to(top).as_posix()


def summary(path: Path, name: str = "") -> RunSummary:
    """What there is to know of the run in a folder; a damaged part becomes a line in ``faults``.

    Raises:
        UserError: it holds no run, or its config cannot be read.
        OSError: the folder cannot be read.
    """
    config = read_config(path)
    tasks = list(map(str, config["tasks"])) if config["task"] == "multi-task" else [config["task"]]
    faults: list[str] = []
    lines = MetricsLog(path).lines()
    rows = _controls(path, faults)
    asked = next((f"{_amount(config[unit])} {unit}" for unit in _BUDGETS if config.get(unit) is not None), "? steps")
    steps = max((line["step"] for line in lines), default=0)
    ended = _ended(path, config, lines)
    state = "not finished" if not ended else "finished" if rows or not config.get("controls") else "controls missing"
    return RunSummary(
        path=path,
        name=name or path.name,
        task=" + ".join(tasks),
        steps=steps,
        asked=asked,
        state=state,
        began=_began(path, faults),
        bytes=folder_size(path),
        headlines=headlines(rows, tasks) or _losses(lines, tasks),
        faults=faults,
    )


_BUDGETS = ("steps", "epochs", "minutes")


def _amount(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _ended(path: Path, config: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> bool:
    """Whether training came to its end; the last step is always logged."""
    steps = config.get("steps")
    if isinstance(steps, int):
        return bool(lines) and lines[-1]["step"] >= steps
    return (path / "sheet.png").exists()  # drawn when it ends: how many steps that takes was not known


def _controls(path: Path, faults: list[str]) -> list[ResultRow]:
    file = path / "results" / _CONTROLS
    if not file.exists():
        return []
    try:
        return read_rows(file)
    except UserError:
        faults.append(f"results/{_CONTROLS} is damaged; the command of the training makes it again")
        return []


def _began(path: Path, faults: list[str]) -> datetime | None:
    try:
        found = datetime.fromisoformat(str((read_json(path / "environment.json") or {})["time"]))
    except (KeyError, ValueError):
        faults.append("environment.json does not say when it began")
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def headlines(rows: Sequence[ResultRow], tasks: Sequence[str]) -> list[Headline]:
    """The first row of each task's trained network, rather one that has a chance to compare with."""
    found = []
    for task in tasks:
        names = ("trained", f"trained/{task}") if len(tasks) == 1 else (f"trained/{task}",)
        own = [row for row in rows if row.name in names]
        row = next((row for row in own if row.chance is not None), own[0] if own else None)
        if row is not None:
            of = task if len(tasks) > 1 else ""
            found.append(Headline(of, row.metric, row.value, row.low, row.high, row.chance))
    return found


def _losses(lines: Sequence[Mapping[str, Any]], tasks: Sequence[str]) -> list[Headline]:
    """The last loss of each task, rather of validation."""
    found = []
    for task in tasks:
        own = [line for line in lines if line["task"] == task and isinstance(line.get("loss"), float)]
        held_out = [line for line in own if line["split"] == "val"]
        if last := (held_out or own)[-1:]:
            what = "validation loss" if held_out else "training loss"
            found.append(Headline(task if len(tasks) > 1 else "", what, float(last[0]["loss"])))
    return found


def print_runs(found: RunList, screen: Console) -> None:
    """A row a run where all fits beside each other, else what belongs together in one column; then the others."""
    if found.runs:
        headers = ["run", "task", "trained", "", "figure, 95 % interval", "began", "size"]
        rows = [_cells(run) for run in found.runs]
        wide = plain_table(headers, rows, right=[6])
        if table_width(wide, screen) > screen.width:
            # Two columns in one; the task is left out where the run has its name.
            close = [
                [
                    name if name.endswith(task) else f"{name}\n{task}",
                    f"{done}\n{state}".replace(" ", "\xa0"),
                    figure_words(figures),
                    figure_words(f"{began}\n{bytes}"),
                ]
                for name, task, done, state, figures, began, bytes in rows
            ]
            wide = fitted_table(["run, task", "trained", "figure, 95 % interval", "began, size"], close, screen)
        screen.print(wide)
        screen.print()
    else:
        screen.print("No runs.")
    faults = [(visible_name(str(run.path)), fault) for run in found.runs for fault in run.faults]
    # A folder of data or pictures beside runs is nothing that is wrong: of many such a line is enough.
    foreign = [visible_name(path.name) for path, reason in found.others if reason == NO_RUN]
    in_a_line = len(foreign) > FEW_FOREIGN
    if in_a_line:
        screen.print(Text(f"{len(foreign)} other folders hold no run: {', '.join(foreign)}"))
        screen.print()
    others = [(visible_name(str(path)), reason) for path, reason in found.others if reason != NO_RUN or not in_a_line]
    others = [*faults, *others]
    if others:
        screen.print(fitted_table(["folder", "what is wrong with it, or why it is no run"], others, screen))


def _cells(run: RunSummary) -> list[str]:
    figures = "\n".join(headline.words() for headline in run.headlines) or "nothing logged yet"
    began = "–" if run.began is None else f"{run.began:%Y-%m-%d %H:%M}"
    return [visible_name(run.name), run.task, run.progress, run.state, figures, began, size(run.bytes)]
