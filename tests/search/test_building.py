"""Making an index: only what is new is embedded, what is gone is forgotten, and nothing is lost or half-written."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_index import save_run, update, write_clips
from mutate import mutate
from small_runs import write_clip

import avssl
import avssl.search.building as building
import avssl.search.embedding as embedding
from avssl.errors import UserError
from avssl.search.files import DamagedIndex
from avssl.search.index import SearchIndex


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(tmp_path_factory.mktemp("made") / "run")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    return write_clips(tmp_path / "videos")


def names(index: Path) -> list[str]:
    return list(dict.fromkeys(Path(path).name for path in SearchIndex(index).rows.column("path")))


def test_only_what_is_new_is_embedded_and_what_is_gone_is_forgotten(videos, run, tmp_path):
    place = tmp_path / "index"
    assert update(place, videos, run).embedded == 3
    before = SearchIndex(place)
    write_clip(videos / "new.mp4", 7)
    write_clip(videos / "000.mp4", 8)
    (videos / "001.mp4").unlink()
    changes = update(place, videos, run)
    assert (changes.embedded, changes.kept, changes.forgotten) == (2, 1, 2)
    assert names(place) == ["002.mp4", "000.mp4", "new.mp4"]
    after, fresh = SearchIndex(place), tmp_path / "fresh"
    update(fresh, videos, run)
    for row in after.rows:
        own = SearchIndex(fresh).rows_of(path=row.path)
        same = int(own[SearchIndex(fresh).rows.column("seconds")[own] == row.seconds][0])
        np.testing.assert_allclose(
            after.vectors("image")[row.row], SearchIndex(fresh).vectors("image")[same], atol=1e-6
        )
    # Whoever had it open reads on.
    assert before.search(before.vectors("image")[0], "image", of="image", k=1)[0].moment.row == 0


def test_nothing_is_written_where_nothing_has_changed(videos, run, tmp_path):
    update(tmp_path / "index", videos, run)
    before = (tmp_path / "index" / "index.json").stat().st_mtime_ns
    assert update(tmp_path / "index", videos, run).kept == 3
    assert (tmp_path / "index" / "index.json").stat().st_mtime_ns == before


def test_an_index_grows_by_other_data_and_forgets_their_files(videos, run, tmp_path):
    place, more = tmp_path / "index", write_clips(tmp_path / "more", 2)
    update(place, videos, run)
    changes = update(place, more, run)
    assert (changes.embedded, changes.kept, changes.items) == (2, 3, 5)
    assert len({moment.source for moment in SearchIndex(place).rows}) == 5
    (more / "001.mp4").unlink()
    write_clip(videos / "new.mp4", 5)
    assert update(place, videos, run).forgotten == 1
    index = SearchIndex(place)
    assert index.frame(index.rows_of(path=str(more / "000.mp4"))[0]).shape == (3, 48, 48)


def test_another_runs_weights_another_spacing_and_another_folder_are_refused(videos, run, tmp_path):
    update(tmp_path / "index", videos, run, 0.5)
    with pytest.raises(UserError, match="was made with other weights than"):
        update(tmp_path / "index", videos, save_run(tmp_path / "other", seed=1))
    with pytest.raises(UserError, match=r"has a moment every 0\.5 s"):
        update(tmp_path / "index", videos, run, 2.0)
    with pytest.raises(UserError, match="holds other files"):
        update(videos, videos, run)


def test_segments_of_a_file_are_items_and_a_new_label_costs_no_embedding(videos, run, tmp_path):
    table = tmp_path / "clips.csv"
    table.write_text("path,start,duration,label\nvideos/000.mp4,0,1,a\nvideos/000.mp4,1,1,b\nvideos/001.mp4,0.5,1,c\n")
    update(tmp_path / "index", table, run, 0.5)
    index = SearchIndex(tmp_path / "index")
    assert [moment.file_seconds for moment in index.rows] == [0.25, 0.75, 1.25, 1.75, 0.75, 1.25]
    assert index.rows.column("label").tolist() == ["a", "a", "b", "b", "c", "c"]
    np.testing.assert_array_equal(index.frame(2), avssl.open(videos / "000.mp4", workers=0).frames(0, [1.25])[0])
    table.write_text("path,start,duration,label\nvideos/000.mp4,0,1,new\nvideos/001.mp4,0.5,1,c\n")
    changes = update(tmp_path / "index", table, run)
    assert (changes.embedded, changes.kept, changes.forgotten) == (0, 2, 1)
    assert SearchIndex(tmp_path / "index").rows.column("label").tolist() == ["new", "new", "c", "c"]


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[4:]
import avssl.search.building as building, avssl.search.embedding as embedding, avssl.search.missing as missing
written = missing.write_pieces
def write_pieces(path, pieces):
    written(path, pieces)
    if path.stem == "000002":
        os.kill(os.getpid(), signal.SIGKILL)
missing.KEPT_EVERY_SECONDS, embedding.BATCH, missing.write_pieces = 0, 1, write_pieces
building.update_index(building.Path(sys.argv[1]), sys.argv[2], sys.argv[3], workers=0, shown=False)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_command_goes_on_where_it_was(videos, run, tmp_path, monkeypatch):
    place = tmp_path / "index"
    words = [str(place), str(videos), str(run), *sys.path]
    ended = subprocess.run([sys.executable, "-c", KILLED, *words], check=False, capture_output=True, timeout=200)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    with pytest.raises(UserError, match="not finished; run the same avssl embed again"):
        SearchIndex(place)
    jobs = []
    decoded = embedding.decoded
    monkeypatch.setattr(embedding, "decoded", lambda media, some, workers: jobs.extend(some) or decoded(media, some, 0))
    assert update(place, videos, run).embedded == 3
    assert len(jobs) == 1  # of three clips two were done
    assert sorted(path.name for path in place.iterdir()) == [".lock", "0001", "index.json"]


def test_a_file_that_crashes_its_decoder_costs_itself_alone(videos, run, tmp_path, monkeypatch):
    decoded = embedding.decoded

    def crashing(media, jobs, workers):
        for place, found in decoded(media, jobs, 0):
            crashed = media.facts(jobs[place].item).path.endswith("001.mp4")
            yield place, "the decoder crashed (signal 11)" if crashed else found

    with monkeypatch.context() as patched:
        patched.setattr(embedding, "decoded", crashing)
        changes = update(tmp_path / "index", videos, run)
    assert changes.skipped == [(str(videos / "001.mp4"), "the decoder crashed (signal 11)")]
    assert names(tmp_path / "index") == ["000.mp4", "002.mp4"]
    assert update(tmp_path / "index", videos, run).embedded == 1  # the next call tries it again
    assert names(tmp_path / "index") == ["000.mp4", "002.mp4", "001.mp4"]


def test_a_damaged_index_says_so_in_one_line_or_answers_right(videos, run, tmp_path):
    place = tmp_path / "index"
    update(place, videos, run, 0.5)
    kept = tmp_path / "kept"
    shutil.copytree(place, kept)

    def answers() -> list[tuple[int, float, float, float]]:
        index = SearchIndex(place)
        return [
            (one.moment.row, one.moment.seconds, one.score, one.share_below)
            for kind in ("image", "audio")
            for one in index.search(index.vectors("image")[5], kind, of="image", k=5)
        ]

    right, refused = answers(), 0
    for seed in range(100):
        shutil.rmtree(place)
        shutil.copytree(kept, place)
        what = mutate(place, seed)
        try:
            assert answers() == right, what
        except UserError as error:
            assert isinstance(error, DamagedIndex) or "no search index" in str(error), what
            assert "\n" not in str(error)
            refused += 1
    assert refused > 50


def on_a_full_disk(folder: Path, *_: object) -> None:
    (folder / "image.npy").write_bytes(b"half")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_line_and_leaves_the_index_as_it_was(videos, run, tmp_path, monkeypatch):
    place = tmp_path / "index"
    update(place, videos, run)
    write_clip(videos / "new.mp4", 7)
    with monkeypatch.context() as patched:
        patched.setattr(building, "write_files", on_a_full_disk)
        with pytest.raises(UserError, match="no space is left on this disk"):
            update(place, videos, run)
    assert names(place) == ["000.mp4", "001.mp4", "002.mp4"]
    assert update(place, videos, run).items == 4
    assert sorted(path.name for path in place.iterdir()) == [".lock", "0002", "index.json"]
