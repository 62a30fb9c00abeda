"""One shard of a prepared set: some items, each decoded once from beginning to end, in a plain tar."""

from __future__ import annotations

import json
import struct
import tarfile
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError
from avssl.media.collection import Collection
from avssl.media.decoding.jpeg import encode_jpeg
from avssl.media.facts import Facts, Rejected
from avssl.media.indexing.item_table import TableWriter
from avssl.media.prepared.read import SOUND_BLOCK, StoredSound, shard_name
from avssl.media.selection import Subset
from avssl.options import option
from avssl.system.files import whole_file, whole_folder

# Sound is decoded in pieces of whole seconds: at every rate they begin on a sample, and join without a seam.
SOUND_AT_ONCE_SECONDS = 600


@dataclass(frozen=True)
class Settings:
    """What a prepared set stores of its originals. With ``fps`` the frames are those shown at 0, 1/fps, 2/fps …"""

    side: int | None = option(256, "pixels of the shorter side; larger pictures are scaled down; null keeps all", low=1)
    fps: float | None = option(None, "frames a second to keep (default: every frame)", above=0)
    rate: int | None = option(16_000, "samples a second of the stored sound, mono; null keeps each file's", low=1)
    jpeg_quality: int = option(95, "1 to 100", low=1, high=100)

    def size(self, width: int, height: int) -> tuple[int, int]:
        shorter = min(width, height)
        if self.side is None or shorter <= self.side:
            return width, height
        return max(round(width * self.side / shorter), 1), max(round(height * self.side / shorter), 1)

    def chosen(self, times: NDArray[np.float64], duration_seconds: float) -> NDArray[np.int64]:
        """Numbers of the frames to keep, ascending."""
        if self.fps is None or len(times) < 2:
            return np.arange(len(times))
        grid = np.arange(max(int(np.ceil(duration_seconds * self.fps - 1e-6)), 1)) / self.fps
        return np.unique(np.maximum(np.searchsorted(times, grid + 1e-6, side="right") - 1, 0))


@dataclass(frozen=True, slots=True)
class Job:
    media: Collection | Subset  # the whole shard's items, in order
    first: int  # number of its first item in the set
    shard: int
    folder: Path
    settings: Settings
    refused: dict[int, str]  # items of media to leave out, with the reason: their decoder crashed before


def write_shard(job: Job) -> list[Rejected]:
    """Write a shard, and then its part of the index, ``.parts/NUMBER``; return the items that could not be read."""
    refused: list[Rejected] = []
    path = job.folder / shard_name(job.shard)
    with whole_folder(part_folder(job.folder, job.shard)) as partial, TableWriter(partial) as table:
        with whole_file(path) as file:
            tar = _Tar(file)
            for i in range(len(job.media)):
                begin = (tar.end, tar.crc)
                try:
                    if i in job.refused:
                        raise MediaError(job.media.facts(i).path, job.refused[i])
                    _Item(job, i, tar).write(table)
                except MediaError as error:
                    tar.cut(*begin)
                    seconds = "" if error.seconds is None else f" (at {error.seconds:.2f} s)"
                    refused.append(Rejected(error.path, error.reason + seconds))
            tar.close()
        table.finish({"rejected": refused, "shard": [tar.end, tar.crc]})
    return refused


def part_folder(folder: Path, shard: int) -> Path:
    return folder / ".parts" / f"{shard:06d}"


