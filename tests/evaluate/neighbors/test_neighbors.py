"""Neighbours are the nearest of other sources; what they share is measured correctly, by hand and on made features."""

from __future__ import annotations

import numpy as np
import pytest
from probe_media import write_pictures, write_sounds

import avssl
from avssl.errors import UserError
from avssl.evaluate.core.rows import Context
from avssl.evaluate.core.statistics import influence_interval
from avssl.evaluate.neighbors.picture import choose_queries
from avssl.evaluate.neighbors.protocol import Attribute, Neighbors, mean_distances, nearest, precision_rows, shared_rows
from avssl.evaluate.neighbors.query_items import QueryItem, QueryItems, find_query_items
from avssl.evaluate.neighbors.synthetic import known_items
from avssl.evaluate.probes.knn import vectors

CONTEXT = Context("test", draws=400)


def _unit(values):
    return vectors(np.asarray(values, np.float32)[:, None])


def _by_name(rows):
    return {(row.name, row.metric): row for row in rows}


def test_neighbours_are_the_nearest_of_other_sources_one_of_each():
    rng = np.random.default_rng(0)
    x = _unit(rng.normal(size=(60, 8)))
    sources = [f"s{k // 3}" for k in range(60)]
    found = nearest(x, sources, 4)
    for i in range(60):
        cosine = {j: float(x[i] @ x[j]) for j in range(60) if sources[j] != sources[i]}
        firsts: dict[str, int] = {}
        for j in sorted(cosine, key=cosine.__getitem__, reverse=True):
            firsts.setdefault(sources[j], j)  # of each source the nearest
        assert found.indices[i].tolist() == list(firsts.values())[:4]
        assert found.similarity[i] == pytest.approx([cosine[j] for j in found.indices[i]], abs=1e-5)


def test_more_neighbours_than_other_sources_have_are_refused():
    x = _unit(np.eye(5))
    assert nearest(x, list("aaabc"), 2).indices.shape == (5, 2)
    with pytest.raises(UserError, match="there are only 2 other sources"):
        nearest(x, list("aaabc"), 3)


def test_precision_and_its_chance_by_hand():
    found = {"trained": Neighbors(np.array([[1, 2], [0, 3], [3, 0], [2, 1]]), np.zeros((4, 2), np.float32))}
    rows = _by_name(precision_rows(found, list("xxyy"), list("abcd"), CONTEXT, {"trained": "stage conv2"}))
    row = rows["trained", "precision@2"]
    assert row.value == 0.5
    assert row.chance == pytest.approx(1 / 3)  # of three others one has the label
    assert (row.n, row.clusters, row.note) == (4, 4, "stage conv2")
    same_source = precision_rows(found, list("xxyy"), list("aabb"), CONTEXT, {"trained": ""})[0]
    assert same_source.chance == 0.0  # those of the label are all of the query's own source


def test_what_is_shared_by_hand():
    values = np.array([[0.0], [1.0], [2.0], [4.0]])
    line, kind = Attribute("line", values), Attribute("kind", values > 1, category=True)
    assert mean_distances(line, list("abcd")) == pytest.approx([7 / 3, 5 / 3, 5 / 3, 3])
    assert mean_distances(line, list("aacd"))[:2] == pytest.approx([3, 2])
    found = {"trained": Neighbors(np.array([[1], [0], [1], [2]]), np.zeros((4, 1), np.float32))}
    rows = _by_name(shared_rows(found, [line, kind], list("abcd"), CONTEXT))
    assert rows["trained/line", "shared"].value == pytest.approx(1 - (1 + 1 + 1 + 2) / (26 / 3))
    # Equal in three of four; of random pairs in one of three: (3/4 − 1/3) / (1 − 1/3).
    assert rows["trained/kind", "shared"].value == pytest.approx(0.625)
    assert "the same in 75.0 % of neighbours, in 33.3 % of random items" in rows["trained/kind", "shared"].note


