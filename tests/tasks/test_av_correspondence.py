"""Audio-visual correspondence."""

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
from avssl.tasks.av_correspondence.sheet import prediction
from avssl.tasks.av_correspondence.task import AVCorrespondence
from avssl.tasks.registry import get

SMALL = CorrespondenceOptions(side=32, rate=RATE, width=4, bands=16, norm="group", silent_rows=0.0, mosaic=0.0)


def batch_of(task, media, count=16, epoch=0):
    return task.collate([task.draw(media, Key(0, epoch, i)) for i in range(count)])


def test_label_1_means_that_they_belong_together():
    task, media = AVCorrespondence(replace(SMALL, negatives="drawn")), ToyVideos()
    for index in range(40):
        puzzle = task.draw(media, Key(0, 0, index))
        assert puzzle.label == int(puzzle.pair.frame.item == puzzle.pair.sound.item)


def test_with_negatives_from_the_batch_only_positives_are_drawn_and_held_out_pairs_are_balanced():
    task, media = AVCorrespondence(SMALL), ToyVideos(200)
    assert batch_of(task, media)["label"].tolist() == [1] * 16
    labels = batch_of(task.held_out(), media, 200)["label"].float().mean()
    assert 0.4 < labels < 0.6


def test_clips_of_one_source_are_no_negatives_of_each_other():
    task, media = AVCorrespondence(SMALL), ToyVideos(16, sources=1)
    torch.manual_seed(0)
    network = task.network(task.encoders())
    losses = task.loss(network, batch_of(task, media))
    # No pair of two clips is left: InfoNCE has one choice (0), and there is no negative to be wrong about.
    assert float(losses.measures["contrastive_loss"]) == pytest.approx(0, abs=1e-6)


def test_the_all_pairs_loss_agrees_with_a_slow_count():
    options = replace(SMALL, fusion="ave", contrastive=0.0)
    task, media = AVCorrespondence(options), ToyVideos()
    torch.manual_seed(0)
    network = task.network(task.encoders()).eval()
    batch = batch_of(task, media, 6)
    with torch.no_grad():
        vision, audio = network.embed(batch)
    positive, negative = [], []
    for i in range(6):
        for j in range(6):
            distance = math.sqrt(float((vision[i] - audio[j]).square().sum()) + 1e-6)
            logit = 5.0 * (1.2 - distance)
            (positive if i == j else negative).append(math.log1p(math.exp(-logit if i == j else logit)))
    slow = (np.mean(positive) + np.mean(negative)) / 2
    assert float(task.loss(network, batch).loss.detach()) == pytest.approx(slow, rel=1e-4)


def test_a_puzzle_of_several_frames_has_a_finite_loss():
    task, media = AVCorrespondence(replace(SMALL, frames=3)), ToyVideos()
    batch = batch_of(task, media, 4)
    assert batch["frames"].shape == (4, 3, 3, 32, 32)
    network = task.network(task.encoders())
    assert torch.isfinite(task.loss(network, batch).loss)


def test_controls_hear_or_see_alone_and_are_evaluated_on_true_labels():
    task, media = AVCorrespondence(SMALL), ToyVideos()
    controls = task.controls()
    assert set(controls) == {"vision-only", "audio-only", "shuffled-labels"}
    blind = batch_of(controls["audio-only"], media)
    network = controls["audio-only"].network(controls["audio-only"].encoders())
    before = controls["audio-only"].answers(network.eval(), blind).scores
    blind["frames"] = torch.zeros_like(blind["frames"])
    assert torch.equal(before, controls["audio-only"].answers(network, blind).scores)
    shuffled = controls["shuffled-labels"]
    drawn = [shuffled.draw(media, Key(0, 0, i)) for i in range(100)]
    agree = np.mean([p.label == int(p.pair.frame.item == p.pair.sound.item) for p in drawn])
    assert 0.3 < agree < 0.7
    held = [shuffled.held_out().draw(media, Key(0, 0, i)) for i in range(50)]
    assert all(p.label == int(p.pair.frame.item == p.pair.sound.item) for p in held)


