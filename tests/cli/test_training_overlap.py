"""Results name the data that were evaluated, and what of them was trained on; each data set has files of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from probe_media import write_pictures, write_run
from small_runs import Result, write_clip

from avssl.evaluate.core.rows import ResultRow, read_rows
from avssl.experiment.results import data_name, places, write_rows

Call = Callable[..., Result]


@pytest.mark.parametrize("protocol", ["retrieval", "neighbors"])
def test_what_evaluates_training_items_says_so(avssl: Call, clips: Path, finished: Path, tmp_path: Path, protocol):
    copied = tmp_path / "copied"  # the same bytes under other names
    copied.mkdir()
    for number, clip in enumerate(sorted(clips.iterdir())):
        shutil.copy(clip, copied / f"copy{number:02d}.mp4")
    learned = json.loads((finished / "data.json").read_text())["train"]["items"]
    result = avssl("evaluate", protocol, "--run", finished, "--data", copied, "-o", tmp_path)
    assert result.status == 0, result.err
    assert f"trained on {learned} of the 12 items in {copied}: these figures are not held-out" in result.out
    for row in read_rows(tmp_path / f"{protocol}.json"):
        assert row.split == "train" and row.note.startswith(f"trained on {learned} of the 12 items")
    for number in range(3):
        write_clip(tmp_path / "new" / f"{number}.mp4", 30 + number)
    fresh = avssl("evaluate", protocol, "--run", finished, "--data", tmp_path / "new", "-o", tmp_path)
    assert "trained on" not in fresh.out
    assert {row.split for row in read_rows(tmp_path / f"{protocol}.json")} <= {"test"}


def test_two_data_sets_have_files_of_their_own_and_titles_name_what_was_evaluated(avssl: Call, tmp_path: Path):
    run = write_run(tmp_path / "run", "rotation", ("vision",))
    write_pictures(tmp_path / "lab" / "train", each=8)
    write_pictures(tmp_path / "lab" / "test", each=4, seed=1)
    write_pictures(tmp_path / "photos", each=8, seed=2)
    words = ("evaluate", "knn", "--run", run, "--stages", "conv1")
    lab = ("--data", tmp_path / "lab/train", "--test", tmp_path / "lab/test")
    result = avssl(*words, *lab)
    assert result.status == 0, result.err
    assert f"on 12 items of {tmp_path / 'lab/test'}" in result.out
    assert f"items of {tmp_path / 'lab/train'}" not in result.out
    first = (run / "results/knn.json").read_bytes()
    result = avssl(*words, "--data", tmp_path / "photos")
    assert f"rows in {run / 'results/knn-photos.json'}" in result.out
    assert (run / "results/knn.json").read_bytes() == first and (run / "results/knn-photos.png").is_file()
    assert {row.data for row in read_rows(run / "results/knn-photos.json")} == {str(tmp_path / "photos")}
    assert f"rows in {run / 'results/knn.json'}" in avssl(*words, *lab).out, "the same data have the same file"
    page = tmp_path / "report.html"
    assert avssl("report", run, "-o", page).status == 0
    assert "by stage: photos" in page.read_text()


def test_evaluated_sources_that_a_division_also_learns_from_are_reported(avssl: Call, tmp_path: Path):
    run = write_run(tmp_path / "run", "rotation", ("vision",))
    write_pictures(tmp_path / "photos", each=8)
    files = sorted((tmp_path / "photos").rglob("*.png"))
    rows = [f"{file.relative_to(tmp_path)},{file.parent.name},{k % 2},s{k // 2}" for k, file in enumerate(files)]
    (tmp_path / "t.csv").write_text("path,label,fold,film\n" + "\n".join(rows) + "\n")
    words = ("evaluate", "knn", "--run", run, "--stages", "conv1", "--data", tmp_path / "t.csv", "--folds", "fold")
    result = avssl(*words, "--sources", "film")
    assert result.status == 0, result.err
    assert "fold 0: 12 of the 12 evaluated sources are also in the training part (s0 …)" in result.out
    assert "also in the training part" not in avssl(*words, "--sources", "none").out


def test_names_of_data_never_fall_together(tmp_path: Path):
    row = ResultRow("trained", "accuracy", 0.5, 0.4, 0.6, 10, 0.5, "test", 0)
    assert data_name("/a/cifar10.csv") == "cifar10" and data_name("/a/lab/test") == "lab-test"
    found = []
    for data in ("/a/x/photos", "/b/x/photos", "/c/photos.tar", "/b/x/photos"):
        stems = places(tmp_path, None, "linear", data)
        write_rows([row], stems, data)
        found.append(stems[0].name)
    assert found == ["linear", "linear-photos", "linear-photos-2", "linear-photos"]
    # A run's own held-out figures keep their name, whatever was evaluated before them.
    assert places(tmp_path, None, "rotation", "/a/x/photos", own=True)[0].name == "rotation-photos"
    assert places(tmp_path, None, "rotation", None, own=True)[0].name == "rotation"
    assert [stem.name for stem in places(tmp_path, str(tmp_path / "o"), "linear", "/d")] == ["linear", "linear-d"]


def test_rows_from_before_are_known_by_their_command(tmp_path: Path):
    row = ResultRow(
        "trained", "accuracy", 0.5, 0.4, 0.6, 10, 0.5, "test", 0, command="avssl evaluate linear --data /a --test /b"
    )
    write_rows([row], [tmp_path / "results" / "linear"], None)
    assert places(tmp_path, None, "linear", "/b")[0].name == "linear"
    assert places(tmp_path, None, "linear", "/a")[0].name == "linear-a"
