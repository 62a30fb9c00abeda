"""An index of embeddings: what is nearest to what, where it lies, and what its scores mean."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from made_index import save_run, update, write_clips

import avssl
from avssl.errors import UserError
from avssl.search.index import SearchIndex


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("searched")
    update(place / "index", write_clips(place / "videos"), save_run(place / "run"), 0.5)
    return place


@pytest.fixture(scope="module")
def index(folder: Path) -> SearchIndex:
    return SearchIndex(folder / "index")


def test_an_index_has_a_row_for_each_moment(index, folder):
    assert len(index) == len(index.rows) == 12
    assert index.rows.column("seconds")[:4].tolist() == [0.25, 0.75, 1.25, 1.75]
    first, last = index.rows[0], index.rows[-1]
    assert (Path(first.path), Path(last.path).name) == (folder / "videos" / "000.mp4", "002.mp4")
    assert (first.has_image, first.has_audio, last.has_image, last.has_audio) == (True, True, True, False)
    assert [moment.row for moment in index.rows[4:6]] == [4, 5]
    with pytest.raises(IndexError, match="0 to 11, not 12"):
        index.rows[12]


def test_its_vectors_are_the_output_of_the_model(index, folder):
    media, model = avssl.open(folder / "videos", workers=0), avssl.load(folder / "run")
    image = model.image(media.frames(1, [0.75]))[0].numpy()
    audio = model.audio(media.audio(1, 0.5, 0.5, 8000)[None], 8000)[0].numpy()
    np.testing.assert_allclose(index.vectors("image")[5], image / np.linalg.norm(image), atol=1e-5)
    np.testing.assert_allclose(index.vectors("audio")[5], audio / np.linalg.norm(audio), atol=1e-5)
    assert not index.vectors("audio")[8:].any()


def test_a_frame_a_sound_and_a_vector_find_their_own_moment_first(index):
    assert index.search(index.frame(6), "image", k=1)[0].moment.row == 6
    heard = index.search(index.waveform(6, 0.5, 8000), "audio", rate=8000, k=3)
    assert 4 <= heard[0].moment.row < 8  # a tone sounds the same at any time
    assert heard[0].score == pytest.approx(1, abs=1e-4)
    by_vector = index.search(2 * index.vectors("audio")[6], "audio", of="audio", k=3)
    assert [one.moment.row for one in by_vector] == [one.moment.row for one in heard]


def test_what_is_left_out_or_has_no_such_half_is_not_found(index, folder):
    own = index.rows_of(path=str(folder / "videos" / "001.mp4"))
    assert own.tolist() == [4, 5, 6, 7]
    found = index.search(index.vectors("image")[5], "audio", of="image", k=12, leave_out=own)
    assert sorted(one.moment.row for one in found) == [0, 1, 2, 3]


def test_a_score_means_the_share_of_unrelated_pairs_below(index):
    ours, theirs = index.vectors("image"), index.vectors("audio")[:8]
    sources = np.repeat(np.arange(3), 4)
    unrelated = (ours @ theirs.T)[sources[:, None] != sources[None, :8]]
    for one in index.search(ours[0], "audio", of="image", k=8):
        assert one.share_below == pytest.approx((unrelated < one.score - 1e-6).mean(), abs=0.02)


def test_a_query_of_another_shape_is_refused(index):
    with pytest.raises(ValueError, match=r"no vector \(128,\)"):
        index.search(np.ones(7), "audio", of="image")
    with pytest.raises(ValueError, match="not all zero"):
        index.search(np.zeros(128), "audio", of="image")


def test_threads_share_an_index(folder):
    index, answers = SearchIndex(folder / "index"), []

    def ask() -> None:
        found = index.search(index.frame(3), "audio", k=4)
        answers.append(([one.moment.row for one in found], index.projection("image").sum()))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(answer == answers[0] for answer in answers)


def test_the_map_is_that_of_the_first_two_principal_components(index):
    vectors = index.vectors("image").astype(float)
    centred = vectors - vectors.mean(0)
    strengths = np.linalg.svd(centred, full_matrices=False)[1][:2]
    found = index.projection("image")
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), strengths, rtol=1e-3)
    assert np.isnan(index.projection("audio")[8:]).all()


def test_an_index_of_changed_weights_says_so(folder, tmp_path):
    index = SearchIndex(folder / "index", run=save_run(tmp_path / "other", seed=1))
    with pytest.raises(UserError, match="made with other weights than"):
        index.search(np.zeros((3, 48, 48), np.uint8), "image")
    assert len(index.search(index.vectors("image")[0], "image", of="image")) == 10


def test_a_folder_without_an_index_says_how_to_make_one(tmp_path):
    with pytest.raises(UserError, match="no search index; make one with: avssl embed DATA"):
        SearchIndex(tmp_path)


def test_very_many_rows_are_searched_by_a_graph_whose_recall_is_written_down(tmp_path, monkeypatch):
    pytest.importorskip("usearch")
    monkeypatch.setattr("avssl.search.writing.EXACT_ROWS", 20)
    monkeypatch.setattr("avssl.search.nearest.RECALL_QUERIES", 20)
    update(tmp_path / "index", write_clips(tmp_path / "videos", 5), save_run(tmp_path / "run"), 0.25)
    index = SearchIndex(tmp_path / "index")
    assert set(index.header["graphs"]) == {"image", "audio"}
    assert index.header["graphs"]["audio"]["recall@10"] >= 0.99
    own = index.rows_of(path=index.rows[3].path)
    approximate = index.nearest(index.vectors("image")[:4], "audio", 5, own)
    exact = index.nearest(index.vectors("image")[:4], "audio", 5, own, exactly=True)
    np.testing.assert_allclose(approximate.scores, exact.scores, atol=1e-6)
    assert not np.isin(approximate.rows, own).any()
    assert index.nearest(index.vectors("image")[:1], "audio", 40).rows.shape == (1, 32)  # as many as have sound