class _Item:
    def __init__(self, job: Job, i: int, tar: _Tar) -> None:
        self.job, self.i, self.tar = job, i, tar
        self.facts = job.media.facts(i)
        self.key = f"{job.first + i:09d}"
        self.settings = job.settings
        base, self.number = job.media.origin(i) if isinstance(job.media, Subset) else (job.media, i)
        assert isinstance(base, Collection)
        self.base = base

    def write(self, table: TableWriter) -> None:
        times, jpegs, checks = self._pictures()
        sound, of_sound = self._sound()
        facts = self._stored_facts(times, sound)
        annotation = self.job.media.annotation(self.i)
        described = {**asdict(facts), "key": self.key, "times": times.tolist(), "annotation": annotation}
        text = json.dumps(described).encode()
        start = self.tar.add(f"{self.key}.json", text)
        item = {
            "shard": self.job.shard,
            "facts": asdict(facts),
            "sound": None if sound is None else list(asdict(sound).values()),
            "described": [start, len(text), zlib.crc32(text)],
        }
        span = table.add_times(times)
        places = np.array(jpegs, np.int64).reshape(-1, 2)
        table.add_item(item, span, jpegs=places, checks=np.array([*checks, *of_sound], np.uint32))

    def _pictures(self) -> tuple[NDArray[np.float64], list[tuple[int, int]], list[int]]:
        """Times of the frames, where their JPEGs lie, and the checksums of these."""
        times = np.array(self.job.media.frame_times(self.i))
        if not len(times):
            return times, [], []
        chosen = self.settings.chosen(times, self.facts.duration_seconds)
        size = self.settings.size(self.facts.width, self.facts.height)
        suffix = ".jpg" if self.facts.kind == "image" else ".{:04d}.jpg"
        places = []
        for number, picture in self.base.all_frames(self.number, chosen.tolist(), size):
            data = encode_jpeg(picture, self.settings.jpeg_quality, full_colour=self.facts.kind == "image")
            at = int(np.searchsorted(chosen, number))
            places.append((at, self.tar.add(self.key + suffix.format(at), data), len(data), zlib.crc32(data)))
        places.sort()
        return times[chosen], [(start, length) for _, start, length, _ in places], [crc for *_, crc in places]

    def _sound(self) -> tuple[StoredSound | None, list[int]]:
        """Where the sound lies, and the checksums of its blocks."""
        facts = self.facts
        if not facts.has_sound:
            return None, []
        rate = self.settings.rate or facts.audio_rate
        first = int(np.floor(facts.audio_start_seconds * rate))
        count = max(int(np.ceil(facts.audio_end_seconds * rate)) - first, 0)
        step = SOUND_AT_ONCE_SECONDS * rate
        pieces = [
            self.job.media.audio(self.i, (first + done) / rate, min(step, count - done) / rate, rate)
            for done in range(0, count, step)
        ]
        samples = np.concatenate([np.zeros(0, np.float32), *pieces])
        # 16-bit integers would clip peaks beyond full scale, which decoders of lossy codecs often give.
        loud = bool(count) and float(np.abs(samples).max()) > 1.0
        data, dtype = (
            (samples.astype("<f4"), "<f4") if loud else (np.rint(samples * np.float32(32767)).astype("<i2"), "<i2")
        )
        header, stored = _wave_header(rate, dtype, data.nbytes), data.tobytes()
        start = self.tar.add(f"{self.key}.wav", header + stored)
        blocks = [zlib.crc32(stored[begin : begin + SOUND_BLOCK]) for begin in range(0, len(stored), SOUND_BLOCK)]
        return StoredSound(start + len(header), count, first, rate, dtype), blocks

    def _stored_facts(self, times: NDArray[np.float64], sound: StoredSound | None) -> Facts:
        facts = self.facts
        width, height = self.settings.size(facts.width, facts.height) if len(times) else (0, 0)
        if len(times) != facts.frame_count and facts.duration_seconds > 0:
            facts = replace(facts, frame_count=len(times), frame_rate=len(times) / facts.duration_seconds)
        if sound is not None:
            facts = replace(facts, audio_rate=sound.rate, audio_channels=1)
        return replace(facts, width=width, height=height)


def _wave_header(rate: int, dtype: str, size: int) -> bytes:
    """The 44 bytes before the samples of a mono WAV (RIFF; format 1 is integers, 3 is floats)."""
    width = int(dtype[-1])
    form = (1 if dtype == "<i2" else 3, 1, rate, rate * width, width, 8 * width)
    return struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVEfmt ", 16, *form, b"data", size)


# Owner, time and rights stay at fixed values: equal content, equal bytes.
_HEADER = tarfile.TarInfo("").tobuf(tarfile.USTAR_FORMAT)


def _tar_header(name: str, size: int) -> bytes:
    """What ``tarfile`` makes of a short name, in a fifth of its time (POSIX ustar: name, size and checksum)."""
    header = bytearray(_HEADER)
    header[: len(name)] = name.encode("ascii")
    header[124:136] = b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


class _Tar:
    """A tar written member by member, which tells where each begins and can take the last ones back.

    ``tarfile`` cannot take back: an item that turns out to be damaged at its end must leave no trace.
    """

    def __init__(self, file: IO[Any]) -> None:
        self._file = file
        self.end = 0
        self.crc = 0

    def add(self, name: str, data: bytes) -> int:
        """Append a member; returns the place of its first byte."""
        header = _tar_header(name, len(data))
        padding = -len(data) % tarfile.BLOCKSIZE
        start = self.end + len(header)
        self._write(header + data + bytes(padding))
        return start

    def cut(self, end: int, crc: int) -> None:
        """Take back everything from ``end`` on, where the checksum was ``crc``."""
        self._file.seek(end)
        self._file.truncate()
        self.end, self.crc = end, crc

    def close(self) -> None:
        self._write(bytes(2 * tarfile.BLOCKSIZE))

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self.end += len(data)
        self.crc = zlib.crc32(data, self.crc)
