"""Every validation says how healthy the features are, and a collapse is said once."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from toy_media import ToyVideos
from trainer_toy import toy_plans

from avssl.networks.feature_health import effective_rank, knn_accuracy
from avssl.tasks.registry import get
from avssl.trainer import feature_figures, recorder
from avssl.trainer.devices import choose_precision
from avssl.trainer.distributed import World
from avssl.trainer.feature_figures import Watch, collapsed
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan
from avssl.trainer.run_folder import RunFolder
from avssl.trainer.validation import Validation

SMALL = {"side": 32, "width": 4}
VISION = {**SMALL, "vision": "small", "blocks": 2}
FP32 = choose_precision("fp32", torch.device("cpu"))


def task_of(name, **options):
    task = get(name)(get(name).Options(**options))
    task.fit_statistics(ToyVideos(), 0)
    return task


def validation_of(task, media=None, puzzles=32, **options):
    options = TrainOptions(steps=1, batch_size=8, workers=0, validation_puzzles=puzzles, **options)
    torch.manual_seed(0)
    network = task.network(task.encoders())
    return Validation(task.held_out(), media or ToyVideos(24), options, World()), network


@pytest.mark.parametrize("name", ["rotation", "av-correspondence"])
def test_a_training_logs_the_health_of_its_features_at_each_validation(tmp_path, name):
    task = task_of(name, **(VISION if name == "rotation" else {**SMALL, "bands": 16, "rate": 8000, "fusion": "ave"}))
    options = TrainOptions(
        steps=3, batch_size=4, workers=0, validate_every=1, log_every=1, validation_puzzles=16, device="cpu"
    )
    with RunFolder(tmp_path / "run", {}) as run:
        fit([TaskPlan(task, ToyVideos(24), ToyVideos(12))], options, run, progress="none")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    endings = [""] if name == "rotation" else ["_vision", "_audio"]
    measures = {f"{m}{e}" for e in endings for m in ("effective_rank", "feature_std", "uniformity", "knn_accuracy")}
    measures |= {"alignment"} if name == "av-correspondence" else set()
    validations = [line for line in lines if line["split"] == "val"]
    assert len(validations) == 3 and all(measures <= line.keys() for line in validations)
    assert all(line[f"knn_chance{e}"] == pytest.approx(0.5, abs=0.25) for line in validations for e in endings)
    assert not any(measures & line.keys() for line in lines if line["split"] == "train")
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert f"effective_rank{endings[-1]}".encode() in events.read_bytes()


def test_the_features_are_those_of_the_encoder_with_labels_and_sources_of_the_puzzles():
    task, media = task_of("rotation", **VISION), ToyVideos(24, kinds=3, sources=12)
    measured, network = validation_of(task, media)
    line = measured.measure(network, FP32, channels_last=False)
    network.eval()
    with torch.no_grad():
        rows = np.concatenate([network.vision(batch["frames"]).mean((2, 3)) for _, batch, _ in measured._kept])
    items = [int(origin.paths[0][4:7]) for _, _, origins in measured._kept for origin in origins]
    facts = [media.facts(item) for item in items]
    expected = knn_accuracy(rows, [each.label for each in facts], [each.source for each in facts])
    assert line["effective_rank"] == pytest.approx(effective_rank(rows), rel=1e-5)
    assert (line["knn_accuracy"], line["knn_chance"]) == (expected.accuracy, expected.chance)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("jigsaw", {"permutations": 4, "cell": 18, "tile": 14, "features": 8, "hidden": (8,), "vision": "small"}),
        ("relative-position", {"patch": 12, "gap": 2, "jitter": 1, "features": 8, "hidden": (8,), "vision": "small"}),
        ("shuffle-learn", {"side": 32, "features": 8, "hidden": 8}),
        ("colorization", {"side": 32, "head_width": 8}),
        ("inpainting", {"side": 32, "decoder_width": 4}),
        ("frame-filling", {"side": 32, "head_width": 8}),
    ],
)
def test_each_task_has_features(name, options):
    measured, network = validation_of(task_of(name, width=4, **options), puzzles=16)
    line = measured.measure(network, FP32, channels_last=False)
    assert 1 <= line["effective_rank"] <= 16 and 0 < line["feature_std"] < 1 and line["uniformity"] < 0
    assert 0 <= line["knn_accuracy"] <= 1


def test_what_is_watched_changes_neither_figures_nor_weights_nor_random_state(monkeypatch):
    task = task_of("colorization", side=32, width=4, head_width=8)
    measured, network = validation_of(task)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    measured.measure(network, FP32, channels_last=False)  # draws the puzzles, which are kept
    watched = measured.measure(network, FP32, channels_last=False)
    state = torch.random.get_rng_state()
    monkeypatch.setattr(type(task), "features", lambda task, network: {})
    plain = measured.measure(network, FP32, channels_last=False)
    assert plain.items() < watched.items() and torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks or "stages" in vars(module) for module in network.modules())


def test_a_compiled_network_is_watched_too():
    measured, network = validation_of(task_of("rotation", **VISION))
    network.compile(backend="eager")
    network.train()
    network(torch.rand(8, 3, 32, 32))  # as a step of training before the first validation
    compiled = [measured.measure(network, FP32, channels_last=False) for _ in range(2)]
    network._compiled_call_impl = None
    plain = measured.measure(network, FP32, channels_last=False)
    assert "effective_rank" in plain and compiled == [plain, plain]


def test_a_task_of_one_s_own_without_features_is_measured_as_before():
    task = toy_plans()[0].task
    task.fit_statistics(ToyVideos(), 0)
    task.load_state({"mean": 0.0})
    assert task.features(torch.nn.Identity()) == {}


def test_the_collapse_of_a_network_is_said_once(monkeypatch):
    said = []
    monkeypatch.setattr(recorder, "log", said.append)
    task = task_of("rotation", **VISION)
    encoder = task.encoders()["vision"]
    last = list(encoder.trunk.blocks.values())[-1]
    last.register_forward_hook(lambda module, given, output: output * 0 + 1)  # whatever it sees
    options = TrainOptions(steps=3, batch_size=4, workers=0, validate_every=1, validation_puzzles=32, device="cpu")
    plan = TaskPlan(task, ToyVideos(24), ToyVideos(12))
    result = fit([plan], options, encoders={"vision": encoder}, progress="none")
    line = [line for line in result.history if line["split"] == "val"][-1]
    assert line["effective_rank"] == pytest.approx(1, abs=0.001) and line["feature_std"] == pytest.approx(0, abs=1e-6)
    collapses = [text for text in said if "collapsed" in text]
    assert collapses == [
        "rotation, step 1: the features have collapsed: effective rank 1 (below "
        f"{feature_figures.LEAST_RANK:g}), so they hardly tell inputs apart"
    ]


def test_a_collapse_names_the_feature_and_healthy_features_are_none():
    healthy = {"effective_rank_vision": 9.0, "feature_std_vision": 0.3, "effective_rank_audio": 3.0, "n": 64}
    flat = {**healthy, "effective_rank_audio": 1.01}
    assert collapsed(healthy) is None
    assert "the audio features have collapsed: effective rank 1.01" in collapsed(flat)
    assert "feature std 0.001" in collapsed({**healthy, "feature_std_audio": 0.001})
    assert collapsed({**flat, "n": 6}) is None  # too few to say


def test_rows_that_do_not_belong_to_puzzles_are_left_out():
    watch, linear = Watch(), torch.nn.Linear(3, 2)
    with watch.on({"each": linear}):
        linear(torch.ones(6, 3))
        assert watch.take(3)["each"].shape == (3, 2)
        linear(torch.ones(5, 3))
        assert watch.take(3) == {}
