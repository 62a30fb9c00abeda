"""What --workers auto and --compile auto come to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from trainer_toy import toy_plans, weights_digest

from avssl.errors import UserError
from avssl.trainer import auto
from avssl.trainer.auto import Costs, choose_workers, compiles
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.run_folder import RunFolder
from avssl.trainer.schedule import Budget

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(auto, "spare_cores", lambda: 8)
    monkeypatch.setattr(auto, "_available_bytes", lambda: 64e9)
    monkeypatch.setattr(auto.shared_memory, "total_and_free", lambda: (32e9, 32e9))


@pytest.mark.parametrize(
    ("costs", "device", "count"),
    [
        (Costs(draw=0.001, train=1.0, bytes=1e6), CPU, 0),  # not worth a process
        (Costs(draw=0.1, train=0.1, bytes=1e6), CPU, 1),
        (Costs(draw=0.8, train=0.1, bytes=1e6), CPU, 4),  # as much work as the training: half of the cores
        (Costs(draw=80.0, train=0.1, bytes=1e6), CPU, 8),
        (Costs(draw=0.001, train=None, bytes=1e6), CUDA, 1),
        (Costs(draw=0.05, train=None, bytes=1e6), CUDA, 4),
        (Costs(draw=9.0, train=None, bytes=1e6), CUDA, 7),  # a core is left to the training
        (Costs(draw=9.0, train=None, bytes=2e9), CUDA, 2),  # shared memory holds two workers' batches in its half
    ],
)
def test_workers_are_as_many_as_drawing_needs_and_cores_and_memory_allow(costs, device, count, eight_cores):
    assert choose_workers(costs, device).count == count


def test_several_processes_on_a_machine_share_its_cores_and_memory(eight_cores):
    assert choose_workers(Costs(9.0, None, 1e6), CUDA, local_processes=4).count == 1
    assert choose_workers(Costs(9.0, None, 1e6), CUDA, steps=3).count == 3


def test_a_run_names_its_workers_and_why_in_one_line_and_in_its_environment(tmp_path, caplog):
    def go(steps):
        asked = TrainOptions(steps=steps, batch_size=8, checkpoint_every=4, validation_puzzles=0)
        with RunFolder(tmp_path / "run", {}) as run:
            return fit(toy_plans(draw_seconds=0.001), asked, run, progress="none")

    first = go(4)
    line = next(line for line in caplog.messages if line.startswith("workers: "))
    facts = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert line == f"workers: {facts['workers']}, as {facts['workers_reason']}" and facts["compiled"] is False
    assert "to draw and" in line and "to train on" in line
    caplog.clear()
    assert weights_digest(go(4).networks) == weights_digest(first.networks)
    assert not any(line.startswith("workers: ") for line in caplog.messages), "nothing is left to train"


def test_what_is_measured_changes_no_puzzle_and_no_weight():
    plain = {"steps": 6, "batch_size": 8, "validation_puzzles": 8, "validate_every": 3}
    runs = [fit(toy_plans(batch_norm=True), TrainOptions(**plain, workers=n), progress="none") for n in ("auto", 0)]
    assert weights_digest(runs[0].networks) == weights_digest(runs[1].networks)


def test_a_bad_file_met_while_measuring_is_reported_when_its_turn_comes(caplog):
    asked = TrainOptions(steps=9, batch_size=8, on_bad_file="skip", validation_puzzles=0)
    fit(toy_plans(bad=(3, 7)), asked, progress="none")
    for name in ("toy-3.mp4", "toy-7.mp4"):
        assert len([line for line in caplog.messages if name in line and line.startswith("skipped, ")]) == 1
    with pytest.raises(UserError, match=r"toy-3\.mp4"):
        fit(toy_plans(bad=(3, 7)), replace(asked, on_bad_file="raise"), progress="none")


def test_only_long_trainings_on_one_gpu_are_compiled_unless_asked():
    asked, long = TrainOptions(), Budget(auto.COMPILE_STEPS, None)
    assert compiles(asked, long, CUDA, 1) and compiles(asked, Budget(None, 3600), CUDA, 1)
    assert not compiles(asked, Budget(100, None), CUDA, 1) and not compiles(asked, Budget(None, 60), CUDA, 1)
    assert not compiles(asked, long, CPU, 1) and not compiles(asked, long, CUDA, 8)
    assert compiles(TrainOptions(compile=True), Budget(1, None), CPU, 2)
    assert not compiles(TrainOptions(compile=False), long, CUDA, 1)
