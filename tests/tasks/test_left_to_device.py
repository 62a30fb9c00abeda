"""Pictures that the device decodes and cuts: the same puzzles, and pixels that nearly agree with the host's."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from small_runs import RATE, write_clip
from torch import Tensor
from toy_media import ToyVideos

import avssl
from avssl.media.facts import Media
from avssl.media.prepared.write import prepare
from avssl.networks.cutting import Jpegs, Views, axis_weights, cut_views
from avssl.networks.squares import moved
from avssl.samplers.keys import Key
from avssl.samplers.pictures import Crop, cut
from avssl.samplers.resampling import _weights
from avssl.samplers.rotations import shifted
from avssl.samplers.views import Stored, View, crop_view
from avssl.tasks.left_to_device import collect

LEVELS = 3
"""That pixels may be off; one a rounding, and Pillow rounds two to six times on the way to a patch."""
SOUND = {"rate": RATE, "bands": 16, "side": 32}
PATCHES = {"patch": 12, "gap": 4, "jitter": 1, "pixels_low": 1200, "pixels_high": 2500, "grid": 2}
TASKS = {
    "av-correspondence": ("av-correspondence", SOUND),
    "av-correspondence of two frames": ("av-correspondence", SOUND | {"frames": 2, "silent_rows": 0.5}),
    "av-instance": ("av-instance", SOUND | {"negatives": 8}),
    "shuffle-learn": ("shuffle-learn", {"look_alike": 0.0, "side": 24}),
    "shuffle-learn, crops of its own": ("shuffle-learn", {"look_alike": 0.0, "side": 24, "one_crop": False}),
    "rotation": ("rotation", {"pad": 3, "crop_low": 0.6}),
    "rotation, lit and mirrored": (
        "rotation",
        {"views": "one", "brightness": 0.3, "contrast": 0.4, "flip": "after", "crop_low": 0.5},
    ),
    "relative-position": ("relative-position", PATCHES | {"coarsen": 0.0}),
    "relative-position, coarsened": ("relative-position", PATCHES | {"coarsen": 1.0, "grids": 2, "colour": "drop"}),
    "jigsaw": ("jigsaw", {"permutations": 6, "cell": 13, "tile": 10, "grey": 0.0, "projection": 0.5}),
    "jigsaw, several puzzles": ("jigsaw", {"permutations": 6, "cell": 13, "tile": 12, "puzzles": 2}),
    "instance-contrast": ("instance-contrast", {"side": 24}),
    "instance-contrast, tiles": ("instance-contrast", {"method": "pirl", "side": 24}),
    "colorization": ("colorization", {"side": 32}),
    "frame-filling": ("frame-filling", {"side": 24, "motion": False}),
    "frame-filling, tubes": ("frame-filling", {"hide": "tubes", "side": 32, "frames": 3, "motion": False}),
    "inpainting": ("inpainting", {"side": 32}),
    "video-colorization": ("video-colorization", {"side": 24, "motion": False}),
    "inpainting, mean": ("inpainting", {"side": 32, "fill": "mean", "hole": "region"}),
}


class Noise(ToyVideos):
    """Frames that only chance made, each another, as hard to scale as pictures get."""

    def frames(self, i, times):
        frames = [np.random.default_rng((i, round(1000 * t))).integers(0, 256, (3, 40, 44), np.uint8) for t in times]
        return np.stack(frames)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Media:
    folder = tmp_path_factory.mktemp("clips")
    for number in range(4):
        write_clip(folder / "in" / f"{number}.mp4", number)
    media = avssl.open(folder / "in", progress=False, workers=0)
    return prepare(media, folder / "out", side=None, rate=RATE, workers=0, progress=False)


def batches(task, media: Media, left: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A batch as the host makes it, and as the device does."""
    keys = [Key(3, 1, index) for index in range(8)]
    leaving = pickle.loads(pickle.dumps(task.variant(left_to_device=left)))
    on_host = task.collate([task.draw(media, key) for key in keys])
    left_over = leaving.collate([leaving.draw(media, key) for key in keys])
    assert any(isinstance(value, Views) for value in left_over.values())
    return on_host, leaving.finish(left_over)


def must_agree(found: dict[str, Tensor], expected: dict[str, Tensor], name: str = "") -> None:
    assert found.keys() == expected.keys(), name
    for key, value in expected.items():
        assert (found[key].shape, found[key].dtype) == (value.shape, value.dtype), (name, key)
        if value.dtype == torch.uint8:
            apart = (found[key].int() - value.int()).abs()
            assert int(apart.max()) <= LEVELS and float(apart.float().mean()) < 0.5, (name, key, int(apart.max()))
        else:
            assert torch.equal(found[key], value), (name, key)


def variants(task):
    """Training, held out, and controls."""
    return {"training": task, "held out": task.held_out(), **task.controls()}


