"""Two processes take the steps that one would take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from trainer_toy import toy_plans, train

from avssl.errors import UserError
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions

PROGRAM = Path(__file__).with_name("trainer_toy.py")
OPTIONS = {
    "steps": 12,
    "batch_size": 8,
    "learning_rate": 0.01,
    "optimizer": "sgd",
    "clip_norm": 0.5,
    "workers": 0,
    "log_every": 1,
    "validate_every": 6,
    "checkpoint_every": 6,
    "validation_puzzles": 20,
}
NO_CHANCE = {"dropout": 0.0}


def torchrun(*arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    return subprocess.run(
        [*command, "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", str(PROGRAM), json.dumps(arguments)],
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.mark.slow
def test_two_processes_equal_one_with_heads_that_are_idle_in_turn(tmp_path):
    done = torchrun(str(tmp_path / "two"), OPTIONS, NO_CHANCE, 2)
    assert done.returncode == 0, done.stderr
    assert train(tmp_path / "one", OPTIONS, NO_CHANCE, 2) == 0
    one, two = (torch.load(tmp_path / name / "final.pt", weights_only=True) for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(
            two[name], value, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )
    for a, b in zip(*(map(json.loads, (tmp_path / n / "metrics.jsonl").open()) for n in ("one", "two")), strict=True):
        assert (a["step"], a["task"], a["split"]) == (b["step"], b["task"], b["split"])
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-4)
        assert a["accuracy"] == pytest.approx(b["accuracy"], abs=0.06)


def test_a_batch_that_cannot_be_divided_is_refused():
    with pytest.raises(UserError, match="--batch-size .9. must be a multiple of 2: 1 processes times --accumulate 2"):
        fit(toy_plans(), TrainOptions(steps=1, batch_size=9, accumulate=2))
