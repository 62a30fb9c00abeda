"""A prepared set that lies elsewhere answers as the one on this disk, or says in one line why it cannot."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from media.remote_servers import Server
from media.remote_sets import SHARDS, same, shards_asked

import avssl
from avssl.errors import MediaError, UserError
from avssl.media.indexing import item_table
from avssl.media.prepared import remote as remote_sets
from avssl.media.prepared import shard_cache
from avssl.media.prepared.read import Prepared
from avssl.media.prepared.remote import RemotePrepared
from avssl.media.prepared.shard_cache import ShardCache
from avssl.media.prepared.verify import verify
from avssl.media.prepared.write import prepare

pytest.importorskip("aiohttp")


@pytest.fixture
def by_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small shards, too, are read piece by piece first."""
    monkeypatch.setattr(remote_sets, "SMALL_SHARD_BYTES", 0)


def opened(server: Server) -> RemotePrepared:
    media = avssl.open(f"{server.url}/set")
    assert isinstance(media, RemotePrepared)
    return media


def test_it_answers_what_the_set_on_disk_answers_and_fetches_each_shard_once(here: Prepared, server: Server) -> None:
    there = opened(server)
    assert [there.facts(i) for i in range(len(there))] == [here.facts(i) for i in range(len(here))]
    assert there.fingerprint == here.fingerprint
    assert not shards_asked(server)
    assert same(there, here)
    assert same(opened(server), here)
    assert shards_asked(server) == {f"shard-{k:06d}.tar": 1 for k in range(SHARDS)}
    assert server.asked["items.jsonl"] == server.asked["rows.i64"] == 1


def test_few_pieces_of_a_shard_are_read_alone_and_many_fetch_it(
    here: Prepared, server: Server, by_pieces: None, cache: Path
) -> None:
    there = opened(server)
    assert same(there, here, range(1))
    assert not list(cache.glob("*/shard-*.tar"))
    assert sum(server.sent[name] for name in shards_asked(server)) < here.shards[0][1] / 2
    for _ in range(remote_sets.FEW_PIECES):
        there.frames(0, [0.0])
    assert [path.name for path in cache.glob("*/shard-*.tar")] == ["shard-000000.tar"]


@pytest.mark.parametrize("kind", ["busy", "cut", "wrong", "slow", "hang up"])
def test_trouble_that_passes_leaves_the_right_data(here: Prepared, server: Server, kind: str) -> None:
    server.faults = [(kind, "table.json"), (kind, "items.jsonl"), (kind, "shard-000000"), (kind, "shard-000002")]
    assert same(opened(server), here)
    assert server.faults == []


@pytest.mark.parametrize("kind", ["busy", "cut", "wrong", "slow"])
def test_trouble_that_passes_leaves_right_pieces(here: Prepared, server: Server, by_pieces: None, kind: str) -> None:
    there = opened(server)
    server.faults = [(kind, "shard-000000")] * 2
    assert same(there, here, range(1))


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("busy", "could not be read in 3 tries"),
        ("cut", "could not be read in 3 tries"),
        ("wrong", "with a wrong checksum"),
        ("hang up", "could not be read in 3 tries"),
        ("forbidden", "may not be read"),
    ],
)
def test_trouble_that_stays_is_one_line_and_nothing_of_it_is_kept(
    here: Prepared, server: Server, cache: Path, kind: str, line: str
) -> None:
    there = opened(server)
    server.always = [(kind, "shard-000001")]
    with pytest.raises(UserError, match=line) as caught:
        there.frames(2, [0.0])
    assert "\n" not in str(caught.value)
    assert server.url in str(caught.value)
    assert not isinstance(caught.value, MediaError)  # which --on-bad-file skip would replace by another item
    assert not list(cache.glob("*/shard-*.tar")) and not list(cache.glob("*/.*unfinished"))
    assert same(there, here, range(2))


