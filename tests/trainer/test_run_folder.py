"""The folder of a run: what is in it, who may write there, and that what is written is whole."""

from __future__ import annotations

import json
import resource
import time
from contextlib import contextmanager

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from trainer_toy import toy_plans, train, weights_digest

from avssl.errors import UserError
from avssl.system.files import UNFINISHED, write_whole
from avssl.trainer.loop import fit
from avssl.trainer.metrics import MetricsLog
from avssl.trainer.options import TrainOptions
from avssl.trainer.run_folder import RunFolder

OPTIONS = TrainOptions(
    steps=12, batch_size=8, workers=0, log_every=4, validate_every=6, checkpoint_every=6, validation_puzzles=16
)


def go(run):
    return fit(toy_plans(2), OPTIONS, run)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "deep" / "run"
    with RunFolder(folder, {"task": {"width": 8}, "train": OPTIONS}) as run:
        run.result = go(run)
    return run


def test_a_run_folder_holds_what_is_promised(run):
    names = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    events = {name for name in names if name.startswith("tensorboard/events")}
    assert len(events) == 1
    assert names - events == {
        ".lock",
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "checkpoints/step-00000006.pt",
        "checkpoints/step-00000012.pt",
        "encoders/vision.json",
        "encoders/vision.safetensors",
        "tasks/toy.json",
        "tasks/other-toy.json",
    }
    assert run.results.is_dir()
    assert yaml.safe_load((run.path / "config.yaml").read_text())["train"]["validation_puzzles"] == 16
    assert json.loads((run.path / "tasks" / "toy.json").read_text())["mean"] == pytest.approx(127, abs=20)
    environment = json.loads((run.path / "environment.json").read_text())
    assert {"command", "git", "versions", "machine", "time"} <= environment.keys()
    assert environment["versions"]["torch"].startswith("2.")


def test_metrics_have_a_line_a_logged_step_for_each_task_and_split(run):
    lines = [json.loads(text) for text in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert lines == run.result.history
    assert [(line["step"], line["split"], line["task"]) for line in lines[:6]] == [
        (4, "train", "toy"),
        (4, "train", "other-toy"),
        (6, "train", "toy"),
        (6, "train", "other-toy"),
        (6, "val", "toy"),
        (6, "val", "other-toy"),
    ]
    for line in lines:
        assert {"epoch", "loss", "accuracy", "seconds", "data_wait"} <= line.keys()
        assert 0 <= line["data_wait"] <= 1


def test_tensorboard_shows_the_same_figures(run):
    shown = EventAccumulator(str(run.path / "tensorboard")).Reload()
    losses = [line["loss"] for line in run.result.history if (line["task"], line["split"]) == ("toy", "val")]
    assert [event.value for event in shown.Scalars("val/toy/loss")] == pytest.approx(losses)


def test_tensorboard_forgets_the_steps_that_are_trained_again(tmp_path):
    for purge_step, steps in ((None, (1, 2, 3)), (3, (3, 4))):
        log = MetricsLog(tmp_path)
        if purge_step:
            log.continue_after(purge_step - 1)
        log.start_loggers(("tensorboard",), ("toy",), {})
        for step in steps:
            log.log({"step": step, "epoch": 0, "split": "train", "task": "toy", "loss": 10 * len(steps) + step})
        log.close()
        time.sleep(1.1)  # the files' names have seconds
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("train/loss")
    assert [event.value for event in shown] == [31, 32, 23, 24]


def test_the_same_command_may_have_other_workers_but_no_other_options(run):
    RunFolder(run.path, {"task": {"width": 8}, "train": {**vars(OPTIONS), "workers": 2}}).close()
    with pytest.raises(UserError) as refusal:
        RunFolder(run.path, {"task": {"width": 16}, "train": {**vars(OPTIONS), "seed": 7}})
    assert "task.width (there 8, now 16), train.seed (there 0, now 7)" in str(refusal.value)
    assert len(json.loads((run.path / "environment.json").read_text())["continued"]) == 1


def test_a_run_of_an_earlier_version_was_made_as_the_defaults_of_later_options_say(run):
    config = {"task": {"width": 8, "bins": "grid"}, "train": OPTIONS}
    defaults = {"task.width": 32, "task.bins": "grid"}
    RunFolder(run.path, config, defaults=defaults).close()
    with pytest.raises(UserError, match=r"task\.bins \(there grid, now equal\)"):
        RunFolder(run.path, {**config, "task": {"width": 8, "bins": "equal"}}, defaults=defaults)
    with pytest.raises(UserError, match=r"task\.bins \(there not given, now grid\)"):
        RunFolder(run.path, config)


def test_one_process_writes(tmp_path, start_training):
    with RunFolder(tmp_path / "run", {}), pytest.raises(UserError, match=r"another process is training in .*run"):
        RunFolder(tmp_path / "run", {})
    with RunFolder(tmp_path / "run", {}):
        other = start_training(tmp_path / "log", tmp_path / "run", {"steps": 1})
        other.join()
        assert other.exitcode == 2
        assert "another process is training in" in (tmp_path / "log").read_text()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(UserError, match=r"is not empty and holds no run \(there is thesis.tex"):
        RunFolder(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file/run: a part of this path is a file"):
        RunFolder(tmp_path / "file" / "run", {})


@contextmanager
def disk_full_beyond(size):
    """The system refuses to let any file grow beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_while_saving_loses_nothing(run, tmp_path, monkeypatch):
    with RunFolder(tmp_path / "run", {}) as again:
        save = again.checkpoints.save

        def save_on_a_full_disk(state, step, best):
            with disk_full_beyond(9000 if step > 6 else 10**9):
                save(state, step, best)

        monkeypatch.setattr(again.checkpoints, "save", save_on_a_full_disk)
        with pytest.raises(
            UserError, match=r"cannot write .*step-00000012.pt: the file grows larger than .*; choose another"
        ) as refusal:
            go(again)
        assert "\n" not in str(refusal.value)
        assert [path.name for path in again.checkpoints.folder.iterdir()] == ["step-00000006.pt"]
    with RunFolder(tmp_path / "run", {}) as again:
        assert weights_digest(go(again).networks) == weights_digest(run.result.networks)


def test_a_file_is_seen_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    write_whole(path, b"before")
    with disk_full_beyond(100), pytest.raises(UserError, match="cannot write"):
        write_whole(path, b"after" * 100)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_half_written_is_removed_by_the_next(tmp_path):
    left = [tmp_path / f".config.yaml.0a1b{UNFINISHED}", tmp_path / f"environment.json{UNFINISHED}"]
    for path in left:
        path.write_bytes(b"half")
    with RunFolder(tmp_path, {}):
        assert not any(path.exists() for path in left)


def test_an_error_of_the_users_ends_with_a_line_and_status_2(tmp_path, capsys):
    assert train(tmp_path / "run", {"steps": 2, "workers": 0}, {"bad": [0]}) == 2
    assert capsys.readouterr().err == "avssl: toy-0.mp4 at 0.000 s: truncated\n"
