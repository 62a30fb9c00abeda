"""TensorBoard's files, written at once rather than by a thread.

torch's SummaryWriter writes from a thread of its own: what it holds is lost with a killed run, its errors (a
full disk) are tracebacks on the screen, and workers are forked beside its locks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


class EventFile:
    """One file of scalars.

    Args:
        folder: made if it is not there.
        purge_step: what earlier files hold from this step on is void; None: nothing is.

    Raises:
        OSError: it cannot be written; so do the methods.
    """

    def __init__(self, folder: Path, purge_step: int | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # The name must sort by time and hold "tfevents"; a run started again in the same second appends to it.
        self._file = (folder / f"events.out.tfevents.{int(time.time()):010d}.avssl").open("ab")
        self._records = RecordWriter(self._file)
        self._write(Event(file_version="brain.Event:2"))
        if purge_step is not None:
            self._write(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write the scalars of a step by their tags."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        self._write(Event(step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
        self._records.flush()  # a killed run keeps every line it logged
