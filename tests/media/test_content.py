"""Files are distinguished by their bytes, and no digest outlives the bytes it was taken of."""

import hashlib
import os
from pathlib import Path

import pytest

from avssl.system.digests import content_digest, content_digests, copies


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_digest_is_of_all_bytes_and_of_nothing_else(tmp_path: Path) -> None:
    data = os.urandom(2_500_000)
    (tmp_path / "a.bin").write_bytes(data)
    assert content_digest(tmp_path / "a.bin") == hashlib.blake2b(data, digest_size=16).hexdigest()


def test_copies_are_found_whatever_their_names(tmp_path: Path) -> None:
    names = ["a.mp4", "copy of a.mp4", "b.mp4", "c.mp4", "caf\udce9.mp4"]
    for name, data in zip(names, (b"same", b"same", b"size", b"longer", b"same"), strict=True):
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in names]
    assert copies(paths) == [[paths[0], paths[1], paths[4]]]
    assert copies([*paths, str(tmp_path / "vanished.mp4")]) == [[paths[0], paths[1], paths[4]]]


def test_a_file_written_again_with_the_same_size_and_time_has_a_new_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"first")
    stat = path.stat()
    before = content_digests([str(path)])[str(path)]
    assert content_digests([str(path)])[str(path)] == before
    path.write_bytes(b"other")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert content_digests([str(path)])[str(path)] == content_digest(path) != before


@pytest.mark.parametrize("damage", [b"", b"SQLite format 3\0" + b"junk" * 500, b"null"])
def test_a_damaged_cache_of_digests_is_made_again(tmp_path: Path, cache: Path, damage: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"first")
    right = content_digests([str(path)])
    (cache / "digests.sqlite").write_bytes(damage)
    assert content_digests([str(path)]) == right
    assert content_digests([str(path)]) == right
