"""A small prepared set, a server of it, and a cache of its own, for tests of sets that lie elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from media.remote_servers import Server, serving
from media.remote_sets import SHARDS
from small_runs import write_clip

import avssl
from avssl.media.prepared.read import Prepared
from avssl.media.prepared.write import prepare
from avssl.system import remote as remote_files


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Eight clips, two in a shard."""
    folder = tmp_path_factory.mktemp("set")
    for number in range(2 * SHARDS):
        write_clip(folder / "raw" / f"{number}.mp4", number, seconds=1.0)
    media = avssl.open(folder / "raw", progress=False, workers=0)
    return prepare(media, folder / "served" / "set", side=32, rate=8000, shard_size=2, workers=0, progress=False)


@pytest.fixture
def server(here: Prepared) -> Iterator[Server]:
    with serving(Server(here.folder.parent)) as server:
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and no long waits between tries."""
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AVSSL_CACHE_GB", raising=False)
    monkeypatch.setattr(remote_files, "WAITS_SECONDS", (0.01, 0.02))
    return tmp_path / "cache" / "remote"
