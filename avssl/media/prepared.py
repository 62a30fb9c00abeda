"""A prepared set: frames as JPEG and sound as PCM in tar shards, read at random through memory maps.

    OUT/shard-000000.tar …    plain WebDataset shards: KEY.0000.jpg …, KEY.wav, KEY.json for each item
    OUT/index/                a table (see ``table``): where each JPEG and each sound lies, and when it is shown

It answers the same calls as the files it was made from. Frames have the size they were stored at, the
frame chosen at a time is the same, and sound at the stored rate is sliced, not resampled.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError
from avssl.media.cache import read_json
from avssl.media.clock import SHOWN_TOLERANCE_SECONDS
from avssl.media.facts import Facts, Rejected
from avssl.media.jpeg import decode_jpeg
from avssl.media.selection import Selectable
from avssl.media.sound import MARGIN_SAMPLES
from avssl.media.table import Table

REMEMBERED = 256
"""Items whose facts are kept at hand."""
OPEN_SHARDS = 256
"""Shards kept mapped at once; each holds a file descriptor, of which a process has about a thousand."""


@dataclass(frozen=True, slots=True)
class StoredSound:
    """Where the sound of an item lies in its shard."""

    start: int
    """First byte."""
    samples: int
    first: int
    """Number of the first sample: it lies at ``first / rate`` seconds."""
    rate: int
    dtype: str
    """"<i2", full scale 32767; or "<f4" where peaks pass full scale."""


@dataclass(frozen=True, slots=True)
class _Known:
    facts: Facts
    shard: int
    sound: StoredSound | None
    described: tuple[int, int]
    """Where the item's JSON lies in the shard, and its bytes."""


def shard_name(number: int) -> str:
    return f"shard-{number:06d}.tar"


def is_prepared(folder: Path) -> bool:
    """Whether a folder is a prepared set, whole."""
    header = read_json(folder / "index" / "table.json")
    return header is not None and "prepared" in header


def is_unfinished(folder: Path) -> bool:
    """Whether a preparation into this folder was begun and is not whole."""
    plan = read_json(folder / "plan.json")
    return plan is not None and plan.keys() >= {"of", "settings"} and not is_prepared(folder)


