"""Shuffle & Learn: what a triplet is fed as, what closes its shortcuts, and that the network can compare frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_media import FPS, ToyVideos
from toy_pictures import noise

from avssl.errors import UserError
from avssl.samplers.keys import Key
from avssl.tasks.shuffle_learn.puzzle import ShuffleLearnOptions
from avssl.tasks.shuffle_learn.task import ShuffleLearn

TINY = {"side": 32, "width": 4, "features": 16, "hidden": 32, "grid": 2, "motion": False}


class MovingBar(ToyVideos):
    """A bright bar on a dark ground that moves to the right, at another speed and height in every clip."""

    def frames(self, i, times):
        rng = np.random.default_rng(i)
        start, speed, top = rng.uniform(0, 8), rng.uniform(6, 9), int(rng.integers(0, 24))
        pictures = np.full((len(times), 3, 40, 40), 30, np.uint8)
        for picture, time in zip(pictures, times, strict=True):
            left = round(start + speed * time)
            picture[:, top : top + 12, left : left + 8] = 220
        return pictures


def task_of(**options):
    return ShuffleLearn(ShuffleLearnOptions(**{**TINY, **options}))


def puzzles(task, media, count=64, epoch=0):
    return [task.draw(media, Key(0, epoch, index)) for index in range(count)]


def test_the_label_says_whether_the_middle_frame_lies_between_the_outer_ones():
    for puzzle in puzzles(task_of(), MovingBar()):
        first, middle, last = puzzle.times
        assert puzzle.label == (min(first, last) < middle < max(first, last))
        b, d = sorted((puzzle.five[1], puzzle.five[3]))
        assert {first, last} == {b, d}


def test_held_out_triplets_are_half_right_and_training_ones_a_quarter():
    task, media = task_of(), MovingBar()
    for one, share in ((task, 0.25), (task.held_out(), 0.5)):
        assert np.mean([puzzle.label for puzzle in puzzles(one, media, 600)]) == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("one_crop", [True, False])
def test_a_triplet_has_one_crop_and_one_change_of_colours_or_each_frame_its_own(one_crop):
    task = task_of(one_crop=one_crop, crop_low=0.5)
    still = ToyVideos(4)
    still.frames = lambda i, times: np.stack([noise(i)] * len(times))
    drawn = puzzles(task, still, 16)
    alike = [bool((p.frames[0] == p.frames[1]).all() and (p.frames[1] == p.frames[2]).all()) for p in drawn]
    assert all(alike) if one_crop else not any(alike)
    assert all((len(set(p.brightness)) == 1) == one_crop for p in drawn)


def test_look_alikes_are_drawn_again():
    class Stops(MovingBar):
        """Still for its first second."""

        def frames(self, i, times):
            return super().frames(i, [max(t - 1.0, 0.0) * 1.5 for t in times])

    least = {limit: min(p.difference for p in puzzles(task_of(look_alike=limit), Stops())) for limit in (0.0, 4.0)}
    assert least[0.0] == 0.0
    assert least[4.0] >= 4.0


def test_look_alikes_that_stay_are_reported():
    class Still(ToyVideos):
        """Only the first half of the clips moves."""

        def frames(self, i, times):
            return MovingBar.frames(self, i, times if i < len(self) // 2 else [0.0] * len(times))

    task, media = task_of().held_out(), Still(8)
    drawn = puzzles(task, media, 8)
    assert [p.look_alike for p in drawn] == [p.difference < 1.0 for p in drawn]
    assert sum(p.look_alike for p in drawn) == sum(p.name >= "toy/004" for p in drawn) > 0
    assert not any(p.look_alike for p in puzzles(task_of(look_alike=0.0), media, 8))
    titles = [np.asarray(task.sheet(some))[48:68] for some in (drawn, [p for p in drawn if not p.look_alike])]
    assert titles[0].min() < 200 and titles[1].min() == 255  # a line of its own, where there are any


def test_controls_see_the_middle_frame_alone_or_the_outer_two():
    task, media = task_of(), MovingBar()
    puzzle = task.draw(media, Key(0, 0, 0))
    for name, slots in (("single-frame", [1, 1, 1]), ("outer-frames", [0, 0, 2])):
        batch = task.controls()[name].collate([puzzle])
        assert np.array_equal(batch["frames"][0].numpy(), puzzle.frames[slots])


def test_shuffled_labels_are_taught_but_not_evaluated():
    control, media = task_of().controls()["shuffled-labels"], MovingBar()
    taught = [p.label for p in puzzles(control, media, 200)]
    true = [p.times[1] == sorted(p.times)[1] for p in puzzles(control, media, 200)]
    assert np.mean(np.array(taught) == np.array(true)) < 0.75
    evaluated = puzzles(control.held_out(), media, 50)
    assert all(p.label == (p.times[1] == sorted(p.times)[1]) for p in evaluated)


def test_measures_do_not_depend_on_the_share_of_right_orders():
    class Constant(torch.nn.Module):
        def forward(self, batch):
            return torch.zeros(len(batch["label"]), 2)

    task = task_of(positives=0.25)
    batch = task.collate(puzzles(task, MovingBar(), 64))
    losses = task.loss(Constant(), batch)
    assert float(losses.measures["balanced_loss"]) == pytest.approx(np.log(2), rel=1e-5)
    # The constant answer scores the share of wrong orders, and with both alike one half.
    assert float(losses.measures["accuracy"]) == pytest.approx(0.5, abs=1e-5)


def test_the_spacing_of_the_curve_is_the_spacing_of_its_triplets():
    task = task_of().held_out().spaced(0.32)
    for puzzle in puzzles(task, MovingBar(), 16):
        assert np.diff(puzzle.five) == pytest.approx(0.32, abs=1 / FPS)


@pytest.mark.parametrize("differences", [True, False])
def test_swapping_frames_changes_the_answer_and_differences_need_no_order(differences):
    torch.manual_seed(0)
    task = task_of(differences=differences)
    network = task.network(task.encoders()).eval()
    batch = task.collate(puzzles(task, MovingBar(), 8))
    turned = {**batch, "frames": batch["frames"].flip(1)}
    assert network(batch).shape == (8, 2)
    assert not torch.allclose(network(batch), network(turned))
    assert network.together[0].in_features == 16 * (6 if differences else 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gap_min": 0.2, "tau_max": 0.1}, "gap-min"),
        ({"positives": 0.0}, "positives"),
    ],
)
def test_options_that_make_no_puzzle_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        task_of(**options)


def test_a_bar_that_moves_is_learned_in_some_steps():
    torch.manual_seed(0)
    far = {"gap_min": 0.3, "tau_max": 0.4, "tau_min": 0.3, "reach": 0.4}
    task, media = task_of(side=40, width=8, grid=5, features=32, crop_low=1.0, flip=False, **far), MovingBar(32)
    network = task.network(task.encoders())
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for step in range(60):
        batch = task.collate(puzzles(task, media, 64, epoch=step))
        optimizer.zero_grad()
        task.loss(network, batch).loss.backward()
        optimizer.step()
    network.eval()
    answers = task.held_out().answers(network, task.held_out().collate(puzzles(task.held_out(), media, 256, epoch=-2)))
    assert float((answers.scores.argmax(1) == answers.truth).float().mean()) > 0.7
