"""Checkpoints written by a thread, while the training goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from torch import Tensor

from avssl.errors import UserError
from avssl.trainer.checkpoints import Checkpoints
from avssl.trainer.transfer import to_host


class CheckpointWriter:
    """Writes one checkpoint at a time, by a thread beside the training.

    An error of the disk is raised by the call that comes after it.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None

    def save(self, checkpoints: Checkpoints, state: dict[str, Any], step: int, best_step: int | None) -> None:
        """Copy the state as it is now, and begin to write it once the checkpoint before is written.

        Raises:
            UserError: that one could not be written.
        """
        self.wait()  # one at a time: two would hold two copies of the weights
        copy, wait = to_host(state)
        self._writing = self._thread.submit(_write, checkpoints, copy, wait, step, best_step)

    def wait(self) -> None:
        """Return when the last checkpoint is on the disk.

        Raises:
            UserError: it could not be written, or its weights are NaN or infinite.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """As :meth:`wait`, and end the thread."""
        self._thread.shutdown()
        self.wait()


def _write(
    checkpoints: Checkpoints, state: dict[str, Any], wait: Callable[[], object], step: int, best_step: int | None
) -> None:
    wait()
    _refuse_spoilt(state["networks"], step)
    checkpoints.save(state, step, best_step)


def _refuse_spoilt(weights: Mapping[str, Tensor], step: int) -> None:
    """A NaN gradient spoils the weights before any loss shows it: keep the good checkpoint."""
    for name, value in weights.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UserError(
                f"the weights {name} are NaN or infinite after step {step}, which was not saved; "
                "try a lower --learning-rate or --clip-norm 1"
            )
