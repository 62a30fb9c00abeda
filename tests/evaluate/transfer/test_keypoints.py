"""Looks move joints with the picture; a head learns dots to near perfection; rows have their company."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_people import JOINTS, draw_dots, write_people
from PIL import Image
from probe_media import vision_encoder

from avssl.errors import UserError
from avssl.evaluate.core.rows import Context
from avssl.evaluate.data.encoders import weights_digest
from avssl.evaluate.transfer.keypoints.pck import pck
from avssl.evaluate.transfer.keypoints.people import People, Skeleton, divide
from avssl.evaluate.transfer.keypoints.people_files import open_people
from avssl.evaluate.transfer.keypoints.people_scored import choose_unit, errors_of, evaluated_people, mean_pose
from avssl.evaluate.transfer.keypoints.picture import draw_keypoints
from avssl.evaluate.transfer.keypoints.pose_augmentation import BEYOND, PoseAugmentation, PoseInputs, cut_beyond
from avssl.evaluate.transfer.keypoints.protocol import KeypointChoices, evaluate_keypoints, fit, keypoint_rows, predict

PLAIN = PoseAugmentation(turn=10, flip=False)  # a dot's colour says left or right: mirrored it would say the other


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return open_people(write_people(tmp_path_factory.mktemp("people"), 50))


def _everything(people):
    return evaluated_people(people, np.arange(len(people)), choose_unit(people))


# --- looks ------------------------------------------------------------------------------------------------------


def test_a_square_of_a_picture_is_cut_exactly_and_what_lies_beyond_is_plain():
    picture = np.random.default_rng(0).integers(0, 255, (3, 20, 30), np.uint8)
    np.testing.assert_array_equal(cut_beyond(picture, (4, 5), 8, 8), picture[:, 5:13, 4:12])
    part = cut_beyond(picture, (-3, 15), 8, 8)
    np.testing.assert_array_equal(part[:, :5, 3:], picture[:, 15:, :5])
    assert (part[:, :, :3] == np.array(BEYOND)[:, None, None]).all()
    assert (cut_beyond(picture, (100, 100), 8, 8) == np.array(BEYOND)[:, None, None]).all()


@pytest.fixture
def two_dots(tmp_path):
    """A red dot that is a left joint and a green one that is its right twin, on black."""
    places = np.array([[67.0, 62.0], [85.0, 81.0]])
    draw_dots(np.zeros((150, 150, 3), np.uint8), places, [(255, 0, 0), (0, 255, 0)]).save(tmp_path / "dots.png")
    skeleton = Skeleton("dots", ("left dot", "right dot"), ((0, 1),), (0, 1))
    lone = (np.array([20.0]), np.array([np.nan]))
    return People(
        skeleton, (str(tmp_path / "dots.png"),), places[None], np.array([[50.0, 48.0, 50.0]]), *lone, ("a",), (None,)
    )


def _centre(plane):
    rows, columns = np.indices(plane.shape)
    return np.array([(columns * plane).sum(), (rows * plane).sum()]) / plane.sum() + 0.5


def test_a_joint_is_where_its_dot_is_in_the_evaluated_look(two_dots):
    frame = PoseInputs(two_dots, 96).evaluation(np.array([0]))[0].numpy().astype(float)
    for k in range(2):
        np.testing.assert_allclose(_centre(frame[k]) / 96, two_dots.in_box[0, k], atol=0.002)
    np.testing.assert_allclose(two_dots.from_box(two_dots.in_box), two_dots.joints)


def test_a_joint_moves_with_its_dot_and_changes_sides_in_a_mirror(two_dots):
    looks = PoseInputs(two_dots, 96)
    swapped = 0
    for number in range(12):
        frames, truth = looks.training(np.array([0]), np.random.default_rng(number))
        frame, predicted = frames[0].numpy(), truth[0].numpy()
        centres = np.stack([_centre(frame[k]) / 96 for k in range(2)])
        mirrored = np.abs(centres[::-1] - predicted).max() < np.abs(centres - predicted).max()
        swapped += mirrored
        np.testing.assert_allclose(centres[::-1] if mirrored else centres, predicted, atol=0.005)
    assert 0 < swapped < 12


def test_looks_depend_on_their_generator_alone(people):
    items = np.array([3, 1])
    first = PoseInputs(people, 32).training(items, np.random.default_rng(5))
    again = PoseInputs(people, 32).training(items, np.random.default_rng(5))
    other = PoseInputs(people, 32).training(items, np.random.default_rng(6))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])


# --- learning ---------------------------------------------------------------------------------------------------


def test_the_mean_pose_does_not_look(people):
    pose = mean_pose(people, np.arange(20))
    assert pose.shape == (len(JOINTS), 2)
    np.testing.assert_allclose(pose, np.nanmean(people.in_box[:20], axis=0))
    bare = replace(people, joints=np.full_like(people.joints, np.nan))
    np.testing.assert_array_equal(mean_pose(bare, np.arange(20)), 0.5)


def test_a_small_made_problem_is_learned_to_near_perfection(people):
    train, test, _ = divide(people)
    evaluated = evaluated_people(people, test, choose_unit(people))
    start, looks = vision_encoder(), PoseInputs(people, 48, PLAIN)
    before = weights_digest(start)
    network = fit(start, looks, train, KeypointChoices(steps=80, batch_size=16, width=16), 1e-2)
    found = pck(errors_of(predict(network, looks, evaluated.items), evaluated), 0.2)
    blind = pck(errors_of(mean_pose(people, train)[None].repeat(len(evaluated.items), 0), evaluated), 0.2)
    assert found > 0.95
    assert blind < 0.35
    assert weights_digest(start) == before
    assert weights_digest(network.encoder) == before  # frozen


def test_the_same_seed_gives_the_same_network_and_fine_tuning_changes_the_encoder(people):
    start, looks, items = vision_encoder(), PoseInputs(people, 32), np.arange(8)
    few = KeypointChoices(steps=2, batch_size=4, width=8, finetune=True)
    first = fit(start, looks, items, few, 1e-2)
    torch.rand(3)
    again = fit(start, looks, items, few, 1e-2)
    assert weights_digest(first.encoder) == weights_digest(again.encoder) != weights_digest(start)
    assert all(torch.equal(a, b) for a, b in zip(first.head.parameters(), again.head.parameters(), strict=True))


def test_an_unknown_stage_names_those_there_are(people):
    with pytest.raises(UserError, match="it has: conv1, conv2"):
        fit(vision_encoder(), PoseInputs(people, 32), np.arange(4), KeypointChoices(stages=("conv7",)), 1e-2)


# --- rows -------------------------------------------------------------------------------------------------------


def test_rows_have_interval_chance_control_and_what_was_dropped(people, tmp_path):
    torso = people.torso.copy()
    torso[40] = np.nan
    some = replace(people, torso=torso)
    test = np.arange(36, 50)
    evaluated = evaluated_people(some, test, choose_unit(some))
    looks = PoseInputs(some, 32)
    choices = KeypointChoices(steps=2, batch_size=4, width=8, rates=(1e-2, 1e-3))
    outcome = evaluate_keypoints(
        vision_encoder(),
        looks,
        np.arange(36),
        evaluated,
        choices,
        Context("test", command="avssl …", draws=50),
        seeds=2,
    )
    rows = {(row.name, row.metric): row for row in outcome.rows}
    mean = rows["trained", "pck@0.2"]
    assert (mean.n, mean.n_used, mean.n_listed) == (13, 13, 14)
    assert mean.chance == rows["mean-pose", "pck@0.2"].value
    assert mean.method == "t" and "range of 2 seeds: " in mean.note
    assert mean.value == np.mean([rows[f"trained/seed{k}", "pck@0.2"].value for k in (0, 1)])
    assert rows["random/seed1", "pck@0.2"].method == "wilson"
    assert "learning rate" in mean.note
    assert "1 person without torso" in rows["mean-pose", "pck@0.2"].note
    nose = rows["trained/nose", "pck@0.2"]
    assert nose.n == np.isfinite(some.joints[evaluated.items][:, 4, 0]).sum() < 13
    assert {("random", "pck-auc@0..0.2"), ("gain", "pck@0.2-difference"), ("mean-pose/nose", "pck@0.2")} <= set(rows)
    draw_keypoints(tmp_path / "k.png", "test", looks, evaluated, outcome.points, outcome.errors)
    assert Image.open(tmp_path / "k.png").width > 600


def test_errors_by_hand_become_rows_by_hand(people):
    evaluated = evaluated_people(people, np.arange(4), choose_unit(people))
    errors = np.full((4, 5), 0.1)
    errors[0], errors[1, 1:] = 0.3, np.nan  # 5 wrong of 16
    blind = np.where(np.isnan(errors), np.nan, 1.0)
    rows = {row.name: row for row in keypoint_rows({"trained": [errors]}, blind, evaluated, Context("t", draws=50), {})}
    assert rows["trained/left-shoulder"].value == 0.75
    assert rows["trained/nose"].value == pytest.approx(2 / 3)
    assert rows["trained/nose"].method == "wilson"
    figures = {
        row.metric: row
        for row in keypoint_rows({"trained": [errors]}, blind, evaluated, Context("t", draws=50), {})[:2]
    }
    assert figures["pck@0.2"].value == pytest.approx(11 / 16)
    assert figures["pck@0.2"].chance == 0
    assert figures["pck-auc@0..0.2"].value == pytest.approx(11 / 16 * 0.525)


def test_where_all_is_right_the_interval_is_that_of_so_many_people(people):
    evaluated = evaluated_people(people, np.arange(10), choose_unit(people))
    row = keypoint_rows({"trained": [np.zeros((10, 5))]}, np.ones((10, 5)), evaluated, Context("t", draws=50), {})[0]
    assert (row.value, row.method) == (1, "wilson")
    assert (row.low, row.high) == pytest.approx((0.7225, 1), abs=1e-4)


def test_a_unit_that_nobody_has_is_refused(people):
    with pytest.raises(UserError, match="has a head box"):
        choose_unit(people, "head")
    assert choose_unit(people).metric == "pck@0.2"
    headed = replace(people, head=np.full(len(people), 50.0))
    unit = choose_unit(headed)
    assert unit.metric == "pckh@0.5"
    np.testing.assert_allclose(unit.pixels(headed), 30)


def test_groups_are_not_divided(people):
    grouped = replace(people, groups=tuple(str(k // 7) for k in range(len(people))))
    train, test, how = divide(grouped)
    assert not {grouped.groups[i] for i in train} & {grouped.groups[i] for i in test}
    assert len(train) + len(test) == len(people)
    assert "groups held out" in how
    with pytest.raises(UserError, match="give held-out people with --test"):
        divide(people.part([0]))
