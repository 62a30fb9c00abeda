"""Held-out puzzles are those that no training has seen, and networks answer them unchanged."""

from __future__ import annotations

import pytest
import torch
from made_pictures import Textures
from torch import nn
from toy_media import RATE, ToyVideos

from avssl.evaluate.core.rows import Context
from avssl.evaluate.core.statistics import accuracy_interval
from avssl.evaluate.pretext import cues, shortcuts
from avssl.evaluate.pretext.predictions import Predictions, accuracy_row, distinct, held_out_keys, predict
from avssl.samplers.keys import Key
from avssl.tasks import pairs
from avssl.tasks.av_correspondence.puzzle import CorrespondenceOptions
from avssl.tasks.av_correspondence.task import AVCorrespondence
from avssl.tasks.base import Answers
from avssl.tasks.colorization import task as colorization
from avssl.tasks.colorization.puzzle import ColorizationOptions
from avssl.tasks.frame_filling import task as frame_filling
from avssl.tasks.frame_filling.puzzle import FrameFillingOptions
from avssl.tasks.inpainting import task as inpainting
from avssl.tasks.inpainting.puzzle import InpaintingOptions
from avssl.tasks.rotation.puzzle import RotationOptions
from avssl.tasks.rotation.task import Rotation
from avssl.tasks.video_colorization import task as video_colorization
from avssl.tasks.video_colorization.puzzle import VideoColorizationOptions
from avssl.trainer.distributed import World
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import batch_keys
from avssl.trainer.validation import Validation


@pytest.mark.parametrize(("length", "batch_size"), [(10, 4), (3, 8), (500, 64)])
def test_no_training_of_any_length_draws_a_held_out_puzzle(length, batch_size):
    held_out = set(held_out_keys(0, 600))
    assert len(held_out) == 600
    assert all(key.seed == 0 for key in held_out), "another seed would have other puzzles"
    trained = {key for batch in range(2000) for key in batch_keys(0, batch, length, batch_size)}
    assert not held_out & trained


class Names(list):
    """Stands in for ``Key`` and writes down which were made."""

    def __call__(self, *parts):
        self.append(Key(*parts))
        return self[-1]


@pytest.mark.parametrize(
    ("module", "task", "media"),
    [
        (pairs, AVCorrespondence(CorrespondenceOptions(rate=RATE)), ToyVideos(6)),
        (colorization, colorization.Colorization(ColorizationOptions(side=32)), ToyVideos(6)),
        (inpainting, inpainting.Inpainting(InpaintingOptions(side=32)), Textures(6)),
        (
            video_colorization,
            video_colorization.VideoColorization(VideoColorizationOptions(side=32, colours=4, motion=False)),
            ToyVideos(6),
        ),
        (frame_filling, frame_filling.FrameFilling(FrameFillingOptions(side=32, motion=False)), ToyVideos(6)),
    ],
)
def test_what_is_measured_of_training_data_before_the_start_is_no_puzzle_of_training_or_evaluation(
    module, task, media, monkeypatch
):
    names = Names()
    monkeypatch.setattr(module, "Key", names)
    task.fit_statistics(media, 0)
    assert {key.seed for key in names} == {0}
    assert all(key.epoch < 0 for key in names), "epochs of training begin with 0"
    assert not set(names) & set(held_out_keys(0, 600))


def test_a_shortcut_is_looked_for_in_puzzles_that_are_neither_trained_nor_evaluated_nor_measured_on(monkeypatch):
    names = Names()
    monkeypatch.setattr(shortcuts, "Key", names)
    shortcuts.probe(Rotation(RotationOptions(side=32)).held_out(), Textures(6), cues.borders, puzzles=24)
    assert len(set(names)) == 24
    assert all(key.epoch < -1 for key in names)
    assert not set(names) & set(held_out_keys(0, 600))


