"""Loggers of a run: what each shows, that a continued run is the same run there, and that none costs a training."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from importlib.util import find_spec

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from trainer_toy import toy_plans

from avssl.errors import UserError
from avssl.trainer.loggers import chosen
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.run_folder import RunFolder

PICTURE = Image.new("RGB", (8, 6), "red")


def train(folder, log_to, steps=3, config=None, picture=True):
    options = TrainOptions(
        steps=steps, batch_size=8, workers=0, log_every=1, validate_every=3, checkpoint_every=2,
        validation_puzzles=8, schedule="constant", warmup_steps=0, log_to=log_to,
    )  # fmt: skip
    with RunFolder(folder, config or {"task": {"width": 8}, "train": {"seed": 0}}) as run:
        result = fit(toy_plans(1), options, run)
        if picture:
            run.metrics.picture(result.steps, "sheet", PICTURE)
    return result


@dataclass
class Fake:
    """A logger that remembers what it was shown, and fails from a given step on."""

    run_id: str | None
    fails_at: int = 10**9
    place: str = "memory"
    seen: list = field(default_factory=list)
    shown: list = field(default_factory=list)
    closed: bool = False

    def config(self, options):
        self.options = dict(options)

    def scalars(self, step, values):
        if step >= self.fails_at:
            raise ConnectionError("no route\nto host")
        self.seen += [(step, tag, value) for tag, value in values.items()]

    def picture(self, step, tag, image):
        self.shown.append((step, tag, image.size))

    def close(self):
        self.closed = True


@pytest.fixture
def fakes(monkeypatch):
    """Every logger but TensorBoard is a fake, however many are installed; ``fakes.fails_at`` is the next one's."""

    class Fakes(list):
        fails_at = 10**9

        def open(self, name, start):
            self.append(Fake(start.run_id or f"{name}-{len(self)}", self.fails_at))
            return self[-1]

    made = Fakes()
    monkeypatch.setattr(chosen, "open_logger", made.open)
    monkeypatch.setattr(chosen, "find_spec", lambda name: pytest)
    monkeypatch.setattr(pytest, "origin", "here", raising=False)
    return made


def test_a_logger_is_shown_options_losses_learning_rate_and_the_sheet(tmp_path, fakes):
    result = train(tmp_path / "run", ("wandb",))
    (logger,) = fakes
    assert logger.options == {"task.width": 8, "train.seed": 0}
    figures = {(step, tag): value for step, tag, value in logger.seen}
    assert [figures[step, "train/loss"] for step in (1, 2, 3)] == [
        line["loss"] for line in result.history if line["split"] == "train"
    ]
    assert (3, "val/loss") in figures
    assert figures[2, "train/learning_rate"] == TrainOptions.learning_rate
    assert logger.shown == [(3, "sheet", (8, 6))]
    assert logger.closed


def test_a_run_that_continues_is_the_same_run_there(tmp_path, fakes):
    train(tmp_path / "run", ("wandb", "mlflow"))
    train(tmp_path / "run", ("mlflow", "wandb", "trackio"), steps=5)
    assert [logger.run_id for logger in fakes] == ["wandb-0", "mlflow-1", "mlflow-1", "wandb-0", "trackio-4"]
    assert min(step for step, *_ in fakes[2].seen) == 4


def test_a_finished_run_opens_no_logger(tmp_path, fakes):
    train(tmp_path / "run", ("wandb",))
    train(tmp_path / "run", ("wandb",))
    assert len(fakes) == 1


def test_a_logger_that_fails_while_training_is_switched_off_and_the_training_goes_on(tmp_path, fakes, caplog):
    fakes.fails_at = 2
    result = train(tmp_path / "run", ("wandb",))
    assert result.steps == 3
    assert {step for step, *_ in fakes[0].seen} == {1}
    assert caplog.text.count("wandb is switched off, as it failed: no route to host; metrics.jsonl goes on") == 1


def test_a_logger_that_fails_at_the_start_ends_in_one_line_before_training(tmp_path, fakes, monkeypatch):
    def refuse(name, start):
        raise ConnectionError("api.wandb.ai\nis not reached")

    monkeypatch.setattr(chosen, "open_logger", refuse)
    with pytest.raises(
        UserError, match=r"--log-to wandb failed: api\.wandb\.ai is not reached; run `wandb login`"
    ) as refusal:
        train(tmp_path / "run", ("wandb",))
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
    assert not (tmp_path / "run" / "loggers.json").exists()


