"""The losses of puzzles that are answered with a class, with colours or with pixels, against slow counts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from avssl.networks.colorization import Colours
from avssl.networks.colour import rgb_to_lab
from avssl.tasks.colorization.puzzle import ColorizationOptions
from avssl.tasks.colorization.task import Colorization
from avssl.tasks.images import class_losses
from avssl.tasks.inpainting.puzzle import InpaintingOptions
from avssl.tasks.inpainting.task import Inpainting
from avssl.tasks.jigsaw.puzzle import JigsawOptions
from avssl.tasks.jigsaw.task import Jigsaw
from avssl.tasks.relative_position.puzzle import RelativePositionOptions
from avssl.tasks.relative_position.task import RelativePosition
from avssl.tasks.rotation.puzzle import RotationOptions
from avssl.tasks.rotation.task import Rotation
from avssl.tasks.shuffle_learn.puzzle import ShuffleLearnOptions
from avssl.tasks.shuffle_learn.task import ShuffleLearn

LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 3, 1, 0])


def entropy(row, label):
    return math.log(sum(math.exp(x) for x in row)) - row[label]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_smoothing_changes_the_loss_and_not_what_is_logged(smoothing):
    losses = class_losses(LOGITS, LABELS, smoothing)
    rows = LOGITS.tolist()
    plain = np.mean([entropy(row, label) for row, label in zip(rows, LABELS.tolist(), strict=True)])
    spread = np.mean([entropy(row, k) for row in rows for k in range(4)])
    assert float(losses.loss) == pytest.approx((1 - smoothing) * plain + smoothing * spread, rel=1e-5)
    assert float(losses.measures["class_loss"]) == pytest.approx(plain, rel=1e-5)
    right = np.mean([np.argmax(row) == label for row, label in zip(rows, LABELS.tolist(), strict=True)])
    assert float(losses.measures["accuracy"]) == pytest.approx(right)


def test_at_chance_a_puzzle_costs_the_logarithm_of_its_answers():
    assert Rotation(RotationOptions()).chance_loss() == pytest.approx(math.log(4))
    assert RelativePosition(RelativePositionOptions()).chance_loss() == pytest.approx(math.log(8))
    assert Jigsaw(JigsawOptions(permutations=24)).chance_loss() == pytest.approx(math.log(24))
    assert ShuffleLearn(ShuffleLearnOptions()).chance_loss() == pytest.approx(math.log(2))


def test_the_options_smoothing_reaches_the_loss():
    batch = {"frames": torch.zeros(6, 3, 8, 8), "label": LABELS}
    for smoothing in (0.0, 0.3):
        task = Rotation(RotationOptions(smoothing=smoothing))
        loss = task.loss(lambda _: LOGITS, batch).loss
        assert float(loss) == pytest.approx(float(class_losses(LOGITS, LABELS, smoothing).loss))


def test_orders_that_are_rarer_in_training_count_as_much_in_what_is_logged():
    task = ShuffleLearn(replace(ShuffleLearnOptions(), positives=0.25, blur=0.0))
    logits, label = LOGITS[:, :2], torch.tensor([0, 0, 1, 0, 0, 1])
    losses = task.loss(lambda _: logits, {"frames": torch.zeros(6, 3, 3, 4, 4), "label": label})
    rows, labels = logits.tolist(), label.tolist()
    # The prior of three wrong orders to one right one: log 1.5 and log 0.5.
    drawn = [entropy([a + math.log(1.5), b + math.log(0.5)], y) for (a, b), y in zip(rows, labels, strict=True)]
    assert float(losses.loss) == pytest.approx(np.mean(drawn), rel=1e-5)
    weight = [2 if y else 2 / 3 for y in labels]
    each = [entropy(row, y) for row, y in zip(rows, labels, strict=True)]
    right = [float(np.argmax(row) == y) for row, y in zip(rows, labels, strict=True)]
    for name, values in (("balanced_loss", each), ("accuracy", right)):
        assert float(losses.measures[name]) == pytest.approx(np.average(values, weights=weight), rel=1e-5)


def inpainting(**more):
    options = InpaintingOptions(side=32, width=4, decoder_width=4, hole_share=0.5, **more)
    task = Inpainting(options)
    task.load_state({"mean": [100, 110, 120], "variance": 0.04})
    torch.manual_seed(0)
    network = task.network(task.encoders())
    rng = torch.Generator().manual_seed(3)
    hole = torch.zeros(2, 1, 32, 32, dtype=torch.uint8)
    hole[:, :, 8:24, 8:24] = 1
    hole[1, :, 8:12] = 0  # another size
    asked = hole.clone()
    asked[:, :, 6:26, 6:26] = 1
    batch = {
        "frames": torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=rng),
        "filled": torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=rng),
        "hole": hole,
        "asked": asked,
    }
    predicted = torch.rand(2, 3, 32, 32, generator=rng).requires_grad_()
    network.forward = lambda filled, hole: predicted
    return task, network, batch, predicted


def test_what_is_painted_is_evaluated_in_the_hole_and_by_its_weight_on_the_rim():
    task, network, batch, predicted = inpainting(overlap=2, overlap_weight=10.0, adversarial=0.0)
    losses = task.loss(network, batch)
    truth = batch["frames"].float() / 255
    total = weights = 0.0
    psnr = []
    for n in range(2):
        inside = []
        for y in range(32):
            for x in range(32):
                error = float((predicted[n, :, y, x].detach() - truth[n, :, y, x]).square().mean())
                weight = 1.0 if batch["hole"][n, 0, y, x] else 10.0 if batch["asked"][n, 0, y, x] else 0.0
                total, weights = total + weight * error, weights + weight
                if weight == 1.0:
                    inside.append(error)
        psnr.append(-10 * math.log10(np.mean(inside)))
    assert float(losses.loss.detach()) == pytest.approx(total / weights / 0.04, rel=1e-4)
    assert float(losses.measures["psnr"]) == pytest.approx(np.mean(psnr), rel=1e-4)
    assert set(losses.measures) == {"psnr"}


def test_an_adversarial_term_changes_the_gradient_and_not_the_value():
    share = 0.25
    plain, _, batch, _ = inpainting(overlap=0, overlap_weight=0.0, adversarial=0.0)
    task, network, batch, predicted = inpainting(overlap=0, overlap_weight=0.0, adversarial=share)
    losses = task.loss(network, batch)
    truth = batch["frames"].float() / 255
    network.discriminator.zero_grad()
    hole = batch["hole"].float()
    mean = ((predicted - truth).square().mean(1, keepdim=True) * hole).sum() / hole.sum() / 0.04
    assert float(losses.loss.detach()) == pytest.approx(float(mean.detach()), rel=1e-4)
    assert plain.loss_measure == "loss"
    losses.loss.backward()
    found, predicted.grad = predicted.grad.clone(), None
    weights = [one.grad.clone() for one in network.discriminator.parameters()]
    painted = torch.where(hole.bool(), predicted, truth)[..., 8:24, 8:24]
    real, fake = (network.discriminator(x) for x in (truth[..., 8:24, 8:24], painted))
    softplus = torch.nn.functional.softplus
    ((1 - share) * mean + share * softplus(-fake).mean()).backward()
    torch.testing.assert_close(predicted.grad, found, rtol=1e-3, atol=1e-7)
    network.discriminator.zero_grad()
    real, fake = (network.discriminator(x.detach()) for x in (truth[..., 8:24, 8:24], painted))
    ((softplus(-real).mean() + softplus(fake).mean()) / 2).backward()
    for one, grad in zip(network.discriminator.parameters(), weights, strict=True):
        torch.testing.assert_close(one.grad, grad, rtol=1e-3, atol=1e-7)
    result = ((real > 0).float().mean() + (fake <= 0).float().mean()) / 2
    assert float(losses.measures["discriminator_accuracy"]) == pytest.approx(float(result))


def test_what_adds_nothing_to_the_fill_costs_one_unless_the_rim_is_asked_for():
    known = {
        (0, 10.0): 1.0,
        (2, 0.0): 1.0,
        (2, 10.0): None,
    }
    for (overlap, weight), cost in known.items():
        assert inpainting(overlap=overlap, overlap_weight=weight)[0].chance_loss() == cost


def test_answers_are_pasted_into_the_hole_alone():
    task, network, batch, predicted = inpainting(overlap=0)
    answers = task.answers(network, batch)
    inside = batch["hole"].bool().expand(-1, 3, -1, -1)
    assert torch.equal(answers.scores[inside], predicted[inside])
    assert torch.equal(answers.scores[~inside], (batch["filled"].float() / 255)[~inside])
    assert torch.equal(answers.truth, batch["frames"].float() / 255)


def colorization(target, **more):
    task = Colorization(ColorizationOptions(side=16, stride=4, target=target, bins="grid", **more))
    rng = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=rng)
    frames[2] = frames[2, :1]  # a grey picture
    return task.held_out(), {"frames": frames, "contrast": torch.ones(3)}, rng


def test_the_squared_error_of_colours_is_over_that_of_the_mean_colour_and_grey_pictures_do_not_count():
    task, batch, rng = colorization("regression", grey_limit=1.0, sampling="nearest")
    predicted = 20 * torch.randn(3, 2, 4, 4, generator=rng)
    losses = task.loss(lambda _: Colours(None, predicted), batch)
    ab = rgb_to_lab(batch["frames"])[:, 1:, ::4, ::4]
    mean = np.mean([float((predicted[n] - ab[n]).square().sum(0).mean()) for n in (0, 1)])
    assert float(losses.loss) == pytest.approx(mean / 800, rel=1e-4), "twice 20 squared, as long as nothing is known"
    assert float(losses.measures["ab_rmse"]) == pytest.approx(math.sqrt(mean / 2), rel=1e-4)
    assert task.chance_loss() is None


def test_the_entropy_of_colours_is_that_of_their_shares_of_the_nearest_bins():
    task, batch, rng = colorization("both", grey_limit=1.0, sampling="nearest", neighbours=1)
    bins = task.bins
    logits, predicted = torch.randn(3, bins, 4, 4, generator=rng), torch.zeros(3, 2, 4, 4)
    losses = task.loss(lambda _: Colours(logits, predicted), batch)
    ab = rgb_to_lab(batch["frames"])[:, 1:, ::4, ::4]
    nearest = task.bins_of(ab)
    each = [
        entropy(logits[n, :, y, x].tolist(), int(nearest[n, y, x])) for n in (0, 1) for y in range(4) for x in range(4)
    ]
    assert float(losses.measures["cross_entropy"]) == pytest.approx(np.mean(each), rel=1e-4)
    squared = np.mean([float(ab[n].square().sum(0).mean()) for n in (0, 1)])
    assert float(losses.loss) == pytest.approx(np.mean(each) + squared / 800, rel=1e-4)
    answers = task.answers(lambda _: Colours(logits, predicted), batch)
    assert torch.equal(answers.scores, torch.cat([logits, predicted], dim=1))
    torch.testing.assert_close(answers.truth, ab)


def test_at_chance_colours_cost_the_entropy_of_a_constant_answer_and_one_for_the_mean_colour():
    for target, cost in (("classification", 3.5), ("both", 4.5), ("regression", 1.0)):
        task, _, _ = colorization(target)
        kept = {} if target == "regression" else {"constant_cross_entropy": 3.5}
        task.load_state({"variance": 100.0, "mean_ab": [1.0, 2.0], **kept})
        assert task.chance_loss() == pytest.approx(cost)


def test_what_is_learned_from_the_training_pictures_scales_the_loss():
    task, batch, rng = colorization("both", grey_limit=0.0, sampling="mean", neighbours=1)
    weights = torch.rand(task.bins, generator=rng)
    task.load_state({"variance": 100.0, "mean_ab": [1.0, 2.0], "weights": weights.tolist()})
    logits, predicted = torch.randn(3, task.bins, 4, 4, generator=rng), torch.zeros(3, 2, 4, 4)
    losses = task.loss(lambda _: Colours(logits, predicted), batch)
    ab = torch.nn.functional.avg_pool2d(rgb_to_lab(batch["frames"])[:, 1:], 4)
    nearest = task.bins_of(ab)
    places = [(n, y, x) for n in range(3) for y in range(4) for x in range(4)]  # grey ones count, too
    each = [entropy(logits[p[0], :, p[1], p[2]].tolist(), int(nearest[p])) * float(weights[nearest[p]]) for p in places]
    squared = float(ab.square().sum(1).mean())
    assert float(losses.loss) == pytest.approx(np.mean(each) + squared / 100, rel=1e-4)
