"""A list of results is not ten neighbouring moments of one file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from made_index import save_run, update, write_clips

from avssl.search.index import SearchIndex


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> SearchIndex:
    place = tmp_path_factory.mktemp("thinned")
    update(place / "index", write_clips(place / "videos", 6), save_run(place / "run"), 0.25)
    return SearchIndex(place / "index")


def paths(found: list) -> list[str]:
    return [Path(one.moment.path).name for one in found]


def test_of_each_file_its_best_moments_are_found_in_order(index: SearchIndex):
    query = index.vectors("image")[3]
    everything = index.search(query, "image", of="image", k=48)
    found = index.search(query, "image", of="image", k=12, per_file=2)
    assert set(Counter(paths(found)).values()) == {2}
    expected, counts = [], Counter()
    for one in everything:
        counts[one.moment.path] += 1
        if counts[one.moment.path] <= 2:
            expected.append(one.moment.row)
    assert [one.moment.row for one in found] == expected[:12]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_where_files_are_few_each_gives_more(index: SearchIndex):
    query = index.vectors("image")[3]
    assert len(index.search(query, "image", of="image", k=30, per_file=2)) == 30
    assert max(Counter(paths(index.search(query, "image", of="image", k=30, per_file=2))).values()) == 5
    one_file = np.setdiff1d(np.arange(48), index.rows_of(path=index.rows[0].path))
    found = index.search(query, "image", of="image", k=5, per_file=1, leave_out=one_file)
    assert paths(found) == ["000.mp4"] * 5
    assert len(index.search(query, "image", of="image", k=500, per_file=2)) == 48
