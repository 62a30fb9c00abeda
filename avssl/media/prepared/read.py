"""A prepared set: frames as JPEG and sound as PCM in tar shards, read at random through memory maps.

    OUT/shard-000000.tar …    plain WebDataset shards: KEY.0000.jpg …, KEY.wav, KEY.json for each item
    OUT/index/                a table (see ``table``): where each JPEG and each sound lies, and when it is shown

It answers the same calls as the files it was made from: frames have their stored size, the frame shown at a time is the
same, and sound at the stored rate is sliced, not resampled. The sizes of all shards are compared when a set is opened,
the checksum of each picture, block of sound and JSON when it is read; sets of the first format have no checksums.
"""

from __future__ import annotations

import json
import mmap
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError, UserError
from avssl.media.decoding.clock import SHOWN_TOLERANCE_SECONDS
from avssl.media.decoding.jpeg import decode_jpeg, pixels_for_jpegs
from avssl.media.decoding.sound import resampled
from avssl.media.facts import Facts
from avssl.media.indexing.item_table import DamagedTable, Table, file_crc
from avssl.media.table_media import TableMedia
from avssl.system.files import read_json

# Shards kept mapped at once: each takes a file descriptor, of which a process has about a thousand.
OPEN_SHARDS = 256

# Bytes of sound with one checksum: a second of 16-bit mono at 16 kHz. Blocks are read whole, to compare it.
SOUND_BLOCK = 1 << 15


@dataclass(frozen=True, slots=True)
class StoredSound:
    """Where the sound of an item lies in its shard."""

    start: int  # first byte
    samples: int
    first: int  # number of the first sample: it lies at first / rate seconds
    rate: int
    dtype: str  # "<i2", full scale 32767; or "<f4" where peaks pass full scale


@dataclass(frozen=True, slots=True)
class _Known:
    facts: Facts
    shard: int
    sound: StoredSound | None
    described: tuple[int, int]  # where the item's JSON lies in the shard, and its bytes
    described_crc: int | None
    times: NDArray[np.float64]  # when each frame is shown first. (n,)
    jpegs: NDArray[np.int64]  # places and sizes. (n, 2)
    # Checksums of the JPEGs, then of the blocks of sound; empty in a set without checksums.
    checks: NDArray[np.uint32]


def facts_in(item: Mapping[str, Any]) -> Facts:
    return Facts(**{**item["facts"], "flags": tuple(item["facts"]["flags"])})


def shard_name(number: int) -> str:
    return f"shard-{number:06d}.tar"


def is_prepared(folder: Path) -> bool:
    """Whether a folder is a whole prepared set."""
    header = read_json(folder / "index" / "table.json")
    return header is not None and "prepared" in header


def is_unfinished(folder: Path) -> bool:
    """Whether a preparation into this folder was begun and not finished."""
    plan = read_json(folder / "plan.json")
    return plan is not None and plan.keys() >= {"of", "settings"} and not (folder / "index").exists()


def was_prepared(folder: Path) -> bool:
    """Whether a folder is a prepared set whose index is missing or damaged."""
    if is_prepared(folder) or not folder.is_dir():
        return False
    index = folder / "index"
    # Shards alone may be of anybody's WebDataset.
    has_plan = (folder / "plan.json").exists() or (folder / ".parts").exists() or index.is_dir()
    has_index = (index / "rows.i64").is_file() or (index / "times.f64").is_file()
    return has_index or (has_plan and next(folder.glob("shard-*.tar"), None) is not None)


