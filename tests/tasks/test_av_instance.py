"""Cross-modal instance discrimination."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_media import RATE, ToyVideos

from avssl.errors import MediaError, UserError
from avssl.media.skip_bad_files import on_readable
from avssl.networks.instance import InBank
from avssl.samplers.keys import Key
from avssl.tasks.av_instance.puzzle import InstanceOptions
from avssl.tasks.av_instance.task import AVInstance
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan
from avssl.trainer.run_folder import RunFolder

SMALL = InstanceOptions(side=32, rate=RATE, width=4, bands=16, norm="group", negatives=8)
AGREEING = replace(SMALL, agreement="consensus", agreement_epoch=0, agreed=2)


def made(options: InstanceOptions, media: ToyVideos) -> AVInstance:
    task = AVInstance(options)
    task.fit_statistics(media, 0)
    return task


def network_of(task: AVInstance):
    torch.manual_seed(0)
    return task.network(task.encoders())


def batch_of(task, media, count=6, epoch=0):
    return task.collate([task.draw(media, Key(0, epoch, i)) for i in range(count)])


def test_negatives_are_items_of_other_sources():
    media = ToyVideos(12, sources=4)
    task = made(replace(SMALL, negatives=40), media)
    for index in range(12):
        puzzle = task.draw(media, Key(0, 0, index))
        own = media.facts(puzzle.pair.frame.item).source
        assert {media.facts(int(item)).source for item in puzzle.negatives} == {f"source{n}" for n in range(4)} - {own}


def test_training_fills_the_rows_of_its_items_and_validation_none():
    media = ToyVideos(12)
    task = made(SMALL, media)
    network = network_of(task)
    before = network.audio_bank.vectors.clone()
    held_out = task.held_out()
    held_out.loss(network.eval(), batch_of(held_out, media))
    assert torch.equal(network.audio_bank.vectors, before)
    batch = batch_of(task, media)
    task.loss(network.train(), batch)
    moved = (network.audio_bank.vectors != before).any(1).nonzero().flatten()
    assert moved.tolist() == sorted(batch["items"].tolist())


def test_a_network_that_pairs_each_with_its_own_loses_little_and_one_that_pairs_others_much():
    media = ToyVideos(12)
    network = network_of(made(SMALL, media))
    items, negatives = torch.arange(4), torch.arange(4, 12).expand(4, 8)
    at = InBank(items, items, negatives)
    pictures, sounds = network.vision_bank(items), network.audio_bank(items)
    right = network.cross_modal_loss(sounds, pictures, at, agree=False)
    wrong = network.cross_modal_loss(sounds.roll(1, 0), pictures.roll(1, 0), at, agree=False)
    assert float(right) < 1.5 < 2.5 < float(wrong)


@pytest.mark.parametrize(
    ("kind", "expected"), [("consensus", {1}), ("union", {1, 2}), ("vision", {1, 2}), ("audio", {1, 3})]
)
def test_further_positives_are_alike_in_the_modalities_that_are_asked_for(kind, expected):
    """Item 1 is like item 0 in both, 2 in the picture alone, 3 in the sound alone."""
    count = len(expected)
    media = ToyVideos(6)
    network = network_of(made(replace(AGREEING, agreement=kind, agreed=count), media))
    directions = torch.eye(6, 128)
    for bank, others in ((network.vision_bank, {1: 0.8, 2: 0.9}), (network.audio_bank, {1: 0.8, 3: 0.7})):
        bank.vectors.copy_(directions)
        for item, cosine in others.items():
            bank.vectors[item] = cosine * directions[0] + (1 - cosine**2) ** 0.5 * directions[item]
    network.find_positives(kind, 0)
    assert set(network.positives[0].tolist()) == expected
    assert all(item not in row for item, row in enumerate(network.positives.tolist()))


def test_further_positives_are_looked_for_once_an_epoch_and_are_no_negatives():
    media = ToyVideos(12)
    task = made(AGREEING, media)
    network = network_of(task)
    task.loss(network, batch_of(task, media))
    first = network.positives.clone()
    task.loss(network, batch_of(task, media))
    assert torch.equal(network.positives, first) and int(network.found_in_epoch) == 0
    task.loss(network, batch_of(task, media, epoch=3))
    assert not torch.equal(network.positives, first) and int(network.found_in_epoch) == 3
    # An item whose every negative is a further positive has nothing to be told from.
    items = torch.arange(3)
    at = InBank(items, items, network.positives[items])
    own = network.audio_bank(items)
    assert float(network.cross_modal_loss(own, network.vision_bank(items), at, agree=True)) < float(
        network.cross_modal_loss(own, network.vision_bank(items), at, agree=False)
    )


def test_the_control_gives_each_sound_the_row_of_another_item_always_the_same():
    media = ToyVideos(12)
    task = made(SMALL, media).controls()["shuffled-labels"]
    puzzles = [task.draw(media, Key(0, epoch, i)) for epoch in range(3) for i in range(12)]
    given = {(p.pair.frame.item, p.sound_item) for p in puzzles}
    assert len(given) == 12 and all(own != row for own, row in given)


class Counted(ToyVideos):
    """Counts how often all sources were asked for."""

    asked = 0

    def column(self, name):
        type(self).asked += 1
        return np.array([getattr(self.facts(i), name) for i in range(len(self))], object)


def test_the_sources_of_all_items_are_looked_up_once_and_not_for_every_puzzle():
    media = Counted(12)
    task = made(SMALL, media)
    batch_of(task, media)
    assert media.asked == 1
    assert pickle.loads(pickle.dumps(task))._sources_of is None, "a loader process gets the media by itself"


class OneBad(ToyVideos):
    """The sound of one video cannot be read."""

    def audio(self, i, start_seconds, duration_seconds, rate):
        if i == 5:
            raise MediaError("toy/005.mp4", "cannot be read")
        return super().audio(i, start_seconds, duration_seconds, rate)


def test_the_bank_has_a_row_for_every_item_also_where_one_could_not_be_read():
    media, task = OneBad(12), AVInstance(SMALL)
    on_readable(media, lambda part: task.fit_statistics(part, 0), skip=True)
    assert len(network_of(task).audio_bank.vectors) == 12


def test_before_the_data_are_known_there_is_no_bank():
    with pytest.raises(UserError, match="fit_statistics"):
        network_of(AVInstance(SMALL))


def test_a_training_that_is_continued_has_the_bank_of_an_undisturbed_one(tmp_path):
    media = ToyVideos(12)
    options = TrainOptions(steps=8, batch_size=4, checkpoint_every=3, validate_every=8, validation_puzzles=4, workers=0)

    def go():
        with RunFolder(tmp_path / "run", {}) as run:
            network = fit([TaskPlan(AVInstance(AGREEING), media, media)], options, run).networks["av-instance"]
        return network.state_dict()

    undisturbed = go()
    newest = sorted((tmp_path / "run" / "checkpoints").glob("step-*.pt"))[-1]
    newest.write_bytes(b"")  # as if it had been killed before it was written
    continued = go()
    assert {"vision_bank.vectors", "audio_bank.vectors", "positives", "noise.log_mean"} <= continued.keys()
    assert all(torch.equal(value, undisturbed[name]) for name, value in continued.items())
