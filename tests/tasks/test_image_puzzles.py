"""Rotation, relative position and jigsaw: what their labels mean, and their options."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from made_pictures import Textures
from toy_media import ToyVideos

from avssl.errors import UserError
from avssl.networks.config import MEAN, STD
from avssl.networks.photometry import PROJECTION, fed_patches
from avssl.samplers.keys import Key
from avssl.samplers.patches import NEIGHBOURS
from avssl.samplers.permutations import permutation_set
from avssl.tasks.jigsaw.puzzle import JigsawOptions
from avssl.tasks.jigsaw.task import Jigsaw
from avssl.tasks.relative_position.puzzle import RelativePositionOptions
from avssl.tasks.relative_position.task import RelativePosition
from avssl.tasks.rotation.puzzle import RotationOptions
from avssl.tasks.rotation.task import Rotation

PATCHES = {"patch": 16, "gap": 8, "jitter": 2, "pixels_low": 9000, "pixels_high": 11000, "width": 4}
TILES = {"cell": 14, "tile": 12, "width": 4, "permutations": 20}


def keys(count, epoch=0):
    return [Key(0, epoch, index) for index in range(count)]


# --- rotation -------------------------------------------------------------------------------------------


def test_a_batch_holds_all_four_rotations_of_a_picture_and_its_labels_turn_it_back():
    task = Rotation(RotationOptions(pad=0))
    puzzle = task.draw(Textures(), Key(0, 0, 3))
    assert puzzle.labels == (0, 1, 2, 3) and puzzle.views.shape == (4, 3, 32, 32)
    for view, label in zip(puzzle.views, puzzle.labels, strict=True):
        assert np.array_equal(np.rot90(view, -label, axes=(1, 2)), puzzle.views[0])
    batch = task.collate([puzzle, puzzle])
    assert batch["frames"].shape == (8, 3, 32, 32) and batch["label"].tolist() == [0, 1, 2, 3] * 2


def test_held_out_rotations_have_one_view_and_four_rounds_show_every_rotation():
    task, pictures = Rotation(RotationOptions()).held_out(), Textures(10)
    puzzles = [task.draw(pictures, key) for key in keys(40, epoch=-2)]
    assert all(len(puzzle.labels) == 1 for puzzle in puzzles)
    asked = Counter((puzzle.name, puzzle.labels) for puzzle in puzzles)
    assert len(asked) == 40


def test_training_crops_as_published_for_cifar_and_held_out_pictures_are_whole():
    pictures = Textures(size=(32, 32))
    whole = Rotation(RotationOptions(views="one")).held_out().draw(pictures, Key(0, 0, 0))
    assert np.array_equal(
        np.rot90(whole.views[0], -whole.labels[0], axes=(1, 2)), pictures.frames(_item(whole), [0])[0]
    )
    shifts = {(task_view(pictures, epoch)[:, 0].max(axis=0) == 0).mean() for epoch in range(30)}
    assert len(shifts) > 1  # black where the padding came in


def task_view(pictures, epoch):
    return Rotation(RotationOptions(pad=4)).draw(pictures, Key(0, epoch, 0)).views[0]


def _item(puzzle):
    return int(puzzle.source.removeprefix("made"))


# --- relative position ----------------------------------------------------------------------------------


def test_the_second_patch_lies_where_the_class_says():
    task = RelativePosition(RelativePositionOptions(**PATCHES))
    for key in keys(10):
        puzzle = task.draw(Textures(), key)
        for (first, second), label in zip(puzzle.chosen, puzzle.labels, strict=True):
            apart = puzzle.corners[second] - puzzle.corners[first]
            assert tuple(np.sign(apart) * (np.abs(apart) > 2 * 2)) == NEIGHBOURS[label]
        assert len(set(np.bincount(puzzle.labels, minlength=8).tolist())) == 1
        for patch, (top, _left) in zip(puzzle.patches, puzzle.corners, strict=True):
            assert patch.shape == (3, 16, 16) and top + 16 <= puzzle.picture.shape[1]


def test_held_out_pairs_are_one_a_puzzle_uncoarsened_and_every_class_comes():
    task = RelativePosition(RelativePositionOptions(**PATCHES)).held_out()
    puzzles = [task.draw(Textures(), key) for key in keys(200)]
    assert {int(puzzle.labels[0]) for puzzle in puzzles} == set(range(8))
    for puzzle in puzzles[:20]:
        assert puzzle.chosen.tolist() == [[0, 1]]
        for patch, (top, left) in zip(puzzle.patches, puzzle.corners, strict=True):
            assert np.array_equal(patch, puzzle.picture[:, top : top + 16, left : left + 16])


def test_a_dropped_patch_keeps_one_channel_and_noise_of_half_a_grey_level():
    task = RelativePosition(RelativePositionOptions(**PATCHES, colour="drop", normalise=False)).held_out()
    puzzles = [task.draw(Textures(), key) for key in keys(12)]
    batch = task.collate(puzzles)
    fed = task.fed(batch)
    loud = fed.abs().amax((2, 3)) > 0.01
    assert (loud.sum(1) == 1).all()
    quiet = fed[(~loud)]
    assert 0 < quiet.abs().max() <= 0.5 / 255 + 1e-6
    kept = {int(channel) for row in loud for channel in row.nonzero()}
    assert kept == {0, 1, 2}  # drawn for each patch, the two of a pair apart
    assert (loud[0::2].int().argmax(1) != loud[1::2].int().argmax(1)).any()


def test_the_projection_is_the_published_one():
    assert np.allclose(
        PROJECTION, [[0.8333, 0.3333, -0.1667], [0.3333, 0.3333, 0.3333], [-0.1667, 0.3333, 0.8333]], atol=1e-4
    )
    magenta = torch.tensor([[60, 60]] * 3, dtype=torch.uint8).view(1, 3, 1, 2).clone()
    magenta[0, 1, 0, 1] = 200  # only green differs: nothing but green against magenta
    out = fed_patches(magenta, torch.from_numpy(PROJECTION)[None], None, "off")
    assert torch.allclose(out[0, 0] - out[0, 1], torch.zeros(1, 2), atol=1e-6)


@pytest.mark.parametrize("how", ["patch", "channel"])
def test_light_and_contrast_of_a_patch_are_gone_and_a_plain_one_stays_plain(how):
    patches = torch.randint(0, 100, (4, 3, 12, 12), dtype=torch.uint8)
    patches[3] = 50
    brighter = patches + torch.tensor([0, 40, 90, 100], dtype=torch.uint8).view(4, 1, 1, 1)
    colour = torch.eye(3).repeat(4, 1, 1)
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    a, b = ((fed_patches(x, colour, None, how) - mean) / std for x in (patches, brighter))
    assert torch.allclose(a, b, atol=1e-4)
    assert torch.allclose(a[:3].square().mean((1, 2, 3)), torch.ones(3), atol=1e-3)
    assert a[3].abs().max() < 1e-5


def test_pictures_are_scaled_to_sizes_drawn_as_asked():
    """Between a quarter and all of the most pixels the law shows: uniform has its median at 5/8, log-uniform at 1/2."""
    low, high = 10_000, 40_000
    sizes = {}
    for law in ("log", "uniform"):
        task = RelativePosition(
            RelativePositionOptions(**{**PATCHES, "pixels": law, "pixels_low": low, "pixels_high": high})
        )
        assert task.training
        drawn = np.array([np.prod(task.draw(Textures(), key).picture.shape[-2:]) for key in keys(200)])
        assert drawn.min() > 0.95 * low and drawn.max() < 1.05 * high
        sizes[law] = float(np.median(drawn))
        held_out = np.prod(task.held_out().draw(Textures(), Key(0, 0, 0)).picture.shape[-2:])
        assert held_out == pytest.approx({"log": 20_000, "uniform": 25_000}[law], rel=0.05)
    assert sizes["log"] == pytest.approx(20_000, rel=0.15) and sizes["uniform"] == pytest.approx(25_000, rel=0.12)


@pytest.mark.parametrize("affine", [True, False])
def test_the_batch_normalisation_of_its_connected_layers_scales_only_if_asked(affine):
    task = RelativePosition(RelativePositionOptions(**PATCHES, affine=affine))
    norms = [module for module in task.network(task.encoders()).modules() if isinstance(module, torch.nn.BatchNorm1d)]
    assert norms and all((norm.weight is not None) == affine for norm in norms)


# --- jigsaw ---------------------------------------------------------------------------------------------


def test_place_k_shows_the_tile_that_the_permutation_says():
    task = Jigsaw(JigsawOptions(**TILES, puzzles=5, channel_jitter=0))
    puzzle = task.draw(Textures(), Key(0, 0, 0))
    assert len(set(puzzle.labels.tolist())) == 5
    for order, label in zip(puzzle.chosen, puzzle.labels, strict=True):
        assert order.tolist() == permutation_set(20, 9, 0)[label].tolist()
    for number, (top, left) in enumerate(puzzle.corners):
        assert np.array_equal(puzzle.patches[number], puzzle.picture[:, top : top + 12, left : left + 12])
        assert (top // 14, left // 14) == divmod(number, 3)


def test_the_set_of_permutations_travels_with_the_run():
    task = Jigsaw(JigsawOptions(**TILES, set_seed=4))
    task.fit_statistics(Textures(), 0)
    other = Jigsaw(JigsawOptions(**TILES, set_seed=5))
    other.load_state(task.state())
    assert np.array_equal(other.permutations, permutation_set(20, 9, 4))
    assert task.classes == 20 and Jigsaw(JigsawOptions(permutations=7)).classes == 7


def test_the_network_sees_tiles_in_the_order_shown():
    task = Jigsaw(JigsawOptions(**TILES)).held_out()
    torch.manual_seed(0)
    network = task.network(task.encoders()).eval()
    batch = task.collate([task.draw(Textures(), key) for key in keys(3)])
    with torch.no_grad():
        before = task.answers(network, batch).scores
        # The same tiles laid out in the order shown, and then taken one by one.
        laid = {**batch, "patches": batch["patches"][batch["chosen"].flatten()]}
        laid["colours"] = batch["colours"][batch["chosen"].flatten()]
        laid["chosen"] = torch.arange(27).view(3, 9)
        assert torch.allclose(before, task.answers(network, laid).scores, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": 14, "tile": 13, "channel_jitter": 2}, r"--tile \(13\) and --channel-jitter \(2"),
        ({"channel_jitter": -1}, r"--channel-jitter \(-1"),
        ({"permutations": 0}, r"--permutations \(0\) must be at least 2"),
        ({"permutations": 25, "tiles": 2}, "between 1 and 24"),
    ],
)
def test_a_jigsaw_that_cannot_be_cut_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        Jigsaw(JigsawOptions(**options))


def test_channels_of_a_projected_puzzle_are_not_moved():
    for options, moved in (({}, True), ({"projection": 1.0}, False)):
        task = Jigsaw(JigsawOptions(**TILES, grey=0.0, channel_jitter=2, **options))
        puzzle = task.draw(Textures(), Key(0, 0, 0))  # whose channels are the same
        assert bool((puzzle.patches[:, :1] != puzzle.patches).any()) == moved


def test_grey_and_projection_are_shared_by_all_tiles_of_a_puzzle():
    task = Jigsaw(JigsawOptions(**TILES, grey=0.4, projection=0.5))
    puzzles = [task.draw(Textures(), key) for key in keys(60)]
    assert all((puzzle.colours == puzzle.colours[0]).all() for puzzle in puzzles)
    kinds = Counter(puzzle.colours[0].round(2).tobytes() for puzzle in puzzles)
    assert len(kinds) == 3


# --- all ------------------------------------------------------------------------------------------------

TASKS = {
    "rotation": Rotation(RotationOptions(width=4)),
    "relative-position": RelativePosition(RelativePositionOptions(**PATCHES)),
    "jigsaw": Jigsaw(JigsawOptions(**TILES)),
}


@pytest.mark.parametrize("name", TASKS)
def test_shuffled_labels_are_for_training_only(name):
    task = TASKS[name]
    shuffled = task.controls()["shuffled-labels"]
    drawn = [(task.draw(Textures(), key), shuffled.draw(Textures(), key)) for key in keys(20)]
    assert any(list(a.labels) != list(b.labels) for a, b in drawn)
    held = [(task.held_out().draw(Textures(), key), shuffled.held_out().draw(Textures(), key)) for key in keys(20)]
    assert all(list(a.labels) == list(b.labels) for a, b in held)


@pytest.mark.parametrize("name", TASKS)
def test_frames_of_videos_serve_as_pictures(name):
    task, videos = TASKS[name], ToyVideos(6)
    seconds = {task.draw(videos, key).seconds for key in keys(6)}
    assert len(seconds) > 2
    network = task.network(task.encoders())
    batch = task.collate([task.draw(videos, key) for key in keys(6)])
    assert torch.isfinite(task.loss(network, batch).loss)
    assert set(task.saved(network)) == {"vision"}


def test_options_that_make_no_sense_are_one_line():
    with pytest.raises(UserError, match="--tile"):
        Jigsaw(JigsawOptions(cell=10, tile=12))
    with pytest.raises(UserError, match="--tiles"):
        Jigsaw(JigsawOptions(tiles=4))
    with pytest.raises(UserError, match="--grid"):
        RelativePosition(RelativePositionOptions(grid=1))
    with pytest.raises(UserError, match="--pixels-low"):
        RelativePosition(RelativePositionOptions(pixels_low=9, pixels_high=3))
