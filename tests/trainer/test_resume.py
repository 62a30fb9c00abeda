"""A run that was ended, however roughly, and is started again ends as if nothing had been."""

from __future__ import annotations

import json
import os
import random
import signal
import time

import pytest
import torch
from torch import nn
from trainer_toy import toy_plans, train, weights_digest

from avssl.errors import UserError
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.run_folder import RunFolder

OPTIONS = {
    "steps": 45,
    "batch_size": 8,
    "learning_rate": 0.01,
    "log_every": 3,
    "checkpoint_every": 7,
    "validate_every": 10,
    "validation_puzzles": 24,
    "clip_norm": 1.0,
}
SLOWLY = {"draw_seconds": 0.003}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert train(folder, {**OPTIONS, "workers": 0}, {}, 2) == 0
    return folder


def wait_for_checkpoint(folder, process, beyond=0):
    while not any(int(path.stem[5:]) > beyond for path in folder.glob("checkpoints/step-*.pt")):
        assert process.is_alive(), "the training ended by itself"
        time.sleep(0.01)


def lines_but_times(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if name not in ("seconds", "data_wait")} for line in lines]


@pytest.mark.parametrize("workers", [pytest.param("auto", marks=pytest.mark.slow), 2])
def test_killed_at_random_steps_a_run_ends_with_the_weights_of_an_undisturbed_one(
    workers, undisturbed, tmp_path, start_training
):
    folder, log = tmp_path / "run", tmp_path / "log"
    options = {**OPTIONS, "workers": workers}
    for beyond in (0, 14):
        process = start_training(log, folder, options, SLOWLY, 2)
        wait_for_checkpoint(folder, process, beyond)
        time.sleep(random.random() * 0.3)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    process = start_training(log, folder, options, SLOWLY, 2)
    process.join()
    assert process.exitcode == 0, log.read_text()
    assert "continuing after step" in log.read_text()
    assert (folder / "final.txt").read_text() == (undisturbed / "final.txt").read_text()
    assert lines_but_times(folder) == lines_but_times(undisturbed)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_step_saves_and_says_how_to_go_on(number, status, undisturbed, tmp_path, start_training):
    folder, log = tmp_path / "run", tmp_path / "log"
    options = {**OPTIONS, "workers": 1}
    process = start_training(log, folder, options, SLOWLY, 2)
    wait_for_checkpoint(folder, process)
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == status
    assert "saved; the same command continues from there" in log.read_text()
    assert (folder / "encoders" / "vision.safetensors").exists()
    assert train(folder, options, SLOWLY, 2) == 0
    assert (folder / "final.txt").read_text() == (undisturbed / "final.txt").read_text()


def test_a_finished_run_says_so_and_trains_nothing(undisturbed, caplog):
    before = (undisturbed / "metrics.jsonl").read_text()
    assert train(undisturbed, {**OPTIONS, "workers": 0}, {}, 2) == 0
    assert "is finished: nothing is left to train" in caplog.text
    assert (undisturbed / "metrics.jsonl").read_text() == before


def test_a_run_killed_before_its_first_checkpoint_begins_again(undisturbed, tmp_path, start_training):
    folder, log = tmp_path / "run", tmp_path / "log"
    options = {**OPTIONS, "workers": 0}
    process = start_training(log, folder, options, SLOWLY, 2)
    while not (folder / "metrics.jsonl").exists():
        assert process.is_alive(), log.read_text()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert train(folder, options, SLOWLY, 2) == 0
    assert (folder / "final.txt").read_text() == (undisturbed / "final.txt").read_text()
    assert lines_but_times(folder) == lines_but_times(undisturbed)


def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_is_taken(tmp_path, caplog):
    options = TrainOptions(**OPTIONS, workers=0)

    def go():
        with RunFolder(tmp_path / "run", {"train": options}) as run:
            result = fit(toy_plans(), options, run)
        return weights_digest(result.networks)

    first = go()
    newest = sorted((tmp_path / "run" / "checkpoints").glob("step-*.pt"))[-1]
    whole = newest.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:2000] + b"\xff" * 2000 + whole[4000:], b""):
        newest.write_bytes(damaged)
        caplog.clear()
        assert go() == first
        assert f"{newest} is damaged" in caplog.messages[0] and "using the one before" in caplog.messages[0]
        assert "continuing after step" in caplog.messages[1]


def test_when_no_checkpoint_can_be_read_nothing_is_removed_and_the_way_out_is_reported(tmp_path):
    options = TrainOptions(**{**OPTIONS, "steps": 7}, workers=0)
    with RunFolder(tmp_path / "run", {}) as run:
        fit(toy_plans(), options, run)
        for path in run.checkpoints.folder.iterdir():
            path.write_bytes(b"junk")
        with pytest.raises(UserError, match=r"no checkpoint in .* can be read; remove the run folder"):
            fit(toy_plans(), options, run)
        assert len(list(run.checkpoints.folder.iterdir())) == 1


def test_checkpoints_hold_nothing_that_could_run(undisturbed):
    for path in (undisturbed / "checkpoints").iterdir():
        torch.load(path, weights_only=True)


def test_the_best_weights_survive_a_kill_after_they_were_found(tmp_path, monkeypatch):
    """The best is known to the checkpoint that is continued, not only to the process that found it."""
    options = TrainOptions(**{**OPTIONS, "validate_every": 5}, workers=0, keep="best")
    seen = []

    class Killed(BaseException):
        pass

    def train_until(step):
        with RunFolder(tmp_path / "run", {}) as run:
            save = run.checkpoints.save

            def save_and_die(state, at, best):
                save(state, at, best)
                if at >= step:
                    raise Killed

            monkeypatch.setattr(run.checkpoints, "save", save_and_die)
            try:
                seen.append(fit(toy_plans(), options, run))
            except Killed:
                return

    train_until(14)
    train_until(30)
    train_until(1000)
    alone = fit(toy_plans(), options)
    assert seen[0].best == alone.best
    assert weights_digest(seen[0].networks) == weights_digest(alone.networks)
    assert isinstance(alone.networks["toy"], nn.Module)
