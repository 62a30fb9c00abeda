"""A run's model card says what was measured, on what, and with which limits, and nothing of this machine."""

from __future__ import annotations

import re

import pytest
import yaml
from report.made_run import MARKUP, write_made_run

from avssl.report.model_card import MOST_ROWS, model_card
from avssl.report.run_parts import read_runs
from avssl.report.without_places import without_places


@pytest.fixture
def card(tmp_path) -> str:
    run = write_made_run(tmp_path / "secret place" / "run", data=str(tmp_path / "secret place" / "photos"))
    return model_card(read_runs([run])[0], "lab/rotation", "mit", ["sheet.png"])


def front(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def test_the_card_shows_figures_with_intervals_chance_and_controls(card):
    assert "| trained | accuracy | 60.0 % | 57.0 % – 63.0 % | 25.0 % | 400 | above |" in card
    assert "| shuffled-labels | accuracy | 26.0 % | 23.0 % – 29.0 % | 25.0 % | 400 | at chance |" in card
    assert "Held-out accuracy 60.0%" in card and 'avssl.load("hf://lab/rotation")' in card
    assert "![sheet](sheet.png)" in card and "Weights: mit." in card


def test_what_a_hub_reads_of_the_card_has_the_figures_with_their_intervals(card):
    found = front(card)
    assert (found["license"], found["library_name"], found["pipeline_tag"]) == (
        "mit", "avssl", "image-feature-extraction",
    )  # fmt: skip
    first = found["model-index"][0]["results"][0]
    assert first["dataset"]["name"] == "photos" and first["task"]["name"] == "Controls"
    metric = {"type": "accuracy", "name": "trained, 95 % 57.0 % – 63.0 %, chance 25.0 %, N 400", "value": 0.6}
    assert first["metrics"] == [metric]


def test_huggingface_hub_reads_the_card_as_evaluation_results(card):
    hub = pytest.importorskip("huggingface_hub")
    results = hub.ModelCard(card).data.eval_results
    assert {(one.metric_type, one.metric_value) for one in results} >= {("accuracy", 0.6)}


def test_no_place_of_this_machine_and_no_markup_of_a_name_is_in_the_card(card, tmp_path):
    assert "secret place" not in card and str(tmp_path) not in card
    assert "<script>" not in card and "&lt;script&gt;" in card
    assert all(line.count(" | ") <= 7 for line in card.splitlines() if line.startswith("| "))


def test_a_run_without_controls_says_that_nothing_shows_what_was_learned(tmp_path):
    run = write_made_run(tmp_path / "run")
    (run / "results" / "controls.json").unlink()
    card = model_card(read_runs([run])[0], "lab/rotation")
    assert "No controls were made" in card and "No licence was named" in card and front(card)["license"] == "unknown"


def test_the_card_says_of_how_many_sources_the_parts_are(tmp_path):
    run = write_made_run(tmp_path / "run")
    (run / "data.json").write_text('{"train": {"items": 24}, "test": {"items": 6}}')
    (run / "sources.json").write_text('{"found_by": "content", "items": 30, "sources": 1}')
    card = model_card(read_runs([run])[0], "lab/rotation")
    assert "| train | 24 |" in card and "They come from 1 source (found by content)." in card


def test_a_protocol_of_many_rows_names_the_file_of_the_others(tmp_path):
    from report.made_run import row, write_rows

    run = write_made_run(tmp_path / "run")
    write_rows(run / "results" / "linear.json", [row(f"trained/conv{k}", 0.5) for k in range(MOST_ROWS + 3)])
    assert "3 more rows are in `results/linear.json`" in model_card(read_runs([run])[0], "lab/rotation")


@pytest.mark.parametrize(
    ("value", "shared"),
    [
        ("/home/ann/my films", "my films"),
        ("~/films/", "films"),
        (r"C:\Users\ann\films", "films"),
        ("torchvision:CIFAR10:/home/ann/data", "torchvision:CIFAR10:data"),
        ("https://ann:key@host/set?token=1", "https://host/set"),
        ("fitted on /home/ann/films, half of it", "fitted on films, half of it"),
        ("image/audio, 3/4", "image/audio, 3/4"),
        ({"command": "avssl train x --data '/home/ann/my films' --out=../ann/run"},
         {"command": "avssl train x --data 'my films' --out=run"}),
        ({"/home/ann/a.mp4": ["/home/ann/b.mp4", 1, None, True]}, {"a.mp4": ["b.mp4", 1, None, True]}),
    ],
)  # fmt: skip
def test_a_path_is_shared_by_its_last_name_alone(value, shared):
    assert without_places(value) == shared


def test_a_name_with_signs_of_markdown_stays_one_cell(tmp_path):
    run = write_made_run(tmp_path / "run", note="a|b`c\n# d " + MARKUP)
    line = next(line for line in model_card(read_runs([run])[0], "lab/x").splitlines() if line.startswith("| note"))
    assert len(re.findall(r"(?<!\\)\|", line)) == 3 and r"a\|b\`c \# d" in line