@pytest.mark.parametrize(
    ("kept", "line"), [(None, "there is no such file"), (0.5, "or the file there is"), (0.0, "shorter than its index")]
)
def test_a_shard_that_is_not_there_or_was_truncated_is_one_line(
    here: Prepared, server: Server, tmp_path: Path, kept: float | None, line: str
) -> None:
    shutil.copytree(here.folder, tmp_path / "served" / "set")
    server.folder = tmp_path / "served"
    there, shard = opened(server), tmp_path / "served" / "set" / "shard-000001.tar"
    if kept is None:
        shard.unlink()
    else:
        os.truncate(shard, int(kept * shard.stat().st_size))
    with pytest.raises(UserError, match=line):
        there.frames(2, [0.0])
    assert same(there, here, range(2))


def test_wrong_pieces_that_stay_wrong_are_one_line(server: Server, by_pieces: None) -> None:
    there = opened(server)
    server.always = [("wrong", "shard")]
    with pytest.raises(UserError, match="does not match the checksums of its index"):
        there.audio(0, 0.0, 0.5, 8000)


@pytest.mark.parametrize("kind", ["wrong", "cut"])
def test_a_damaged_index_is_no_index(server: Server, kind: str) -> None:
    server.always = [(kind, "items.jsonl")]
    with pytest.raises(UserError, match=r"items\.jsonl"):
        opened(server)
    server.always = []
    assert len(opened(server)) == 2 * SHARDS


def test_what_is_no_prepared_set_is_to_be_prepared_first(server: Server) -> None:
    for name in ("raw", "clips.csv", ""):
        with pytest.raises(UserError, match=r"no prepared set is there .* avssl prepare DATA OUT"):
            avssl.open(f"{server.url}/{name}")
    with pytest.raises(UserError, match="give its URL alone"):
        avssl.open([f"{server.url}/set"])


def test_a_host_that_is_not_there_a_port_that_is_closed_and_a_protocol_that_is_none_are_one_line() -> None:
    with pytest.raises(UserError, match=r"no such host|could not be read"):
        avssl.open("https://no-such-host.invalid/set")
    with pytest.raises(UserError, match="could not be read in 3 tries"):
        avssl.open("http://127.0.0.1:9/set")
    with pytest.raises(UserError, match=r"nonsense:// is no protocol"):
        avssl.open("nonsense://bucket/set")


def test_a_server_without_ranges_is_named(server: Server, by_pieces: None) -> None:
    server.ranges = False
    with pytest.raises(UserError, match="does not send parts of files"):
        opened(server).frames(0, [0.0])


@pytest.mark.parametrize(("url", "package"), [("s3://b/s", "s3fs"), ("gs://b/s", "gcsfs"), ("https://h/s", "fsspec")])
def test_a_missing_package_is_one_line_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, url: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"package {package} is missing: pip install") as caught:
        avssl.open(url)
    assert ("pip install -e '.[remote]'" in str(caught.value)) == (package != "gcsfs")


# --- the cache --------------------------------------------------------------------------------------------


