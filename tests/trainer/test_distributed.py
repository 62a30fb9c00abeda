"""Two processes take the steps that one would take."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from trainer_toy import toy_plans, train

from avssl.errors import UserError
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("trainer_toy.py")
OPTIONS = {
    "steps": 14,
    "precision": "fp32",  # bf16, where a machine computes it, rounds halves of a batch otherwise than the whole
    "batch_size": 8,
    "learning_rate": 0.01,
    "optimizer": "sgd",
    "clip_norm": 0.5,
    "workers": 0,
    "log_every": 1,
    "validate_every": 7,
    "checkpoint_every": 5,
    "validation_puzzles": 20,
}
NO_DROPOUT = {"dropout": 0.0}
"""Each rank has dropout of its own; everything else is the same for two processes as for one."""


@pytest.fixture
def start_two(start_training):
    """Starts a training on two ranks, as torchrun would."""

    def start(log, *arguments):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return [start_training(f"{log}{r}", *arguments, **meeting, RANK=str(r), LOCAL_RANK=str(r)) for r in (0, 1)]

    return start


def finished(processes):
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def same(one, two):
    """Weights and last gradients agree to float tolerance, the lines of metrics as well."""
    ours, theirs = (torch.load(folder / "final.pt", weights_only=True) for folder in (one, two))
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-5)
    lines = [list(map(json.loads, (folder / "metrics.jsonl").open())) for folder in (one, two)]
    for a, b in zip(*lines, strict=True):
        assert (a["step"], a["task"], a["split"], a["epoch"]) == (b["step"], b["task"], b["split"], b["epoch"])
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-4)
    return True


@pytest.mark.parametrize(
    ("mix", "norm", "accumulate"), [("alternating", "batch", 1), ("joint", "batch", 1), ("joint", "group", 2)]
)
def test_two_processes_equal_one_gradients_included_with_two_tasks_on_one_encoder(
    mix, norm, accumulate, tmp_path, start_two
):
    toy, options = {**NO_DROPOUT, "batch_norm": norm == "batch"}, {**OPTIONS, "accumulate": accumulate}
    two = start_two(tmp_path / "log", tmp_path / "two", options, toy, 2, mix)
    assert train(tmp_path / "one", options, toy, 2, mix) == 0
    assert finished(two) == [0, 0], (tmp_path / "log0").read_text()
    assert same(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "log1").read_text() == "", "only rank 0 speaks"


def test_weights_that_a_rank_or_every_rank_leaves_idle_in_a_step_are_those_of_one_process(tmp_path, start_two):
    options = {**OPTIONS, "optimizer": "adamw", "weight_decay": 0.5, "steps": 8}
    two = start_two(tmp_path / "log", tmp_path / "two", options, {**NO_DROPOUT, "idle_weights": True})
    assert train(tmp_path / "one", options, {**NO_DROPOUT, "idle_weights": True}) == 0
    assert finished(two) == [0, 0], (tmp_path / "log0").read_text()
    assert same(tmp_path / "one", tmp_path / "two")
    weights = torch.load(tmp_path / "two" / "final.pt", weights_only=True)["weights"]
    assert weights["toy.never"].eq(1).all(), "a weight that is never reached does not even decay"
    assert weights["toy.now_and_then"].ne(1).all()


def test_a_step_has_one_small_reduction_beside_that_of_its_gradients(tmp_path, start_two):
    rarely = {"log_every": 100, "validation_puzzles": 0, "checkpoint_every": 100}
    two = start_two(tmp_path / "log", tmp_path / "run", {**OPTIONS, **rarely}, NO_DROPOUT, 2)
    assert finished(two) == [0, 0], (tmp_path / "log0").read_text()
    before = json.loads((tmp_path / "run" / "reductions.json").read_text())
    assert [b - a for a, b in itertools.pairwise(before)] == [1] * 13


def test_files_that_any_process_skips_are_counted_named_and_replaced_as_by_one(tmp_path, start_two):
    options, toy = {**OPTIONS, "on_bad_file": "skip"}, {**NO_DROPOUT, "bad": [5, 30]}
    two = start_two(tmp_path / "log", tmp_path / "two", options, toy)
    assert train(tmp_path / "one", options, toy) == 0
    assert finished(two) == [0, 0], (tmp_path / "log0").read_text()
    assert same(tmp_path / "one", tmp_path / "two")
    counted = [
        [json.loads(line).get("passed_over") for line in (tmp_path / name / "metrics.jsonl").open()]
        for name in ("one", "two")
    ]
    assert counted[0] == counted[1]
    assert max(filter(None, counted[0])) > 1
    log = (tmp_path / "log0").read_text()
    assert "toy-5.mp4" in log, "met by the second half of a batch, which is the other process's"
    assert "toy-30.mp4" in log


def test_two_processes_continue_the_run_of_one_to_the_same_end(tmp_path, start_two):
    assert train(tmp_path / "one", OPTIONS, NO_DROPOUT, 2) == 0
    shutil.copytree(tmp_path / "one", tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "step-00000014.pt").unlink()
    two = start_two(tmp_path / "log", tmp_path / "run", OPTIONS, NO_DROPOUT, 2)
    assert finished(two) == [0, 0], (tmp_path / "log0").read_text()
    assert "continuing after step 10" in (tmp_path / "log0").read_text()
    assert same(tmp_path / "one", tmp_path / "run")


@pytest.mark.slow
def test_torchrun_continues_by_itself_where_a_rank_was_killed_to_the_bits_of_an_undisturbed_run(tmp_path, start_two):
    undisturbed = start_two(tmp_path / "log", tmp_path / "whole", OPTIONS, {"batch_norm": True}, 2)
    toy = {"batch_norm": True, "draw_seconds": 0.02}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    command = [*torchrun, str(PROGRAM), json.dumps([str(tmp_path / "run"), OPTIONS, toy, 2])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as started:
        while not list(tmp_path.glob("run/checkpoints/step-*.pt")):
            assert started.poll() is None, started.communicate()[0]
            time.sleep(0.01)
        os.kill(int((tmp_path / "run-rank0.pid").read_text()), signal.SIGKILL)  # the rank that writes
        output = started.communicate(timeout=200)[0]
    assert started.returncode == 0, output
    assert "continuing after step" in output
    assert finished(undisturbed) == [0, 0], (tmp_path / "log0").read_text()
    assert (tmp_path / "run" / "final.txt").read_text() == (tmp_path / "whole" / "final.txt").read_text()


@pytest.mark.parametrize("mix", ["alternating", "joint"])
def test_two_killed_processes_with_dropout_and_batch_norm_continue_to_the_same_bits(mix, tmp_path, start_two):
    toy = {"batch_norm": True, "draw_seconds": 0.01}
    undisturbed = start_two(tmp_path / "log", tmp_path / "whole", OPTIONS, {**toy, "draw_seconds": 0.0}, 2, mix)
    assert finished(undisturbed) == [0, 0], (tmp_path / "log0").read_text()
    killed = start_two(tmp_path / "log", tmp_path / "run", OPTIONS, toy, 2, mix)
    while not list(tmp_path.glob("run/checkpoints/step-*.pt")):
        assert killed[0].is_alive(), (tmp_path / "log0").read_text()
        time.sleep(0.01)
    for process in killed:
        os.kill(process.pid, signal.SIGKILL)
    finished(killed)
    assert finished(start_two(tmp_path / "log", tmp_path / "run", OPTIONS, toy, 2, mix)) == [0, 0]
    assert "continuing after step" in (tmp_path / "log0").read_text()
    assert (tmp_path / "run" / "final.txt").read_text() == (tmp_path / "whole" / "final.txt").read_text()


def test_a_signal_to_one_of_two_processes_stops_and_saves_both(tmp_path, start_two):
    two = start_two(tmp_path / "log", tmp_path / "run", {**OPTIONS, "steps": 500}, {"draw_seconds": 0.005})
    while not list(tmp_path.glob("run/checkpoints/step-*.pt")):
        assert two[0].is_alive(), (tmp_path / "log0").read_text()
        time.sleep(0.01)
    os.kill(two[1].pid, signal.SIGTERM)
    assert finished(two) == [143, 143], (tmp_path / "log0").read_text()
    assert "stopped after step" in (tmp_path / "log0").read_text()


@pytest.mark.parametrize("fault", ["killed", "raises, and its program goes on"])
def test_a_rank_that_fails_in_a_step_ends_the_other_in_one_line(fault, tmp_path, start_two):
    toy = {"draw_seconds": 0.005, "fail_on_rank": None if fault == "killed" else 1}
    two = start_two(tmp_path / "log", tmp_path / "run", {**OPTIONS, "steps": 100_000}, toy)
    while not list(tmp_path.glob("run/checkpoints/step-*.pt")):
        assert two[0].is_alive(), (tmp_path / "log0").read_text()
        time.sleep(0.01)
    if fault == "killed":
        os.kill(two[1].pid, signal.SIGKILL)
    two[0].join(60)
    assert two[0].exitcode == 2, "it waits for the other"
    assert fault == "killed" or two[1].is_alive()
    two[1].kill()
    two[1].join()
    log = (tmp_path / "log0").read_text()
    assert log.endswith("avssl: stopped, because another process of this training failed; see its message\n")
    assert "Traceback" not in log


def test_a_file_that_is_bad_for_one_of_two_processes_ends_both_with_its_name(tmp_path, start_two):
    two = start_two(tmp_path / "log", tmp_path / "run", OPTIONS, {"bad": [5]})
    assert finished(two) == [2, 2]
    message = (tmp_path / "log0").read_text() + (tmp_path / "log1").read_text()
    assert "avssl: toy-5.mp4 at 0.100 s: truncated" in message
    assert "stopped, because another process of this training failed" in message
    assert "Traceback" not in message


def test_a_batch_that_cannot_be_divided_is_refused():
    with pytest.raises(UserError, match=r"--batch-size \(9\) must be a multiple of 2: 1 processes times --accumulate"):
        fit(toy_plans(), TrainOptions(steps=1, batch_size=9, accumulate=2))
