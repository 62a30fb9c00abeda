"""Frame filling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_media import FPS, Gliding, ToyVideos

from avssl.errors import UserError
from avssl.evaluate.pretext.controls import evaluate_control
from avssl.evaluate.pretext.frame_filling import copied, evaluate, mean_of_both
from avssl.evaluate.pretext.picture_metrics import psnr
from avssl.evaluate.pretext.predictions import HeldOut
from avssl.networks.frame_filling import agreement, warped
from avssl.samplers.keys import Key
from avssl.tasks.frame_filling.puzzle import FrameFillingOptions
from avssl.tasks.frame_filling.task import FrameFilling

SMALL = FrameFillingOptions(side=32, width=4, head_width=8, norm="group", crop_low=1.0, frames=4, motion=False)
HIDE = pytest.mark.parametrize("hide", ["frame", "tubes"])


def made(media=None, **options):  # type: ignore[no-untyped-def]
    task = FrameFilling(replace(SMALL, **options))
    task.fit_statistics(media or Gliding(8), 0)
    torch.manual_seed(0)
    return task, task.network(task.encoders())


def puzzles(task, media, count=8):  # type: ignore[no-untyped-def]
    return [task.draw(media, Key(0, 0, i)) for i in range(count)]


@HIDE
def test_nothing_of_what_is_hidden_reaches_the_network(hide):
    task, network = made(hide=hide)
    drawn = puzzles(task, Gliding(8), 4)
    each = SMALL.side // drawn[0].hidden.shape[-1]
    inside = [p.hidden.repeat(each, 1).repeat(each, 2)[:, None] for p in drawn]
    assert all(0 < hole.mean() < 1 for hole in inside)
    changed = [
        replace(p, frames=np.where(hole, 255 - p.frames, p.frames)) for p, hole in zip(drawn, inside, strict=True)
    ]
    with torch.no_grad():
        one, other = (task.answers(network.eval(), task.collate(some)) for some in (drawn, changed))
    assert torch.equal(one.scores, other.scores) and not torch.equal(one.truth, other.truth)


def test_the_frame_that_is_hidden_is_in_the_middle_of_the_time_between_the_two_that_are_seen():
    task, _ = made(spacing_min=0.1, spacing_max=0.4)
    found = [np.diff(p.times) * FPS for p in puzzles(task, Gliding(8), 60)]
    assert all(first == pytest.approx(second) for first, second in found)
    assert {round(float(first)) for first, _ in found} == {1, 2, 3, 4, 5}


def test_a_tube_hides_the_same_patches_in_all_frames_and_as_many_as_asked():
    for share, count in ((0.75, 12), (0.5, 8)):
        task, _ = made(hide="tubes", hidden_share=share)
        tubes = [p.hidden for p in puzzles(task, Gliding(8))]
        assert all((hidden == hidden[:1]).all() and hidden[0].sum() == count for hidden in tubes)
        assert len({hidden.tobytes() for hidden in tubes}) == 8
    own = puzzles(made(hide="tubes", same_patches=False)[0], Gliding(8))[0].hidden
    assert not (own == own[:1]).all() and (own.sum((1, 2)) == 12).all()


@HIDE
def test_a_network_that_adds_nothing_has_the_loss_called_chance(hide):
    task, network = made(hide=hide)
    with torch.no_grad():
        network.pixels.weight.zero_()
        for step in getattr(network, "steps", []):
            step.correct.weight.zero_()
    task = task.held_out()
    batch = task.collate([task.draw(Gliding(8), Key(0, -1, i)) for i in range(256)])  # those of the statistics
    assert float(task.loss(network.eval(), batch).loss.detach()) == pytest.approx(task.chance_loss(), rel=1e-3)


def test_maps_are_sampled_where_a_motion_leads_to():
    maps = torch.arange(2 * 5 * 6.0).view(1, 2, 5, 6)
    motion = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 5, 6)
    fine = warped(maps, (motion + 0.1).bfloat16())[0, 0, 0, 0]  # what is half a cell off in bfloat16 is not
    assert float(fine) == pytest.approx(float(warped(maps, (motion + 0.1).bfloat16().float())[0, 0, 0, 0]))
    assert torch.allclose(warped(maps, motion)[..., :4, :4], maps[..., 1:, 2:], atol=1e-5)
    assert torch.allclose(
        warped(maps, motion)[..., 4, 5], maps[..., 4, 5], atol=1e-5
    )  # beyond the border: what is at it
    half = warped(maps, motion / 4)[0, 0, 0, 0]
    assert float(half) == pytest.approx(0.5 + 0.25 * 6, abs=1e-5)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, -2), (-2, 2)])
def test_neighbours_agree_most_where_the_motion_from_one_to_the_other_is(down, right):
    rng = torch.Generator().manual_seed(0)
    middle = torch.randn(1, 16, 12, 12, generator=rng)
    before, after = (middle.roll((-way * down, -way * right), (2, 3)) for way in (1, -1))
    # So that the middle's cell lies d before in the earlier one, d after in the later one.
    found = agreement(before, after, 2)[0, :, 4:8, 4:8]
    assert (found.argmax(0) == (down + 2) * 5 + right + 2).all()
    assert torch.allclose(found.amax(0), torch.ones(4, 4), atol=1e-5)


def test_an_even_motion_is_followed_after_a_few_steps_and_the_mean_left_behind():
    media = Gliding(48)  # of fewer the textures are learned
    task, network = made(media, spacing_min=0.16, spacing_max=0.16)
    drawn = puzzles(task, media, 48)
    batches = [task.collate(drawn[start::4]) for start in range(4)]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=30)
    for step in range(30):
        optimizer.zero_grad()
        task.loss(network, batches[step % 4]).loss.backward()
        optimizer.step()
        schedule.step()
    rows = {(r.name, r.metric): r for r in evaluate(task, {"trained": network}, HeldOut(media, 48))}
    gain = rows["trained - mean-of-both", "psnr-difference"]
    assert gain.low > 1, gain


def test_controls_are_taught_other_clips_or_see_one_neighbour_and_are_evaluated_on_true_ones():
    media = Gliding(8)
    task, network = made()
    shuffled, one = task.controls()["shuffled-labels"], task.controls()["one-neighbour"]
    batches = [part.collate(puzzles(part, media)) for part in (task, shuffled, one)]
    assert torch.equal(batches[0]["frames"][:, :3], batches[1]["frames"][:, :3])
    assert not torch.equal(shuffled._target(batches[1]), task._target(batches[0]))
    assert torch.equal(one._seen(batches[2])[:, 0], one._seen(batches[2])[:, 1])
    held_out = shuffled.held_out().collate(puzzles(shuffled.held_out(), media))
    assert torch.equal(held_out["frames"], task.held_out().collate(puzzles(task.held_out(), media))["frames"])
    rows = evaluate_control(one, {"one-neighbour": network}, HeldOut(media, 8))
    assert [(row.name, row.metric) for row in rows] == [("one-neighbour", m) for m in ("psnr", "psnr-moved", "ssim")]
    assert "one-neighbour" not in made(hide="tubes")[0].controls()


def test_rows_stand_beside_fillings_without_a_network_on_the_same_clips():
    media = Gliding(8)
    task, network = made()
    rows = evaluate(task, {"trained": network, "untrained": network}, HeldOut(media, 24))
    by = {(row.name, row.metric): row for row in rows}
    drawn = [task.held_out().draw(media, key) for key in HeldOut(media, 24).keys(24)]
    whole = np.ones((32, 32), bool)
    by_hand = [psnr(mean_of_both(task, p)[0], p.frames[1], whole) for p in drawn]
    assert by["mean-of-both", "psnr"].value == pytest.approx(np.mean(by_hand))
    assert by["mean-of-both", "psnr"].value > by["nearest-frame", "psnr"].value
    assert by["mean-of-both", "psnr-moved"].value < by["mean-of-both", "psnr"].value - 3  # most of a frame stands still
    assert by["trained", "psnr"].n == 24 and by["trained", "psnr"].clusters == 8
    paired = by["trained - mean-of-both", "psnr-difference"]
    assert paired.value == pytest.approx(by["trained", "psnr"].value - by["mean-of-both", "psnr"].value)
    assert paired.low <= paired.value <= paired.high


def test_where_nothing_moves_there_is_no_figure_of_what_moved():
    class Still(Gliding):
        def frames(self, i, times):
            return super().frames(i, [0.0] * len(times))

    task, network = made()
    rows = evaluate(task, {"trained": network}, HeldOut(Still(4), 8))
    assert not [row for row in rows if row.metric == "psnr-moved"]
    assert {row.value for row in rows if (row.name, row.metric) == ("mean-of-both", "psnr")} == {100.0}


def test_frames_far_apart_are_what_keeps_the_mean_from_being_right():
    task, network = made(spacing_min=0.24, spacing_max=0.24)
    by = {(r.name, r.metric): r.value for r in evaluate(task, {"trained": network}, HeldOut(Gliding(8), 24))}
    assert by["mean-of-both/adjacent", "psnr"] > by["mean-of-both", "psnr"] + 1


def test_patches_of_each_frames_own_can_be_copied_from_its_neighbours_and_those_of_a_tube_cannot():
    task, network = made(hide="tubes", hidden_share=0.5, spacing_min=0.08, spacing_max=0.08)
    by = {(r.name, r.metric): r.value for r in evaluate(task, {"trained": network}, HeldOut(Gliding(8), 8))}
    assert by["copied", "psnr"] == by["border-fill", "psnr"]
    assert by["copied/own-patches", "psnr"] > by["copied", "psnr"] + 2
    drawn = puzzles(made(hide="tubes", same_patches=False, hidden_share=0.3)[0], Gliding(8))[0]
    still = replace(drawn, frames=np.repeat(drawn.frames[:1], 4, axis=0))
    seen = ~drawn.hidden.all(0).repeat(8, 0).repeat(8, 1)
    assert np.array_equal(copied(task, still)[..., seen], still.frames[..., seen])


def test_images_and_videos_that_are_too_short_are_not_used():
    task, _ = made()
    assert task.unusable(ToyVideos().facts(0)) is None
    assert "need" in str(task.unusable(replace(ToyVideos().facts(0), duration_seconds=0.3, frame_count=4)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spacing_min": 0.3}, r"--spacing-min \(0.3\) must be at most --spacing-max \(0.2\)"),
        ({"hide": "tubes", "patch": 5}, r"--patch \(5\) must divide --side \(32\)"),
        ({"hide": "tubes", "patch": 16, "hidden_share": 0.9}, "hides 4; it must hide one at least, and leave one"),
    ],
)
def test_what_hides_nothing_or_all_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        FrameFilling(replace(SMALL, **options))
