"""Instance discrimination: SimCLR, MoCo v2 and PIRL."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toy_pictures import ToyPictures, noise

from avssl.errors import UserError
from avssl.evaluate.pretext import cues
from avssl.evaluate.pretext.batch_statistics import batch_leak
from avssl.evaluate.pretext.controls import evaluate_control, evaluate_trained
from avssl.evaluate.pretext.pairs import in_blocks
from avssl.evaluate.pretext.predictions import HeldOut
from avssl.evaluate.pretext.shortcuts import known, probe
from avssl.samplers.keys import Key
from avssl.samplers.whole_pictures import item_of
from avssl.tasks.instance_contrast.puzzle import PUBLISHED, InstanceContrastOptions
from avssl.tasks.instance_contrast.task import InstanceContrast
from avssl.tasks.rotation.puzzle import RotationOptions
from avssl.tasks.rotation.task import Rotation
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan
from avssl.trainer.run_folder import RunFolder

SMALL = InstanceContrastOptions(
    side=16, width=4, blocks=2, dimensions=16, norm="group", blur=0.0, queue=24, cell=8, tile=6, key_momentum=0.9
)
METHODS = list(PUBLISHED)
PLAIN = {"jitter": (0.0, 0.0, 0.0, 0.0), "grey": 0.0}
TRAIN = TrainOptions(
    steps=6, batch_size=8, workers=0, checkpoint_every=2, validation_puzzles=0, log_to=("none",), precision="fp32"
)


def made(media, method="simclr", **options):  # type: ignore[no-untyped-def]
    task = InstanceContrast(replace(SMALL, method=method, **options))
    task.fit_statistics(media, 0)
    torch.manual_seed(0)
    return task, task.network(task.encoders())


def batch_of(task, media, count=8):  # type: ignore[no-untyped-def]
    return task.collate([task.draw(media, Key(0, 0, i)) for i in range(count)])


def one_colour(i: int) -> np.ndarray:
    """Another plain colour in each picture."""
    return np.broadcast_to(np.random.default_rng(i).integers(0, 256, (3, 1, 1), np.uint8), (3, 40, 40))


def trained(media, method, run=None, **changes):  # type: ignore[no-untyped-def]
    """The state of the network after a few steps, memories among it."""
    task, _ = made(media, method)
    result = fit([TaskPlan(task, media)], replace(TRAIN, **changes), run, progress="none")
    return result.networks["instance-contrast"].state_dict()


@pytest.mark.parametrize("method", METHODS)
def test_each_method_has_its_published_values_unless_others_are_given(method):
    assert InstanceContrastOptions(method=method).recipe == PUBLISHED[method]
    changed = InstanceContrastOptions(method=method, area_low=0.5, jitter=(0.1, 0.1, 0.1, 0.0)).recipe
    assert changed == PUBLISHED[method]._replace(area_low=0.5, jitter=(0.1, 0.1, 0.1, 0.0))


@pytest.mark.parametrize("method", METHODS)
def test_two_views_are_of_one_picture_and_of_the_control_of_two(method):
    media = ToyPictures(12, one_colour)
    task, _ = made(media, method, **PLAIN)
    for one, same in ((task, True), (task.held_out(), True), (task.controls()["shuffled-labels"].held_out(), False)):
        first, second = cues.mean_colour(one, batch_of(one, media)).unbind(1)
        assert ((first - second).abs().amax(1) < 1e-3).tolist() == [same] * 8


def test_held_out_views_are_changed_as_in_training():
    media = ToyPictures(8, noise)
    task, _ = made(media)
    training, held_out = (one.views(batch_of(one, media)) for one in (task, task.held_out()))
    assert torch.equal(training[0], held_out[0]) and torch.equal(training[1], held_out[1])


def test_tiles_are_those_of_the_square_in_any_order():
    media = ToyPictures(8, noise)
    task, _ = made(media, "pirl", flip=False, **PLAIN)
    batch = batch_of(task, media)
    _, tiles = task.views(batch)
    assert tiles.shape == (8, 9, 3, 6, 6)
    cells = batch["tiles"][:, :, :2] // 8
    assert all(len({tuple(cell) for cell in one.tolist()}) == 9 for one in cells)
    assert len({tuple(one[:, :2].flatten().tolist()) for one in cells}) == 8, "another order in each puzzle"
    top, left, _ = batch["tiles"][3, 5].tolist()
    expected = batch["second"][3, :, top : top + 6, left : left + 6] / 255
    assert (tiles[3, 5] - expected).abs().max() < 1e-5


def test_the_row_of_the_bank_is_that_of_the_picture():
    media = ToyPictures(8, noise)
    task, network = made(media, "pirl")
    puzzles = [task.draw(media, Key(0, 0, i)) for i in range(3)]
    before = network.bank.vectors.clone()
    task.loss(network, task.collate(puzzles))
    assert torch.equal(network.bank.vectors, before), "not before the step"
    task.after_step(network)
    moved = (network.bank.vectors != before).any(1).nonzero().flatten().tolist()
    assert moved == sorted(item_of(media, Key(0, 0, i)) for i in range(3)) == sorted(p.item for p in puzzles)


def test_keys_come_from_a_follower_without_gradient_and_enter_the_queue_after_the_step():
    media = ToyPictures(8, noise)
    task, network = made(media, "moco")
    query, follower = next(network.vision.parameters()), next(network.keys.parameters())
    queue = network.queue.rows.clone()
    task.loss(network, batch_of(task, media)).loss.backward()
    assert query.grad is not None and follower.grad is None
    assert torch.equal(network.queue.rows, queue)
    before = follower.clone()
    with torch.no_grad():
        query.add_(1.0)
    task.after_step(network)
    assert torch.allclose(follower, 0.9 * before + 0.1 * query)
    with torch.no_grad():
        entered = network.queue.rows[:8]
    assert not torch.equal(entered, queue[:8]) and torch.equal(network.queue.rows[8:], queue[8:])


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_crashed_ends_with_the_memories_of_an_undisturbed_one(method, tmp_path, monkeypatch):
    media = ToyPictures(12, noise)
    undisturbed = trained(media, method)
    steps = []

    def crash(self, network):  # type: ignore[no-untyped-def]
        steps.append(0)
        if len(steps) == 4:
            raise KeyboardInterrupt
        network.after_step()

    with monkeypatch.context() as patched, RunFolder(tmp_path / "run", {}) as run:
        patched.setattr(InstanceContrast, "after_step", crash)
        with pytest.raises(KeyboardInterrupt):
            trained(media, method, run)
    with RunFolder(tmp_path / "run", {}) as run:
        assert run.checkpoints.steps()
        continued = trained(media, method, run)
    assert undisturbed.keys() == continued.keys()
    assert all(torch.equal(undisturbed[name], continued[name]) for name in undisturbed)


@pytest.mark.parametrize("method", ["moco", "pirl"])
def test_a_batch_in_pieces_moves_weights_and_memories_as_the_whole(method):
    media = ToyPictures(12, noise)
    whole, pieces = (trained(media, method, steps=2, optimizer="sgd", accumulate=n) for n in (1, 4))
    for name in whole:
        if not name.endswith("log_mean"):  # set by the first piece
            assert torch.allclose(whole[name], pieces[name], atol=2e-3 if method == "pirl" else 1e-5), name


def test_beside_another_task_on_one_encoder_the_queue_moves_at_its_own_steps():
    media = ToyPictures(12, noise)
    task, _ = made(media, "moco")
    other = Rotation(RotationOptions(side=16, width=4, blocks=2, norm="group", pad=0))
    result = fit([TaskPlan(task, media), TaskPlan(other, media)], replace(TRAIN, steps=4), progress="none")
    network = result.networks["instance-contrast"]
    assert network.vision is result.networks["rotation"].vision is result.encoders["vision"]
    assert int(network.queue.place) == 2 * TRAIN.batch_size
    follower, leader = (next(one.parameters()) for one in (network.keys["vision"], network.vision))
    assert not torch.equal(follower, leader)


def test_parts_of_keys_have_rows_of_all_parts_of_queries():
    _, network = made(ToyPictures(4, noise), "moco", norm="batch", shuffle=8)
    query, key = network.parts(64)
    assert query.shape == key.shape == (8, 8)
    for parts in (query, key):
        assert sorted(parts.flatten().tolist()) == list(range(64))
    assert all(len(set(one.tolist()) & set(other.tolist())) == 1 for one in query for other in key)
    assert len(network.parts(12)[0]) == 3, "no part is smaller than there are parts"
    assert len(made(ToyPictures(4, noise), "moco")[1].parts(64)[0]) == 1, "nothing to shuffle without batch norm"


def test_batch_norm_tells_a_batch_from_others_unless_it_is_divided_otherwise_for_keys():
    media = ToyPictures(64, one_colour)
    found = {}
    for name, options in (
        ("off", {"norm": "batch", "shuffle": 1}),
        ("shuffled", {"norm": "batch", "shuffle": 8}),
        ("group norm", {"norm": "group"}),
    ):
        task, _ = made(media, "moco", **options, **PLAIN)
        found[name] = batch_leak(task, media, batch_size=16, batches=16)
    assert found["off"].low > 0.5 and found["off"].chance == 1 / 16
    assert found["shuffled"].accuracy < 0.7 * found["off"].accuracy
    assert found["group norm"].accuracy == 1 / 16


def test_colours_alone_find_the_other_view_and_jitter_takes_that_away():
    media = ToyPictures(64, one_colour)
    task, _ = made(media)
    assert [one.name for one in known(task, media)] == ["mean colour", "colour histogram"]
    for shortcut in known(task, media):
        plain, _ = made(media, **PLAIN)
        off, now = (probe(one.held_out(), media, shortcut.cue, puzzles=128) for one in (plain, task))
        assert off.accuracy > 0.6 and off.chance == 1 / 64 and off.n == 128
        assert now.high < 0.5 * off.accuracy


class ByColour(nn.Module):
    """A network whose embedding is the mean colour."""

    def forward(self, first, second):  # type: ignore[no-untyped-def]
        return tuple(nn.functional.normalize(view.mean((2, 3)) - 0.5) for view in (first, second))


def test_the_other_view_is_asked_for_among_different_pictures():
    media = ToyPictures(20, one_colour)
    task, network = made(media, **PLAIN)
    rows = evaluate_trained(task, {"trained": ByColour(), "untrained": network}, HeldOut(media, 50))
    found = {row.name: row for row in rows}
    assert list(found) == ["trained", "untrained", "mean-colour", "colour-histogram"]
    assert all((row.metric, row.chance, row.n) == ("accuracy", 1 / 20, 40) for row in rows)
    assert found["trained"].value > 0.9 and found["mean-colour"].value == 1.0
    control = task.controls()["shuffled-labels"]
    (row,) = evaluate_control(control, {"shuffled-labels": ByColour()}, HeldOut(media, 200))
    assert row.low <= row.chance, "what is of other pictures is not found"


def test_blocks_are_of_different_pictures():
    media = ToyPictures(10, noise)
    keys = in_blocks([Key(3, -2, i) for i in range(16)], 10, 4)
    assert len(keys) == 16 and len(set(keys)) == 16
    items = np.array([item_of(media, key) for key in keys]).reshape(4, 4)
    assert all(len(set(block)) == 4 for block in items.tolist())


@pytest.mark.parametrize("method", METHODS)
def test_the_relative_loss_is_one_for_a_network_that_knows_nothing(method):
    media = ToyPictures(8, noise)
    task, network = made(media, method)
    alike = nn.functional.normalize(torch.ones(8, 16))
    network.forward = lambda *_: (alike, alike)
    for one in (task, task.held_out()):
        measures = one.loss(network, batch_of(one, media)).measures
        assert float(measures["relative_loss"]) == pytest.approx(task.chance_loss(), rel=1e-5)
    assert float(task.held_out().loss(network, batch_of(task, media)).loss) == pytest.approx(1.0, rel=1e-5)
    if method == "simclr":
        assert float(task.loss(network, batch_of(task, media)).loss) == pytest.approx(math.log(15), rel=1e-5)


def test_alignment_and_uniformity_of_the_embeddings_are_logged():
    media = ToyPictures(12, noise)
    task, _ = made(media)
    options = replace(TRAIN, steps=1, validation_puzzles=12, validate_every=1)
    result = fit([TaskPlan(task, media, media)], options, progress="none")
    line = next(line for line in result.history if line["split"] == "val")
    assert 0 < line["alignment"] < 4 and -4 < line["uniformity_first"] < 0
    assert {"accuracy", "relative_loss", "effective_rank_second"} <= line.keys()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jitter": (0.4, 0.4)}, r"--jitter \(0.4,0.4\) must be four numbers"),
        ({"jitter": (0.4, 0.4, 0.4, 0.6)}, "half a turn"),
        ({"tile": 9}, r"--tile \(9\) must not be more than --cell \(8\)"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        InstanceContrast(replace(SMALL, **options))


def test_a_single_picture_has_no_negatives():
    with pytest.raises(UserError, match="give two pictures"):
        made(ToyPictures(1, noise))