def test_a_gain_is_trained_minus_random_in_every_figure():
    values = np.array([[0.0], [1.0], [2.0], [4.0]])
    nothing = np.zeros((4, 1), np.float32)
    found = {
        "trained": Neighbors(np.array([[1], [0], [1], [2]]), nothing),
        "random": Neighbors(np.array([[3], [2], [0], [0]]), nothing),
    }
    rows = _by_name(shared_rows(found, [Attribute("line", values)], list("abcd"), CONTEXT))
    ours, theirs = (rows[f"{name}/line", "shared"].value for name in ("trained", "random"))
    gain = rows["gain/line", "shared-difference"]
    assert gain.value == pytest.approx(ours - theirs) and gain.low < gain.value < gain.high and gain.chance == 0
    precise = _by_name(precision_rows(found, list("xxyy"), list("abcd"), CONTEXT, {"trained": "", "random": ""}))
    assert precise["trained", "precision@1"].value == 0.75 and precise["random", "precision@1"].value == 0.0
    assert precise["gain", "precision@1-difference"].value == 0.75


def test_features_share_with_their_neighbours_what_they_hold_and_nothing_else():
    rng = np.random.default_rng(1)
    n = 300
    kind, place, other = rng.integers(0, 5, n), rng.random((n, 2)), rng.random((n, 1))
    sources = [f"clip{k // 2}" for k in range(n)]
    attributes = [
        Attribute("kind", kind[:, None].astype(float), category=True),
        Attribute("place", place),
        Attribute("other", other),
        Attribute("same", np.ones((n, 1))),
    ]
    angles = place * np.pi / 2
    held = {
        "trained": np.eye(5)[kind] + 0.05 * rng.normal(size=(n, 5)),
        "random": np.concatenate([np.cos(angles), np.sin(angles)], axis=1),
    }
    found = {name: nearest(_unit(x), sources, 5) for name, x in held.items()}
    rows = _by_name(shared_rows(found, attributes, sources, CONTEXT))
    assert rows["trained/kind", "shared"].value > 0.95
    assert rows["random/place", "shared"].value > 0.6
    for name in ("trained/place", "trained/other", "random/kind", "random/other"):
        assert rows[name, "shared"].low < 0.06, name
        assert rows[name, "shared"].high > -0.06, name
    assert rows["gain/kind", "shared-difference"].low > 0.8
    assert rows["gain/place", "shared-difference"].high < -0.5
    assert not any(name.endswith("/same") for name, _ in rows)  # all are equal in it: nothing to share


def test_the_moves_of_a_figure_are_its_derivative_by_the_weight_of_a_source():
    """Written out: sources weigh as queries and as neighbours, in what is near and in what is random."""
    rng = np.random.default_rng(2)
    n, k = 12, 2
    values, group = rng.random((n, 1)), np.arange(n) // 2
    sources = [str(g) for g in group]
    attribute = Attribute("x", values)
    found = nearest(_unit(rng.normal(size=(n, 4))), sources, k)

    def figure(weight):
        w = weight[group]
        distance = np.abs(values - values.T)
        pairs = w[:, None] * w[None] * (group[:, None] != group[None])
        chosen = w[:, None] * w[found.indices]
        near = (np.take_along_axis(distance, found.indices, 1) * chosen).sum() / chosen.sum()
        return 1 - near / ((distance * pairs).sum() / pairs.sum())

    step = 1e-5
    nudged = [figure(np.ones(6) + step * np.eye(6)[s]) - figure(np.ones(6) - step * np.eye(6)[s]) for s in range(6)]
    row = shared_rows({"trained": found}, [attribute], sources, CONTEXT)[0]
    low, high = influence_interval(figure(np.ones(6)), np.array(nudged) / (2 * step))
    assert row.value == pytest.approx(figure(np.ones(6)))
    assert (row.low, row.high) == pytest.approx((low, min(high, 1)))


