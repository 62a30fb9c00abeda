"""The report says what a run holds and what it lacks, in one file that any browser opens."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from browser import DESKTOP, PHONE, opened
from made_run import MARKUP, row, write_made_run, write_picture, write_rows

from avssl.errors import UserError
from avssl.evaluate.core.charts import Chart, Level, Line, apart, svg_of, thinned
from avssl.evaluate.core.result_charts import depth_chart, labels_chart
from avssl.report.bars import bar_table
from avssl.report.option_tables import option_table
from avssl.report.page import report_page
from avssl.report.pictures import inlined
from avssl.report.run_parts import RunParts, read_runs
from avssl.report.tables import beside_chance
from avssl.report.training_charts import training_charts


def report(*folders: Path) -> tuple[str, list[RunParts]]:
    runs = read_runs(folders)
    return report_page(runs, folders[0] / "report.html"), runs


def words(page: str) -> str:
    """What is read on the page, markup and data left out."""
    body = re.sub(r"(?s)<(style|script)>.*?</\1>|<[^>]*>", " ", page)
    return re.sub(r"\s+", " ", body)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_made_run(tmp_path_factory.mktemp("runs") / "first")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another run that has logged and was evaluated, and no more."""
    folder = write_made_run(tmp_path_factory.mktemp("runs") / "second", 0.4, learning_rate=0.02, seed=1)
    for path in [folder / "sheet.png", *folder.glob("localized.*"), *(folder / "results").glob("*")]:
        if path.name != "controls.json":
            path.unlink()
    return folder


# --- the page in a browser ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_page_opens_in_a_browser_whole_and_without_a_fault(made: Path, other: Path):
    (made / "report.html").write_text(report(made)[0])
    (made / "several.html").write_text(report(made, other)[0])
    with opened(made / "report.html") as shown:
        for _ in ("report", "several"):
            shown.tab.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
            assert shown.overhang() == 0
            shown.tab.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
            assert shown.overhang() == 0
            assert shown.picture_widths() == [900, 300, 300]
            assert shown.tab.locator("svg[data-hover] path").count() > 6
            shown.tab.goto((made / "several.html").as_uri())
    assert shown.faults == []


@pytest.mark.slow
def test_the_page_answers_to_pointer_press_and_print(made: Path):
    (made / "report.html").write_text(report(made)[0])
    with opened(made / "report.html") as shown:
        tab = shown.tab
        plot = tab.locator("#linear svg[data-hover]")
        box = plot.bounding_box()
        assert box is not None
        plot.hover(position={"x": box["width"] * 0.3, "y": box["height"] / 2})
        tooltip = tab.locator(".tooltip").inner_text()
        assert "conv1" in tooltip
        assert "40.0 % trained" in tooltip
        assert "30.0 % random" in tooltip
        tab.mouse.move(0, 0)
        assert tab.locator(".tooltip").count() == 0
        tab.locator("#sheet .zoom").click()
        assert tab.evaluate("document.querySelector('dialog[open] img').clientWidth") == 900
        tab.locator("dialog").click()
        tab.locator("dialog").wait_for(state="detached")
        assert tab.locator("details[open]").count() == 0
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert tab.locator("details:not([open])").count() == 0
        assert len(tab.pdf()) > 10_000
        tab.evaluate("dispatchEvent(new Event('afterprint'))")
        assert tab.locator("details[open]").count() == 0
    assert shown.faults == []


def test_the_page_needs_nothing_from_elsewhere_and_escapes_what_it_shows(made: Path):
    page, _ = report(made)
    assert "default-src 'none'" in page
    assert set(re.findall(r'src="([^:"]*:)', page)) == {"data:"}
    assert set(re.findall(r'href="(?!#)([^"]*)"', page)) == {"data:,", "localized.mp4", "results/retrieval.html"}
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in page


# --- what it says ---------------------------------------------------------------------------------------------


