"""``avssl.train``: from Python what the command line does, to the bit; and the run that it gives back."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

import avssl
from avssl import tasks
from avssl.cli.main import main
from avssl.errors import UserError
from avssl.experiment.results import Results

TINY = {
    **{"width": 4, "side": 32, "bands": 16, "batch_size": 4, "workers": 0, "prepare": False, "validation_puzzles": 4},
    **{"control_puzzles": 8, "control_steps": 1, "checkpoint_every": 1, "steps": 2},
}


def flags(options: dict[str, object]) -> list[str]:
    """The same as words of the command line."""
    words = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        words += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return words


@pytest.fixture(scope="module")
def trained(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> avssl.Run:
    out = tmp_path_factory.mktemp("python") / "run"
    return avssl.train("av-correspondence", clips, out, **TINY)


def test_it_is_the_same_run_as_the_command_s(trained: avssl.Run, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["train", "av-correspondence", "--data", str(clips), "--out", str(out), *flags(TINY)]) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in trained.path.iterdir())
    assert yaml.safe_load((out / "config.yaml").read_text()) == trained.config
    for part in ("vision", "audio", "fusion"):
        theirs, ours = (load_file(path / "encoders" / f"{part}.safetensors") for path in (out, trained.path))
        assert theirs.keys() == ours.keys() and all(torch.equal(theirs[name], ours[name]) for name in ours)
    by_command = [{**row, "command": ""} for row in json.loads((out / "results" / "controls.json").read_text())]
    by_python = [{**row, "command": ""} for row in json.loads((trained.path / "results" / "controls.json").read_text())]
    assert by_command == by_python


def test_the_rows_name_a_command_that_repeats_the_run(trained: avssl.Run) -> None:
    config = trained.path / "config.yaml"
    assert {row.command for row in trained.results} == {f"avssl train av-correspondence --config {config} --out RUN"}


def test_the_run_gives_its_results_history_encoders_and_pictures(trained: avssl.Run) -> None:
    run = avssl.Run(trained.path)
    assert repr(run) == f"<run of av-correspondence in {trained.path}>"
    assert {"trained", "untrained"} <= {row.name for row in run.results}
    assert [row.name for row in run.results.of("controls")] == [row.name for row in run.results]
    assert {line["split"] for line in run.history} == {"train", "val"}
    assert sorted(run.encoders) == ["audio", "vision"]
    assert run.model.image(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).shape == (1, 128)
    assert set(run.encoders["vision"].state_dict()) == set(load_file(run.path / "encoders" / "vision.safetensors"))
    assert run.sheet().width > 100 and run.curves().width > 100
    assert run.trained().steps == 2


def test_results_print_as_a_table(trained: avssl.Run) -> None:
    lines = str(trained.results).splitlines()
    assert len([line for line in lines if line.startswith(" untrained ")]) == 1
    assert "95 % interval" in lines[1] and "ResultRow" not in repr(trained.results)
    assert str(Results()) == "no rows"


def test_results_are_a_frame_where_pandas_is(trained: avssl.Run) -> None:
    pytest.importorskip("pandas")
    frame = trained.results.frame()
    assert len(frame) == len(trained.results)
    assert {"file", "name", "metric", "value", "low", "high", "n", "chance"} <= set(frame.columns)
    assert list(frame.value) == [row.value for row in trained.results]


def test_a_run_that_was_stopped_continues_from_python(trained: avssl.Run, clips: Path, tmp_path: Path) -> None:
    run = avssl.train("av-correspondence", clips, tmp_path / "run", **TINY)
    for path in sorted((run.path / "checkpoints").glob("*.pt"))[1:]:
        path.unlink()  # as if it had been killed after its first step
    run.continue_()
    for part in ("vision", "audio"):
        ours, theirs = (load_file(path / "encoders" / f"{part}.safetensors") for path in (run.path, trained.path))
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_task_that_is_made_is_trained_as_its_options_say(clips: Path, tmp_path: Path) -> None:
    task = avssl.task("rotation", side=32, width=4, blocks=2)
    options = {**TINY, "controls": False, "steps": 1}
    for name in ("width", "side", "bands"):
        del options[name]
    run = avssl.train(task, clips, tmp_path / "run", **options)
    assert (run.config["task"], run.config["width"], run.config["blocks"]) == ("rotation", 4, 2)
    with pytest.raises(UserError, match="width is an option of the task, which is made already"):
        avssl.train(task, clips, tmp_path / "other", width=8, steps=1)


def test_several_tasks_train_on_one_encoder(clips: Path, tmp_path: Path) -> None:
    options = {name: value for name, value in TINY.items() if name not in ("width", "side", "bands")}
    small = {"width": 4, "side": 32, "blocks": 2, "norm": "group"}
    run = avssl.train(
        [avssl.task("rotation", **small), "relative-position"],
        clips,
        tmp_path / "run",
        mix="joint",
        weights=[1, 0.5],
        controls=False,
        relative_position={"gap": 4},
        **options,
    )
    assert run.tasks == ["rotation", "relative-position"]
    assert run.config["weights"] == [1.0, 0.5]
    assert run.config["relative-position"]["width"] == 4, "the first task builds the encoder"
    assert {line["task"] for line in run.history} == {"rotation", "relative-position"}
    assert run.continue_().tasks == run.tasks  # finished: nothing is left to train
    with pytest.raises(UserError, match="two tasks or more"):
        avssl.train(["rotation"], clips, tmp_path / "one", steps=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stepz": 3}, "no option is called 'stepz'; did you mean 'steps'"),
        ({"steps": "few"}, "steps needs a whole number or None, not 'few'"),
        ({"fusion": "l4"}, "fusion needs one of l3, ave, avol, not 'l4'"),
        ({"steps": 1, "minutes": 1}, "give one of steps and minutes, not both"),
    ],
)
def test_a_wrong_option_is_reported_in_a_line(
    clips: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        avssl.train("av-correspondence", clips, tmp_path / "run", **options)
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_task_that_bears_the_name_of_another_is_refused(clips: Path, tmp_path: Path) -> None:
    class Other(tasks.get("rotation")):  # type: ignore[misc]
        """Of the same name."""

    with pytest.raises(UserError, match="two tasks are called 'rotation'"):
        avssl.train(Other(Other.Options()), clips, tmp_path / "run", steps=1)


def test_an_open_collection_is_refused_as_no_config_could_name_it(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs the name of the data"):
        avssl.train("rotation", avssl.open(clips, progress=False), tmp_path / "run", steps=1)


def test_a_task_is_made_by_its_options_and_refuses_others() -> None:
    task = avssl.task("av-correspondence", fusion="avol", side=112)
    assert (task.options.fusion, task.options.side) == ("avol", 112)
    with pytest.raises(UserError, match="no option is called 'fuson'; did you mean 'fusion'"):
        avssl.task("av-correspondence", fuson="avol")
    with pytest.raises(UserError, match="did you mean 'av-correspondence'"):
        avssl.task("av-corespondence")


def test_a_folder_without_a_run_is_reported() -> None:
    with pytest.raises(UserError, match="is no folder"):
        avssl.Run("runs/nowhere")


def test_the_lines_go_to_the_logger_and_can_be_silenced(
    clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    options = {**TINY, "steps": 1}
    with caplog.at_level(logging.INFO, "avssl"):
        avssl.train("av-correspondence", clips, tmp_path / "loud", **options)
    assert any("trained 1 step" in line for line in caplog.messages)
    assert any("95 % interval" in line and "untrained" in line for line in caplog.messages)
    caplog.clear()
    capfd.readouterr()
    with caplog.at_level(logging.WARNING, "avssl"):
        avssl.train("av-correspondence", clips, tmp_path / "quiet", **options)
    assert not caplog.messages
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("task", [None, 3, avssl.task, ["rotation", None], Path("rotation")])
def test_what_is_no_task_is_refused_in_one_line(task: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the name of a task is wanted, one made by avssl.task, or a list of these"):
        avssl.train(task, out=tmp_path / "run")


@pytest.mark.parametrize("place", ["out", "init", "config"])
def test_a_place_that_is_no_name_is_refused_not_written_to(place: str) -> None:
    for value in (3, ["runs/a"], "runs/a\0b"):
        with pytest.raises(UserError, match=f"^{place} needs text or None, not "):
            avssl.train("rotation", **{place: value})


@pytest.mark.parametrize(
    ("out", "message"), [("x" * 300, "this name is too long"), ("/proc/avssl/run", "nothing can be made there")]
)
def test_a_place_where_no_run_can_be_is_refused_in_one_line(
    out: str, message: str, clips: Path, tmp_path: Path
) -> None:
    if out.startswith("/proc") and not Path("/proc").is_dir():
        pytest.skip("no /proc")
    with pytest.raises(UserError, match=message):
        avssl.train("rotation", clips, tmp_path / out, steps=1, side=32, workers=0, device="cpu", controls=False)