@pytest.mark.parametrize("name", TASKS)
def test_pixels_cut_on_the_device_agree_with_the_hosts_and_all_else_is_the_same(name: str):
    kind, options = TASKS[name]
    task, media = avssl.task(kind, **options), Noise(12)
    task.fit_statistics(media, 0)
    assert task.can_leave
    for variant, one in variants(task).items():
        expected, found = batches(one, media, "cutting")
        must_agree(found, expected, variant)


@pytest.mark.parametrize("name", TASKS)
def test_jpegs_of_a_prepared_set_decoded_by_torchvision_give_the_same_batches(name: str, prepared: Media):
    kind, options = TASKS[name]
    options = options | ({"gap_min": 0.1, "tau_min": 0.1} if kind == "shuffle-learn" else {})
    task = avssl.task(kind, **options)
    task.fit_statistics(prepared, 0)
    for media in (prepared, prepared.subset([3, 1, 2])):
        expected, found = batches(task, media, "decoding")
        must_agree(found, expected)


def test_tasks_that_need_the_pixels_while_they_draw_leave_nothing():
    for kind, options in (
        ("shuffle-learn", {}),
        ("inpainting", {"hole": "region", "fill": "border"}),
        ("rotation", {"square": False}),
        ("rotation", {"turn": "interpolated"}),
    ):
        assert not avssl.task(kind, **options).can_leave


def test_only_what_squares_are_made_of_is_sent_and_pictures_may_differ_in_size():
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (3, height, width), np.uint8) for height, width in ((400, 300), (50, 60), (90, 31))]
    crops = [Crop(120.3, 200.7, 40.2, True), Crop(0.0, 0.0, 50.0, False), Crop(0.5, 59.9, 30.1, False)]
    views = [crop_view(Stored(f, *f.shape[1:]), crop, 24) for f, crop in zip(frames, crops, strict=True)]
    collected = collect(views, 24)
    assert isinstance(collected.pictures, Tensor) and collected.pictures.shape[1:] == (50, 52, 3)
    found = cut_views(collected)
    for square, frame, crop in zip(found.numpy(), frames, crops, strict=True):
        assert np.abs(square.astype(int) - cut(frame, crop, 24)).max() <= 1


def test_a_large_batch_is_cut_in_parts(monkeypatch):
    picture = np.random.default_rng(1).integers(0, 256, (3, 40, 44), np.uint8)
    views = [View(Stored(picture, 40, 44), n, n, 0.8, 0.7, bool(n % 2)) for n in range(7)]
    whole = cut_views(collect(views, 16))
    monkeypatch.setattr("avssl.networks.cutting.FLOATS_AT_ONCE", 2 * 40 * 44 * 3)
    assert torch.equal(cut_views(collect(views, 16)), whole)


def test_the_weights_are_those_of_the_compiled_scaling():
    for length, start, size, side in ((40, 3.3, 30.4, 12), (40, 0.0, 40.0, 40), (31, 10.2, 15.7, 24), (64, 0, 64, 7)):
        first, count, weights = _weights(length, start, start + size, side)
        expected = np.zeros((side, length))
        for i in range(side):
            expected[i, first[i] : first[i] + count[i]] = weights[i, : count[i]] / 2**22
        one = torch.tensor([[start], [size / side], [float(length)]])
        found = axis_weights(*one, length + 5, side)[0]
        assert np.abs(found[:, :length].numpy() - expected).max() < 1e-5 and not found[:, length:].any()


def test_squares_move_as_the_hosts_do():
    squares = np.random.default_rng(0).integers(0, 256, (4, 3, 9, 9), np.uint8)
    moves = np.array([(0, 0), (2, -3), (-9, 1), (4, 4)])
    found = moved(torch.from_numpy(squares), torch.from_numpy(moves)).numpy()
    for square, (down, right), one in zip(squares, moves, found, strict=True):
        assert np.array_equal(one, shifted(square, int(down), int(right)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("left", ["cutting", "decoding"])
def test_a_gpu_cuts_what_the_cpu_cuts(left: str, prepared: Media):
    task = avssl.task("colorization", side=32).variant(left_to_device=left)
    here = task.collate([task.draw(prepared, Key(0, 0, index)) for index in range(4)])
    there = {name: value.to("cuda") for name, value in here.items()}
    assert isinstance(here["frames"], Views) and isinstance(here["frames"].pictures, (Tensor, Jpegs))
    found, expected = task.finish(there)["frames"].cpu(), task.finish(here)["frames"]
    # nvJPEG may enlarge colours that are stored at half resolution otherwise than libjpeg does.
    apart = (found.int() - expected.int()).abs()
    assert int(apart.max()) <= LEVELS if left == "cutting" else float(apart.float().mean()) <= LEVELS
