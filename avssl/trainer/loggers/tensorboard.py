"""TensorBoard's files, written at once rather than by a thread.

torch's SummaryWriter writes from a thread of its own: what it holds is lost with a killed run, its errors (a
full disk) are tracebacks on the screen, and workers are forked beside its locks.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.custom_scalar import layout_pb2, metadata
from tensorboard.summary.writer.record_writer import RecordWriter

from avssl.trainer.loggers.interface import Start

if TYPE_CHECKING:
    from PIL.Image import Image


class EventFile:
    """One file of events in ``RUN/tensorboard``; what earlier ones hold of steps that are trained again is void.

    Raises:
        OSError: it cannot be written; so do the methods.
    """

    run_id = None

    def __init__(self, start: Start) -> None:
        folder = start.folder / "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        self.place = f"tensorboard --logdir {folder}"
        # The name must sort by time and hold "tfevents"; a run started again in the same second appends to it.
        self._file = (folder / f"events.out.tfevents.{int(time.time()):010d}.avssl").open("ab")
        self._records = RecordWriter(self._file)
        self._write(Event(file_version="brain.Event:2"))
        if start.again_from is not None:
            self._write(Event(step=start.again_from, session_log=SessionLog(status=SessionLog.START)))
        self._add(0, _text(metadata.CONFIG_SUMMARY_TAG, metadata.PLUGIN_NAME, _layout(start).SerializeToString()))

    def config(self, options: Mapping[str, Any]) -> None:
        """A table of the options under Text."""
        lines = ["| option | value |", "|---|---|", *(f"| {name} | `{value}` |" for name, value in options.items())]
        self._add(0, _text("options", "text", "\n".join(lines).encode()))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """The figures of a step."""
        self._add(step, *(Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()))

    def picture(self, step: int, tag: str, image: Image) -> None:
        """A picture under Images."""
        png = io.BytesIO()
        image.save(png, "png")
        shown = Summary.Image(height=image.height, width=image.width, colorspace=3, encoded_image_string=png.getvalue())
        self._add(step, Summary.Value(tag=tag, image=shown))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _add(self, step: int, *values: Any) -> None:
        self._write(Event(step=step, summary=Summary(value=values)))

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
        self._records.flush()  # a killed run keeps every line it logged


def _text(tag: str, plugin: str, text: bytes) -> Summary.Value:
    about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin))
    return Summary.Value(tag=tag, metadata=about, tensor=TensorProto(dtype=DT_STRING, string_val=[text]))


def _layout(start: Start) -> layout_pb2.Layout:
    """Training and validation in one chart under Custom Scalars: elsewhere each tag has its own."""

    def chart(task: str, measure: str) -> layout_pb2.Chart:
        tags = [f"^{start.tag(split, task, measure)}$" for split in ("train", "val")]
        return layout_pb2.Chart(title=measure, multiline=layout_pb2.MultilineChartContent(tag=tags))

    categories = [
        layout_pb2.Category(title=task, chart=[chart(task, measure) for measure in ("loss", "accuracy")])
        for task in start.tasks
    ]
    return layout_pb2.Layout(category=categories)
