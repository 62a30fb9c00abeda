"""The losses of audio-visual correspondence over a batch, against slow counts of one pair at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_media import RATE, ToyVideos

from avssl.errors import UserError
from avssl.samplers.keys import Key
from avssl.tasks.av_correspondence.puzzle import CorrespondenceOptions
from avssl.tasks.av_correspondence.task import AVCorrespondence, _same_source, masked_negatives, picked_negatives

SMALL = CorrespondenceOptions(side=32, rate=RATE, width=4, bands=16, norm="group", silent_rows=0.0, mosaic=0.0)
FUSIONS = ["l3", "ave", "avol"]


def made(fusion="ave", sources=None, count=6, **options):
    """A task, its network and a batch of ``count`` clips whose embeddings all differ, of these sources."""
    task, media = AVCorrespondence(replace(SMALL, fusion=fusion, **options)), ToyVideos(count)
    torch.manual_seed(0)
    network = task.network(task.encoders()).eval()
    batch = task.collate([task.draw(media, Key(0, 0, i)) for i in range(count)])
    if sources is not None:
        batch["sources"] = torch.tensor(sources)[:, None].expand(-1, 2)
    with torch.no_grad():
        vision, audio = network.embed(batch)
    torch.manual_seed(1)  # fresh weights put all pictures in one place; random numbers in 4 dimensions lie far apart
    vision, audio = torch.randn_like(vision), torch.randn_like(audio)
    vision[:, 4:], audio[:, 4:] = 0, 0
    if fusion == "ave":
        vision, audio = (torch.nn.functional.normalize(x, dim=-1) for x in (vision, audio))
    network.embed = lambda _: (vision, audio)
    return task, network, batch, vision, audio


def mean_softplus(logits):
    return float(np.mean([math.log1p(math.exp(x)) for x in logits]))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_clips_of_one_source_are_no_negatives_of_the_logistic_loss(fusion):
    sources = [0, 1, 0, 2, 1, 0]
    task, network, batch, vision, audio = made(fusion, sources)
    logits = network.fusion.all_pairs(vision, audio).detach().numpy()
    others = [logits[i, j] for i in range(6) for j in range(6) if sources[i] != sources[j]]
    measures = task.loss(network, batch).measures
    expected = (mean_softplus(-logits.diagonal()) + mean_softplus(others)) / 2
    assert float(measures["binary_loss"]) == pytest.approx(expected, rel=1e-5)
    right = (np.mean(logits.diagonal() > 0) + np.mean(np.array(others) <= 0)) / 2
    assert float(measures["accuracy"]) == pytest.approx(right)
    every = mean_softplus([logits[i, j] for i in range(6) for j in range(6) if i != j])
    assert abs(every - mean_softplus(others)) > 1e-3, "a loss that counted them would differ"


@pytest.mark.parametrize("fusion", FUSIONS)
def test_infonce_asks_for_the_sound_of_each_picture_and_for_the_picture_of_each_sound(fusion):
    sources = [0, 1, 0, 2, 1, 0]
    task, network, batch, vision, audio = made(fusion, sources, temperature=0.3)
    terms = []
    for similarity in network.fusion.similarities(vision, audio, 0.3):
        s = similarity.detach().double().numpy()
        for i in range(6):
            there = [j for j in range(6) if j == i or sources[j] != sources[i]]
            terms.append(math.log(sum(math.exp(s[i, j]) for j in there)) - s[i, i])  # sounds of a picture
            terms.append(math.log(sum(math.exp(s[j, i]) for j in there)) - s[i, i])  # pictures of a sound
    assert float(task.loss(network, batch).measures["contrastive_loss"]) == pytest.approx(np.mean(terms), rel=1e-5)


@pytest.mark.parametrize("fusion", ["l3", "ave"])
def test_infonce_is_the_same_when_pictures_and_sounds_change_places(fusion):
    task, network, batch, vision, audio = made(fusion, [0, 1, 0, 2, 1, 3])
    there = float(task.loss(network, batch).measures["contrastive_loss"])
    network.embed = lambda _: (audio, vision)
    back = float(task.loss(network, batch).measures["contrastive_loss"])
    assert there == pytest.approx(back, rel=1e-5)


@pytest.mark.parametrize("fusion", ["l3", "ave"])
def test_the_temperature_that_was_asked_for_reaches_infonce(fusion):
    found = []
    for temperature in (0.07, 1e6):
        task, network, batch, *_ = made(fusion, temperature=temperature)
        found.append(float(task.loss(network, batch).measures["contrastive_loss"]))
    assert found[1] == pytest.approx(math.log(6), abs=1e-4), "so hot that all six are alike"
    assert abs(found[0] - found[1]) > 0.1


def test_noise_of_silent_rows_is_a_negative_of_every_picture():
    task, network, batch, vision, audio = made(silent_rows=0.5, logistic=2.0, contrastive=0.0)
    silent = torch.nn.functional.normalize(torch.randn(2, 128), dim=-1)
    network.embed = lambda _: (vision, torch.cat([audio[:6], silent]))
    losses = task.loss(network, batch)
    expected = mean_softplus(network.fusion.all_pairs(vision, silent).detach().flatten().tolist())
    assert float(losses.measures["silent_loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(losses.loss.detach()) == pytest.approx(2 * float(losses.measures["binary_loss"]) + expected, rel=1e-5)


def test_a_batch_of_one_puzzle_has_no_negatives_and_is_refused():
    task, network, batch, *_ = made(count=1)
    with pytest.raises(UserError, match="--batch-size of two or more"):
        task.loss(network, batch)
    task, network, batch, *_ = made(count=2)
    assert torch.isfinite(task.loss(network, batch).loss), "two are enough"


def test_drawn_puzzles_cost_the_mean_logistic_loss_of_their_labels():
    task, media = AVCorrespondence(replace(SMALL, negatives="drawn")), ToyVideos()
    torch.manual_seed(0)
    network = task.network(task.encoders()).eval()
    batch = task.collate([task.draw(media, Key(0, 0, i)) for i in range(8)])
    with torch.no_grad():
        logits, losses = network(batch).numpy(), task.loss(network, batch)
    labels = batch["label"].tolist()
    assert 0 < sum(labels) < 8
    expected = mean_softplus([-x if y else x for x, y in zip(logits, labels, strict=True)])
    assert float(losses.loss) == float(losses.measures["binary_loss"]) == pytest.approx(expected, rel=1e-5)
    right = np.mean([(x > 0) == (y > 0) for x, y in zip(logits, labels, strict=True)])
    assert float(losses.measures["accuracy"]) == pytest.approx(right)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_both_losses_are_added_by_their_weights(fusion):
    task, network, batch, *_ = made(fusion, logistic=2.0, contrastive=0.7)
    losses = task.loss(network, batch)
    expected = 2 * losses.measures["binary_loss"] + 0.7 * losses.measures["contrastive_loss"]
    assert float(losses.loss.detach()) == pytest.approx(float(expected), rel=1e-5)
    task, network, batch, *_ = made(fusion, contrastive=0.0)
    assert set(task.loss(network, batch).measures) == {"accuracy", "binary_loss"}
    assert task.chance_loss() == pytest.approx(math.log(2))


def test_a_logit_of_zero_says_that_they_do_not_belong_together():
    task, network, batch, *_ = made()
    network.fusion.all_pairs = lambda v, a: torch.zeros(6, 6)
    assert float(task.loss(network, batch).measures["accuracy"]) == 0.5, "right of all negatives, of no positive"


def test_a_picture_and_the_sound_of_another_puzzle_are_of_one_source_if_the_pictures_is_the_sounds():
    sources = torch.tensor([[1, 5], [2, 1], [5, 2]])  # of the picture, of the sound
    expected = [[False, True, False], [False, False, True], [True, False, False]]
    assert _same_source(sources).tolist() == expected


def test_on_a_gpu_negatives_are_masked_which_gives_what_picking_them_gives():
    logits = torch.randn(6, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    some = ~torch.eye(6, dtype=torch.bool)
    some[0, 3] = False
    for off in (some, torch.zeros_like(some)):
        found = []
        for negatives in (picked_negatives, masked_negatives):
            loss, rejected = negatives(logits, off)
            (gradient,) = torch.autograd.grad(loss, logits)
            found.append((loss, rejected, gradient))
        for picked, masked in zip(*found, strict=True):
            torch.testing.assert_close(picked, masked)


def test_sounds_of_the_pictures_beside_one_in_a_mosaic_are_neither_true_nor_false_for_it():
    task, network, batch, vision, audio = made(count=6, mosaic=0.5, contrastive=0.0)
    batch["mosaic"][:, 2] = torch.tensor([0.8, 0, 0, 0, 0, 0])
    sources = batch["sources"][:, 0]
    batch["companions"] = torch.zeros(6, 3, dtype=torch.long)
    batch["companions"][0] = sources[1:4]
    logits = network.fusion.all_pairs(vision, audio)
    kept = ~torch.eye(6, dtype=torch.bool)
    kept[0, 1:4] = False
    expected = (mean_softplus((-logits.diagonal()).tolist()) + mean_softplus(logits[kept].tolist())) / 2
    assert float(task.loss(network, batch).loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_mosaics_are_drawn_for_a_share_of_the_pictures_and_name_who_is_beside_them():
    task, media = AVCorrespondence(replace(SMALL, mosaic=0.5)), ToyVideos(24)
    batch = task.collate([task.draw(media, Key(0, 0, i)) for i in range(24)])
    shares, sources = batch["mosaic"][:, 2], batch["sources"][:, 0]
    assert 4 <= int((shares > 0).sum()) <= 20
    assert float(shares[shares > 0].min()) > 0.5
    for n in range(24):
        beside = [int(sources[n - n % 4 + (n + step) % 4]) for step in (1, 2, 3)] if shares[n] > 0 else [0, 0, 0]
        assert batch["companions"][n].tolist() == beside
    for other in (task.held_out(), AVCorrespondence(replace(SMALL, mosaic=0.5, negatives="drawn", contrastive=0.0))):
        assert "mosaic" not in other.collate([other.draw(media, Key(0, 0, i)) for i in range(4)])
