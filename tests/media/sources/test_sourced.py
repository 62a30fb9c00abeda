"""A collection that tells the sources that were found, and is in all else what it was."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from toy_media import ToyVideos

from avssl.media.sources import Likeness, Sources, find_sources, with_sources


def found(names: list[str]) -> Sources:
    return Sources(tuple(names), "content", (), ())


def test_only_the_sources_of_the_items_differ():
    media = ToyVideos(6)
    view = with_sources(media, found(["a", "a", "b", "b", "c", "c"]))
    assert [view.facts(i).source for i in range(6)] == ["a", "a", "b", "b", "c", "c"]
    assert view.facts(3).path == media.facts(3).path
    times = media.frame_times(2)[:3].tolist()
    assert np.array_equal(view.frames(2, times), media.frames(2, times))
    assert np.array_equal(view.audio(2, 0.5, 0.2, 8000), media.audio(2, 0.5, 0.2, 8000))
    assert view.fingerprint != media.fingerprint
    again = pickle.loads(pickle.dumps(view.subset([5, 0])))
    assert [again.facts(i).source for i in range(2)] == ["c", "a"]


def test_division_keeps_what_was_found_to_belong_together():
    view = with_sources(ToyVideos(30), found([f"s{i // 3}" for i in range(30)]))
    rest, held_out = view.split_by_source(0.3, 1)
    sides = [{part.facts(i).source for i in range(len(part))} for part in (rest, held_out)]
    assert len(rest) + len(held_out) == 30
    assert not sides[0] & sides[1]
    assert len(view.filter(lambda facts: facts.source == "s4")) == 3


def test_media_that_know_these_sources_already_stay_as_they_are():
    media = ToyVideos(4)
    assert with_sources(media, find_sources(media, "none")) is media
    with pytest.raises(ValueError, match="sources of 2 items do not fit"):
        with_sources(media, found(["a", "b"]))


def test_what_was_found_is_reported_in_one_line():
    named = Likeness("names", (0, 1), ("x/v067_p1.mp4", "x/v067_p2.mp4"), "names of parts of one source")
    alike = Likeness("bytes", (2, 3), ("x/a.mp4", "x/b.mp4"), "the same bytes")
    sources = Sources(("v", "v", "a", "a", "c"), "content", (named, alike), ())
    assert sources.count == 3
    assert sources.lines() == [
        "5 items from 3 sources: 2 by name (v067_p1.mp4, v067_p2.mp4), 2 by identical bytes (a.mp4, b.mp4); "
        "--sources none keeps each file separate"
    ]
    assert Sources(("a", "b"), "content", (), ()).lines() == []