def test_every_part_of_a_run_is_there(made: Path):
    page, runs = report(made)
    text = words(page)
    assert runs[0].faults == []
    ids = re.findall(r'<section id="([^"]+)"', page)
    assert ids == [
        *("curves", "controls", "sheet", "neighbors", "linear", "finetune", "localization", "retrieval", "own-thing"),
        *("config", "environment"),
    ]
    assert "Held-out accuracy 60.0% (57.0% to 63.0%) is above chance (25%). No control beats chance." in text
    assert "bell.mp4: something is heard 80% of the time" in text
    assert "300 of 300 steps in 5 min" in text
    assert "learning_rate 0.1" in text
    assert "machine.cores 2" in text
    assert "avssl evaluate it --run here" in text
    assert "Not here" not in text


def test_several_runs_stand_side_by_side_and_their_differences_first(made: Path, other: Path):
    page, runs = report(made, other)
    assert [(run.letter, run.name) for run in runs] == [("A", "first"), ("B", "second")]
    text = words(page)
    table = re.search(r'(?s)<table class="options differing">(.*?)</table>', page)
    assert table is not None
    assert re.findall(r'<th scope="row">(\w+)</th>', table[1]) == ["seed", "learning_rate"]
    assert "4 that are equal" in text
    assert "B second has none: avssl evaluate linear --run" in text
    assert "B second has no sheet.png" in text
    assert "B second has none: avssl evaluate localization" not in text  # it does not hear
    controls = bar_table([(run.letter, run.rows["controls"]) for run in runs])
    assert [(cell.letter, cell.name) for cell in controls.groups[0].cells][:3] == [
        ("A", "trained"),
        ("B", "trained"),
        ("A", "untrained"),
    ]


def test_what_a_run_lacks_is_listed_with_the_command_that_makes_it(tmp_path: Path):
    (tmp_path / "encoders").mkdir()
    (tmp_path / "config.yaml").write_text("task: av-correspondence\n")
    for name in ("vision", "audio"):
        (tmp_path / "encoders" / f"{name}.json").write_text("{}")
    text = words(report(tmp_path)[0])
    assert "No curves: nothing has been logged yet." in text
    assert "No sheet" in text
    assert "No controls: results/controls.json is written when a training ends (not with --no-controls)." in text
    for name in ("neighbors", "linear", "localization", "retrieval"):
        assert f"avssl evaluate {name} --run {tmp_path}" in text
    assert "avssl localize VIDEO --run" in text
    assert "environment.json is not there" in text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("results/controls.json", '[{"name": ', "results/controls.json is damaged (line 1): it is no JSON"),
        ("results/controls.json", b"\xff\xfe\x00", "results/controls.json is damaged: it is no JSON"),
        ("environment.json", "{", "environment.json is damaged"),
        (
            "metrics.jsonl",
            '{"step": 1}\nno\n{}\n',
            "metrics.jsonl is damaged, or still being written, from line 2 of 3",
        ),
        ("metrics.jsonl", '{"step": 1, "split": "val", "task": "rotation", "loss": "high"}\n[]\n3\n', ""),
        ("tasks/rotation.json", "?", "levels of chance are not drawn"),
        ("sheet.png", b"no picture", "sheet.png cannot be shown: no picture"),
        ("results/linear.png", b"", ""),  # the chart is drawn instead
        ("results/neighbors-frames.png", b"\x89PNG", "results/neighbors-frames.png cannot be shown"),
        ("results/threshold.json", '{"a": {"b": [1, 2]}}', "a.b 1, 2"),
        ("results/strange.json", '[1, {"name": "x"}]', '[1, {"name": "x"}]'),
        (
            "results/half.json",
            json.dumps([{"name": "x"}, vars(row("whole", 0.5))]),
            "1 of 2 entries are no result rows",
        ),
        ("results/none.json", json.dumps([vars(row("nothing", math.nan))]), "nothing – "),
        ("localized.json", "{", "localized.json is damaged"),
    ],
)
def test_damage_costs_a_line_and_nothing_else(tmp_path: Path, name: str, content: str | bytes, message: str):
    folder = write_made_run(tmp_path / "run")
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    page, _ = report(folder)
    text = words(page).replace("&#34;", '"')
    assert message in text
    assert "learning_rate" in text
    assert "nan" not in text.lower()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, made: Path):
    with pytest.raises(UserError, match="is no folder; avssl report needs folders of runs"):
        read_runs([tmp_path / "nowhere"])
    with pytest.raises(UserError, match=r"holds no run \(there is no config.yaml in it\)"):
        read_runs([made, tmp_path])
    with pytest.raises(UserError, match="is given twice"):
        read_runs([made, made / ".." / made.name])


