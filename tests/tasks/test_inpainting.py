"""Inpainting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_pictures import ToyPictures, noise, ramp

from avssl.errors import UserError
from avssl.evaluate.pretext.controls import evaluate_control
from avssl.evaluate.pretext.inpainting import evaluate
from avssl.evaluate.pretext.predictions import HeldOut
from avssl.samplers.keys import Key
from avssl.tasks.inpainting.puzzle import InpaintingOptions
from avssl.tasks.inpainting.task import Inpainting

SMALL = InpaintingOptions(side=32, width=4, decoder_width=4, norm="group", crop_low=1.0)


def made(media, **options):  # type: ignore[no-untyped-def]
    task = Inpainting(replace(SMALL, **options))
    task.fit_statistics(media, 0)
    torch.manual_seed(0)
    return task, task.network(task.encoders())


def batch_of(task, media, count=8, epoch=0):  # type: ignore[no-untyped-def]
    return task.collate([task.draw(media, Key(0, epoch, i)) for i in range(count)])


@pytest.mark.parametrize("fill", ["mean", "border"])
@pytest.mark.parametrize("hole", ["centre", "blocks", "region"])
def test_nothing_of_what_is_in_the_hole_reaches_the_network(hole, fill):
    media = ToyPictures(8, noise)
    task, _ = made(media, hole=hole, fill=fill, flip=False)
    holes = [task.draw(media, Key(0, 0, i)) for i in range(8)]

    def other_inside(i: int) -> np.ndarray:
        # The same picture with another content wherever any of the eight holes is.
        picture = task.draw(media, Key(0, 0, i))
        return np.where(picture.hole, 255 - picture.frame, picture.frame)

    for index, puzzle in enumerate(holes):
        changed = ToyPictures(8, lambda _, index=index: other_inside(index))
        again = task.draw(changed, Key(0, 0, index))
        assert np.array_equal(again.hole, puzzle.hole) and not np.array_equal(again.frame, puzzle.frame)
        assert np.array_equal(again.filled, puzzle.filled)


def test_the_hole_is_filled_by_the_mean_of_training():
    media = ToyPictures(8, lambda i: np.full((3, 32, 32), 10 * i, np.uint8))
    task, _ = made(media, fill="mean")
    puzzle = task.draw(media, Key(0, 0, 0))
    assert np.array_equal(np.unique(puzzle.filled[:, puzzle.hole]), [35])
    assert task.state()["mean"] == [35.0, 35.0, 35.0]


def test_the_loss_weighs_the_rim_beyond_the_hole_and_is_a_mean_over_pixels():
    media = ToyPictures(8, noise)
    task, network = made(media, overlap=2, overlap_weight=10.0)
    batch = batch_of(task, media)
    with torch.no_grad():
        predicted = network(batch["filled"], batch["hole"])
    squared = (predicted - batch["frames"].float() / 255).square().mean(1).numpy()
    inner, outer = np.zeros((32, 32)), np.zeros((32, 32))
    inner[8:24, 8:24] = 1
    outer[6:26, 6:26] = 1
    weight = inner + 10 * (outer - inner)
    by_hand = (squared * weight).sum() / (weight.sum() * 8) / task.state()["variance"]
    assert float(task.loss(network, batch).loss.detach()) == pytest.approx(by_hand, rel=1e-4)


def test_a_fill_that_is_left_as_it_is_has_the_loss_called_chance():
    media = ToyPictures(16, noise)
    task, network = made(media, overlap=0, flip=False)
    with torch.no_grad():
        network.decoder.last.weight.zero_()
    losses = task.loss(network, batch_of(task.held_out(), media, 16))
    assert float(losses.loss.detach()) == pytest.approx(task.chance_loss(), rel=1e-3)


def test_answers_are_pasted_into_the_picture():
    media = ToyPictures(8, noise)
    task, network = made(media)
    batch = batch_of(task.held_out(), media)
    with torch.no_grad():
        answers = task.answers(network.eval(), batch)
    outside = ~batch["hole"].bool().expand_as(answers.scores)
    assert torch.equal(answers.scores[outside], answers.truth[outside])
    assert float(answers.scores.min()) >= 0 and float(answers.scores.max()) <= 1


@pytest.mark.parametrize("hole", ["centre", "region"])
def test_the_adversary_learns_to_discriminate_and_the_network_is_driven_the_other_way(hole):
    media = ToyPictures(8, noise)
    task, network = made(media, adversarial=0.001, hole=hole)
    plain, _ = made(media, hole=hole)
    batch = batch_of(task, media)
    losses = task.loss(network, batch)
    # Logged is the squared error alone, so that runs with and without compare.
    assert float(losses.loss.detach()) == pytest.approx(
        float(plain.loss(network_without(network), batch).loss.detach()), rel=1e-5
    )
    losses.loss.backward()
    judge = list(network.discriminator.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in judge)
    optimizer = torch.optim.Adam(judge, lr=1e-3)
    for _ in range(40):
        optimizer.zero_grad()
        found = task.loss(network, batch)
        found.loss.backward()
        optimizer.step()
    assert float(found.measures["discriminator_accuracy"]) > 0.9


def network_without(network):  # type: ignore[no-untyped-def]
    """The same network, its judge hidden."""
    import copy

    hidden = copy.deepcopy(network)
    hidden.discriminator = None
    return hidden


def test_each_side_of_the_game_learns_from_its_own_loss_alone():
    media = ToyPictures(8, noise)
    weight = 0.25
    task, network = made(media, adversarial=weight)
    batch = batch_of(task, media)
    hole, truth = batch["hole"].float(), batch["frames"].float() / 255
    predicted = network(batch["filled"], batch["hole"]).detach().requires_grad_()
    judge = network.discriminator
    assert judge is not None
    evaluated, deceived, _ = task._adversarial(judge, predicted, truth, hole)
    evaluated.backward()
    assert predicted.grad is None and all(p.grad is not None for p in judge.parameters())
    judge.zero_grad()
    deceived.backward()
    assert all(p.grad is None or not p.grad.any() for p in judge.parameters())
    assert predicted.grad is not None and not predicted.grad[~hole.bool().expand_as(predicted)].any()
    # A step down that gradient: the judge takes more of it for real.
    first, side = (predicted.shape[-1] - task._discriminator_side()) // 2, task._discriminator_side()
    window = (..., slice(first, first + side), slice(first, first + side))
    better = predicted.detach() - 100 * predicted.grad
    with torch.no_grad():
        assert judge(better[window]).mean() > judge(predicted[window]).mean()


def test_where_the_adversary_sees_through_all_it_still_drives_the_network():
    task, network = made(ToyPictures(8, noise), adversarial=0.25)
    batch = batch_of(task, ToyPictures(8, noise))
    judge = network.discriminator
    assert judge is not None
    with torch.no_grad():
        judge.layers[-1].bias.fill_(-50.0)  # certain that everything is painted
    predicted = network(batch["filled"], batch["hole"]).detach().requires_grad_()
    task._adversarial(judge, predicted, batch["frames"].float() / 255, batch["hole"].float())[1].backward()
    assert predicted.grad is not None and float(predicted.grad.abs().sum()) > 1e-3


def test_refinement_corrects_hardly_anything_at_first_and_learns():
    task, network = made(ToyPictures(8, noise), refine=2)
    batch = batch_of(task, ToyPictures(8, noise))
    network.eval()
    correcting = network.decoder.refine
    assert correcting is not None
    with torch.no_grad():
        predicted = network(batch["filled"], batch["hole"])
        network.decoder.refine = None
        apart = (network(batch["filled"], batch["hole"]) - predicted).abs()
    assert 0 < float(apart.mean()) < 0.01  # of a range of 1
    network.decoder.refine = correcting
    task.loss(network.train(), batch).loss.backward()
    assert correcting.last.weight.grad is not None and correcting.last.weight.grad.any()


def seam(task, network, media) -> float:  # type: ignore[no-untyped-def]
    """Mean step across the rim of the hole, in levels, of what is pasted in."""
    batch = batch_of(task.held_out(), media, len(media))
    with torch.no_grad():
        pasted = task.answers(network.eval(), batch).scores * 255
    first, last = 8, 23
    steps = [
        pasted[:, :, first, first : last + 1] - pasted[:, :, first - 1, first : last + 1],
        pasted[:, :, last, first : last + 1] - pasted[:, :, last + 1, first : last + 1],
        pasted[:, :, first : last + 1, first] - pasted[:, :, first : last + 1, first - 1],
        pasted[:, :, first : last + 1, last] - pasted[:, :, first : last + 1, last + 1],
    ]
    return float(torch.stack(steps).abs().mean())


def test_a_weighted_overlap_narrows_the_seam():
    media = ToyPictures(16, ramp)
    found = {}
    for overlap in (0, 3):
        task, network = made(media, fill="mean", skips=False, overlap=overlap, flip=False)
        optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
        batch = batch_of(task.held_out(), media, 16)
        for _ in range(120):
            optimizer.zero_grad()
            task.loss(network, batch).loss.backward()
            optimizer.step()
        found[overlap] = seam(task, network, media)
    assert found[3] < 0.9 * found[0], found


def test_the_control_is_taught_the_content_of_other_pictures_and_evaluated_on_true_ones():
    media = ToyPictures(8, noise)
    task, network = made(media)
    control = task.controls()["shuffled-labels"]
    own, taught = task.draw(media, Key(0, 0, 3)), control.draw(media, Key(0, 0, 3))
    assert np.array_equal(own.filled, taught.filled)
    assert not np.array_equal(own.frame[:, own.hole], taught.frame[:, own.hole])
    assert np.array_equal(
        control.held_out().draw(media, Key(0, 0, 3)).frame, task.held_out().draw(media, Key(0, 0, 3)).frame
    )
    rows = evaluate_control(control, {"shuffled-labels": network}, HeldOut(media, 8))
    assert [(row.name, row.metric) for row in rows] == [("shuffled-labels", "psnr")]


def test_rows_stand_beside_the_plain_fills_of_the_same_holes():
    media = ToyPictures(8, ramp)
    task, network = made(media)
    rows = evaluate(task, {"trained": network, "untrained": network}, HeldOut(media, 100))
    by = {(row.name, row.metric): row for row in rows}
    assert by["border-fill", "psnr"].value > by["mean-fill", "psnr"].value > by["training-mean", "psnr"].value
    assert by["trained", "psnr"].n == 8 and by["untrained", "psnr"].value == by["trained", "psnr"].value
    paired = by["trained - mean-fill", "psnr-difference"]
    assert paired.value == pytest.approx(by["trained", "psnr"].value - by["mean-fill", "psnr"].value)
    assert paired.low <= paired.value <= paired.high


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hole_share": 1.0}, "--hole-share"),
        ({"hole_share": 0.9, "overlap": 4}, "--hole-share"),
        ({"overlap": -1}, r"--overlap \(-1\) must not be negative"),
    ],
)
def test_a_hole_that_leaves_nothing_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        Inpainting(replace(SMALL, **options))
