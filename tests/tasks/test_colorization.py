"""Colorization."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toy_media import ToyVideos
from toy_pictures import ToyPictures, noise

from avssl.errors import UserError
from avssl.evaluate.pretext.colorization import evaluate
from avssl.evaluate.pretext.controls import evaluate_control
from avssl.evaluate.pretext.picture_metrics import colorfulness
from avssl.evaluate.pretext.predictions import HeldOut, distinct, held_out_keys
from avssl.networks.colorization import Colours
from avssl.networks.colour import lab_to_rgb, rgb_to_lab
from avssl.samplers.keys import Key
from avssl.tasks.colorization.colour_bins import bin_centres
from avssl.tasks.colorization.puzzle import ColorizationOptions
from avssl.tasks.colorization.sheet import painted
from avssl.tasks.colorization.task import Colorization

SMALL = ColorizationOptions(side=32, width=4, head_width=16, norm="group", crop_low=1.0)


def made(media, options=SMALL):  # type: ignore[no-untyped-def]
    task = Colorization(options)
    task.fit_statistics(media, 0)
    torch.manual_seed(0)
    return task, task.network(task.encoders())


def batch_of(task, media, count=8, epoch=0):  # type: ignore[no-untyped-def]
    return task.collate([task.draw(media, Key(0, epoch, i)) for i in range(count)])


class Always(nn.Module):
    """Says the same of every pixel."""

    def __init__(self, logits: torch.Tensor | None, ab: tuple[float, float] | None) -> None:
        super().__init__()
        self.logits, self.ab = logits, ab

    def forward(self, lightness: torch.Tensor) -> Colours:
        shape = (len(lightness), -1, lightness.shape[-2] // 4, lightness.shape[-1] // 4)
        logits = None if self.logits is None else self.logits.view(1, -1, 1, 1).expand(shape)
        ab = None if self.ab is None else torch.tensor(self.ab).view(1, 2, 1, 1).expand(shape)
        return Colours(logits, ab)


def test_the_network_sees_lightness_alone():
    media = ToyPictures(8, noise)
    task, network = made(media)
    batch = batch_of(task.held_out(), media)
    grey = {**batch, "frames": (painted(batch["frames"], torch.zeros(8, 2, 1, 1)) * 255).round().to(torch.uint8)}
    assert not torch.equal(grey["frames"], batch["frames"])
    with torch.no_grad():
        seen, greyed = (task.answers(network.eval(), b).scores for b in (batch, grey))
    # Rounding to 256 levels of grey is all that differs.
    assert float((seen - greyed).abs().mean()) < 0.05 * float(seen.abs().mean())


def test_grey_pictures_teach_nothing():
    media = ToyPictures(8, lambda i: noise(i) if i % 2 else np.repeat(noise(i)[:1], 3, axis=0))
    task, network = made(media)
    batch = batch_of(task, media)
    chroma = rgb_to_lab(batch["frames"])[:, 1:].abs().amax((1, 2, 3))
    coloured = {name: value[chroma > 5] for name, value in batch.items()}
    assert len(coloured["frames"]) == 4
    both = [float(task.loss(network, b).loss.detach()) for b in (batch, coloured)]
    assert both[0] == pytest.approx(both[1], rel=1e-5)
    everything = Colorization(replace(SMALL, grey_limit=0.0))
    everything.load_state(task.state())
    assert abs(float(everything.loss(network, batch).loss.detach()) - both[0]) > 1e-3


def test_data_without_any_colour_are_refused():
    with pytest.raises(UserError, match="no colour to learn"):
        made(ToyPictures(4, lambda i: np.repeat(noise(i)[:1], 3, axis=0)))


def test_equal_bins_are_cut_from_the_training_colours_and_kept_with_the_run():
    options = replace(SMALL, bins="equal", colours=12, rebalance=False, sigma=5.0)
    media = ToyPictures(8, noise)
    task, network = made(media, options)
    assert task.bins == 12 and max(task.state()["prior"]) < 0.3
    batch = batch_of(task.held_out(), media)
    scores = task.answers(network.eval(), batch).scores.detach()
    assert scores.shape[1] == 12 + 2 and set(task.bins_of(task.answers(network, batch).truth).unique().tolist()) <= {
        *range(12)
    }
    again = Colorization(options)
    again.load_state(json.loads(json.dumps(task.state())))
    assert torch.equal(again.decodings(scores)["classification"], task.decodings(scores)["classification"])
    with pytest.raises(UserError, match=r"--colours 4096: there are only \d+ different colours; give fewer"):
        made(ToyPictures(2, noise), replace(options, colours=4096))


def test_a_regression_needs_no_bins():
    options = replace(SMALL, target="regression", bins="equal", colours=4096)
    task, _ = made(ToyPictures(2, noise), options)
    assert task.state().keys() == {"mean_ab", "variance"} and task.chance_loss() == 1.0


def test_grey_pictures_that_are_taken_all_the_same_do_not_blow_up_the_loss():
    grey = ToyPictures(4, lambda i: np.repeat(noise(i)[:1], 3, axis=0))
    task, network = made(grey, replace(SMALL, grey_limit=0.0))
    assert float(task.loss(network, batch_of(task, grey, 4)).loss.detach()) < 1e3


@pytest.mark.parametrize("rebalance", [True, False])
def test_the_cross_entropy_agrees_with_a_slow_count(rebalance):
    options = replace(SMALL, target="classification", rebalance=rebalance, neighbours=3, sigma=7.0)
    media = ToyPictures(6, noise)
    task, _ = made(media, options)
    batch = batch_of(task, media, 2)
    centres = bin_centres(options.grid)
    logits = torch.linspace(-1, 1, task.bins)
    log_p = torch.log_softmax(logits, 0).numpy()
    ab = torch.nn.functional.avg_pool2d(rgb_to_lab(batch["frames"])[:, 1:], 4).movedim(1, -1).reshape(-1, 2).numpy()
    prior = np.array(task.state()["prior"])
    weights = 1 / (prior / 2 + 0.5 / len(prior))
    weights = weights / (weights * prior).sum() if rebalance else np.ones(len(prior))
    total = 0.0
    for colour in ab:
        squared = np.square(centres - colour).sum(1)
        near = np.argsort(squared)[:3]
        share = np.exp(-squared[near] / (2 * 49))
        total -= weights[near[0]] * (share / share.sum() * log_p[near]).sum()
    assert float(task.loss(Always(logits, None), batch).loss) == pytest.approx(total / len(ab), rel=1e-4)


@pytest.mark.parametrize("target", ["classification", "regression", "both"])
def test_the_best_constant_answer_has_the_loss_that_is_called_chance(target):
    options = replace(SMALL, target=target, flip=False)
    media = ToyPictures(12, lambda i: np.roll(ToyVideos().frames(i, [0.0])[0], i, axis=0))
    task, _ = made(media, options)
    batch = batch_of(task.held_out(), media, 12)
    logits = torch.zeros(task.bins, requires_grad=True)
    constant = Always(
        logits if target != "regression" else None, task.mean_colour if target != "classification" else None
    )
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(150 if target != "regression" else 0):
        optimizer.zero_grad()
        task.loss(constant, batch).loss.backward()
        optimizer.step()
    assert float(task.loss(constant, batch).loss.detach()) == pytest.approx(task.chance_loss(), rel=0.01)


def test_the_control_is_taught_the_colours_of_other_pictures_and_evaluated_on_true_ones():
    media = ToyPictures(6, noise)
    task, network = made(media)
    control = task.controls()["shuffled-labels"]
    own, taught = task.draw(media, Key(0, 0, 3)), control.draw(media, Key(0, 0, 3))
    assert np.array_equal(own.frame, taught.frame) and not np.array_equal(taught.colours_of, taught.frame)
    assert control.held_out().draw(media, Key(0, 0, 3)).colours_of is None
    assert "colours_of" in batch_of(control, media) and torch.isfinite(
        control.loss(network, batch_of(control, media)).loss
    )
    rows = evaluate_control(control, {"shuffled-labels": network}, HeldOut(media, 6))
    assert {row.metric for row in rows} == {"ab-rmse", "colorfulness", "balanced-accuracy"}


def test_rows_of_a_network_with_both_heads_stand_beside_grey_and_truth():
    media = ToyPictures(6, noise)
    task, network = made(media)
    rows = evaluate(task, {"trained": network, "untrained": network}, HeldOut(media, 100))
    by = {(row.name, row.metric): row for row in rows}
    for name in ("regression", "classification-mean", "classification", "grey", "mean-colour", "untrained"):
        assert by[name, "ab-rmse"].low <= by[name, "ab-rmse"].value <= by[name, "ab-rmse"].high
        assert by[name, "ab-rmse"].n == 6  # each image once, however many were asked for
    assert by["trained", "balanced-accuracy"].chance == by["constant", "balanced-accuracy"].value
    assert f"over {task.bins} colour bins" in by["trained", "balanced-accuracy"].note
    assert by["grey", "colorfulness"].value == pytest.approx(0, abs=0.01)
    batch = batch_of(task.held_out(), media, 6)
    ab = rgb_to_lab(batch["frames"])[:, 1:]
    assert by["grey", "ab-rmse"].value == pytest.approx(float(ab.square().mean().sqrt()), rel=1e-4)
    truth = colorfulness(batch["frames"].numpy().astype(float)).mean()
    assert by["truth", "colorfulness"].value == pytest.approx(truth, rel=1e-4)


def test_regression_greys_what_may_be_red_or_green_and_sampling_does_not():
    # One lightness, two colours, two thirds red: the mean colour is one that no picture has.
    red, green = (lab_to_rgb(torch.tensor([60.0, a, 20.0]).view(1, 3, 1, 1)).flatten() for a in (50.0, -50.0))

    def paint(i: int) -> np.ndarray:
        colour = (green if i % 3 == 0 else red).numpy() * 255
        return np.broadcast_to(colour[:, None, None].round(), (3, 32, 32)).astype(np.uint8)

    media = ToyPictures(24, paint)
    task, network = made(media, replace(SMALL, rebalance=False, neighbours=1))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    batch = batch_of(task, media, 24)
    for _ in range(80):
        optimizer.zero_grad()
        task.loss(network, batch).loss.backward()
        optimizer.step()
    with torch.no_grad():
        scores = task.answers(network.eval(), batch).scores
    found = {name: float(ab[:, 0].mean()) for name, ab in task.decodings(scores).items()}
    assert found["regression"] == pytest.approx(50 / 3, abs=6)  # two thirds of 50, one third of -50
    assert found["classification-mean"] == pytest.approx(50 / 3, abs=8)
    assert found["classification"] > 1.5 * found["regression"]  # towards the commoner
    drawn = [float(ab[0, 0].mean()) for ab in task.samples(scores[:1], 30)]
    assert min(drawn) < -25 and max(drawn) > 35


def test_frames_of_videos_are_pictures_too_and_regression_has_no_samples():
    media = ToyVideos(6)
    task, network = made(media, replace(SMALL, target="regression"))
    puzzles = [task.draw(media, Key(0, 0, i)) for i in range(6)]
    assert len({p.seconds for p in puzzles}) > 1
    with torch.no_grad():
        answers = task.answers(network.eval(), task.collate(puzzles))
    with pytest.raises(UserError, match="--target classification or both"):
        task.samples(answers.scores, 1)
    assert task.sheet(puzzles, answers).width > 200


@pytest.mark.parametrize(("options", "named"), [({"side": 30}, "--stride"), ({"grid": 0.0}, "--grid")])
def test_options_that_make_no_sense_are_named(options, named):
    with pytest.raises(UserError, match=named):
        Colorization(replace(SMALL, **options))


def test_a_sheet_of_few_pictures_has_each_once():
    media = ToyPictures(3, noise)
    task, _ = made(media)
    held_out = task.held_out()
    drawn = [held_out.draw(media, key) for key in held_out_keys(0, 16)]
    assert len({puzzle.name for puzzle in drawn}) == len(distinct(held_out, drawn)) == 3
    assert len(distinct(task, [task.draw(media, key) for key in held_out_keys(0, 16)])) > 3  # mirrored
