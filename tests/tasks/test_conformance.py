"""What every registered task promises."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, is_dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
import torch
from toy_media import RATE, Gliding, ToyVideos

from avssl.samplers.keys import Key
from avssl.tasks import get, names

# The smallest options with which each task runs on the toy videos.
SMALL: dict[str, list[dict[str, Any]]] = {
    "av-correspondence": [
        {"fusion": fusion, "side": 32, "rate": RATE, "width": 4, "bands": 16, "norm": "group", "negatives": negatives}
        for fusion, negatives in (("l3", "batch"), ("ave", "drawn"), ("avol", "batch"))
    ],
    "av-instance": [
        {"side": 32, "rate": RATE, "width": 4, "bands": 16, "norm": "group", "negatives": 16}
        | {"agreement": agreement, "agreement_epoch": 0, "agreed": 2}
        for agreement in ("off", "consensus")
    ],
    "av-sync": [
        {"side": 24, "rate": RATE, "width": 4, "audio_width": 4, "bands": 16, "features": 8, "steps_a_clip": 6}
        | {"norm": "group", "easy_epochs": easy_epochs, "hard": 0.5}
        for easy_epochs in (0, 9)
    ],
    "colorization": [
        {"target": target, "neighbours": 1, "side": 32, "width": 4, "head_width": 16, "norm": "group"}
        for target in ("both", "classification", "regression")
    ]
    + [{"target": "regression", "latent": 3, "side": 32, "width": 4, "head_width": 16, "norm": "group"}],
    "inpainting": [
        {"hole": hole, "fill": "mean", "overlap": 0, "side": 32, "width": 4, "decoder_width": 4, "norm": "group"}
        | {"adversarial": adversarial, "skips": hole == "centre", "refine": 2 if hole == "region" else 0}
        for hole, adversarial in (("centre", 0.0), ("blocks", 0.0), ("region", 0.001))
    ],
    "instance-contrast": [
        {"side": 16, "width": 4, "norm": "group", "blocks": 2, "dimensions": 16, "blur": 0.0, "method": method, **more}
        for method, more in (
            ("simclr", {}),
            ("moco", {"queue": 32}),
            ("pirl", {"cell": 8, "tile": 6}),
            ("simclr", {"of": "sounds", "rate": RATE, "bands": 16, "seconds": 0.5}),
        )
    ],
    "rotation": [
        {"side": 32, "width": 4, "norm": "group", "pool": 4, "views": views, "pad": 0, "flip": "off"}
        for views in ("one", "four")
    ],
    "relative-position": [
        {"patch": 12, "gap": 4, "jitter": 1, "pixels_low": 1500, "pixels_high": 1600, "grid": 2, "coarsen": 0.0}
        | {"width": 4, "features": 16, "hidden": (32,), "colour": colour}
        for colour in ("project", "drop")
    ],
    "jigsaw": [
        {"permutations": 6, "cell": 13, "tile": 12, "width": 4, "features": 16, "hidden": (32,), "puzzles": puzzles}
        for puzzles in (1, 3)
    ],
    "frame-filling": [
        {"side": 32, "width": 4, "head_width": 8, "norm": "group", "reach": 1, "motion": False, "hide": "frame"},
        {"side": 32, "width": 4, "head_width": 8, "norm": "group", "frames": 3, "motion": False, "hide": "tubes"},
    ],
    "video-colorization": [{"side": 32, "width": 4, "head_width": 16, "dimensions": 16, "colours": 4}],
    "shuffle-learn": [
        {
            "side": 32,
            "width": 4,
            "norm": "group",
            "grid": 2,
            "features": 16,
            "hidden": 32,
            "ends": ends,
            "motion": motion,
        }
        for ends, motion in (("fixed", True), ("shuffled", False))
    ],
}
CASES = [(name, options) for name in names() for options in SMALL[name]]


def make(name: str, options: dict[str, Any]):  # type: ignore[no-untyped-def]
    task_class = get(name)
    task = task_class(task_class.Options(**options))
    task.fit_statistics(ToyVideos(), 0)
    return task


def build(task):  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    return task.network(task.encoders())


def as_bytes(puzzle: Any) -> bytes:
    """A puzzle down to the last array, comparable across processes."""
    if isinstance(puzzle, np.ndarray):
        return puzzle.tobytes()
    if isinstance(puzzle, torch.Tensor):
        return puzzle.numpy().tobytes()
    if is_dataclass(puzzle):
        return b"|".join(as_bytes(getattr(puzzle, f.name)) for f in fields(puzzle))
    if isinstance(puzzle, (list, tuple)):
        return b"|".join(as_bytes(part) for part in puzzle)
    return repr(puzzle).encode()


def draw_elsewhere(pickled: bytes, keys: list[Key]) -> list[bytes]:
    task = pickle.loads(pickled)
    return [as_bytes(task.draw(ToyVideos(), key)) for key in keys]


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """A process that shares nothing with this one; one for all tasks, as it takes seconds to begin."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_same_key_is_the_same_puzzle_in_any_process_and_order(elsewhere, name, options):
    task, media = make(name, options), ToyVideos()
    keys = [Key(7, 2, index) for index in range(6)]
    here = [as_bytes(task.draw(media, key)) for key in keys]
    np.random.seed(3)  # noqa: NPY002 - a global state that must not matter
    torch.manual_seed(5)
    assert [as_bytes(task.draw(media, key)) for key in reversed(keys)] == here[::-1]
    assert elsewhere.submit(draw_elsewhere, pickle.dumps(task), keys).result() == here


