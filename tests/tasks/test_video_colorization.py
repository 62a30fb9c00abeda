"""Video colorization."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toy_media import Gliding, ToyVideos

from avssl.errors import UserError
from avssl.evaluate.pretext.controls import evaluate_control, untrained
from avssl.evaluate.pretext.predictions import HeldOut
from avssl.evaluate.pretext.video_colorization import evaluate
from avssl.networks.copying import EmbeddingEncoder, attention
from avssl.networks.photometry import LUMA
from avssl.networks.saving import load_module, save_module
from avssl.samplers.keys import Key
from avssl.tasks.colorization.puzzle import ColorizationOptions
from avssl.tasks.colorization.task import Colorization
from avssl.tasks.video_colorization.puzzle import VideoColorizationOptions
from avssl.tasks.video_colorization.task import VideoColorization

SMALL = VideoColorizationOptions(
    side=40, width=4, head_width=8, dimensions=8, colours=6, norm="group", crop_low=1.0, motion=False
)
_MADE: dict[VideoColorizationOptions, dict] = {}


def made(options=SMALL, media=None):  # type: ignore[no-untyped-def]
    """A task with colours fitted to the gliding squares: of equal options once."""
    task = VideoColorization(options)
    if media is None and options in _MADE:
        task.load_state(_MADE[options])
        return task
    task.fit_statistics(media or Gliding(8), 0)
    if media is None:
        _MADE[options] = task.state()
    return task


@pytest.fixture(autouse=True)
def few_clips(monkeypatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr("avssl.tasks.video_colorization.task._CLIPS", 16)


def batch_of(task, count=4, media=None):  # type: ignore[no-untyped-def]
    return task.collate([task.draw(media or Gliding(8), Key(0, 0, i)) for i in range(count)])


class Sees(nn.Module):
    """Embeds a cell by its pixels; with a 1 beside them, cosines tell how far apart they are."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        cells = nn.functional.unfold(frames[:, :1] - 0.5, 4, stride=4)
        return torch.cat([cells, torch.ones_like(cells[:, :1])], 1).unflatten(2, (frames.shape[-2] // 4, -1))


class Blind(nn.Module):
    """Embeds all cells alike."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(frames), 2, frames.shape[-2] // 4, frames.shape[-1] // 4)


def test_a_clip_is_references_and_a_target_equally_far_apart_with_one_crop():
    task = made(replace(SMALL, crop_low=0.5))
    puzzle = task.draw(Gliding(8), Key(0, 0, 3))
    assert puzzle.frames.shape == (4, 3, 40, 40)
    assert np.abs(np.diff(puzzle.times)) == pytest.approx(0.16)
    # The ground stands still: most pixels of all frames are the same, which they would not be in crops of their own.
    assert (np.abs(np.diff(puzzle.frames.astype(int), axis=0)) <= 1).mean() > 0.6


def test_half_of_the_training_clips_and_no_held_out_one_are_played_backwards():
    task = made()
    backwards = [
        task.draw(Gliding(8), Key(0, 0, i)).times[0] > task.draw(Gliding(8), Key(0, 0, i)).times[-1] for i in range(40)
    ]
    assert 8 < sum(backwards) < 32
    held = [task.held_out().draw(Gliding(8), Key(0, 0, i)).times for i in range(10)]
    assert all(times[0] < times[-1] for times in held)


def same_luma(frames: np.ndarray, seed: int) -> np.ndarray:
    """Other colours, of the same luma to a level: red is changed, and green makes up for it."""
    rng = np.random.default_rng(seed)
    down = rng.integers(2, 10, (*frames.shape[:-3], 1, *frames.shape[-2:])) * 10
    red, green, blue = (frames[..., k : k + 1, :, :].astype(float) for k in range(3))
    shift = np.minimum(np.minimum(down, 255 - red), green * LUMA[1] / LUMA[0])
    return np.concatenate([red + shift, green - shift * LUMA[0] / LUMA[1], blue], axis=-3)


def test_the_network_is_fed_no_colour():
    task = made().held_out()
    batch = batch_of(task)
    other = {**batch, "frames": torch.from_numpy(same_luma(batch["frames"].numpy(), 0)).round().to(torch.uint8)}
    assert float((task.cells(batch).ab - task.cells(other).ab).abs().mean()) > 5
    assert float((task.fed(batch) - task.fed(other)).abs().max()) < 1 / 255
    trained = task.variant(training=True)  # changes of light come after the colours are gone
    assert float((trained.fed(batch) - trained.fed(other)).abs().max()) < 1.5 / 255


def test_the_border_of_two_colours_as_light_as_each_other_stays_unseen_where_frames_are_scaled():
    class TwoColours(ToyVideos):
        def frames(self, i, times):
            left, right = (200, 60, 100), (100, round(60 + 100 * LUMA[0] / LUMA[1]), 100)
            frame = np.zeros((3, 97, 97), np.uint8)
            frame[:, :, :50], frame[:, :, 50:] = (np.reshape(c, (3, 1, 1)) for c in (left, right))
            return np.repeat(frame[None], len(times), 0)

    task = made().held_out()
    fed = task.fed(batch_of(task, 2, TwoColours(4)))
    assert float(fed.amax() - fed.amin()) < 1.2 / 255


def test_every_cell_takes_most_from_the_place_that_it_came_from():
    task = made(replace(SMALL, temperature=0.002)).held_out()
    batch = batch_of(task, 8)
    cells = task.cells(batch)
    assert 0.03 < float(cells.moved.float().mean()) < 0.5
    seeing, blind = (task.loss(network, batch).measures for network in (Sees(), Blind()))
    assert float(seeing["accuracy_moved"]) > float(blind["accuracy_moved"]) + 0.2
    assert float(task.loss(Blind(), batch).loss) == pytest.approx(task.chance_loss(), rel=0.15)


def test_attention_sums_to_one_over_all_places_of_all_references_and_over_those_of_the_window():
    torch.manual_seed(0)
    target, references = torch.randn(2, 5, 4, 6), torch.randn(2, 3, 5, 4, 6)
    for unit, window in ((True, None), (False, None), (True, 1)):
        weights = attention(target, references, unit=unit, temperature=0.5, window=window)
        assert weights.shape == (2, 24, 72) and torch.allclose(weights.sum(2), torch.ones(2, 24))
    near = weights[0, 7].view(3, 4, 6)  # the place in row 1, column 1, copies from rows and columns 0 to 2
    assert (near[:, :3, :3] > 0).all() and float(near[:, :3, :3].sum()) == pytest.approx(1)
    # By hand: a cosine by the temperature, in a softmax.
    flat = [references[0, :, :, y, x] for y in range(4) for x in range(6)]
    mine = target[0, :, 1, 1]
    scores = torch.stack([torch.cosine_similarity(mine[None], one, dim=1) for one in flat], 1).flatten()
    found = attention(target, references, unit=True, temperature=0.5)[0, 7]
    assert torch.allclose(found, torch.softmax(scores / 0.5, 0), atol=1e-6)


def test_colours_are_clusters_of_training_frames_kept_with_the_run():
    task = made()
    assert task.centres.shape == (6, 2) and task.shares.sum() == pytest.approx(1)
    ab = task.cells(batch_of(task, 8)).ab.movedim(2, -1).reshape(-1, 2)
    apart = float(torch.cdist(ab, task.centres).amin(1).square().mean())
    assert apart < 0.5 * float((ab - ab.mean(0)).square().sum(1).mean())  # nearer than one colour for all
    again = VideoColorization(SMALL)
    assert again.needs_statistics() and again.chance_loss() is None
    again.load_state(json.loads(json.dumps(task.state())))
    batch = batch_of(task)
    assert torch.equal(again.cells(batch).colour, task.cells(batch).colour)
    assert again.chance_loss() == task.chance_loss()


def test_frames_without_colours_are_refused():
    class Grey(ToyVideos):
        def frames(self, i, times):
            return super().frames(i, times)[:, :1].repeat(3, axis=1)

    with pytest.raises(UserError, match=r"--colours 6: the frames have only \d different colours?; give fewer"):
        made(SMALL, Grey(4))


def test_videos_that_are_too_short_or_still_are_refused_with_the_reason():
    task, facts = VideoColorization(SMALL), ToyVideos().facts(0)
    assert task.unusable(facts) is None
    assert task.unusable(replace(facts, kind="image")) == "image, not a video"
    assert task.unusable(replace(facts, flags=("still",))) == "nothing moves"


def test_the_encoder_is_kept_with_its_embedding_and_sees_the_luma_of_frames_of_any_size(tmp_path):
    task = made()
    network = task.network(task.encoders()).eval()
    saved = task.saved(network)
    assert not task.features(network)  # a mean over the map, which tells no places apart, is not watched
    assert set(saved) == {"vision", "vision-embedding"} and saved["vision"] is network.get_submodule("vision")
    save_module(saved["vision-embedding"], tmp_path / "vision-embedding")
    again = load_module(tmp_path / "vision-embedding")
    assert isinstance(again, EmbeddingEncoder) and (again.role, again.side, again.channels) == ("vision", 40, 8)
    frames = batch_of(task)["frames"][0]
    other = torch.from_numpy(same_luma(frames.numpy(), 1)).round().to(torch.uint8)
    with torch.no_grad():
        maps, also = again.stages(frames), again.stages(other)
        wide = again.stages(torch.zeros(1, 3, 32, 48, dtype=torch.uint8))["embedding"]
        expected = network(task.held_out().fed({"frames": frames[None]})[0].expand(-1, 3, -1, -1))
    assert list(maps)[-1] == "embedding" and maps["embedding"].shape == (4, 8, 10, 10) and wide.shape == (1, 8, 8, 12)
    assert torch.allclose(maps["embedding"], expected, atol=1e-5)
    assert float((maps["embedding"] - also["embedding"]).abs().max()) < 0.1 * float(maps["embedding"].std())


def test_rows_stand_beside_copies_that_need_no_network():
    task = made(replace(SMALL, temperature=0.002))
    rows = evaluate(task, {"trained": Sees(), "untrained": Blind()}, HeldOut(Gliding(8), 24))
    value = {(row.name, row.metric): row.value for row in rows}
    moved = {name: figure for (name, metric), figure in value.items() if metric == "accuracy-moved"}
    assert moved["trained"] > moved["same-place"] + 0.05 and moved["ceiling"] >= moved["trained"]
    assert moved["nearest-in-window"] > moved["references-mix"] + 0.1
    assert moved["seen-colour"] > 0.8 > moved["nearest-in-window"]
    assert value["same-place", "accuracy"] > moved["same-place"] + 0.3
    # Attention to nothing copies the commonest colour of the references.
    for metric in ("accuracy-moved", "accuracy"):
        assert value["untrained", metric] == value["references-mix", metric]
        chances = {row.name: row.chance for row in rows if row.metric == metric}
        assert chances["trained"] == chances["untrained"] == value["references-mix", metric]
        assert chances["same-place"] is None and chances["trained/window"] is None
    gain = next(row for row in rows if row.name == "trained - same-place" and row.metric == "accuracy-moved-difference")
    assert gain.value == pytest.approx(moved["trained"] - moved["same-place"]) and gain.low < gain.value < gain.high


def test_clips_drawn_where_things_move_leave_less_to_the_shortcut_of_the_same_place():
    class MovesAtTheEnd(Gliding):
        def frames(self, i, times):
            return super().frames(i, [max(time, 2.0) for time in times])

    media, shortcut = MovesAtTheEnd(8), {}
    media.fingerprint = "moves at the end"  # motion is remembered by it
    for motion in (False, True):
        rows = evaluate(made(replace(SMALL, motion=motion)), {}, HeldOut(media, 24))
        shortcut[motion] = next(r.value for r in rows if (r.name, r.metric) == ("same-place", "accuracy"))
    assert shortcut[True] < shortcut[False] - 0.05


def test_the_control_learns_colours_of_another_clip_and_is_evaluated_on_the_true_ones():
    task = made()
    control = task.controls()["shuffled-labels"]
    batch, plain = batch_of(control), batch_of(task)
    assert torch.equal(batch["frames"], plain["frames"])
    theirs, ours = control.cells(batch), task.cells(plain)
    assert torch.equal(theirs.colour[:, :-1], ours.colour[:, :-1])
    assert float((theirs.colour[:, -1] != ours.colour[:, -1]).float().mean()) > 0.3


def test_a_control_is_compared_with_random_weights_which_copy_from_what_looks_alike():
    task, held_out = made(), HeldOut(Gliding(8), 8)
    rows = evaluate_control(task.controls()["shuffled-labels"], {"shuffled-labels": Blind()}, held_out)
    assert {row.name for row in rows} == {"shuffled-labels", "shuffled-labels/window"}
    random = {
        row.metric: row.value
        for row in evaluate(task, {"untrained": untrained(task, 0)}, held_out)
        if row.name == "untrained"
    }
    assert {row.metric: row.chance for row in rows if row.name == "shuffled-labels"} == random


def test_a_task_on_pictures_learns_on_the_same_encoder():
    task, other = made(), Colorization(ColorizationOptions(side=40, width=4, head_width=8, target="regression"))
    other.fit_statistics(Gliding(8), 0)
    encoders = task.encoders()
    gradients = []
    for one in (task, other):
        encoders["vision"].zero_grad()
        one.loss(one.network(encoders), batch_of(one)).loss.backward()
        gradients.append([float(part.grad.abs().sum()) for part in encoders["vision"].parameters()])
    assert all(grad > 0 for each in gradients for grad in each)
