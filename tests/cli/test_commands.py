"""The commands on the smallest real things: what they write, and what they say."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from small_runs import TINY, Result, write_clip
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import avssl as package
from avssl.evaluate.core.rows import read_rows
from avssl.evaluate.data.load_run import open_run
from avssl.evaluate.localization.threshold import fitted_on
from avssl.report.run_parts import read_metrics

Call = Callable[..., Result]
TRAIN = ("train", "av-correspondence")


def test_training_leaves_everything_that_is_promised(finished: Path):
    for name in (
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "sheet.png",
        "curves.png",
        "results/controls.json",
    ):
        assert (finished / name).stat().st_size > 0, name
    assert list((finished / "checkpoints").glob("step-*.pt"))
    assert EventAccumulator(str(finished / "tensorboard")).Reload().Images("sheet")
    for name in ("vision.safetensors", "vision.json", "audio.safetensors", "audio.json"):
        assert (finished / "encoders" / name).exists()
    rows = read_rows(finished / "results" / "controls.json")
    assert {"trained", "vision-only", "audio-only", "shuffled-labels", "untrained"} <= {row.name for row in rows}
    assert all(row.chance == 0.5 and row.low <= row.value <= row.high and row.command for row in rows)
    assert {line["split"] for line in read_metrics(finished / "metrics.jsonl")} == {"train", "val"}


def test_the_whole_of_a_training_is_announced_with_its_parts_and_their_time(avssl: Call, clips: Path, tmp_path: Path):
    tiny = (*TINY, "--workers", "auto", "--steps", "1")
    out = avssl(*TRAIN, "--data", clips, "--out", tmp_path / "run", *tiny).out
    parts = r"to do: training, about .+ s; 3 controls of 1 step each, at most about .+ s; evaluation on 8 held-out"
    assert re.search(parts, out) and out.index("to do: ") < out.index("training av-correspondence for 1 step")
    assert "to do: " not in avssl(*TRAIN, "--data", clips, "--out", tmp_path / "run", *tiny).out


def test_what_was_learned_can_be_loaded(finished: Path):
    model = package.load(finished)
    assert model.image(np.zeros((2, 3, 48, 64), np.uint8)).shape == (2, 128)
    assert model.audio(np.zeros((2, 8000), np.float32), 8000).shape == (2, 128)


def test_the_saved_config_repeats_the_run(avssl: Call, finished: Path, tmp_path: Path):
    again = tmp_path / "again"
    result = avssl(*TRAIN, "--config", finished / "config.yaml", "--out", again)
    assert result.status == 0
    first, second = open_run(finished), open_run(again)
    weights = second.network.state_dict()
    assert all(np.array_equal(value, weights[name]) for name, value in first.network.state_dict().items())
    assert first.config == second.config
    values = [
        [(row.name, row.value) for row in read_rows(run / "results" / "controls.json")] for run in (finished, again)
    ]
    assert values[0] == values[1]


def test_of_a_run_that_keeps_its_best_the_best_is_evaluated(avssl: Call, clips: Path, tmp_path: Path):
    out = tmp_path / "best"
    brief = ("--steps", "3", "--validate-every", "1", "--keep", "best", "--no-controls", *TINY)
    assert avssl(*TRAIN, "--data", clips, "--out", out, *brief).status == 0
    losses = {line["step"]: line["loss"] for line in read_metrics(out / "metrics.jsonl") if line["split"] == "val"}
    best = torch.load(out / "checkpoints" / f"step-{min(losses, key=losses.__getitem__):08d}.pt", weights_only=True)
    opened = {f"av-correspondence.{name}": value for name, value in open_run(out).network.state_dict().items()}
    assert all(torch.equal(value, opened[name]) for name, value in best["networks"].items())


def test_a_finished_run_is_reported_finished_and_its_table_printed_again(avssl: Call, finished: Path):
    before = (finished / "results" / "controls.json").stat().st_mtime_ns
    result = avssl(*TRAIN, "--config", finished / "config.yaml", "--out", finished)
    assert result.status == 0
    assert "is finished" in result.out
    assert "shuffled-labels" in result.out
    assert (finished / "results" / "controls.json").stat().st_mtime_ns == before


def test_a_training_says_from_which_logit_on_something_is_heard_and_an_earlier_one_is_left_as_it_is(
    avssl: Call, finished: Path, tmp_path: Path
):
    shutil.copytree(finished, tmp_path / "run")
    fitted = fitted_on(tmp_path / "run")
    assert fitted is not None and re.fullmatch(r"moments of \d+ validation clips", fitted)
    (tmp_path / "run" / "localization.json").unlink()  # as earlier versions left a run
    result = avssl(*TRAIN, "--config", finished / "config.yaml", "--out", tmp_path / "run")
    assert result.status == 0 and fitted_on(tmp_path / "run") is None


def test_a_run_of_other_options_is_not_continued(avssl: Call, clips: Path, finished: Path):
    before = sorted(path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file() and path.name != ".lock")
    result = avssl(*TRAIN, "--data", clips, "--out", finished, "--steps", "3", *TINY)
    assert result.status == 2
    assert "was asked for 2 steps, now 3: with --schedule cosine" in result.err
    result = avssl(*TRAIN, "--data", clips, "--out", finished, "--steps", "2", *TINY, "--learning-rate", "0.5")
    assert result.status == 2 and "holds a run with other options: learning_rate (there" in result.err
    after = sorted(path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file() and path.name != ".lock")
    assert after == before


def test_the_config_of_a_run_holds_every_option_as_a_plain_value(finished: Path):
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert config["task"] == "av-correspondence"
    assert Path(config["data"]).is_absolute()
    for name in ("steps", "batch_size", "fusion", "width", "control_puzzles", "test", "seed"):
        assert name in config
    assert all(isinstance(value, str | int | float | bool | list | None) for value in config.values())


def test_a_name_that_no_font_here_can_write_is_no_warning(avssl: Call, tmp_path: Path):
    for number, name in enumerate(("日本語の動画", "ಕನ್ನಡ", "한국어")):
        write_clip(tmp_path / "clips" / f"{name}.mp4", number)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        result = avssl("show", "av-correspondence", "--data", tmp_path / "clips", "-o", tmp_path / "sheet.png")
    assert result.status == 0 and not [each for each in warned if "Glyph" in str(each.message)]


def test_show_draws_a_sheet_and_with_a_run_its_answers(avssl: Call, clips: Path, finished: Path, tmp_path: Path):
    for name, words in (("puzzles", ()), ("answers", ("--run", finished))):
        target = tmp_path / f"{name}.png"
        result = avssl("show", "av-correspondence", "--data", clips, "-o", target, "--count", "4", *words)
        assert result.status == 0
        assert f"{target}: 4 puzzles of av-correspondence" in result.out
    with Image.open(tmp_path / "puzzles.png") as plain, Image.open(tmp_path / "answers.png") as refusal:
        assert plain.width > 400
        assert refusal.tobytes() != plain.tobytes()


def test_evaluate_writes_rows_where_asked_and_in_the_run(avssl: Call, finished: Path, tmp_path: Path):
    result = avssl("evaluate", "av-correspondence", "--run", finished, "-o", tmp_path, "--puzzles", "8")
    assert result.status == 0
    rows = read_rows(tmp_path / "av-correspondence.json")
    assert {"trained", "untrained"} <= {row.name for row in rows}
    assert rows == read_rows(finished / "results" / "av-correspondence.json")


def test_figures_of_what_a_run_learned_from_are_not_called_held_out(
    avssl: Call, clips: Path, finished: Path, tmp_path: Path
):
    write_clip(tmp_path / "new" / "a.mp4", 20)
    write_clip(tmp_path / "new" / "b.mp4", 21)
    (tmp_path / "link").symlink_to(clips)
    words = ("evaluate", "av-correspondence", "--run", finished, "-o", tmp_path / "out", "--puzzles", "4", "--data")
    honest = avssl(*words, tmp_path / "new")
    assert "trained on" not in honest.out and "held-out" in honest.out
    avssl("evaluate", "av-correspondence", "--run", finished, "--puzzles", "4")
    before = (finished / "results" / "av-correspondence.json").read_bytes()
    trained_on = json.loads((finished / "data.json").read_text())["train"]["items"]
    for place in (clips, tmp_path / "link"):
        result = avssl(*words, place)
        assert f"trained on {trained_on} of the {len(list(clips.iterdir()))} items in {place}" in result.out
        assert "test sources were trained on: this is not a held-out figure" in result.out
        rest = result.out.replace("are not held-out", "").replace("not a held-out figure", "")
        assert "held-out" not in rest.lower()
    assert (finished / "results" / "av-correspondence.json").read_bytes() == before
    for row in read_rows(tmp_path / "out" / "av-correspondence-train.json"):
        assert row.split == "train" and row.note.startswith(f"trained on {trained_on} of the ")


def test_where_the_data_of_a_run_are_gone_nothing_is_made_to_compare_with(
    avssl: Call, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_clip(tmp_path / "new" / "a.mp4", 20)
    write_clip(tmp_path / "new" / "b.mp4", 21)
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    config = yaml.safe_load((run / "config.yaml").read_text())
    words = ("evaluate", "av-correspondence", "--run", run, "--puzzles", "4", "--data", tmp_path / "new")
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "data": str(tmp_path / "gone")}))
    assert f"cannot check whether {run} was trained on items in {tmp_path / 'new'}" in avssl(*words).out
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "data": None}))
    monkeypatch.setattr("avssl.world.build.generate", lambda *_, **__: pytest.fail("made a world"))
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path / "empty"))
    result = avssl(*words)
    assert result.status == 0 and "cannot check" in result.out and "the generated clips are not in" in result.out


def test_embed_writes_a_row_a_moment_with_nan_where_there_is_nothing(
    avssl: Call, clips: Path, finished: Path, tmp_path: Path
):
    write_clip(tmp_path / "mute.mp4", sound=False)
    target = tmp_path / "out.npz"
    result = avssl("embed", clips / "00.mp4", tmp_path / "mute.mp4", "--run", finished, "-o", target, "--hop", "0.5")
    assert result.status == 0
    found = np.load(target)
    assert found["image"].shape == found["audio"].shape == (8, 128)
    mute = np.char.endswith(found["path"], "mute.mp4")
    assert np.isnan(found["audio"][mute]).all()
    assert np.isfinite(found["audio"][~mute]).all()
    assert np.isfinite(found["image"]).all()
    assert found["seconds"][~mute].tolist() == [0.25, 0.75, 1.25, 1.75]


def test_index_names_every_file_with_a_word_about_it(avssl: Call, tmp_path: Path):
    folder = tmp_path / "videos"
    write_clip(folder / "good.mp4")
    write_clip(folder / "mute.mp4", sound=False)
    (folder / "bad.mp4").write_bytes(b"nothing of the kind" * 50)
    (folder / "empty.mp4").write_bytes(b"")
    result = avssl("index", folder, "--json", tmp_path / "summary.json", "--to", tmp_path / "index")
    assert result.status == 0
    lines = {line.split()[0]: line for line in result.out.splitlines() if ".mp4" in line}
    assert "unusable" in lines["bad.mp4"]
    assert "unusable" in lines["empty.mp4"]
    assert "no sound" in lines["mute.mp4"]
    assert "48×48" in lines["good.mp4"]
    found = json.loads((tmp_path / "summary.json").read_text())
    assert {each["path"]: each["usable"] for each in found["files"]} == {
        "good.mp4": True,
        "mute.mp4": True,
        "bad.mp4": False,
        "empty.mp4": False,
    }
    assert "inspected 4 files" in result.out
    assert "inspected" in avssl("index", folder, "--to", tmp_path / "index").out


def test_prepared_data_can_be_named_wherever_data_are(avssl: Call, clips: Path, tmp_path: Path):
    result = avssl("prepare", clips, tmp_path / "prepared", "--side", "32", "--rate", "8000", "--workers", "0")
    assert re.match(r".*prepared: \d+ items to prepare, about .*B and .*s on 1 core\n", result.out)
    assert result.status == 0
    assert "12 items" in result.out
    assert avssl("index", tmp_path / "prepared").status == 0
    result = avssl(
        *TRAIN, "--data", tmp_path / "prepared", "--out", tmp_path / "run", "--steps", "1", "--no-controls", *TINY
    )
    assert result.status == 0
    assert not (tmp_path / "run" / "results" / "controls.json").exists()


def test_a_world_is_generated_with_its_splits_and_its_sheet(avssl: Call, tmp_path: Path):
    counts = ("--train", "2", "--validation", "1", "--test", "1", "--frames", "12", "--size", "32")
    result = avssl("world", tmp_path / "world", *counts, "--workers", "1", "--sheet", tmp_path / "sheet.png")
    assert result.status == 0
    assert "4 clips of 0.5 s" in result.out
    assert (tmp_path / "sheet.png").exists()
    assert "3: train (2), test (1), validation (1)" in avssl("index", tmp_path / "world").out
