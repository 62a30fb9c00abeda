"""Media read from the files themselves: the collection that ``avssl.open`` returns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError
from avssl.media.containers.demux import Deadline
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.images import read_image
from avssl.media.decoding.pictures import Painter
from avssl.media.decoding.sound import read_audio
from avssl.media.decoding.video import FrameReader, read_frames
from avssl.media.facts import Facts
from avssl.media.indexing.inspect_many import member
from avssl.media.indexing.item_table import Table
from avssl.media.segment import Segment, segment_of
from avssl.media.table_media import TableMedia
from avssl.system.console import counted

# One pass through a whole file may take this long; single reads are given up much sooner.
PASS_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class _Known:
    facts: Facts
    clock: Clock
    segment: Segment
    offset: int
    size: int
    modified_ns: int
    times: NDArray[np.float64]  # of all frames of the file, those outside of the segment too


class FileState(NamedTuple):
    """Which part of a file an item is, and what changes when the file is rewritten."""

    zero_seconds: float
    offset: int  # of a member of a tar; -1 for a file
    size: int
    modified_ns: int


CHANGED = "has changed since it was indexed; run the command again"


class Collection(TableMedia[_Known]):
    """Items of an index, each read from its file on demand. Pickles as the name of the index."""

    def __init__(self, table: Table, inspected: int = 0) -> None:
        self.inspected = inspected  # files that had to be opened for the index; the others were in an earlier one
        super().__init__(table)

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'item')} of {self.root}, {len(self._table.header['rejected'])} rejected>"

    @property
    def root(self) -> str:
        """The folder or tar that the items lie in."""
        return str(self._table.header["root"])

    @property
    def stamp(self) -> str:
        """Hex digest that changes when any of the files is rewritten."""
        return str(self._table.header["stamp"])

    def frame_times(self, i: int) -> NDArray[np.float64]:
        known = self._item(i)
        if known.segment.is_whole:
            return known.times
        return known.times[known.segment.first : known.segment.stop] - known.segment.zero_seconds

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        known = self._unchanged(i, times[0] if len(times) else None)
        if known.facts.kind == "image":
            picture = self._image(known)[None]  # a view: memory may not hold a second copy of a large picture
            return picture if len(times) == 1 else np.repeat(picture, len(times), axis=0)
        if not known.facts.has_video:
            raise MediaError(known.facts.path, "has no pictures, only sound", times[0] if len(times) else None)
        if known.segment.is_whole:
            return read_frames(known.facts.path, known.clock, times)
        # Clamped to the segment: before its first frame the first is shown, after its last the last.
        inside = known.clock.frame_times[known.segment.first : known.segment.stop]
        seconds = np.clip(known.segment.zero_seconds + np.asarray(times, np.float64), inside[0], inside[-1])
        return read_frames(known.facts.path, known.clock, seconds.tolist())

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        known = self._unchanged(i, start_seconds)
        path, clock = known.facts.path, known.clock
        if known.segment.is_whole or not known.facts.has_sound:
            return read_audio(path, clock, start_seconds, duration_seconds, rate)
        samples = read_audio(path, clock, start_seconds + known.segment.zero_seconds, duration_seconds, rate)
        # Sound outside of the segment belongs to another item, maybe one of the test data.
        samples[: max(round((known.facts.audio_start_seconds - start_seconds) * rate), 0)] = 0
        samples[max(round((known.facts.audio_end_seconds - start_seconds) * rate), 0) :] = 0
        return samples

    def annotation(self, i: int) -> dict[str, Any] | None:
        known = self._item(i)
        beside = Path(known.facts.path).with_suffix(".json")
        if known.offset >= 0 or not beside.is_file():
            return None
        try:
            value = json.loads(beside.read_text(encoding="utf-8"))
        except ValueError as error:
            raise MediaError(str(beside), f"is not valid JSON ({error})") from error
        if not isinstance(value, dict):
            raise MediaError(str(beside), "is JSON, but not an object")
        return value

    def file_state(self, i: int) -> FileState:
        """The state of the file of item ``i`` when it was inspected, and the item's zero in it."""
        known = self._item(i)
        return FileState(known.segment.zero_seconds, known.offset, known.size, known.modified_ns)

    def all_frames(
        self, i: int, wanted: Sequence[int], size: tuple[int, int]
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """The frames with these numbers (ascending), scaled to ``size`` (width, height), in one pass through the file.

        Yields:
            (number, uint8 (height, width, 3)).

        Raises:
            MediaError: a frame cannot be decoded.
        """
        known = self._unchanged(i, None)
        if known.facts.kind == "image":
            yield from ((number, _scaled(self._image(known), size)) for number in wanted)
            return
        painter = Painter(*size, known.facts.path)
        chosen = {number + known.segment.first for number in wanted}
        with FrameReader(known.facts.path, known.clock, Deadline(known.facts.path, PASS_SECONDS)) as reader:
            source = reader.all_frames() if known.segment.is_whole else reader.frames(sorted(chosen))
            for number, frame in source:
                if number in chosen:
                    yield number - known.segment.first, painter.pixels(frame)

    def _unchanged(self, i: int, seconds: float | None) -> _Known:
        """Item ``i``; raises MediaError where the size or modification time of its file is not the indexed one."""
        known = self._item(i)
        try:
            stat = Path(known.facts.path if known.offset < 0 else self.root).stat()
        except OSError:
            return known  # opening it will say what is wrong
        if stat.st_mtime_ns != known.modified_ns or (known.offset < 0 and stat.st_size != known.size):
            raise MediaError(known.facts.path, CHANGED, seconds)
        return known

    def _read_item(self, i: int) -> _Known:
        columns = self._columns
        assert columns is not None  # every index has them
        number, start, seconds = columns.place(i)
        item, times = self._table.item(number), self._table.times(number)
        clock = Clock(**item["found"]["clock"], frame_times=times, key_times=self._table.keys(number))
        segment = segment_of(times, start, seconds)
        return _Known(columns.facts(i), clock, segment, item["offset"], item["size"], item["modified_ns"], times)

    def _image(self, known: _Known) -> NDArray[np.uint8]:
        if known.offset < 0:
            return read_image(known.facts.path)
        try:
            with member(self.root, known.offset, known.size) as file:
                return read_image(known.facts.path, file)
        except OSError as error:
            raise MediaError(known.facts.path, f"cannot be read ({error})") from error


def _scaled(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (3, h, w) as (height, width, 3), scaled to ``size`` (width, height)."""
    from PIL import Image

    pixels = np.ascontiguousarray(picture.transpose(1, 2, 0))
    del picture  # memory may not hold a third copy of a large picture
    if pixels.shape[:2] == (size[1], size[0]):
        return pixels
    image = Image.fromarray(pixels)
    del pixels
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))