def test_runs_of_one_name_are_distinguished(tmp_path: Path):
    folders = [tmp_path / place / "run" for place in ("here", "there")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("task: rotation\n")
    assert [run.name for run in read_runs(folders)] == ["here/run", "there/run"]


# --- charts and bars ------------------------------------------------------------------------------------------


def test_curves_of_a_run_are_drawn_against_chance(made: Path):
    ((task, first, rest),) = training_charts(read_runs([made]))
    assert (task, [chart.title for chart in first], rest) == ("rotation", ["class loss", "accuracy"], [])
    loss, accuracy = first
    assert loss.levels == [Level("chance", pytest.approx(math.log(4)))]
    assert accuracy.levels == [Level("chance", 0.25)]
    assert ("chance 25.0 %", "chance", "level") in accuracy.legend
    validation = accuracy.lines[-1]
    assert (validation.tone, validation.ends, accuracy.text(validation.points[-1][1])) == ("val", True, "60.0 %")
    assert [(line.style, line.marks) for line in accuracy.lines] == [("pale", False), ("bold", False), ("bold", True)]
    assert len(validation.points) == 3


def test_the_chart_by_stage_holds_stages_once_and_the_levels_beside(made: Path):
    chart = depth_chart({"": read_runs([made])[0].rows["linear"]})
    assert chart is not None
    assert chart.names == ["conv1", "conv2"]
    assert [line.name for line in chart.lines] == ["trained", "random"]
    assert [level.name for level in chart.levels] == ["pixels", "chance"]
    line = chart.lines[0]
    assert line.spans[0][0] < line.points[0][1] < line.spans[0][1]


def test_the_chart_over_labels_ends_with_all_of_them(made: Path):
    rows = read_runs([made])[0].rows
    chart = labels_chart({"": rows["finetune"]})
    assert chart is not None
    assert chart.names == ["1", "4", "all"]
    assert [chart.text(line.points[-1][1]) for line in chart.lines] == ["70.0 %", "60.0 %"]
    assert labels_chart({"": rows["linear"]}) is None
    assert depth_chart({"": []}) is None


def test_an_svg_holds_its_values_and_takes_colours_and_letters_from_the_page():
    line = Line("a < b", "train", [(0, -3.0), (5, 12.0)], [(-4, -2), (11, 19)], ends=True)
    svg = svg_of(Chart("loss & more", [line], [Level("chance", 25.0)]))
    assert svg == svg_of(Chart("loss & more", [line], [Level("chance", 25.0)])), "the same chart is the same text"
    assert 'aria-label="loss &amp; more"' in svg
    assert "var(--train)" in svg and "var(--chance)" in svg and "#2f6fad" not in svg
    assert "<style" not in svg and " id=" not in svg.split("<defs>")[0] and "font-family" not in svg
    root = ElementTree.fromstring(svg)
    hover = json.loads(root.attrib["data-hover"])
    (one,) = hover["lines"]
    assert [point[2:] for point in one["points"]] == [["step 0", "-3"], ["step 5", "12"]]
    assert all(hover["left"] <= point[0] <= hover["right"] for point in one["points"])
    assert "12" in "".join(root.itertext())


def test_long_lines_are_thinned_to_means_and_end_where_they_end():
    points = [(float(k), float(k % 2)) for k in range(1001)]
    few = thinned(points, 101)
    assert len(few) == 101
    assert few[-1] == points[-1]
    assert {y for _, y in few[:-1]} == {0.5}
    assert thinned(points[:50], 101) == points[:50]


def test_values_at_the_ends_of_lines_do_not_cover_each_other():
    placed = apart([101.0, 100.0, 0.0, -5.0], lowest=0.0, distance=10)
    assert placed == [110.0, 100.0, 10.0, 0.0]


def test_bars_stand_where_their_figures_are():
    def cells(*rows):
        return [cell for group in bar_table([("", rows)]).groups for cell in group.cells]

    bar = cells(row("trained", 0.6))[0].bar
    assert (bar.low, bar.value, bar.high, bar.chance, bar.zero) == pytest.approx((57, 60, 63, 25, 0))
    (cell,) = cells(row("gain", -0.02, "accuracy-difference", 0.0, width=0.01))
    assert (cell.bar.zero, cell.bar.value, cell.mark) == (50, pytest.approx(25), "below")
    (cell,) = cells(row("trained", 12.0, "loss", None, width=2))
    assert (cell.value, cell.chance, cell.mark, cell.bar.chance) == ("12", "", "", None)


@pytest.mark.parametrize(
    ("metric", "value", "ends"),
    [
        ("accuracy", 0.9, ("0 %", "100 %")),
        ("recall@1", 0.04, ("0 %", "10 %")),
        ("shared", -0.42, ("-0.5", "0.5")),
        ("psnr", 21.0, ("0", "40")),
    ],
)
def test_the_axis_of_bars_says_where_it_begins_and_ends(metric: str, value: float, ends: tuple[str, str]):
    (group,) = bar_table([("", [row("trained", value, metric, None)])]).groups
    assert (group.begin, group.end) == ends
    assert 0 <= group.cells[0].bar.low <= group.cells[0].bar.high <= 100


def test_below_chance_is_reported_below():
    assert beside_chance(row("a", 0.3)) == "above"
    assert beside_chance(row("a", 0.26)) == "at chance"
    assert beside_chance(row("a", 2.0, "median-rank", 13.0)) == "below"
    assert beside_chance(row("a", 2.0, "loss", None)) == ""


# --- options and pictures -------------------------------------------------------------------------------------


def test_options_are_compared_by_name_nested_ones_too():
    table = option_table([{"a": 1, "b": {"c": [1, 2], "d": None}}, {"a": 1, "b": {"c": [1, 3]}, "e": True}])
    assert table.equal == [("a", "1")]
    assert table.differing == [("b.c", ["1, 2", "1, 3"])]
    assert table.partial == [("b.d", ["–", ""]), ("e", ["", "yes"])]


def test_pictures_are_put_in_light(tmp_path: Path):
    write_picture(tmp_path / "small.png")
    write_picture(tmp_path / "wide.png", (2500, 100), noise=True)
    small, wide = inlined(tmp_path / "small.png"), inlined(tmp_path / "wide.png")
    assert small.data.startswith("data:image/png") == ((tmp_path / "small.png").stat().st_size <= 60_000)
    assert (wide.width, wide.height) == (2000, 80)
    assert wide.data.startswith("data:image/webp")


def test_variants_of_a_protocol_stand_beside_it_under_names_of_their_own(tmp_path: Path):
    folder = write_made_run(tmp_path / "run")
    for name in ("linear-voc", "neighbors-sounds", "low-shot"):
        write_rows(folder / "results" / f"{name}.json", [row(f"trained/conv{k}", 0.5) for k in (1, 2)])
    write_picture(folder / "results" / "neighbors-sounds-shared.png")
    page, _ = report(folder)
    ids = re.findall(r'<section id="([^"]+)"', page)[3:8]
    assert ids == ["neighbors", "neighbors-sounds", "linear", "linear-voc", "low-shot"]
    part = page.split('id="neighbors-sounds"')[1].split("</section>")[0]
    assert "Nearest neighbours: sounds" in part
    assert "neighbors-sounds-shared" in part
    assert "data-hover" in page.split('id="linear-voc"')[1].split("</section>")[0]


def test_tasks_of_a_run_of_several_have_curves_and_sentences_of_their_own(tmp_path: Path):
    folder = write_made_run(tmp_path / "run", task="multi-task", tasks=["rotation", "relative-position"])
    (folder / "tasks" / "relative-position.json").write_text("{}")
    lines = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(lines + lines.replace("rotation", "relative-position"))
    rows = [
        row(f"trained/{task}", 0.6, chance=chance)
        for task, chance in (("rotation", 0.25), ("relative-position", 0.125))
    ]
    write_rows(folder / "results" / "controls.json", rows)
    page, runs = report(folder)
    assert runs[0].faults == []
    assert [task for task, _, _ in training_charts(runs)] == ["rotation", "relative-position"]
    text = words(page)
    assert "task rotation + relative-position" in text
    assert "relative-position: Held-out accuracy 60.0% (57.0% to 63.0%) is above chance (12%)." in text
    assert MARKUP not in page
