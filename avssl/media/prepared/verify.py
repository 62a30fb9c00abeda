"""Verifying a prepared set: every byte against its checksum."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from avssl.media.indexing.item_table import file_crc
from avssl.media.prepared.read import Prepared
from avssl.system.console import ShowProgress, counting
from avssl.system.process_pool import spare_cores


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found to be as it was written."""

    shards: int
    size: int
    """Bytes of all shards."""
    by: str
    """"checksums"; "sizes", where no more was asked for; "no checksums", where an earlier version wrote none."""

    def words(self) -> str:
        """One line."""
        count = f"{self.shards} shard{'s' if self.shards != 1 else ''} and the index"
        if self.by == "no checksums":
            return f"{count} have no checksums (made by an earlier version): only sizes and first bytes are compared"
        return f"the {self.by} of {count} are correct"


def verify(prepared: Prepared, *, quick: bool = False, progress: ShowProgress = False) -> Verified:
    """Compare all of a prepared set with its checksums.

    Args:
        quick: only sizes, which were compared when it was opened.
        progress: as in ``avssl.open``.

    Raises:
        UserError: a part is damaged; the first is named, with how many more there are.
    """
    shards = prepared.shards
    size = sum(path.stat().st_size for path, *_ in shards)
    if not prepared.has_checksums:
        prepared.verify_index()
        with counting("comparing", len(prepared), "items", progress) as done:
            for i in range(0 if not quick else len(prepared), len(prepared)):
                prepared.verify_item(i)
                done(1)
        return Verified(len(shards), size, "no checksums")
    if quick:
        return Verified(len(shards), size, "sizes")
    prepared.verify_index()
    bad = []
    with counting("comparing checksums", len(shards), "shards", progress) as done:
        for path, right in _compared([(path, crc) for path, _, crc in shards]):
            done(1)
            if not right:
                bad.append(path.name)
    if bad:
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise prepared.damaged(f"{bad[0]} has changed since it was written{more}")
    return Verified(len(shards), size, "checksums")


def _compared(shards: list[tuple[Path, int]]) -> Iterator[tuple[Path, bool]]:
    with ThreadPoolExecutor(min(spare_cores(), 4)) as pool:
        yield from pool.map(lambda shard: (shard[0], file_crc(shard[0]) == shard[1]), shards)
