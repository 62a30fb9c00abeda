"""``avssl train multi-task``: several tasks on one encoder, from words and from YAML; what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from small_runs import Result

from avssl.cli.main import main
from avssl.evaluate.core.rows import read_rows
from avssl.report.run_parts import read_metrics

Call = Callable[..., Result]
TRAIN = ("train", "multi-task")
TINY = {
    "rotation": {"width": 4, "side": 32, "blocks": 2, "norm": "group"},
    "av-correspondence": {"bands": 16, "side": 32, "contrastive": 0.0},
    "shuffle-learn": {"side": 32, "features": 8, "hidden": 8, "grid": 2, "gap_min": 0.1, "tau_min": 0.1},
}
COMMON = {
    **{"batch_size": 4, "workers": 0, "prepare": False, "validation_puzzles": 4, "control_puzzles": 8},
    **{"control_steps": 1, "checkpoint_every": 1, "steps": 4},
}


def write_config(path: Path, data: Path, tasks: list[str], **more: object) -> Path:
    sections = {name: TINY[name] for name in tasks}
    path.write_text(yaml.safe_dump({"tasks": tasks, "data": str(data), **COMMON, **more, **sections}))
    return path


@pytest.fixture(scope="module")
def together(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a picture task, a video task and an audio-visual one on one image encoder."""
    folder = tmp_path_factory.mktemp("together")
    config = write_config(folder / "config.yaml", clips, ["rotation", "shuffle-learn", "av-correspondence"])
    status = main(["train", "multi-task", "--config", str(config), "--out", str(folder / "run"), "--mix", "joint"])
    assert status == 0
    return folder / "run"


def test_picture_video_and_sound_share_one_image_encoder(together: Path):
    tasks = {"rotation", "shuffle-learn", "av-correspondence"}
    assert {line["task"] for line in read_metrics(together / "metrics.jsonl") if line["split"] == "train"} == tasks
    rows = read_rows(together / "results" / "controls.json")
    found = {row.name for row in rows}
    for task in tasks:
        assert {f"{name}/{task}" for name in ("trained", "untrained", "shuffled-labels")} <= found
    assert list((together / "encoders").glob("vision*.safetensors"))
    assert list((together / "encoders").glob("audio*.safetensors"))


def test_each_of_its_tasks_can_be_shown_and_evaluated(avssl: Call, together: Path, tmp_path: Path):
    for task in ("rotation", "shuffle-learn", "av-correspondence"):
        shown = avssl("show", task, "--run", together, "-o", tmp_path / f"{task}.png", "--count", "4")
        assert shown.status == 0, shown.err
        assert (tmp_path / f"{task}.png").exists()


def test_the_same_command_again_says_that_it_is_finished(avssl: Call, together: Path):
    result = avssl(*TRAIN, "--config", together / "config.yaml", "--out", together)
    assert result.status == 0
    assert "is finished" in result.out


def test_flags_with_a_task_s_name_override_its_section(avssl: Call, clips: Path, tmp_path: Path):
    config = write_config(tmp_path / "config.yaml", clips, ["rotation", "shuffle-learn"], steps=1, controls=False)
    out = tmp_path / "run"
    result = avssl(*TRAIN, "--config", config, "--out", out, "--rotation.flip", "off", "--shuffle-learn.grid", "1")
    assert result.status == 0, result.err
    saved = yaml.safe_load((out / "config.yaml").read_text())
    assert saved["rotation"]["flip"] == "off"
    assert saved["shuffle-learn"]["grid"] == 1
    assert saved["rotation"]["width"] == 4


def test_it_starts_from_the_encoders_of_another_run(avssl: Call, clips: Path, together: Path, tmp_path: Path):
    config = write_config(tmp_path / "config.yaml", clips, ["rotation", "shuffle-learn"], steps=1, controls=False)
    result = avssl(*TRAIN, "--config", config, "--out", tmp_path / "run", "--init", together)
    assert result.status == 0, result.err
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["init"] == str(together)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tasks", "rotation"), "two tasks or more"),
        (("--tasks", "rotation,rotaton"), "rotaton"),
        (("--tasks", "rotation,jigsaw", "--weights", "1"), "weights"),
        (("--tasks", "rotation,jigsaw", "--colorization.side", "32"), "colorization"),
        (("--tasks", "rotation,jigsaw", "--jigsaw.sid", "32"), "sid"),
    ],
)
def test_what_cannot_be_trained_together_is_reported_in_a_line(
    avssl: Call, clips: Path, tmp_path: Path, words: tuple[str, ...], message: str
):
    result = avssl(*TRAIN, *words, "--data", clips, "--out", tmp_path / "run")
    assert result.status == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_control_has_the_encoder_that_the_task_was_trained_on(together: Path):
    from avssl.evaluate.data.load_run import open_run
    from avssl.evaluate.pretext.controls import untrained

    run = open_run(together, "shuffle-learn")  # its own options would build a wider one
    shapes = [
        {name: value.shape for name, value in network.state_dict().items()}
        for network in (run.network, untrained(run.task, 0))
    ]
    assert shapes[0] == shapes[1]


def test_options_of_a_shared_encoder_must_be_what_builds_it(avssl: Call, clips: Path, tmp_path: Path):
    config = write_config(tmp_path / "c.yaml", clips, ["rotation", "shuffle-learn"])
    result = avssl(*TRAIN, "--config", config, "--out", tmp_path / "run", "--shuffle-learn.width", "9")
    assert result.status == 2
    assert "--shuffle-learn.width 9: the encoder is shared, and rotation" in result.err
    result = avssl("show", "multi-task", "--run", tmp_path)
    assert result.status == 2
    assert "a task at a time" in result.err
