"""What a search finds is what the protocol of retrieval measures: the same figures from the same clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_index import save_run, update
from small_runs import write_clip

import avssl
from avssl.search.index import SearchIndex
from avssl.search.rows import Kind


def rank_of_partner(index: SearchIndex, of: Kind, kind: Kind) -> np.ndarray:
    """The place of the first moment of the query's own source, for each moment as a query."""
    sources = index.rows.column("source")
    found = index.nearest(index.vectors(of), kind, len(index))
    return 1 + (sources[found.rows] == sources[:, None]).argmax(1)


def test_recall_and_rank_of_an_index_are_those_of_evaluate_retrieval(tmp_path: Path):
    for number in range(12):
        write_clip(tmp_path / "videos" / f"{number:02d}.mp4", number, seconds=1.0)
    run = save_run(tmp_path / "run")
    rows = avssl.evaluate("retrieval", run, data=tmp_path / "videos", device="cpu")
    figures = {(row.name, row.metric): row.value for row in rows}
    update(tmp_path / "index", tmp_path / "videos", run, 10.0)  # the middle of each clip, as the protocol takes it
    index = SearchIndex(tmp_path / "index")
    ways: tuple[tuple[str, Kind, Kind], ...] = (
        ("trained/image-to-sound", "image", "audio"),
        ("trained/sound-to-image", "audio", "image"),
    )
    for name, of, kind in ways:
        ranks = rank_of_partner(index, of, kind)
        for k in (1, 5, 10):
            assert np.mean(ranks <= k) == figures[name, f"recall@{k}"]
        assert np.median(ranks) == figures[name, "median-rank"]
    assert figures["trained/image-to-sound", "recall@10"] < 1  # else any order would do
    assert len({value for (_, metric), value in figures.items() if metric == "recall@5"}) > 1
    with pytest.raises(IndexError):
        index.rows[12]