def test_the_interval_covers_chance_where_nothing_is_shared():
    """As often as it says, though one clip is a neighbour of many."""
    covered = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        look, kind = rng.normal(size=(60, 5)), rng.integers(0, 4, 60)
        x = _unit(np.repeat(look, 2, 0) + 0.3 * rng.normal(size=(120, 5)))
        sources = [str(i // 2) for i in range(120)]
        attribute = Attribute("kind", np.repeat(kind, 2)[:, None].astype(float), category=True)
        row = shared_rows({"trained": nearest(x, sources, 5)}, [attribute], sources, CONTEXT)[0]
        covered.append(row.holds_chance)
    assert np.mean(covered) >= 0.9


# --- query items ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return avssl.open(write_pictures(tmp_path_factory.mktemp("pictures"), each=3), workers=0)


def test_patches_are_cut_from_the_frame_and_stay_within_their_source(pictures):
    query_items = find_query_items(pictures, "patches", 2, patch=0.25)
    assert len(query_items) == 18
    assert query_items.sources()[:2] == [pictures.facts(0).source] * 2
    whole = pictures.frames(0, [0.0])[0]
    corners = QueryItems(pictures, [QueryItem(0, 0.0, (0.0, 0.0)), QueryItem(0, 0.0, (1.0, 1.0))], 0.25)
    assert np.array_equal(corners.frames(0, [9.0])[0], whole[:, :8, :8])
    assert np.array_equal(corners.frames(1, [0.0])[0], whole[:, -8:, -8:])


def test_spots_are_distinguished_by_place_moment_and_size(pictures):
    one = [QueryItem(0, 0.0, (0.5, 0.5))]
    digests = {
        QueryItems(pictures, one, 0.25).fingerprint,
        QueryItems(pictures, one, 0.5).fingerprint,
        QueryItems(pictures, [QueryItem(1, 0.0, (0.5, 0.5))], 0.25).fingerprint,
        QueryItems(pictures, [QueryItem(0, 0.0, (0.5, 0.4))], 0.25).fingerprint,
        QueryItems(pictures, [QueryItem(0, 0.1, (0.5, 0.5))], 0.25).fingerprint,
    }
    assert len(digests) == 5
    assert (
        find_query_items(pictures, "patches", 2, seed=1).fingerprint
        == find_query_items(pictures, "patches", 2, seed=1).fingerprint
    )
    assert (
        find_query_items(pictures, "patches", 2, seed=1).fingerprint
        != find_query_items(pictures, "patches", 2).fingerprint
    )


def test_windows_of_sound_do_not_overlap_and_lie_round_their_spot(tmp_path):
    media = avssl.open(write_sounds(tmp_path, each=1), workers=0)
    query_items = find_query_items(media, "sounds", 5, seconds=0.5)
    assert [entry.seconds for entry in query_items.entries if entry.item == 0] == pytest.approx(
        [0.25, 0.75, 1.25], abs=0.01
    )
    facts = query_items.facts(1)
    assert facts.audio_start_seconds == facts.audio_end_seconds == query_items.entries[1].seconds
    assert np.array_equal(query_items.audio(1, 0.5, 0.5, 8000), media.audio(0, 0.5, 0.5, 8000))


def test_a_collection_without_sound_has_no_sounds(pictures):
    with pytest.raises(UserError, match="none of the 9 items has sound"):
        find_query_items(pictures, "sounds", 1)


def test_queries_are_of_different_sources_and_take_the_labels_in_turn():
    sources, labels = [f"s{k // 3}" for k in range(30)], [f"l{k // 15}" for k in range(30)]
    chosen = choose_queries(sources, labels, 6, seed=0)
    assert len({sources[i] for i in chosen}) == 6
    assert sorted(labels[i] for i in chosen) == ["l0"] * 3 + ["l1"] * 3
    assert chosen == choose_queries(sources, labels, 6, seed=0)
    assert chosen != choose_queries(sources, labels, 6, seed=1)


# --- the world --------------------------------------------------------------------------------------------------


class _Clips:
    """Clips of which only the truth is there."""

    fingerprint = "clips"

    def __init__(self, *truths):
        self.truths = truths

    def __len__(self):
        return len(self.truths)

    def facts(self, i):
        from avssl.media.facts import Facts

        return Facts(f"{i}.mp4", "video", 1.0, 8, 8, 10, 10.0, 8000, 1, 0.0, 1.0, source=f"{i}.mp4")

    def annotation(self, i):
        return self.truths[i]

    def audio(self, i, start, seconds, rate):
        return np.full(round(seconds * rate), 0.1, np.float32)


def _truth(kind, boxes, objects=1, **more):
    one = {
        "kind": kind,
        "color": [255, 0, 0],
        "sounding": True,
        "boxes": boxes,
        "heard": [[0.0, 1.0]],
        "pitch_hz": 440.0,
    }
    base = {"fps": 10, "frames": len(boxes), "background": "room", "motion": "bounce", "offscreen": [], "events": []}
    return base | {"objects": [one] * objects} | more


def _moving(width, height, step):
    return [[0.1 + step * k, 0.2, 0.1 + step * k + width, 0.2 + height] for k in range(10)]


def test_what_is_known_of_a_frame_is_what_its_truth_says():
    hidden = [*_moving(0.2, 0.2, 0.0)[:5], None, None, None, None, None]
    clips = _Clips(
        _truth("bell", _moving(0.2, 0.1, 0.02)),
        _truth("bell", _moving(0.2, 0.2, 0.0)),
        _truth("drum", _moving(0.1, 0.1, 0.0), background="night"),
        _truth("drum", _moving(0.1, 0.1, 0.0), objects=2),
        _truth("drum", hidden),
    )
    known = known_items(QueryItems(clips, [QueryItem(i, 0.5) for i in range(5)]), "frames")
    assert [entry.item for entry in known.query_items.entries] == [0, 1, 2]  # one object, in the picture
    assert known.kinds == ["bell", "bell", "drum"]
    found = {attribute.name: attribute for attribute in known.attributes}
    assert found["place"].values[0] == pytest.approx([0.3, 0.25])
    assert found["velocity"].values == pytest.approx(np.array([[0.2, 0], [0, 0], [0, 0]]))
    assert found["size"].distances(np.array(1), np.array(2)) == pytest.approx(1)  # twice as wide and high: an octave
    # One and none octave wider than high, for the same kind; what all of a kind have in common is no pose.
    assert found["pose"].values[:, 0] == pytest.approx([0.5, -0.5, 0])
    assert found["background"].distances(np.array([0, 0]), np.array([1, 2])).tolist() == [0, 1]
    assert found["colour"].values[0] == pytest.approx([53.2, 80.1, 67.2], abs=0.3)  # red in CIE Lab


def test_what_is_known_of_a_sound_is_what_its_truth_says():
    hit = {"time_seconds": 0.4, "heard": True}
    clips = _Clips(
        _truth("bell", _moving(0.2, 0.1, 0.02), events=[hit, hit | {"heard": False}, hit | {"time_seconds": 0.9}]),
        _truth("drum", _moving(0.2, 0.1, 0.02)),
        _truth("drum", _moving(0.2, 0.1, 0.02), offscreen=[{"kind": "frog", "heard": [[0, 1]]}]),
    )
    known = known_items(QueryItems(clips, [QueryItem(i, 0.5) for i in range(3)]), "sounds", seconds=0.5)
    assert known.kinds == ["bell", "drum"]
    found = {attribute.name: attribute.values[:, 0].tolist() for attribute in known.attributes}
    assert found["hits"] == [1, 0]
    assert found["pitch"] == pytest.approx([np.log2(440)] * 2)
    assert found["loudness"] == pytest.approx([-20, -20], abs=1e-3)


def test_a_world_without_lone_objects_is_refused():
    clips = _Clips(*[_truth("drum", _moving(0.1, 0.1, 0.0), objects=2)] * 3)
    with pytest.raises(UserError, match="with one object are too few"):
        known_items(QueryItems(clips, [QueryItem(i, 0.5) for i in range(3)]), "frames")