def test_a_logger_that_is_not_installed_is_named_with_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(chosen, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--log-to mlflow needs the package mlflow: pip install"):
        train(tmp_path / "run", ("mlflow",))


def test_none_stands_alone_and_writes_nothing_but_metrics(tmp_path):
    train(tmp_path / "run", ("none",))
    assert not (tmp_path / "run" / "tensorboard").exists()
    assert (tmp_path / "run" / "metrics.jsonl").read_text().count("\n") == 4
    with pytest.raises(UserError, match="--log-to none cannot stand beside others: none,wandb"):
        TrainOptions(steps=1, log_to=("none", "wandb")).check()


def test_a_run_continues_with_other_loggers_and_one_from_before_there_was_a_choice(tmp_path):
    RunFolder(tmp_path / "run", {"train": {"seed": 0}}).close()
    RunFolder(tmp_path / "run", {"train": {"seed": 0, "log_to": ("wandb",)}}).close()


def test_tensorboard_has_both_losses_in_one_chart_the_options_and_the_sheet(tmp_path):
    train(tmp_path / "run", ("tensorboard",))
    shown = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert {"train/loss", "val/loss", "train/learning_rate"} <= set(shown.Tags()["scalars"])
    layout = layout_pb2.Layout.FromString(shown.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    assert list(layout.category[0].chart[0].multiline.tag) == ["^train/loss$", "^val/loss$"]
    assert b"| task.width | `8` |" in shown.Tensors("options")[0].tensor_proto.string_val[0]
    (sheet,) = shown.Images("sheet")
    assert (sheet.step, sheet.width, sheet.height) == (3, 8, 6)


def test_wandb_offline_keeps_one_run_over_a_restart(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    train(tmp_path / "run", ("wandb",))
    (first,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    time.sleep(1.1)  # its folders' names have seconds
    train(tmp_path / "run", ("wandb",), steps=5)
    (second,) = set((tmp_path / "run" / "wandb").glob("offline-run-*")) - {first}
    assert first.name.rsplit("-", 1)[1] == second.name.rsplit("-", 1)[1]
    for folder in (first, second):
        (records,) = folder.glob("run-*.wandb")
        tags = {b"train/loss", b"val/loss", b"train/learning_rate", b"task.width"}
        until = time.monotonic() + 20  # its service writes on when the run is finished
        while lacking := {tag for tag in tags if tag not in records.read_bytes()}:
            assert time.monotonic() < until, lacking
            time.sleep(0.1)
        assert list(folder.glob("files/media/images/sheet_*.png"))


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Where MLflow keeps runs: a database, or what mlflow-skinny, which knows none, allows still: a folder."""
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)  # where its artifacts go
    whole = find_spec("sqlalchemy") and find_spec("alembic")
    place = f"sqlite:///{tmp_path}/mlflow.db" if whole else f"file://{tmp_path}/mlruns"
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place)
    return place


def test_mlflow_keeps_one_run_over_a_restart(tmp_path, store):
    import mlflow

    train(tmp_path / "run", ("mlflow",))
    train(tmp_path / "run", ("mlflow",), steps=5)
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("avssl").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["task.width"] == "8"
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "train/loss")] == [1, 2, 3, 4, 5]
    assert client.list_artifacts(run.info.run_id, "images")


def test_mlflow_that_does_not_know_the_run_says_how_to_begin_another(tmp_path, store):
    train(tmp_path / "run", ("none",), steps=1)
    (tmp_path / "run" / "loggers.json").write_text(json.dumps({"mlflow": "0" * 32}))
    with pytest.raises(
        UserError, match=r"--log-to mlflow failed: .*to begin another run there, remove .*loggers\.json"
    ):
        train(tmp_path / "run", ("mlflow",))


def test_trackio_in_its_own_folder_keeps_one_run_over_a_restart(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read where it is imported first
    pytest.importorskip("trackio")
    from trackio.sqlite_storage import SQLiteStorage

    train(tmp_path / "run", ("trackio",))
    train(tmp_path / "run", ("trackio",), steps=5)
    (run,) = SQLiteStorage.get_runs("avssl")
    lines = SQLiteStorage.get_logs("avssl", run)
    assert [line["step"] for line in lines if "train/loss" in line] == [1, 2, 3, 4, 5]
    assert [line["step"] for line in lines if "sheet" in line] == [3, 5]
