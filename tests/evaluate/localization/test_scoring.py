"""From maps to rows: anybody's maps, blind rows, and what is missing or constant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avssl.errors import UserError
from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.statistics import wilson
from avssl.evaluate.localization.annotations import Item, read_annotations
from avssl.evaluate.localization.blind import best, blind_rows, centre_disc, mean_map
from avssl.evaluate.localization.datasets import MapFile
from avssl.evaluate.localization.protocols import DEFAULT, PROTOCOLS, protocol
from avssl.evaluate.localization.scoring import localization_context, mean_row, rows_of, score_maps, score_predictions

CONTEXT = localization_context(draws=50)

OURS = [protocol(name) for name in DEFAULT]


def some_items(count: int = 8) -> list[Item]:
    rng = np.random.default_rng(0)
    made = []
    for k in range(count):
        left, top = rng.uniform(0, 0.5, 2)
        box = (left, top, left + 0.4, top + 0.3)
        name = f"{'abcdefgh'[k]}" * 11 + "_000001"
        made.append(Item(name, (box,), 1.0, name, name, name[:11]))
    return made


def by_metric(rows):
    return {(row.name, row.metric): row for row in rows}


def test_a_perfect_map_has_full_marks_wherever_the_rule_allows_it() -> None:
    items = some_items()
    scores = score_maps(items, lambda item, _: item.truth(), OURS)
    rows = by_metric(rows_of("maps", scores, OURS, CONTEXT))
    for metric in ("pointing", "iou-adaptive", "ciou-adaptive", "inside"):
        assert rows["maps", metric].value == 1.0
    ceiling = by_metric(blind_rows(items, OURS, CONTEXT))
    assert rows["maps", "ciou-half"].value == ceiling["ceiling", "ciou-half"].value


def test_rows_do_not_depend_on_the_order_of_items_or_on_who_else_is_there() -> None:
    items = some_items()
    rng = np.random.default_rng(1)
    maps = {item.name: rng.random((7, 7)) for item in items}
    everything = [p for p in PROTOCOLS.values() if not p.extended]
    one = score_maps(items, lambda item, _: maps[item.name], everything)
    other = score_maps(items[::-1], lambda item, _: maps[item.name], everything)
    alone = score_maps(items[3:4], lambda item, _: maps[item.name], everything)
    for name, values in one.cious.items():
        assert np.array_equal(values[::-1], other.cious[name])
        assert np.array_equal(values[3], alone.cious[name][0])


def test_a_constant_map_is_counted_and_scores_nothing_with_us() -> None:
    items = some_items()
    scores = score_maps(items, lambda item, _: np.ones((7, 7)), OURS)
    assert scores.constant == len(items)
    rows = by_metric(rows_of("maps", scores, OURS, CONTEXT))
    assert rows["maps", "ciou-half"].value == rows["maps", "iou-adaptive"].value == 0
    assert rows["maps", "inside"].value == 0.5


def test_empty_truths_count_as_failures_but_not_in_pointing() -> None:
    items = [*some_items(), Item("x" * 11, ((0.5, 0.5, 0.5, 0.9),), 1.0, "x", "x", "x")]
    rows = by_metric(
        rows_of(
            "maps",
            score_maps(items, lambda i, _: i.truth() + 1e-3 * centre_disc(), OURS),
            OURS,
            CONTEXT,
        )
    )
    assert rows["maps", "ciou-half"].n == 9
    assert rows["maps", "pointing"].n == 8
    assert rows["maps", "ciou-half"].empty_truth == 1


def test_maps_come_from_an_npz_or_a_folder_and_missing_ones_are_named(tmp_path: Path) -> None:
    items = some_items()
    arrays = {item.name: np.random.default_rng(k).random((1, 14, 14)) for k, item in enumerate(items[:-1])}
    np.savez(tmp_path / "maps.npz", allow_pickle=False, **arrays)
    (tmp_path / "folder").mkdir()
    for name, array in arrays.items():
        np.save(tmp_path / "folder" / f"{name}.npy", array)
    one, other = MapFile(tmp_path / "maps.npz"), MapFile(tmp_path / "folder")
    for item in items[:-1]:
        assert np.array_equal(one(item), other(item))
    assert score_maps(items, one, OURS).missing == [items[-1].name]


def test_a_map_with_nan_is_refused_by_name() -> None:
    items = some_items(1)
    with pytest.raises(UserError, match=items[0].name):
        score_maps(items, lambda item, _: np.full((3, 3), np.nan), OURS)


def test_entries_of_one_picture_also_count_together(tmp_path: Path) -> None:
    records = [
        {
            "image": f"a/cat_dog_{k // 2}_{'cat' if k % 2 else 'dog'}.jpg",
            "audio": "x.wav",
            "gt_box": [100 * (k % 2), 0, 100 * (k % 2) + 90, 90],
        }
        for k in range(6)
    ]
    path = tmp_path / "is3.json"
    path.write_text(json.dumps(records))
    items = read_annotations(path).items
    chosen = [protocol("topk-truth")]
    left = score_maps(items, lambda item, _: items[0].truth(), chosen)
    rows = by_metric(rows_of("maps", left, chosen, CONTEXT))
    assert rows["maps", "ciou-adaptive"].value == 0.5
    assert rows["maps", "iiou-adaptive"].value == 0.0
    assert rows["maps", "iiou-adaptive"].n == 3


def test_equal_values_have_the_interval_that_their_label_says() -> None:
    items = some_items()
    rows = by_metric(rows_of("maps", score_maps(items, lambda i, _: i.truth(), OURS), OURS, CONTEXT))
    one = rows["maps", "iou-adaptive"]
    assert (one.low, one.high) == pytest.approx(wilson(8, 8)) and (one.value, one.method) == (1.0, "wilson")
    # Eight pictures of two videos say no more than two.
    two = mean_row("maps", "pointing", np.ones(8), ["a", "b"] * 4, CONTEXT)
    assert (two.low, two.high) == pytest.approx(wilson(2, 2)) and two.method == "wilson"
    # Equal values between the ends: as many videos as Wilson allows may differ by all that there is room for.
    plain, unseen = (
        mean_row("maps", "auc-half", np.full(5, 0.025), list("abcde"), CONTEXT),
        wilson(0, 5)[1],
    )
    assert (plain.low, plain.high) == pytest.approx((0.025 * (1 - unseen), 0.025 + 0.975 * unseen))
    assert mean_row("maps", "iou", np.linspace(0, 1, 5), list("abcde"), CONTEXT).method == "bootstrap"


def test_the_level_of_inside_is_one_half_and_others_have_the_blind_rows() -> None:
    rows = by_metric(blind_rows(some_items(), OURS, replace(CONTEXT, draws=20)))
    assert {row.chance for (_, metric), row in rows.items() if metric == "inside"} == {0.5}
    assert {row.chance for (_, metric), row in rows.items() if metric != "inside"} == {None}


def test_a_map_that_many_items_share_scores_as_one_of_each_items_own() -> None:
    items = some_items()
    shared = np.random.default_rng(5).integers(0, 9, (224, 224)).astype(float)
    shared.flags.writeable = False
    everything = list(PROTOCOLS.values())
    one = score_maps(items, lambda *_: shared, everything)
    other = score_maps(items, lambda *_: shared.copy(), everything)
    for name, values in other.cious.items():
        assert np.array_equal(one.cious[name], values)
    assert one.confidences == other.confidences


def blind(items: Sequence[Item], names: Sequence[str], rows: Sequence[str]) -> dict[tuple[str, str], ResultRow]:
    """Some of the rows of :func:`blind_rows`, without noise, which takes half of the time."""
    chosen, disc = [protocol(name) for name in names], centre_disc()
    scores = {
        "blind/centre-disc": lambda: score_maps(items, lambda *_: disc, chosen),
        "blind/mean-map": lambda: score_maps(items, mean_map(items, None)[0], chosen),
        "blind/whole-image": lambda: score_predictions(items, lambda *_: np.ones((224, 224), bool), chosen),
        "ceiling": lambda: score_predictions(items, best, chosen),
    }
    return by_metric(row for name in rows for row in rows_of(name, scores[name](), chosen, replace(CONTEXT, draws=20)))


def test_the_rows_evaluated_below_are_those_of_the_command() -> None:
    rules = ["ez-vsl", "ssl-align-adaptive"]
    whole = by_metric(blind_rows(some_items(), [protocol(name) for name in rules], replace(CONTEXT, draws=20)))
    some = blind(some_items(), rules, ["blind/centre-disc", "blind/mean-map", "blind/whole-image", "ceiling"])
    assert len(some) == 16
    assert {key: found.value for key, found in some.items()} == {key: whole[key].value for key in some}


def test_frames_of_a_clip_of_avsbench_are_one_group_for_ssl_align_and_for_nobody_else(tmp_path: Path) -> None:
    records, maps = [], {}
    for clip, hits in (("0d9u2CymIxc", 3), ("-abc_DEF_hi", 2), ("rq5RDUm2Hnk_1.mp4", 3)):
        for frame in range(1, 4):
            name = f"{clip}_{frame}"
            image = f"/data/AVSbench/visual_frames/{clip}/{name}.png"
            records.append({"image": image, "audio": f"/data/AVSbench/{clip}.wav", "gt_box": [0, 0, 224, 112]})
            maps[name] = np.repeat(np.linspace(1, 0, 8) * (1 if frame <= hits else -1), 8).reshape(8, 8)
    (tmp_path / "s4.json").write_text(json.dumps(records))
    items = read_annotations(tmp_path / "s4.json").items
    chosen = [protocol(name) for name in ("ssl-align-is3", "ssl-align-is3-adaptive", "ez-vsl")]
    rows = by_metric(
        rows_of("maps", score_maps(items, lambda item, _: maps[item.name], chosen), chosen, replace(CONTEXT, draws=20))
    )
    assert {metric for _, metric in rows if metric.startswith("iiou")} == {
        "iiou/ssl-align-is3", "iiou/ssl-align-is3-adaptive",
    }  # fmt: skip
    for name in ("ssl-align-is3", "ssl-align-is3-adaptive"):
        assert rows["maps", f"ciou/{name}"].value == pytest.approx(8 / 9)
        group = rows["maps", f"iiou/{name}"]
        assert (group.value, group.n) == (pytest.approx(2 / 3), 3)
        assert "the frames of a clip are one group" in group.note


@pytest.mark.realdata
@pytest.mark.slow
def test_the_blind_rows_of_is3_are_the_published_ones(shared_data: Path) -> None:
    items = read_annotations(shared_data / "annotations/is3/synthetic3240_bbox.json").items
    rules = ["ez-vsl", "ssl-align-is3", "ssl-align-adaptive"]
    rows = blind(items, rules, ["blind/centre-disc", "blind/whole-image"])
    expected = {
        ("blind/centre-disc", "ez-vsl"): (34.09, 39.38, 7.01, 26.12),
        ("blind/centre-disc", "ssl-align-is3"): (33.98, 39.37, None, None),
        ("blind/centre-disc", "ssl-align-adaptive"): (38.52, 40.25, 10.06, 23.50),
        ("blind/whole-image", "ez-vsl"): (20.62, 32.75, 2.10, 19.82),
    }
    for (name, rule), values in expected.items():
        for metric, value in zip(("ciou", "auc", "iiou", "iauc"), values, strict=True):
            if value is not None:
                assert 100 * rows[name, f"{metric}/{rule}"].value == pytest.approx(value, abs=0.1)
    assert (rows["blind/centre-disc", "ciou/ez-vsl"].n, rows["blind/centre-disc", "iiou/ez-vsl"].n) == (6480, 3240)


@pytest.mark.realdata
@pytest.mark.slow
def test_the_blind_rows_of_vggss_are_the_published_ones(shared_data: Path) -> None:
    items = read_annotations(shared_data / "annotations/vggss/vggss.json").items
    names = ["blind/centre-disc", "blind/mean-map", "blind/whole-image", "ceiling"]
    rows = blind(items, ["ez-vsl", "ssl-align-adaptive"], names)
    expected = {
        ("blind/centre-disc", "ciou/ez-vsl"): 34.02,
        ("blind/centre-disc", "auc/ez-vsl"): 37.44,
        ("blind/centre-disc", "ciou/ssl-align-adaptive"): 43.66,
        ("blind/mean-map", "ciou/ez-vsl"): 34.57,
        ("blind/mean-map", "auc/ssl-align-adaptive"): 43.50,
        ("blind/whole-image", "ciou/ez-vsl"): 21.95,
        ("ceiling", "ciou/ez-vsl"): 50.54,
        ("ceiling", "auc/ez-vsl"): 49.47,
    }
    for key, value in expected.items():
        assert 100 * rows[key].value == pytest.approx(value, abs=0.05)
        assert rows[key].empty_truth == 2
