"""Verifying a prepared set: every byte against its checksum."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from avssl.media.prepared.read import Prepared
from avssl.system.console import ShowProgress, counted, counting
from avssl.system.process_pool import spare_cores


@dataclass(frozen=True, slots=True)
class Verified:
    """The parts of a set that are as they were written."""

    shards: int
    size: int  # bytes of all shards
    by: str  # "checksums"; "sizes", if quick; "no checksums", where an earlier version wrote none

    def words(self) -> str:
        count = f"{counted(self.shards, 'shard')} and the index"
        if self.by == "no checksums":
            return f"{count} have no checksums (made by an earlier version): only sizes and first bytes are compared"
        return f"the {self.by} of {count} are correct"


def verify(prepared: Prepared, *, quick: bool = False, progress: ShowProgress = False) -> Verified:
    """Compare all of a prepared set with its checksums (``quick``: only sizes).

    Raises:
        UserError: a part is damaged; it names the first, and how many more there are.
    """
    shards = prepared.shards
    if not prepared.has_checksums:
        size = sum(path.stat().st_size for path, *_ in shards)
        prepared.verify_index()
        with counting("comparing", len(prepared), "item", progress) as done:
            for i in range(0 if not quick else len(prepared), len(prepared)):
                prepared.verify_item(i)
                done(1)
        return Verified(len(shards), size, "no checksums")
    size = sum(length for _, length, _ in shards)
    if quick:
        prepared.verify_sizes()
        return Verified(len(shards), size, "sizes")
    prepared.verify_index()
    bad = []
    with (
        counting("comparing checksums", len(shards), "shard", progress) as done,
        ThreadPoolExecutor(min(spare_cores(), 4)) as pool,
    ):
        for (path, *_), right in zip(shards, pool.map(prepared.is_right, range(len(shards))), strict=True):
            done(1)
            if not right:
                bad.append(path.name)
    if bad:
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise prepared.damaged(f"{bad[0]} has changed since it was written{more}")
    return Verified(len(shards), size, "checksums")