@pytest.mark.parametrize(("name", "options"), CASES)
def test_epochs_seeds_and_indices_differ(name, options):
    task, media = make(name, options), ToyVideos()
    keys = [Key(0, 0, 0), Key(0, 1, 0), Key(1, 0, 0), Key(0, 0, 1)]
    assert len({as_bytes(task.draw(media, key)) for key in keys}) == len(keys)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_gradient_reaches_every_weight(name, options):
    task, media = make(name, options), ToyVideos()
    network = build(task)
    task.loss(network, task.collate([task.draw(media, Key(0, 0, i)) for i in range(16)])).loss.backward()
    learning = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
    dead = [n for n, p in learning if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


@pytest.mark.parametrize(("name", "options"), CASES)
def test_one_batch_can_be_fitted(name, options):
    if options.get("method") == "moco":
        pytest.skip("its negatives are keys of earlier batches, and of one batch there are none")
    # Of noise nothing can be told from the frames beside it.
    moves = name in ("video-colorization", "frame-filling")
    task, media = make(name, options), (Gliding if moves else ToyVideos)(kinds=2)
    network = build(task)
    # Two puzzles tell the two kinds apart; more would repeat a kind, which no in-batch negative can tell.
    batch = task.collate([task.draw(media, Key(0, 0, i)) for i in _of_different_kinds(task, media)])
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    first = float(task.loss(network, batch).loss.detach())
    for _ in range(60):
        optimizer.zero_grad()
        losses = task.loss(network, batch)
        losses.loss.backward()
        optimizer.step()
    # Answers that are pictures hold the toys' noise, which nobody can tell.
    assert float(losses.loss.detach()) < (0.2 if task.classes else 0.4) * first
    if task.classes:
        assert float(losses.measures["accuracy"]) == 1.0


def _of_different_kinds(task, media) -> list[int]:  # type: ignore[no-untyped-def]
    if getattr(task.options, "negatives", "") != "batch" and task.name != "av-instance":
        return list(range(8))
    kinds = [media.facts(task.draw(media, Key(0, 0, i)).pair.frame.item).label for i in range(24)]
    return [kinds.index("kind0"), kinds.index("kind1")]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_sheet_is_drawn_with_and_without_answers(name, options):
    task, media = make(name, options).held_out(), ToyVideos()
    network = build(task).eval()
    puzzles = [task.draw(media, Key(0, 0, i)) for i in range(5)]
    with torch.no_grad():
        answers = task.answers(network, task.collate(puzzles))
    plain, answered = task.sheet(puzzles), task.sheet(puzzles, answers)
    for sheet in (plain, answered):
        assert min(sheet.size) > 200 and np.asarray(sheet).std() > 10
    assert plain.tobytes() != answered.tobytes()


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_held_out_copy_draws_the_same_puzzle_without_augmentation(name, options):
    task, media = make(name, options), ToyVideos()
    held = task.held_out()
    assert task.training and not held.training
    assert held.state() == task.state()
    assert as_bytes(held.draw(media, Key(0, 0, 0))) == as_bytes(held.draw(media, Key(0, 0, 0)))


@pytest.mark.parametrize("name", names())
def test_every_option_has_a_help_text_and_a_default(name):
    options = get(name).Options
    assert options() is not None
    assert [f.name for f in fields(options) if not f.metadata.get("help")] == []
