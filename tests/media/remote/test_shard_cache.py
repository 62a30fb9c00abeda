"""The cache of shards keeps to its bound whoever fetches at once and whoever is killed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from avssl.media.prepared import shard_cache
from avssl.media.prepared.shard_cache import ShardCache

SIZE = 1000
CONTENT = bytes(SIZE)
CRC = zlib.crc32(CONTENT)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of one set, in a cache that holds two and a half shards."""
    monkeypatch.setenv("AVSSL_CACHE_GB", str(2.5 * SIZE / 1e9))
    return tmp_path / "set"


def bytes_in(folder: Path) -> int:
    """Of all shards, unfinished ones too; one that is renamed meanwhile counts once."""
    found = {}
    for path in [*folder.glob(".shard-*.unfinished"), *folder.glob("shard-*.tar")]:
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        found[state.st_ino] = state.st_size
    return sum(found.values())


def test_shards_that_are_fetched_at_once_keep_to_the_bound_together(folder: Path) -> None:
    seen: list[int] = []

    def read(name: str, start: int, size: int) -> bytes:
        for _ in range(5):
            seen.append(bytes_in(folder))
            time.sleep(0.01)
        return CONTENT

    cache = ShardCache(folder, read)
    with ThreadPoolExecutor(5) as pool:
        assert all(pool.map(lambda k: cache.fetch(f"shard-{k:06d}.tar", SIZE, CRC), range(5)))
    assert len(seen) == 25 and max(seen) <= 2.5 * SIZE
    assert bytes_in(folder) == 2 * SIZE


KILLED = """
import sys, time
from pathlib import Path
from avssl.media.prepared.shard_cache import ShardCache
name = sys.argv[2]
def read(*_): print(flush=True); time.sleep(60)
ShardCache(Path(sys.argv[1]), read).fetch(name, 1000, 0)
"""


def test_what_killed_processes_were_fetching_takes_no_room_from_the_next(folder: Path) -> None:
    killed = [
        subprocess.Popen([sys.executable, "-c", KILLED, folder, f"shard-{k:06d}.tar"], stdout=subprocess.PIPE)
        for k in range(2)
    ]
    for process in killed:
        assert process.stdout is not None
        process.stdout.readline()
    assert bytes_in(folder) == 2 * SIZE
    done = threading.Event()

    def fetch() -> None:
        ShardCache(folder, lambda *_: CONTENT).fetch("shard-000002.tar", SIZE, CRC)
        done.set()

    threading.Thread(target=fetch, daemon=True).start()
    assert not done.wait(4 * shard_cache._LOOK_AGAIN_SECONDS), "two are being fetched: there is no room for a third"
    for process in killed:
        process.kill()
        process.wait()
    assert done.wait(10)
    # The first to be killed may have made room enough: what the other left goes when the next shard comes.
    ShardCache(folder, lambda *_: CONTENT).fetch("shard-000003.tar", SIZE, CRC)
    assert sorted(path.name for path in folder.glob("*.tar")) == ["shard-000002.tar", "shard-000003.tar"]
    assert bytes_in(folder) == 2 * SIZE
