"""MLflow: the server, database or folder of ``MLFLOW_TRACKING_URI``, else MLflow's own default."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from avssl.trainer.loggers.interface import PROJECT, Start

if TYPE_CHECKING:
    from PIL.Image import Image

# Limits of MLflow's servers for one request and one value.
_PARAMS_AT_ONCE = 100
_LONGEST_PARAM = 500


class Mlflow:
    """One run of MLflow in the experiment of ``MLFLOW_EXPERIMENT_NAME``."""

    def __init__(self, start: Start) -> None:
        # By default a server that is gone is waited for through seven tries, minutes during which nothing trains.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        self._mlflow: Any = import_module("mlflow")
        self._client = self._mlflow.MlflowClient()
        self._new = start.run_id is None
        if start.run_id is None:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
            there = self._client.get_experiment_by_name(name)
            experiment = there.experiment_id if there else self._client.create_experiment(name)
            run = self._client.create_run(experiment, run_name=start.folder.resolve().name)
            self.run_id: str | None = run.info.run_id
        else:
            self.run_id = start.run_id
            self._client.update_run(self.run_id, status="RUNNING")  # fails where this store does not know the run
        self.place = f"run {self.run_id} in {self._mlflow.get_tracking_uri()}"

    def config(self, options: Mapping[str, Any]) -> None:
        """The run's params; they cannot change, so that a continued run keeps those it began with."""
        if not self._new:
            return
        param = self._mlflow.entities.Param
        every = [param(name, str(value)[:_LONGEST_PARAM]) for name, value in options.items()]
        for first in range(0, len(every), _PARAMS_AT_ONCE):
            self._client.log_batch(self.run_id, params=every[first : first + _PARAMS_AT_ONCE])

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """The figures of a step."""
        now, metric = round(time.time() * 1000), self._mlflow.entities.Metric
        self._client.log_batch(self.run_id, metrics=[metric(tag, value, now, step) for tag, value in values.items()])

    def picture(self, step: int, tag: str, image: Image) -> None:
        """A picture among the artifacts."""
        self._client.log_image(self.run_id, image, key=tag, step=step, synchronous=True)

    def close(self) -> None:
        """Mark the run as finished; until it is continued."""
        self._client.set_terminated(self.run_id)
