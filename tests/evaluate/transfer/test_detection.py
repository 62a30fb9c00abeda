"""A detector learns coloured shapes; its rows have interval, chance and company; the same seed gives the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_boxes import write_coco, write_voc

from avssl.evaluate.core.rows import Context
from avssl.evaluate.core.statistics import wilson
from avssl.evaluate.data.encoders import weights_digest
from avssl.evaluate.transfer.detection.box_precision import Detections
from avssl.evaluate.transfer.detection.box_sets import open_boxes
from avssl.evaluate.transfer.detection.picture import draw_detections
from avssl.evaluate.transfer.detection.protocol import (
    DetectionChoices,
    DetectionRuns,
    blind_boxes,
    detect,
    detection_rows,
    fit,
    predict,
    seen_classes,
)
from avssl.networks.config import VisionConfig
from avssl.networks.vision import VisionEncoder

SMALL = DetectionChoices(steps=110, batch_size=4, rate=4e-3, side=64, anchors=(12, 18, 26), width=32, representation=64)
"""Enough for shapes of 14 to 28 pixels."""


def encoder(seed: int = 0) -> VisionEncoder:
    torch.manual_seed(seed)
    return VisionEncoder(VisionConfig("small", width=8, convs=1, blocks=3, side=64, first_stride=1)).eval()


@pytest.mark.slow
def test_shapes_are_found_and_named_on_a_frozen_encoder(tmp_path):
    train, test = open_boxes(write_voc(tmp_path / "voc", train=64, test=24))
    start = encoder()
    before = weights_digest(start)
    network = fit(start, train, SMALL, seed=0)
    assert weights_digest(start) == weights_digest(network.backbone.encoder) == before
    found = DetectionRuns({"trained": [predict(network, test.scenes)]}, blind_boxes(train, test), {"trained": ""})
    rows = {(row.name, row.metric): row for row in detection_rows(found, test, [True, True], Context("t", draws=200))}
    assert rows["trained", "ap50"].value > 0.93
    assert rows["trained", "voc07-map"].value > 0.93
    assert rows["trained", "ap"].value > 0.4
    blind = rows["blind", "ap50"]
    assert blind.value == rows["trained", "ap50"].chance < 0.2
    assert rows["trained", "ap50"].low > 0.85 > blind.high
    draw_detections(tmp_path / "sheet.png", "shapes", test, {"trained": found.starts["trained"][0]})
    assert (tmp_path / "sheet.png").stat().st_size > 20_000


def test_a_fine_tuned_encoder_learns_too_and_the_same_seed_gives_the_same_detector(tmp_path):
    train, _ = open_boxes(write_coco(tmp_path / "coco"))
    few = DetectionChoices(steps=3, batch_size=2, side=64, anchors=(16,), width=8, representation=8, finetune=True)
    start = encoder()
    first = fit(start, train, few, seed=1)
    torch.rand(5)
    again, other = fit(start, train, few, seed=1), fit(start, train, few, seed=2)
    state, twin = first.state_dict(), again.state_dict()
    assert all(torch.equal(state[name], twin[name]) for name in state)
    assert weights_digest(first.backbone.encoder) != weights_digest(start)
    assert not torch.equal(first.roi_heads.box_head.fc6.weight, other.roi_heads.box_head.fc6.weight)


def test_rows_have_every_metric_of_every_start_the_gain_and_the_seeds(tmp_path):
    train, test = open_boxes(write_voc(tmp_path / "voc"))
    few = DetectionChoices(steps=1, batch_size=2, side=64, anchors=(16,), width=8, representation=8, seeds=2)
    found = detect({"trained": encoder(0), "random": encoder(1)}, train, test, few)
    rows = detection_rows(found, test, seen_classes(train), Context("detection", draws=50, listed=4))
    found_rows = {(row.name, row.metric): row for row in rows}
    for metric in ("ap", "ap50", "ap75", "voc07-map", "voc12-map"):
        row = found_rows["trained", metric]
        seeds = [found_rows[f"trained/seed{k}", metric].value for k in (0, 1)]
        assert row.value == np.mean(seeds)
        assert 0 <= row.low <= min(seeds) <= max(seeds) <= row.high <= 1  # two seeds say little of a third
        assert row.chance == found_rows["blind", metric].value
        gain = found_rows["gain", f"{metric}-difference"]
        first = found_rows["trained/seed0", metric].value - found_rows["random/seed0", metric].value
        assert gain.value == pytest.approx(first)
        assert gain.low <= gain.value <= gain.high
    assert found_rows["blind", "ap"].n == sum(len(truth.boxes) for truth in test.truths)
    assert (found_rows["blind", "ap"].clusters, found_rows["blind", "ap"].unit) == (4, "picture")


def test_blind_boxes_are_the_mean_of_each_class_in_shares_of_the_picture(tmp_path):
    train, test = open_boxes(write_voc(tmp_path / "voc"))
    (first, *_) = blind_boxes(train, test)
    boxes = np.concatenate([truth.boxes[truth.labels == 0] for truth in train.truths])
    np.testing.assert_allclose(first.boxes[0], boxes.mean(0), rtol=1e-5)  # all pictures are of one size
    counts = [sum(int((truth.labels == k).sum()) for truth in train.truths) for k in (0, 1)]
    np.testing.assert_allclose(first.scores, np.array(counts) / sum(counts), rtol=1e-6)


def test_a_mirrored_picture_has_mirrored_boxes(tmp_path):
    from avssl.evaluate.transfer.detection import protocol as detection

    train, _ = open_boxes(write_voc(tmp_path / "voc"))
    picture, target = detection._shown(train.scenes[0], False, "cpu")
    mirrored, other = detection._shown(train.scenes[0], True, "cpu")
    for (x0, y0, x1, y1), (u0, v0, u1, v1) in zip(target["boxes"].int(), other["boxes"].int(), strict=True):
        assert torch.equal(picture[:, y0:y1, x0:x1], mirrored[:, v0:v1, u0:u1].flip(2))


def test_the_truth_itself_scores_one_and_silence_nothing(tmp_path):
    train, test = open_boxes(write_voc(tmp_path / "voc"))
    perfect = [Detections(one.boxes, one.labels, np.ones(len(one.boxes), np.float32)) for one in test.truths]
    nothing = [Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))] * len(perfect)
    found = DetectionRuns(
        {"perfect": [perfect], "silent": [nothing]}, blind_boxes(train, test), {"perfect": "", "silent": ""}
    )
    rows = detection_rows(found, test, [True, True], Context("t", draws=50))
    for row in rows:
        if row.name == "perfect":
            assert (row.value, row.low, row.high) == pytest.approx((1, wilson(4, 4)[0], 1))  # four pictures, all right
        if row.name == "silent":
            assert (row.value, row.low, row.high) == pytest.approx((0, 0, wilson(0, 4)[1]))