class Prepared(TableMedia[_Known]):
    """A prepared set, opened. Pickles as the name of its folder.

    ``facts`` are those of the originals, but size, frame count, sound rate and channels as stored.

    Raises:
        UserError: it was prepared by another version of avssl, or a part of it is missing, cut or damaged.
    """

    remembered = 256
    open_shards = OPEN_SHARDS
    is_remote = False  # whether its shards lie on a server, so that reading fewer of them matters

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shards: dict[int, NDArray[np.uint8]] = {}
        with self._named_where_damaged():
            super().__init__(Table(folder / "index"))
        self._shards_must_be_there()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_shards": {}}

    def __repr__(self) -> str:
        return f"<{len(self)} prepared items in {self.name}, {len(self._table.header['rejected'])} rejected>"

    @property
    def name(self) -> str:
        return str(self.folder)

    @property
    def has_checksums(self) -> bool:
        """False for sets of the first format."""
        return self._table.has_checksums

    @property
    def shards(self) -> list[tuple[Path, int, int]]:
        """Each shard with its size and its checksum; both are -1 in a set without checksums."""
        if self.has_checksums:
            known = [(int(size), int(crc)) for size, crc in self._table.header["shards"]]
        else:
            known = [(-1, -1)] * (self._item(len(self) - 1).shard + 1)
        return [(self.folder / shard_name(number), *state) for number, state in enumerate(known)]

    @property
    def settings(self) -> dict[str, Any]:
        """How it was prepared: side, fps, rate, jpeg_quality."""
        return dict(self._table.header["prepared"])

    def frame_times(self, i: int) -> NDArray[np.float64]:
        return self._item(i).times

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        known = self._item(i)
        shown = self._shown(known, times)
        # Stored as decoded, channels last: cropping and scaling need it so; channels first is a view, at no cost.
        result = pixels_for_jpegs(len(times), known.facts.height, known.facts.width)
        decoded: dict[int, int] = {}
        for row, frame in enumerate(shown):
            if frame in decoded:
                result[row] = result[decoded[frame]]
                continue
            decoded[frame] = row
            try:
                decode_jpeg(self._jpeg(known, frame, times[row]), result[row])
            except ValueError as error:
                raise self._bad(known, "picture", times[row]) from error
        return result[..., :3].transpose(0, 3, 1, 2)

    def jpegs(self, i: int, times: Sequence[float]) -> list[NDArray[np.uint8]]:
        """The JPEGs that :meth:`frames` decodes, each uint8 (bytes,), not to be written to.

        Raises:
            MediaError: as :meth:`frames`, but that a set without checksums may have JPEGs that cannot be decoded.
        """
        known = self._item(i)
        shown = self._shown(known, times)
        return [self._jpeg(known, frame, seconds) for frame, seconds in zip(shown, times, strict=True)]

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        known = self._item(i)
        if duration_seconds < 0 or rate <= 0:
            raise ValueError(f"duration_seconds ({duration_seconds}) must not be negative, rate ({rate}) positive")
        if known.sound is None:
            raise MediaError(known.facts.path, "there is no sound in this file", start_seconds)
        count = round(duration_seconds * rate)
        sound = known.sound
        if rate == sound.rate:
            return self._stretch(known, sound, round(start_seconds * rate), count)

        def samples_from(first_seconds: float, number: int) -> NDArray[np.float32]:
            return self._stretch(known, sound, round(first_seconds * sound.rate), number)

        return resampled(samples_from, sound.rate, start_seconds, count, rate)

    def annotation(self, i: int) -> dict[str, Any] | None:
        known = self._item(i)
        data = self._bytes(known, *known.described).tobytes()
        if known.described_crc is not None and zlib.crc32(data) != known.described_crc:
            raise self._bad(known, "description")
        try:
            described = json.loads(data)
        except ValueError:
            described = None
        if not isinstance(described, dict):
            raise self._bad(known, "description")
        annotation: dict[str, Any] | None = described.get("annotation")
        return annotation

    def shard_numbers(self) -> NDArray[np.int32]:
        """The shard of each item, (n,), by bisection: items are in the order of shards, so that few lines are read."""
        numbers = np.zeros(len(self), np.int32)
        begin = 0
        while begin < len(self):
            shard = self._item(begin).shard
            end = bisect_right(range(len(self)), shard, begin, key=lambda i: self._item(i).shard)
            numbers[begin:end] = shard
            begin = end
        return numbers

    def expect(self, now: Sequence[int], later: Sequence[int]) -> None:
        """Announce shards to be read now and later; for remote sets alone, here it does nothing."""

    def must_hold(self, count: int, shards: Sequence[int]) -> None:
        """Raises UserError where ``count`` of these shards do not fit into the cache together; here all are on disk."""

    def verify_sizes(self) -> None:
        """Raises UserError where a shard is missing or has another size than in the index."""
        self._shards_must_be_there()

    def is_right(self, number: int) -> bool:
        """Whether a whole shard has its checksum."""
        path, _, crc = self.shards[number]
        return file_crc(path) == crc

    def verify_index(self) -> None:
        """Read the whole index, and raise UserError where its checksums are wrong."""
        with self._named_where_damaged():
            self._table.verify()

    def verify_item(self, i: int) -> None:
        """Without checksums: raises MediaError where a part of an item is not in its shard, or a picture is no JPEG."""
        known = self._item(i)
        for start, size in known.jpegs.tolist():
            data = self._bytes(known, start, size)
            if data[:2].tobytes() != b"\xff\xd8" or data[-2:].tobytes() != b"\xff\xd9":
                raise self._bad(known, "picture")
        if known.sound is not None:
            self._bytes(known, known.sound.start, known.sound.samples * int(known.sound.dtype[-1]))
        self.annotation(i)

    def damaged(self, what: str) -> UserError:
        return UserError(f"{self.folder}: this prepared set is damaged ({what}); remove it and prepare it again")

    @contextmanager
    def _named_where_damaged(self) -> Iterator[None]:
        """Damage of the index is damage of this set."""
        try:
            yield
        except DamagedTable as error:
            raise self.damaged(error.what) from error

    def _read_item(self, i: int) -> _Known:
        with self._named_where_damaged():
            item = self._table.item(i)
            times, jpegs, checks = self._table.times(i), self._table.jpegs(i), self._table.checks(i)
        try:
            facts = facts_in(item)
            sound = None if item["sound"] is None else StoredSound(*item["sound"])
            start, size, *crc = item["described"]
            return _Known(
                facts, int(item["shard"]), sound, (start, size), crc[0] if crc else None, times, jpegs, checks
            )
        except (KeyError, TypeError, ValueError) as error:
            if self.has_checksums:  # the line is as it was written: no damage, but a fault of this program
                raise
            raise self.damaged(f"line {i + 1} of items.jsonl is not an item") from error

    def _shown(self, known: _Known, times: Sequence[float]) -> list[int]:
        """The numbers of the frames that are shown at these times."""
        if not len(known.times):
            raise MediaError(known.facts.path, "has no pictures, only sound", times[0] if len(times) else None)
        find = known.times.searchsorted  # one by one: a few numbers are found before an array of them is made
        return [max(int(find(seconds + SHOWN_TOLERANCE_SECONDS, side="right")) - 1, 0) for seconds in times]

    def _jpeg(self, known: _Known, frame: int, seconds: float) -> NDArray[np.uint8]:
        data = self._bytes(known, *known.jpegs[frame].tolist())
        if len(known.checks) and zlib.crc32(data.data) != known.checks[frame]:
            raise self._bad(known, "picture", seconds)
        return data

    def _stretch(self, known: _Known, sound: StoredSound, first: int, count: int) -> NDArray[np.float32]:
        """``count`` stored samples from number ``first`` on, zeros outside of what is stored."""
        begin, end = max(first, sound.first), min(first + count, sound.first + sound.samples)
        result = np.empty(count, np.float32) if end - begin == count else np.zeros(count, np.float32)
        if begin < end:
            width = 2 if sound.dtype == "<i2" else 4
            data = self._sound_bytes(known, sound, (begin - sound.first) * width, (end - sound.first) * width)
            samples = np.frombuffer(data, sound.dtype)
            if width == 2:
                np.multiply(samples, np.float32(1 / 32767), out=result[begin - first : end - first])
            else:
                result[begin - first : end - first] = samples
        return result

    def _sound_bytes(self, known: _Known, sound: StoredSound, begin: int, end: int) -> NDArray[np.uint8]:
        """Bytes of the stored sound, after comparing the checksums of the blocks that they lie in."""
        if not len(known.checks):
            return self._bytes(known, sound.start + begin, end - begin)
        first, last = begin // SOUND_BLOCK, (end - 1) // SOUND_BLOCK
        whole = sound.samples * int(sound.dtype[-1])
        lower, upper = first * SOUND_BLOCK, min((last + 1) * SOUND_BLOCK, whole)
        data = self._bytes(known, sound.start + lower, upper - lower)
        for number in range(first, last + 1):
            block = data[(number - first) * SOUND_BLOCK :][:SOUND_BLOCK]
            if zlib.crc32(block.data) != known.checks[len(known.jpegs) + number]:
                width = int(sound.dtype[-1])
                raise self._bad(known, "sound", (sound.first + number * SOUND_BLOCK // width) / sound.rate)
        return data[begin - lower : end - lower]

    def _bad(self, known: _Known, what: str, seconds: float | None = None) -> MediaError:
        shard = self.folder / shard_name(known.shard)
        reason = f"its prepared {what} is damaged, in {shard}; remove the set and prepare it again"
        return MediaError(known.facts.path, reason, seconds)

    def _shards_must_be_there(self) -> None:
        """Raises UserError where a shard is missing, of another size, or not in the index."""
        shards = self.shards
        for path, size, _ in shards:
            there = path.stat().st_size if path.is_file() else -1
            if there < 0:
                raise self.damaged(f"{path.name} is missing")
            if size >= 0 and there != size:
                raise self.damaged(f"{path.name} has {there} bytes instead of {size}")
        more = {path.name for path in self.folder.glob("shard-*.tar")} - {path.name for path, *_ in shards}
        if more:
            raise self.damaged(f"{min(more)} does not belong to this set")

    def _bytes(self, known: _Known, start: int, size: int) -> NDArray[np.uint8]:
        shard = self._shards.get(known.shard)
        if shard is None:
            if len(self._shards) >= self.open_shards:
                self._shards.clear()
            shard = self._shards[known.shard] = self._mapped(known)
        if start < 0 or size < 0 or start + size > len(shard):
            raise MediaError(
                known.facts.path,
                f"{self.folder / shard_name(known.shard)} is shorter than its index says; remove the set and prepare "
                "it again",
            )
        return shard[start : start + size]

    def _mapped(self, known: _Known) -> NDArray[np.uint8]:
        path = self.folder / shard_name(known.shard)
        try:
            with path.open("rb") as file:
                return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        except (OSError, ValueError) as error:
            raise MediaError(known.facts.path, f"its shard {path} cannot be read ({error})") from error