class Prepared(Selectable):
    """A prepared set, opened. Pickles as the name of its folder.

    Raises:
        UserError: it was prepared by another version of avssl.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._table = Table(folder / "index")
        self._begin()

    def __getstate__(self) -> tuple[Path, Table]:
        return self.folder, self._table

    def __setstate__(self, state: tuple[Path, Table]) -> None:
        self.folder, self._table = state
        self._begin()

    def _begin(self) -> None:
        self._known: dict[int, _Known] = {}
        self._shards: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        return f"<{len(self)} prepared items in {self.folder}, {len(self._table.header['rejected'])} rejected>"

    @property
    def settings(self) -> dict[str, Any]:
        """How it was prepared: side, fps, rate, jpeg_quality."""
        return dict(self._table.header["prepared"])

    @property
    def rejected(self) -> Sequence[Rejected]:
        return [Rejected(*pair) for pair in self._table.header["rejected"]]

    @property
    def fingerprint(self) -> str:
        return str(self._table.header["fingerprint"])

    def facts(self, i: int) -> Facts:
        """As of the original, but size, frame count, sound rate and channels as stored."""
        return self._item(i).facts

    def frame_times(self, i: int) -> NDArray[np.float64]:
        return self._table.times(i)

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        known = self._item(i)
        shown = self._table.times(i)
        if not len(shown):
            raise MediaError(known.facts.path, "has no pictures, only sound", times[0] if len(times) else None)
        at = np.searchsorted(shown, np.asarray(times, np.float64) + SHOWN_TOLERANCE_SECONDS, side="right") - 1
        # Laid out as decoded, colours last: whoever cuts or scales wants it so, and the view costs nothing.
        result = np.empty((len(times), known.facts.height, known.facts.width, 3), np.uint8)
        decoded: dict[int, int] = {}
        for row, frame in enumerate(np.maximum(at, 0).tolist()):
            if frame in decoded:
                result[row] = result[decoded[frame]]
                continue
            decoded[frame] = row
            start, size = self._table.jpeg(i, frame)
            try:
                result[row] = decode_jpeg(self._bytes(known, start, size))
            except ValueError as error:
                raise MediaError(known.facts.path, f"its prepared picture is damaged ({error})", times[row]) from error
        return result.transpose(0, 3, 1, 2)

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        known = self._item(i)
        if duration_seconds < 0 or rate <= 0:
            raise ValueError(f"duration_seconds ({duration_seconds}) must not be negative, rate ({rate}) positive")
        if known.sound is None:
            raise MediaError(known.facts.path, "there is no sound in this file", start_seconds)
        count = round(duration_seconds * rate)
        stored = known.sound.rate
        if rate == stored:
            return self._stretch(known, known.sound, round(start_seconds * rate), count)
        import soxr

        # Widened by whole samples of the rate asked for, as when reading the file itself.
        margin = math.ceil(MARGIN_SAMPLES * rate / min(rate, stored))
        first = round((start_seconds - margin / rate) * stored)
        wide = self._stretch(known, known.sound, first, round((count + 2 * margin) / rate * stored))
        found = soxr.resample(wide, stored, rate, quality="HQ")[margin : margin + count]
        result = np.zeros(count, np.float32)
        result[: len(found)] = found
        return result

    def annotation(self, i: int) -> dict[str, Any] | None:
        known = self._item(i)
        described = json.loads(self._bytes(known, *known.described).tobytes())
        annotation: dict[str, Any] | None = described["annotation"]
        return annotation

    # --- how --------------------------------------------------------------------------------------------

    def _item(self, i: int) -> _Known:
        known = self._known.get(i)
        if known is None:
            if not 0 <= i < len(self):
                raise IndexError(f"items are numbered 0 to {len(self) - 1}, not {i}")
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            item = self._table.item(i)
            facts = Facts(**{**item["facts"], "flags": tuple(item["facts"]["flags"])})
            sound = None if item["sound"] is None else StoredSound(*item["sound"])
            start, size = item["described"]
            known = self._known[i] = _Known(facts, item["shard"], sound, (start, size))
        return known

    def _stretch(self, known: _Known, sound: StoredSound, first: int, count: int) -> NDArray[np.float32]:
        """``count`` stored samples from number ``first`` on, zeros outside of what is stored."""
        result = np.zeros(count, np.float32)
        begin, end = max(first, sound.first), min(first + count, sound.first + sound.samples)
        if begin < end:
            width = 2 if sound.dtype == "<i2" else 4
            data = self._bytes(known, sound.start + (begin - sound.first) * width, (end - begin) * width)
            samples = data.view(sound.dtype)
            if width == 2:
                np.multiply(samples, np.float32(1 / 32767), out=result[begin - first : end - first])
            else:
                result[begin - first : end - first] = samples
        return result

    def _bytes(self, known: _Known, start: int, size: int) -> NDArray[np.uint8]:
        shard = self._shards.get(known.shard)
        if shard is None:
            if len(self._shards) >= OPEN_SHARDS:
                self._shards.clear()
            shard = self._shards[known.shard] = self._mapped(known)
        if start + size > len(shard):
            raise MediaError(
                known.facts.path, f"{shard_name(known.shard)} is shorter than its index says: prepare again"
            )
        return shard[start : start + size]

    def _mapped(self, known: _Known) -> NDArray[np.uint8]:
        path = self.folder / shard_name(known.shard)
        try:
            with path.open("rb") as file:
                return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        except (OSError, ValueError) as error:
            raise MediaError(known.facts.path, f"its shard {path} cannot be read ({error}): prepare again") from error
