"""Index and shards made in parts, on one machine or several, are the bytes of those made whole."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from media.made import Recipe, make
from PIL import Image

import avssl
from avssl.errors import UserError
from avssl.media.opening import IndexWork
from avssl.media.prepared.shard import Settings
from avssl.media.prepared.write import PrepareWork, prepare
from avssl.system.engines import run_parts
from avssl.system.parts import parts_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures, a video, and files that are none."""
    place = tmp_path / "files"
    place.mkdir()
    for n in range(9):
        Image.fromarray(np.full((24, 32, 3), 20 * n, np.uint8)).save(place / f"{n}.png")
    make(place, Recipe("mp4", frames=10, sound_seconds=0.4), "film")
    (place / "notes.mp4").write_text("no video")
    return place


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob(pattern) if path.is_file()}


def test_an_index_made_in_parts_is_that_made_whole(folder: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = avssl.open(folder, progress=False, workers=2, index=whole)
    work = IndexWork(folder, index=parts)
    assert work.units == 11
    for part in reversed(parts_of(3)):
        work.do(part, 0, False)
        work.do(part, 0, False)  # done already: nothing changes
    assert work.units_there() == 11
    media = avssl.open(folder, progress=False, workers=0, index=parts, merge=True)
    assert (media.inspected, media.fingerprint) == (0, expected.fingerprint)  # type: ignore[union-attr]
    assert contents(parts, "*/*") == contents(whole, "*/*")
    assert sorted(path.name for path in parts.iterdir() if path.is_dir()) == [path.name for path in whole.glob("*-0")]
    assert avssl.open(folder, progress=False, workers=0, index=parts, merge=True).inspected == 0  # type: ignore[union-attr]


def test_an_index_is_not_made_while_parts_are_missing(folder: Path, tmp_path: Path) -> None:
    IndexWork(folder, index=tmp_path / "index").do(parts_of(3)[1], 0, False)
    with pytest.raises(UserError, match="parts are missing: 1/3, 3/3"):
        avssl.open(folder, progress=False, workers=0, index=tmp_path / "index", merge=True)
    assert avssl.open(folder, progress=False, workers=0, index=tmp_path / "index").inspected == 7  # type: ignore[union-attr]


def prepared_whole(folder: Path, tmp_path: Path) -> tuple[object, Path]:
    media = avssl.open(folder, progress=False, workers=0, index=tmp_path / "index")
    prepare(media, tmp_path / "whole", side=16, shard_size=2, workers=0, progress=False)
    return media, tmp_path / "whole"


def test_shards_written_in_parts_are_those_written_whole(folder: Path, tmp_path: Path) -> None:
    media, whole = prepared_whole(folder, tmp_path)
    work = PrepareWork.of(media, tmp_path / "parts", Settings(side=16), 2)  # type: ignore[arg-type]
    parts = parts_of(3)
    for part in (parts[2], parts[0]):
        work.do(part, 0, False)
    assert (work.units_there(), work.units) == (3, 5)
    with pytest.raises(UserError, match=r"2 of 5 shards missing \(shard-000001.tar, shard-000002.tar\)"):
        work.merged()
    work.do(parts[1], 0, False)
    work.merged()
    for pattern in ("*.tar", "index/*"):
        assert contents(tmp_path / "parts", pattern) == contents(whole, pattern)


# --- a cluster --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_machine_that_dies_costs_its_open_shards_and_no_byte_differs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    for n in range(30):
        make(folder, Recipe("mp4", frames=40, sound_seconds=1.6), f"more{n:02d}")
    media, whole = prepared_whole(folder, tmp_path)
    memory = 100 * 2**20
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": memory})
    try:
        second = cluster.add_node(num_cpus=1, object_store_memory=memory)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        work = PrepareWork.of(media, tmp_path / "parts", Settings(side=16), 2)  # type: ignore[arg-type]
        seen: list[tuple[int, int]] = []

        def kill_half_way() -> None:
            while work.units_there() < 4:
                time.sleep(0.05)
            cluster.remove_node(second, allow_graceful=False)

        killer = threading.Thread(target=kill_half_way)
        killer.start()
        run_parts(work, "ray", None, lambda done, total: seen.append((done, total)))
        killer.join()
        work.merged()
        assert not cluster.worker_nodes
    finally:
        cluster.shutdown()
    assert seen[-1] == (work.units, work.units)
    for pattern in ("*.tar", "index/*"):
        assert contents(tmp_path / "parts", pattern) == contents(whole, pattern)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_fault_of_the_user_s_in_a_part_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path / "cache"))
    media, _ = prepared_whole(folder, tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    work = PrepareWork.of(media, tmp_path / "other", Settings(side=16), 2)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="is not empty; remove it or choose another folder"):
        run_parts(work, "ray", None, False)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine.txt"]
