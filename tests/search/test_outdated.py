"""An index of files that have changed since: what it knows of them is not passed off as what they hold now."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from made_index import save_run, update, write_clips
from small_runs import write_clip

import avssl
from avssl.errors import MediaError, UserError
from avssl.search.files import IndexFiles
from avssl.search.index import SearchIndex


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(tmp_path_factory.mktemp("made") / "run")


def names_of(index: SearchIndex) -> dict[str, str | None]:
    return {Path(moment.path).name: index.outdated(moment.row) for moment in index.rows}


def test_a_file_that_was_rewritten_or_removed_is_said_to_be_so_and_not_shown(run: Path, tmp_path: Path):
    videos = write_clips(tmp_path / "videos")
    update(tmp_path / "index", videos, run)
    assert set(names_of(SearchIndex(tmp_path / "index")).values()) == {None}
    write_clip(videos / "000.mp4", 9)
    (videos / "001.mp4").unlink()
    index = SearchIndex(tmp_path / "index")
    found = names_of(index)
    assert found["000.mp4"].startswith("has changed since it was embedded")
    assert found["001.mp4"].startswith("is not in the data of this index any more")
    assert found["002.mp4"] is None
    for row, why in ((0, "has changed since it was embedded"), (2, "any more")):
        with pytest.raises(MediaError, match=why):
            index.frame(row)
    assert index.frame(4).shape == (3, 48, 48)


def test_a_file_that_changes_while_its_index_is_open_is_noticed(run: Path, tmp_path: Path):
    videos = write_clips(tmp_path / "videos", 2)
    update(tmp_path / "index", videos, run)
    index = SearchIndex(tmp_path / "index")
    assert index.frame(0).shape == (3, 48, 48) and index.outdated(0) is None
    os.utime(videos / "000.mp4", ns=(1, 1))
    with pytest.raises(MediaError, match="has changed"):
        index.frame(0)


def test_a_segment_is_found_again_though_rows_of_its_table_went(run: Path, tmp_path: Path):
    videos, table = write_clips(tmp_path / "videos", 2), tmp_path / "clips.csv"
    rows = ["path,start,duration", "videos/000.mp4,0,1", "videos/000.mp4,1,1", "videos/001.mp4,0,1"]
    table.write_text("\n".join(rows))
    update(tmp_path / "index", table, run)
    table.write_text("\n".join([rows[0], *rows[2:]]))  # the first of two segments of one length is gone
    index = SearchIndex(tmp_path / "index")
    whole = avssl.open(videos / "000.mp4", workers=0)
    assert (index.frame(1) == whole.frames(0, [1.5])[0]).all()
    with pytest.raises(MediaError, match="is not in the data of this index any more"):
        index.frame(0)
    assert [index.outdated(row) for row in range(3)] == [None, None, None]  # the files are as they were


def test_data_that_are_not_there_at_all_are_said_to_be_gone(run: Path, tmp_path: Path):
    videos = write_clips(tmp_path / "videos", 2)
    update(tmp_path / "index", videos, run)
    videos.rename(tmp_path / "elsewhere")
    assert "any more" in SearchIndex(tmp_path / "index").outdated(0)


def test_an_index_of_vectors_that_are_not_finite_says_so_in_one_line(run: Path, tmp_path: Path, monkeypatch):
    import avssl.search.embedding as embedding

    through = embedding._through

    def diverged(model, waiting):
        parts = through(model, waiting)
        for part in parts:
            part.vectors["audio"] = part.vectors.get("audio", part.vectors["image"]) * float("nan")
        return parts

    monkeypatch.setattr(embedding, "_through", diverged)
    with pytest.raises(UserError, match="the network's output for it is NaN or infinite"):
        update(tmp_path / "skipped", write_clips(tmp_path / "videos", 2), run)
    monkeypatch.setattr(embedding, "_finite", lambda todo, parts: parts)  # as an earlier version wrote it
    update(tmp_path / "index", tmp_path / "videos", run)
    index = SearchIndex(tmp_path / "index")
    with pytest.raises(UserError, match=r"vectors in audio\.npy are NaN or infinite \(first .*000\.mp4\)"):
        index.search(index.vectors("image")[0], "audio", of="image")
    assert IndexFiles(tmp_path / "index").vectors("image").shape == (4, 128)
