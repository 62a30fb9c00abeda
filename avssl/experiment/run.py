"""``avssl.Run``: a run folder, opened: options, history, encoders and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.errors import UserError
from avssl.experiment.options import MULTI_TASK
from avssl.experiment.results import Results
from avssl.system import html
from avssl.system.console import counted
from avssl.system.files import read_json
from avssl.trainer.run_config import config_of_task, encoder_names, read_config

if TYPE_CHECKING:
    from PIL.Image import Image

    from avssl.evaluate.data.encoders import Encoder
    from avssl.evaluate.data.load_run import TrainedTask
    from avssl.networks.model import Model


class Run:
    """A run: what ``avssl.train`` returns and ``avssl train --out`` writes. Its parts are read when asked for.

    Args:
        path: the folder.
        config: what its ``config.yaml`` says, where that is on the disk of another machine only.

    Raises:
        UserError: there is no run.
    """

    def __init__(self, path: str | Path, config: Mapping[str, Any] | None = None) -> None:
        # A Run given for its path would fail later, with an error about something else.
        if not isinstance(path, str | PathLike):
            raise UserError(f"avssl.Run needs the folder of a run, such as 'runs/quickstart', not {path!r}")
        self.path = Path(path)
        self.config = read_config(self.path) if config is None else dict(config)
        """Every option, as ``config.yaml`` has it."""

    def __repr__(self) -> str:
        return f"<run of {' and '.join(self.tasks)} in {self.path}>"

    @property
    def tasks(self) -> list[str]:
        """The names of its tasks."""
        name = str(self.config["task"])
        return list(self.config["tasks"]) if name == MULTI_TASK else [name]

    @property
    def results(self) -> Results:
        """The rows of ``results/``, those of the controls first."""
        # Controls first: they say whether the others can be trusted.
        files = sorted((self.path / "results").glob("*.json"), key=lambda path: (path.stem != "controls", path.stem))
        return Results.read(files)

    @property
    def history(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``: one a logged step with its split, task, loss and measures."""
        from avssl.report.run_parts import read_metrics

        return read_metrics(self.path / "metrics.jsonl")

    @property
    def environment(self) -> dict[str, Any]:
        """Where and with which versions it was made."""
        return read_json(self.path / "environment.json") or {}

    @cached_property
    def model(self) -> Model:
        """Its encoders with what compares them, as :func:`avssl.load` gives them."""
        from avssl.networks.model import load

        return load(self.path)

    @property
    def encoders(self) -> Encoders:
        """Its encoders by name ("vision", "audio"), in eval mode on the CPU."""
        return Encoders(self.path)

    def trained(self, task: str | None = None) -> TrainedTask:
        """A task with its trained network: what held-out puzzles can be put to.

        Args:
            task: which, of a run of several.
        """
        from avssl.evaluate.data.load_run import open_run

        return open_run(self.path, task)

    def options(self, task: str | None = None) -> dict[str, Any]:
        """The options of one of its tasks, as if it had been trained alone."""
        return config_of_task(self.config, self.path, task)

    def sheet(self) -> Image:
        """Held-out puzzles with the network's answers, as they were drawn when training ended.

        Raises:
            UserError: it has not ended.
        """
        return self._picture("sheet.png")

    def curves(self) -> Image:
        """Loss and accuracy over the steps of training, as they were drawn when it ended."""
        return self._picture("curves.png")

    def continue_(self) -> Run:
        """Train on where it stopped; the controls, too, if they are not there yet. Nothing where it is finished."""
        from avssl.experiment.request import request_of
        from avssl.experiment.training import run_request

        # Its own config, so that options of a person's YAML file that has changed since do not matter.
        asked = {"out": str(self.path), "config": str(self.path / "config.yaml")}
        return Run(self.path, run_request(request_of(self.config["task"], asked)))

    def _repr_html_(self) -> str:
        from avssl.report.notebook import rows_html

        # A cell must show something of a run in any state.
        last = self.history[-1:] or [{}]  # of a run that has just begun
        steps = f", {counted(last[0]['step'], 'step')}" if last[0] else ", no step logged yet"
        try:
            curves: object = html.picture(self.curves()) if (self.path / "curves.png").exists() else ""
        except UserError as error:
            curves = str(error)
        return html.section(f"{' and '.join(self.tasks)} in {self.path}{steps}", curves, rows_html(self.results))

    def _picture(self, name: str) -> Image:
        from PIL import Image

        if not (self.path / name).exists():
            raise UserError(f"{self.path} has no {name} yet; it is drawn when a training ends")
        try:
            with Image.open(self.path / name) as picture:
                return picture.convert("RGB")
        except OSError:
            raise UserError(f"{self.path / name} is damaged; the command of the training draws it again") from None


class Encoders(Mapping[str, "Encoder"]):
    """The encoders of a run by name, each read when it is asked for."""

    def __init__(self, run: Path) -> None:
        self._run = run

    def __getitem__(self, name: str) -> Encoder:
        from avssl.evaluate.data.encoders import open_encoder

        if name not in list(self):  # "in self" would call this method
            raise KeyError(name)
        return open_encoder(self._run, name)

    def __iter__(self) -> Iterator[str]:
        return iter(encoder_names(self._run))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"<encoders {', '.join(self)} of {self._run}>"