def test_a_validation_looks_at_the_same_puzzles_whatever_the_seed_and_at_none_of_the_training():
    task, media = Rotation(RotationOptions(side=32)).held_out(), Textures(6)
    found = [
        Validation(task, media, TrainOptions(seed=seed, steps=1, workers=0), World())._data.keys for seed in (0, 1)
    ]
    assert found[0] == found[1] and len(found[0]) == TrainOptions().validation_puzzles
    trained = {key for seed in range(3) for batch in range(200) for key in batch_keys(seed, batch, 6, 4)}
    assert not set(found[0]) & (trained | set(held_out_keys(0, 600)))


class Numbered:
    """A task whose puzzle is its number, and whose network answers with it."""

    def __init__(self):
        self.drawn = []

    def draw(self, media, key):
        self.drawn.append(key)
        return key.index

    def clusters(self, puzzle):
        return (f"source{puzzle // 2}",)

    def collate(self, puzzles):
        return {"number": torch.tensor(puzzles), "sizes": len(puzzles)}

    def answers(self, network, batch):
        assert not network.training and not torch.is_grad_enabled()
        return Answers(network(nn.functional.one_hot(batch["number"] % 3, 3).float()), batch["number"] % 3)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_every_network_answers_the_same_puzzles_drawn_once_whatever_the_size_of_a_batch(batch_size):
    task, right, wrong = Numbered(), nn.Identity(), nn.Linear(3, 3, bias=False)
    nn.init.eye_(wrong.weight)
    with torch.no_grad():
        wrong.weight.copy_(wrong.weight.roll(1, 0))
    right.train(), wrong.eval()
    keys = held_out_keys(5, 10)
    found = predict(task, [right, wrong], None, keys, batch_size=batch_size, keep=lambda puzzle: puzzle * 10)
    assert task.drawn == keys
    assert [one.correct.tolist() for one in found] == [[True] * 10, [False] * 10]
    assert all(one.kept == [10 * n for n in range(10)] for one in found)
    assert all(one.clusters == [(f"source{n // 2}",) for n in range(10)] for one in found)
    assert found[0].answers.truth.tolist() == [n % 3 for n in range(10)]
    assert right.training and not wrong.training, "as they were"


def test_an_accuracy_is_of_the_puzzles_chosen_and_its_interval_knows_their_sources():
    truth = torch.tensor([0, 1, 1, 0, 1, 0])
    scores = nn.functional.one_hot(torch.tensor([0, 1, 0, 0, 0, 1]), 2).float()
    names = [("a",), ("a", "b"), ("b",), ("c",), ("c", "d"), ("e",)]
    predictions = Predictions(Answers(scores, truth), names)
    row = accuracy_row("x", predictions, Context("p", 3, "c"), chance=0.5, note="n")
    assert row.value == 0.5 and (row.n, row.clusters, row.n_listed, row.n_used) == (6, 5, 6, 6)
    assert (row.low, row.high) == accuracy_interval([1, 1, 0, 1, 0, 0], names)
    assert (row.metric, row.chance, row.seed, row.note, row.command, row.protocol) == (
        "accuracy",
        0.5,
        3,
        "n",
        "c",
        "p",
    )
    some = accuracy_row("x", predictions, Context("p", 3), metric="other", chance=0.5, chosen=[0, 1, 4])
    assert some.value == pytest.approx(2 / 3) and (some.n, some.clusters, some.n_listed) == (3, 4, 6)
    assert (some.low, some.high) == accuracy_interval([1, 1, 0], [names[i] for i in (0, 1, 4)])


def test_puzzles_that_come_round_exactly_alike_count_once():
    assert distinct(Numbered(), [3, 1, 3, 2, 1]) == [3, 1, 2]


def test_a_long_evaluation_shows_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setattr("avssl.system.console.LINE_EVERY_SECONDS", 0.0)
    predict(Numbered(), [nn.Identity()], None, held_out_keys(5, 10), batch_size=5)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["evaluating: 5 of 10 puzzles", "evaluating: 10 of 10 puzzles"]