def test_the_cache_keeps_to_its_bound_and_the_least_recently_used_shard_goes(
    here: Prepared, server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [size for _, size, _ in here.shards]
    monkeypatch.setenv("AVSSL_CACHE_GB", str((sizes[0] + sizes[1] + sizes[2] + 10) / 1e9))
    there = opened(server)
    for item in (0, 2, 0, 4):
        there.frames(item, [0.0])
    there._shards.clear()
    there.frames(0, [0.0])
    for item in (6, 4):
        there.frames(item, [0.0])
        assert sum(path.stat().st_size for path in cache.glob("*/*.tar")) <= sum(sizes[:3]) + 10
    assert sorted(path.name for path in cache.glob("*/*.tar")) == [f"shard-{k:06d}.tar" for k in (0, 2, 3)]
    assert same(there, here)


def test_a_bound_that_holds_not_even_one_shard_is_one_line(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    there = opened(server)
    monkeypatch.setenv("AVSSL_CACHE_GB", "1e-6")
    with pytest.raises(UserError, match="AVSSL_CACHE_GB"):
        there.frames(0, [0.0])
    monkeypatch.setenv("AVSSL_CACHE_GB", "much")
    with pytest.raises(UserError, match="needs a number of gigabytes"):
        there.frames(0, [0.0])


def test_a_damaged_shard_or_index_in_the_cache_is_fetched_again(here: Prepared, server: Server, cache: Path) -> None:
    assert same(opened(server), here)
    shard = next(cache.glob("*/shard-000000.tar"))
    shard.write_bytes(bytes(shard.stat().st_size))
    items = next(cache.glob("*/index/items.jsonl"))
    items.write_bytes(items.read_bytes()[::-1])
    assert same(opened(server), here)
    assert shards_asked(server)["shard-000000.tar"] == 2


def test_a_set_that_was_written_anew_under_the_same_name_is_another_set(
    here: Prepared, server: Server, tmp_path: Path
) -> None:
    served = tmp_path / "served"
    shutil.copytree(here.folder, served / "set")
    server.folder = served
    before = opened(server).frames(0, [0.0])
    shutil.rmtree(served / "set")
    raw = avssl.open(here.folder.parents[1] / "raw", progress=False, workers=0)
    prepare(raw, served / "set", side=24, rate=8000, shard_size=2, workers=0, progress=False)
    assert before.shape[-1] == 32
    assert opened(server).frames(0, [0.0]).shape[-1] == 24


def test_processes_that_want_one_shard_fetch_it_once(here: Prepared, server: Server) -> None:
    opened(server)  # the index
    server.bytes_a_second = 2e6
    code = "import sys, avssl; m = avssl.open(sys.argv[1]); print([int(m.frames(i, [0.5]).sum()) for i in range(8)])"
    asked = [
        subprocess.Popen([sys.executable, "-c", code, f"{server.url}/set"], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    found = [process.communicate()[0].strip() for process in asked]
    assert found == [str([int(here.frames(i, [0.5]).sum()) for i in range(8)])] * 2
    assert shards_asked(server) == {f"shard-{k:06d}.tar": 1 for k in range(SHARDS)}


def test_a_cache_that_a_killed_process_was_filling_is_right(here: Prepared, server: Server, cache: Path) -> None:
    server.bytes_a_second = here.shards[0][1] / 0.5
    code = "import sys, avssl; m = avssl.open(sys.argv[1]); print(1, flush=True); [m.frames(i, [0]) for i in range(8)]"
    process = subprocess.Popen([sys.executable, "-c", code, f"{server.url}/set"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    while not list(cache.glob("*/.shard-000001*unfinished")):
        assert process.poll() is None
    process.kill()
    process.wait()
    server.bytes_a_second = None
    assert same(opened(server), here)
    assert not list(cache.glob("*/.shard*unfinished"))
    assert shards_asked(server)["shard-000000.tar"] == 1


def test_an_index_that_a_killed_process_was_fetching_is_fetched_anew(
    here: Prepared, server: Server, cache: Path
) -> None:
    opened(server)
    folder = next(cache.iterdir())
    (folder / "index").rename(folder / ".index.12345678.unfinished")
    assert same(opened(server), here)
    assert not (folder / ".index.12345678.unfinished").exists()


def test_a_server_does_not_choose_where_its_files_are_written(here: Prepared, server: Server, tmp_path: Path) -> None:
    shutil.copytree(here.folder, tmp_path / "served" / "set")
    table = tmp_path / "served" / "set" / "index" / "table.json"
    header = json.loads(table.read_text())
    header["files"]["../../../../escaped"] = header["files"].pop("checks.u32")
    del header["seal"]
    table.write_text(json.dumps({**header, "seal": item_table.seal_of(header)}))
    server.folder = tmp_path / "served"
    with pytest.raises(UserError, match=r"table\.json is not of a prepared set"):
        opened(server)
    assert not list(tmp_path.rglob("escaped"))


def test_threads_fetch_one_shard_once(tmp_path: Path) -> None:
    asked: list[int] = []

    def read(name: str, start: int, size: int) -> bytes:
        asked.append(start)
        return bytes(size)

    cache = ShardCache(tmp_path / "remote" / "set", read)
    crc = zlib.crc32(bytes(1000))
    threads = [threading.Thread(target=cache.fetch, args=("shard-0.tar", 1000, crc)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == [0]
    assert cache.use("shard-0.tar").read_bytes() == bytes(1000)


def test_large_shards_come_in_pieces_and_a_piece_that_fails_alone_is_asked_for_again(
    here: Prepared, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_cache, "PIECE_BYTES", 4096)
    server.faults = [("cut", "shard-000000"), ("busy", "shard-000000")]
    assert same(opened(server), here)
    pieces = -(-here.shards[0][1] // 4096)
    assert server.asked["shard-000000.tar"] == pieces + 2


def test_it_goes_to_other_processes(here: Prepared, server: Server) -> None:
    there = opened(server)
    there.frames(0, [0.0])
    data = pickle.dumps(there.subset([3, 1]))
    assert len(data) < 2000
    assert np.array_equal(pickle.loads(data).frames(1, [0.5]), here.frames(1, [0.5]))


def test_shards_that_are_expected_are_fetched_before_they_are_read(here: Prepared, server: Server, cache: Path) -> None:
    there = opened(server)
    there.expect([3], [1])
    for _ in range(500):
        if len(list(cache.glob("*/shard-*.tar"))) == 2:
            break
        threading.Event().wait(0.01)
    assert sorted(path.name for path in cache.glob("*/shard-*.tar")) == ["shard-000001.tar", "shard-000003.tar"]
    assert same(there, here, range(6, 8))
    assert shards_asked(server) == {"shard-000001.tar": 1, "shard-000003.tar": 1}


def test_verifying_reads_all_of_it_where_it_lies(server: Server) -> None:
    there = opened(server)
    assert verify(there).by == "checksums"
    server.always = [("wrong", "shard-000002")]
    with pytest.raises(UserError, match=r"shard-000002\.tar"):
        verify(there)
    assert verify(there, quick=True).by == "sizes"


READS = """
import sys, time
import numpy as np
import avssl
from avssl.media.prepared import remote
url, folder, seed = sys.argv[1:]
remote.SMALL_SHARD_BYTES = 0 if int(seed) % 2 else 2**20
there, here, dice = avssl.open(url), avssl.open(folder), np.random.default_rng(int(seed))
end = time.monotonic() + 6
while time.monotonic() < end:
    i = int(dice.integers(len(here)))
    assert np.array_equal(there.frames(i, [0.55]), here.frames(i, [0.55]))
    assert np.array_equal(there.audio(i, 0.3, 0.4, 8000), here.audio(i, 0.3, 0.4, 8000))
    if dice.random() < 0.1:
        there.expect([int(dice.integers(4))], [int(dice.integers(4))])
"""


@pytest.mark.slow
def test_whatever_a_server_does_several_readers_of_a_small_cache_one_of_them_killed_read_nothing_wrong(
    here: Prepared, server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    dice = np.random.default_rng(0)
    kinds = ["busy", "cut", "wrong", "hang up", *[""] * 36]
    monkeypatch.setattr(server, "fault", lambda path: str(dice.choice(kinds)) if "shard" in path else "")
    most = 3 * max(size for _, size, _ in here.shards)
    monkeypatch.setenv("AVSSL_CACHE_GB", str(most / 1e9))
    readers = [
        subprocess.Popen([sys.executable, "-c", READS, f"{server.url}/set", str(here.folder), str(seed)])
        for seed in range(3)
    ]
    while not list(cache.glob("*/shard-*.tar")):
        assert readers[0].poll() is None
    readers[0].kill()
    assert [reader.wait() for reader in readers][1:] == [0, 0]
    # What the killed one was fetching counts, too; locks are empty.
    assert sum(path.stat().st_size for path in [*cache.glob("*/shard-*.tar"), *cache.glob("*/.shard-*")]) <= most
