"""Files appear whole or not at all, and one process at a time holds a lock."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from avssl.errors import UserError
from avssl.system import files
from avssl.system.files import UNFINISHED, read_json, remove_unfinished, take_lock, whole_path, write_json, write_whole


def fail_to_sync(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)


def test_what_is_being_written_has_another_name_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.mp4"
    with whole_path(path) as partial:
        partial.write_bytes(b"half")
        assert not path.exists() and partial.name.endswith(UNFINISHED)
    assert [found.read_bytes() for found in path.parent.iterdir()] == [b"half"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "file", b"before")
    fail_to_sync(monkeypatch, errno.ENOSPC)
    with pytest.raises(UserError, match=r"cannot write .*file: no space is left on this disk; free some"):
        write_whole(tmp_path / "file", b"after")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_only_what_lies_in_the_cache_is_reported_with_the_way_to_move_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path / "cache"))
    fail_to_sync(monkeypatch, errno.EROFS)
    for folder, way_out in (("cache", "move the cache with AVSSL_CACHE"), ("run", "choose another place")):
        with pytest.raises(UserError, match=f"this disk is read-only; {way_out}$"):
            write_whole(tmp_path / folder / "file", b"")


def test_an_error_that_is_not_of_writing_is_not_called_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_path(tmp_path / "copy") as partial:
        partial.write_bytes((tmp_path / "original").read_bytes())
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed_unless_it_is_young(tmp_path: Path) -> None:
    for name, age in (("old", 100), ("young", 0)):
        path = tmp_path / f".{name}{UNFINISHED}"
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age, time.time() - age))
    remove_unfinished(tmp_path, age_seconds=50)
    assert [path.name for path in tmp_path.iterdir()] == [f".young{UNFINISHED}"]
    remove_unfinished(tmp_path)
    assert not list(tmp_path.iterdir())


ANOTHER_PROCESS = "import sys; from pathlib import Path; from avssl.system.files import take_lock; "


@pytest.mark.parametrize("with_fcntl", [True, False])
def test_a_lock_is_held_by_one_until_it_gives_it_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_fcntl: bool
) -> None:
    if not with_fcntl:  # as on Windows
        monkeypatch.setattr(files, "fcntl", None)
    free = take_lock(tmp_path / ".lock")
    assert free is not None
    assert take_lock(tmp_path / ".lock") is None
    if with_fcntl:
        script = ANOTHER_PROCESS + "sys.exit(take_lock(Path(sys.argv[1])) is None)"
        assert subprocess.run([sys.executable, "-c", script, tmp_path / ".lock"], check=False).returncode == 1
    free()
    again = take_lock(tmp_path / ".lock")
    assert again is not None
    again()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_worker_that_outlives_its_process_holds_no_lock(tmp_path: Path) -> None:
    # The worker keeps the pipe open, so its process is awaited without reading to the end.
    dying = "take_lock(Path(sys.argv[1])); import os, time; child = os.fork(); child or time.sleep(60); print(child)"
    with subprocess.Popen(
        [sys.executable, "-c", ANOTHER_PROCESS + dying, tmp_path / ".lock"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        try:
            process.wait()
            free = take_lock(tmp_path / ".lock")
            assert free is not None
            free()
        finally:
            os.kill(worker, 9)


def test_json_keeps_names_that_are_no_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    write_json(tmp_path / "a.json", {"file": name, "title": "é"})
    assert read_json(tmp_path / "a.json") == {"file": name, "title": "é"}
    assert "é" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_what_names_no_file_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(UserError, match="give the name of a file"):
        write_whole(Path(name), b"x")
