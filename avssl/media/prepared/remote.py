"""Remote prepared sets: ``avssl.open("s3://bucket/set")``; hf://, gs:// and https:// likewise.

The index is fetched once, verified, and kept. Of a shard only the bytes that are needed are read; or, once many were,
or an order of items announces it (:meth:`RemotePrepared.expect`), all of it is fetched into :mod:`the cache
<avssl.media.prepared.shard_cache>`. Everything is compared with the set's own checksums before it is used.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import shutil
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError, UserError
from avssl.media.indexing.item_table import are_files_of_table, is_sealed
from avssl.media.prepared.read import SOUND_BLOCK, Prepared, _Known, shard_name
from avssl.media.prepared.shard_cache import LIMIT_GB, WHOLE_TRIES, ShardCache, limit_bytes, remote_cache
from avssl.system.files import UNFINISHED, locked, whole_folder
from avssl.system.remote import NothingThere, RemoteFolder

T = TypeVar("T")

# After this many single reads a shard is fetched whole. At the latency (30–50 ms a request) and speed (100 MB/s a
# connection) of object stores they take about as long as a shard of 64 MB: whatever is read next, at most about twice
# the time of the better choice is spent.
FEW_PIECES = 16
SMALL_SHARD_BYTES = 2**20  # fetching it takes about as long as a request for a piece of it


def open_remote(url: str) -> RemotePrepared:
    """The prepared set at a URL; raises UserError where there is none, or it is damaged or cannot be read."""
    files = RemoteFolder(url)
    header, text = _header(files)
    folder = remote_cache() / hashlib.blake2b(text, digest_size=16).hexdigest()
    if not (folder / "index").is_dir():
        with locked(folder):
            if not (folder / "index").is_dir():
                _fetch_index(files, header, text, folder / "index")
    try:
        return RemotePrepared(files, folder)
    except UserError:  # the local copy is damaged
        shutil.rmtree(folder / "index", ignore_errors=True)
    with locked(folder):
        _fetch_index(files, header, text, folder / "index")
    return RemotePrepared(files, folder)


def _header(files: RemoteFolder) -> tuple[dict[str, Any], bytes]:
    """``table.json``, parsed and as bytes."""
    for _ in range(WHOLE_TRIES):
        try:
            text = files.read("index/table.json")
        except NothingThere as error:
            raise UserError(
                f"{files.url}: no prepared set is there ({error.words}); of remote data only prepared sets are read: "
                "run avssl prepare DATA OUT, and upload OUT"
            ) from error
        try:
            header = json.loads(text)
        except ValueError:
            continue
        # The names of files, too: a server must not choose where on this disk they are written.
        is_ours = isinstance(header, dict) and is_sealed(header) and "prepared" in header
        if is_ours and are_files_of_table(header["files"]):
            return header, text
        if isinstance(header, dict) and header.get("format") == 1:
            raise UserError(f"{files.url}: prepared by an early version without checksums; prepare and upload it again")
    raise UserError(f"{files.url}: its index/table.json is not of a prepared set, or damaged; upload the set again")


def _fetch_index(files: RemoteFolder, header: dict[str, Any], text: bytes, index: Path) -> None:
    for leftover in index.parent.glob(f".index.*{UNFINISHED}"):  # of a killed process: its folder is locked
        shutil.rmtree(leftover, ignore_errors=True)
    with whole_folder(index) as partial:
        for name, (size, crc) in header["files"].items():
            for _ in range(WHOLE_TRIES):
                data = files.read_range(f"index/{name}", 0, size)
                if zlib.crc32(data) == crc:
                    break
            else:
                raise UserError(f"{files.url}: its index/{name} has a wrong checksum; upload the set again")
            (partial / name).write_bytes(data)
        (partial / "table.json").write_bytes(text)


class RemotePrepared(Prepared):
    """A prepared set on a server; made by :func:`open_remote`. Pickles as its URL and the folder of its index."""

    open_shards = 32
    is_remote = True

    def __init__(self, files: RemoteFolder, folder: Path) -> None:
        self.url = files.url
        self._files = files
        self._cache = ShardCache(folder, files.read_range)
        self._pieces: Counter[int] = Counter()
        self._expected: frozenset[int] = frozenset()
        self._ahead: _Ahead | None = None
        super().__init__(folder)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_pieces": Counter(), "_expected": frozenset(), "_ahead": None}

    @property
    def name(self) -> str:
        return self.url

    def expect(self, now: Sequence[int], later: Sequence[int] = ()) -> None:
        """Fetch shards that are about to be read whole, and then later ones in the background."""
        self._expected = frozenset(now)
        for shard in self._shards.keys() - self._expected:  # a mapping keeps the disk space of a removed file
            del self._shards[shard]
        if self._ahead is None:
            self._ahead = _Ahead(lambda shard: self._fetch(shard, wait=False))
        self._ahead.want([*now, *later])

    def must_hold(self, count: int, shards: Sequence[int]) -> None:
        sizes = sorted((self._state(shard)[1] for shard in shards), reverse=True)
        needed, limit = sum(sizes[:count]), limit_bytes()
        if needed > limit:
            raise UserError(
                f"{self.url}: {count} of its shards must be in the cache together ({needed / 1e9:.3g} GB), which may "
                f"take {limit / 1e9:.3g} GB; give a smaller --shard-window, or raise {LIMIT_GB}"
            )

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        return self._healed(lambda: super(RemotePrepared, self).frames(i, times))

    def jpegs(self, i: int, times: Sequence[float]) -> list[NDArray[np.uint8]]:
        return self._healed(lambda: super(RemotePrepared, self).jpegs(i, times))

    def audio(self, i: int, start_seconds: float, duration_seconds: float, rate: int) -> NDArray[np.float32]:
        return self._healed(lambda: super(RemotePrepared, self).audio(i, start_seconds, duration_seconds, rate))

    def annotation(self, i: int) -> dict[str, Any] | None:
        return self._healed(lambda: super(RemotePrepared, self).annotation(i))

    def verify_sizes(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            names = [path.name for path, *_ in self.shards]
            for (path, size, _), there in zip(self.shards, pool.map(self._files.size, names), strict=True):
                if there != size:
                    raise self.damaged(f"{path.name} has {there} bytes instead of {size}")

    def is_right(self, number: int) -> bool:
        """Whether a shard has its checksum on the server; it is fetched through the cache."""
        self._cache.remove(shard_name(number))
        self._fetch(number)
        return True

    def damaged(self, what: str) -> UserError:
        return UserError(f"{self.url}: this prepared set is damaged ({what}); upload it again")

    def _shards_must_be_there(self) -> None:
        """Not before they are read: asking a server for thousands of sizes takes a while."""

    def _bytes(self, known: _Known, start: int, size: int) -> NDArray[np.uint8]:
        if known.shard in self._shards or self._is_at_hand(known.shard):
            return super()._bytes(known, start, size)
        sums = _sums_within(known, start, size)
        if sums is None:  # there is no checksum for these bytes alone
            self._fetch(known.shard)
            return super()._bytes(known, start, size)
        name = shard_name(known.shard)
        for _ in range(WHOLE_TRIES):
            data = self._files.read_range(name, start, size)
            if all(zlib.crc32(data[begin:end]) == crc for begin, end, crc in sums):
                return np.frombuffer(data, np.uint8)
        raise self.damaged(f"{name} does not match the checksums of its index")

    def _is_at_hand(self, shard: int) -> bool:
        """Whether a shard is in the cache, after fetching it if that is worth it."""
        _, size, _ = self._state(shard)
        if not self._cache.holds(shard_name(shard), size):
            self._pieces[shard] += 1
            few = self._pieces[shard] <= FEW_PIECES and size > SMALL_SHARD_BYTES
            if few and shard not in self._expected:
                return False
            self._fetch(shard)
        return True

    def _fetch(self, shard: int, *, wait: bool = True) -> bool:
        try:
            return self._cache.fetch(*self._state(shard), wait=wait)
        except UserError as error:
            raise UserError(f"{self.url}: {error}" if self.url not in str(error) else str(error)) from error

    def _state(self, shard: int) -> tuple[str, int, int]:
        size, crc = self._table.header["shards"][shard]
        return shard_name(shard), int(size), int(crc)

    def _mapped(self, known: _Known) -> NDArray[np.uint8]:
        name, size, crc = self._state(known.shard)
        while True:
            self._cache.fetch(name, size, crc)
            try:
                with self._cache.use(name).open("rb") as file:
                    return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
            except FileNotFoundError:  # another process has just removed it to make room
                continue

    def _bad(self, known: _Known, what: str, seconds: float | None = None) -> MediaError:
        return _BadInCache(known.shard, super()._bad(known, what, seconds))

    def _healed(self, read: Callable[[], T]) -> T:
        """``read()``, and once more with a new copy where that in the cache turns out to be damaged."""
        try:
            return read()
        except _BadInCache as error:
            self._shards.pop(error.shard, None)
            self._cache.remove(shard_name(error.shard))
        try:
            return read()
        except _BadInCache as error:
            raise error.as_written from None


class _BadInCache(MediaError):
    """A part of a shard in the cache does not have its checksum."""

    def __init__(self, shard: int, reason: MediaError) -> None:
        super().__init__(reason.path, reason.reason, reason.seconds)
        self.shard, self.as_written = shard, reason


def _sums_within(known: _Known, start: int, size: int) -> list[tuple[int, int, int]] | None:
    """(first byte, end, checksum) of the parts of an item that make up these bytes; None where they do not."""
    if (start, size) == known.described:
        return None if known.described_crc is None else [(0, size, known.described_crc)]
    pictures = np.flatnonzero((known.jpegs[:, 0] == start) & (known.jpegs[:, 1] == size))
    if len(pictures):
        return [(0, size, int(known.checks[pictures[0]]))]
    sound = known.sound
    if sound is None or (start - sound.start) % SOUND_BLOCK or start < sound.start:
        return None
    first = (start - sound.start) // SOUND_BLOCK
    begins = range(0, size, SOUND_BLOCK)
    crcs = known.checks[len(known.jpegs) + first :][: len(begins)].tolist()
    ends_with_block = size % SOUND_BLOCK == 0 or start + size == sound.start + sound.samples * int(sound.dtype[-1])
    if len(crcs) < len(begins) or not ends_with_block:
        return None
    return [(begin, min(begin + SOUND_BLOCK, size), crc) for begin, crc in zip(begins, crcs, strict=True)]


class _Ahead:
    """Fetches shards one after the other in a thread, which ends when none is left.

    Where ``fetch(shard)`` fails no more are fetched: reading that shard will fail as well, and report it.
    """

    def __init__(self, fetch: Callable[[int], object]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._waiting: list[int] = []
        self._runs = False

    def want(self, shards: Sequence[int]) -> None:
        """These, in this order, instead of those that were wanted before."""
        with self._lock:
            self._waiting = list(shards)
            if not self._runs and self._waiting:
                self._runs = True
                threading.Thread(target=self._run, name="avssl-ahead", daemon=True).start()

    def _run(self) -> None:
        for shard in iter(self._next, None):
            try:
                self._fetch(shard)
            except UserError:
                with self._lock:
                    self._waiting = []

    def _next(self) -> int | None:
        with self._lock:
            self._runs = bool(self._waiting)
            return self._waiting.pop(0) if self._waiting else None
