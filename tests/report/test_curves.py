"""curves.png and the tables on the screen."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avssl.evaluate.core.rows import ResultRow
from avssl.report.run_parts import read_metrics
from avssl.report.tables import print_rows
from avssl.report.training_charts import draw_curves, smoothed, training_chart


def lines(count: int = 60, task: str = "toy") -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for step in range(1, count + 1):
        loss = 0.7 * math.exp(-step / 30)
        found.append({"step": step, "split": "train", "task": task, "loss": loss, "accuracy": 1 - loss / 1.4})
        if step % 20 == 0:
            found.append({"step": step, "split": "val", "task": task, "loss": loss + 0.1, "accuracy": 0.9})
    return found


def colours(path: Path) -> set[tuple[int, ...]]:
    with Image.open(path) as image:
        return {tuple(pixel) for pixel in np.asarray(image.convert("RGB")).reshape(-1, 3)}


@pytest.mark.parametrize("title", ["caf\udce9", "a$_$b"])
def test_a_name_that_is_no_utf_8_or_holds_dollars_can_be_a_title(tmp_path: Path, title: str):
    draw_curves(lines(), tmp_path / "curves.png", title=title)
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_curves_show_training_validation_and_chance(tmp_path: Path):
    draw_curves(lines(), tmp_path / "curves.png", chance={"loss": math.log(2), "accuracy": 0.5}, title="toy")
    assert {(0x2F, 0x6F, 0xAD), (0xC4, 0x50, 0x1B), (0x7C, 0x85, 0x92)} <= colours(tmp_path / "curves.png")


def test_a_training_without_validation_has_no_line_of_it(tmp_path: Path):
    training = [line for line in lines() if line["split"] == "train"]
    draw_curves(training, tmp_path / "curves.png")
    assert (0xC4, 0x50, 0x1B) not in colours(tmp_path / "curves.png")


def test_each_task_has_its_own_row_of_panels(tmp_path: Path):
    draw_curves(lines(), tmp_path / "one.png")
    draw_curves(lines() + lines(task="other"), tmp_path / "two.png")
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert two.height == pytest.approx(2 * one.height, abs=4)


def test_the_rank_of_the_features_has_a_panel_of_its_own_where_it_was_logged(tmp_path: Path):
    draw_curves(lines(), tmp_path / "two.png")
    ranks = {"effective_rank_vision": 9.0, "effective_rank_audio": 7.0}
    draw_curves([line | (ranks if line["split"] == "val" else {}) for line in lines()], tmp_path / "three.png")
    with Image.open(tmp_path / "two.png") as two, Image.open(tmp_path / "three.png") as three:
        assert three.width == pytest.approx(1.5 * two.width, abs=4) and three.height == two.height


def test_the_accuracy_of_neighbours_is_drawn_with_the_chance_that_was_logged_beside_it():
    logged = {"split": "val", "task": "toy", "knn_accuracy": 0.7, "knn_chance": 0.25}
    chart = training_chart({"": [{"step": step, **logged} for step in (1, 2)]}, "knn_accuracy", [])
    assert chart is not None and chart.share
    assert [level.value for level in chart.levels] == [0.25]


def test_a_run_without_a_line_is_drawn_as_empty(tmp_path: Path):
    draw_curves([], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_a_metrics_line_cut_off_while_writing_is_left_out(tmp_path: Path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1}, {"step": 2}]
    assert read_metrics(tmp_path / "none.jsonl") == []


def test_smoothing_begins_at_the_first_value_and_keeps_a_constant():
    assert smoothed([3.0, 3.0, 3.0]) == pytest.approx([3.0, 3.0, 3.0])
    assert smoothed([1.0, 0.0], weight=0.5) == pytest.approx([1.0, 1 / 3])


def row(name: str, value: float, low: float, high: float, note: str = "") -> ResultRow:
    return ResultRow(name, "accuracy", value, low, high, 1024, 0.5, "test", 0, note)


def test_rows_are_printed_whole_and_plain_in_a_pipe():
    out = io.StringIO()
    note = "sees the picture, hears nothing, and has a note [of] some length that a narrow terminal would have to fold"
    print_rows([row("trained", 0.95, 0.93, 0.97), row("vision-only", 0.51, 0.48, 0.54, note)], "Controls", out)
    text = out.getvalue()
    assert "\x1b" not in text
    trained = next(line for line in text.splitlines() if "trained" in line)
    assert trained.split()[:9] == ["trained", "accuracy", "95.0", "%", "93.0", "%", "–", "97.0", "%"]
    assert "above" in trained
    control = next(line for line in text.splitlines() if "vision-only" in line)
    assert "at chance" in control
    assert note in control


def test_a_figure_that_is_no_share_is_printed_as_it_is():
    out = io.StringIO()
    print_rows([ResultRow("trained", "loss", 0.1234, 0.1, 0.2, 10, None, "test", 0)], file=out)
    assert "0.1234" in out.getvalue()
    assert "%" not in out.getvalue().replace("95 % interval", "")