def test_statistics_depend_on_data_and_seed_only_and_travel_with_the_encoder():
    media = ToyVideos()
    tasks = [AVCorrespondence(SMALL) for _ in range(2)]
    for task in tasks:
        torch.manual_seed(int(torch.randint(100, ())))
        task.fit_statistics(media, 0)
    assert tasks[0].state() == tasks[1].state() and set(tasks[0].state()) == {"mean", "std"}
    front_end = tasks[0].encoders()["audio"].front_end
    cells = front_end(torch.from_numpy(np.stack([media.audio(i, 0.5, 1, RATE) for i in range(24)])))
    assert abs(float(cells.mean())) < 0.1 and abs(float(cells.std()) - 1) < 0.1


def test_unknown_tasks_and_encoders_are_named():
    with pytest.raises(UserError, match="did you mean 'av-correspondence'"):
        get("av-corespondence")
    with pytest.raises(UserError, match="vgg"):
        AVCorrespondence(replace(SMALL, vision="vgg")).encoders()


def test_a_batch_without_noise_logs_what_a_batch_with_noise_does():
    task, media = AVCorrespondence(replace(SMALL, silent_rows=0.2)), ToyVideos()
    torch.manual_seed(0)
    network = task.network(task.encoders())
    batches = [batch_of(task, media, 2, epoch) for epoch in range(20)]
    assert {"silence" in batch for batch in batches} == {True, False}
    measures = {frozenset(task.loss(network, batch).measures) for batch in batches}
    assert measures == {frozenset({"accuracy", "binary_loss", "contrastive_loss", "silent_loss"})}


def test_noise_is_drawn_only_where_the_logistic_loss_of_a_batch_takes_it() -> None:
    assert CorrespondenceOptions().silent_rows > 0, "by default"
    some = replace(SMALL, silent_rows=0.2)
    media = ToyVideos()
    with_noise = {
        name: any(
            AVCorrespondence(replace(some, **options)).draw(media, Key(0, 0, i)).silence is not None for i in range(40)
        )
        for name, options in {
            "default": {},
            "InfoNCE alone": {"logistic": 0.0},
            "drawn": {"negatives": "drawn", "contrastive": 0.0},
        }.items()
    }
    assert with_noise == {"default": True, "InfoNCE alone": False, "drawn": False}


@pytest.mark.parametrize("fusion", ["l3", "ave", "avol"])
def test_the_contrastive_objective_can_stand_alone(fusion: str) -> None:
    media = ToyVideos()
    tasks = {w: AVCorrespondence(replace(SMALL, fusion=fusion, logistic=w, contrastive=0.5)) for w in (0.0, 1.0, 2.0)}
    torch.manual_seed(0)
    network = tasks[1.0].network(tasks[1.0].encoders())
    batch = batch_of(tasks[1.0], media, 6)
    losses = {weight: task.loss(network, batch) for weight, task in tasks.items()}
    binary, contrastive = (float(losses[1.0].measures[f"{name}_loss"]) for name in ("binary", "contrastive"))
    for weight, found in losses.items():
        assert float(found.loss.detach()) == pytest.approx(weight * binary + 0.5 * contrastive, rel=1e-5)
    losses[0.0].loss.backward()
    assert all(p.grad is not None for p in network.parameters())
    if fusion == "avol":
        assert float(network.fusion.bias.grad) == 0, "InfoNCE does not see the offset"
        assert float(network.fusion.scale.grad) != 0


@pytest.mark.parametrize(
    ("weights", "what"),
    [
        ({"logistic": 0.0, "contrastive": 0.0}, "nothing to learn from"),
        ({"logistic": -1.0}, "must not be negative"),
        ({"logistic": 0.0, "negatives": "drawn"}, "leave it out"),
    ],
)
def test_weights_that_leave_nothing_are_refused(weights: dict[str, object], what: str) -> None:
    with pytest.raises(UserError, match=what):
        AVCorrespondence(replace(SMALL, **weights))


def test_the_sheet_shows_the_predicted_class_and_its_probability():
    assert [prediction(p) for p in (0.47, 0.9)] == ["predicted no (53%)", "predicted yes (90%)"]
