"""Temporary folders go with their process, however it ends, and none that is in use is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from avssl.system import scratch
from avssl.system.scratch import ScratchFolder

MAKE_ONE = "from avssl.system.scratch import ScratchFolder\nprint(ScratchFolder('film').path, flush=True)\ninput()"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary folders are made, not looked in yet."""
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def made_by_another() -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE_ONE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return process, Path(process.stdout.readline().strip())


def made_earlier(folder: Path) -> None:
    os.utime(folder / ".in-use", (0, 0))


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_is_in_use_stays(temporary):
    killed, left = made_by_another()
    alive, used = made_by_another()
    other = temporary / "avssl-notes"
    other.mkdir()
    killed.kill()
    killed.communicate()
    for folder in (left, used):
        made_earlier(folder)
    try:
        with ScratchFolder("upload") as own:
            (own / "file").write_text("film")
            assert not left.exists() and used.is_dir() and other.is_dir()
        assert not own.exists()
    finally:
        alive.kill()
        alive.communicate()


def test_a_folder_that_is_just_being_made_is_left_alone(temporary):
    (temporary / "avssl-film-new").mkdir()
    (temporary / "avssl-film-new" / ".in-use").touch()
    with ScratchFolder("film"):
        assert (temporary / "avssl-film-new").is_dir()


def test_a_process_that_ends_at_once_takes_all_of_its_folders_with_it(temporary):
    folders = [ScratchFolder("film").path, ScratchFolder("upload").path]
    scratch.remove_own()
    assert not any(folder.exists() for folder in folders)
