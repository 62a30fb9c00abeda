"""How collections, items, puzzles, runs and results look in a notebook; and that no file's name can act there."""

from __future__ import annotations

import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import write_clip

import avssl
from avssl.evaluate.core.rows import ResultRow
from avssl.experiment.results import Results

HOSTILE = "<script>alert(1)<img src=x onerror=alert(2)>&.mp4"
HARMLESS = {
    "div",
    "b",
    "i",
    "table",
    "tr",
    "th",
    "td",
    "img",
    "svg",
    "path",
    "rect",
    "line",
    "details",
    "summary",
    "span",
}


class Page(HTMLParser):
    """What a browser would find: its tags, the addresses of its pictures, its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.pictures: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.pictures += [str(value) for name, value in attrs if name == "src"]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def page(thing: Any) -> Page:
    """The thing as a notebook shows it; nothing in it is of another kind than our own."""
    text = str(thing._repr_html_())
    assert text.encode()  # a page is UTF-8, whatever the names of files are
    found = Page(text)
    assert set(found.tags) <= HARMLESS
    assert all(address.startswith("data:image/") for address in found.pictures)
    return found


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("media")
    write_clip(folder / HOSTILE, 1)
    write_clip(folder / "silent.mp4", 2, sound=False)
    (folder / "<b>bad.mp4").write_bytes(b"nothing")
    (folder / os.fsdecode(b"no-utf8-\xff.mp4")).write_bytes(b"nothing")
    return avssl.open(folder, progress=False)


def test_a_collection_gives_items_by_number_slice_and_iteration(media: Any) -> None:
    assert len(media) == len(list(media)) == 2
    first = media[0]
    assert first.facts == media.facts(0) and media[-1].facts == media.facts(1)
    assert np.array_equal(first.frames([0.5]), media.frames(0, [0.5]))
    assert first.frames().shape == (1, 3, 48, 48)
    facts = first.facts
    assert len(first.audio()) == round((facts.audio_end_seconds - facts.audio_start_seconds) * 8000)
    assert np.array_equal(first.audio(0.5, 0.25, 4000), media.audio(0, 0.5, 0.25, 4000))
    assert [item.facts.path for item in media[1:]] == [media.facts(1).path]
    with pytest.raises(IndexError):
        media[2]


def test_a_collection_is_a_table_with_pictures_and_names_what_is_unusable(media: Any) -> None:
    found = page(media)
    assert found.text.startswith("2 items (2 videos); 2 files not usable")
    assert HOSTILE in found.text and "<b>bad.mp4" in found.text
    assert len(found.pictures) == 2


def test_an_item_shows_frames_its_waveform_and_its_facts(media: Any) -> None:
    hostile, silent = page(media[0]), page(media[1])
    assert hostile.text.startswith(HOSTILE)
    assert len(hostile.pictures) == 3 and "svg" in hostile.tags
    assert "48 × 48 pixels" in hostile.text and "8000 Hz" in hostile.text
    assert "svg" not in silent.tags and "none" in silent.text


def test_an_item_whose_file_is_gone_says_so(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4")
    item = avssl.open(tmp_path, progress=False)[0]
    (tmp_path / "a.mp4").unlink()
    assert "a.mp4" in page(item).text


def test_puzzles_are_shown_as_cards(media: Any) -> None:
    data = avssl.PuzzleDataset(avssl.task("rotation", side=32), media)
    found = page(data)
    assert found.text.startswith("2 puzzles of rotation, seed 0, epoch 0")
    assert len(found.pictures) == 1
    assert data.card(0).height <= data.sheet().height


def test_results_are_a_table_with_bars_of_what_are_shares() -> None:
    row = ResultRow("trained", "accuracy", 0.75, 0.5, 0.9, 8, 0.5, "test", 0, note="<b>")
    found = page(Results([row, ResultRow("trained", "loss", 1.25, 1.0, 1.5, 8, None, "test", 0)]))
    assert found.tags.count("rect") == 1
    for text in ("trained", "75.0 %", "50.0 % – 90.0 %", "1.25", "<b>"):
        assert text in found.text


def test_of_many_results_the_first_are_seen_and_the_others_folded_below() -> None:
    rows = [ResultRow("trained", "accuracy", 0.9, 0.8, 0.95, 64, 0.5, "test", 0) for _ in range(23)]
    few, many = page(Results(rows[:20])), page(Results(rows))
    assert "details" not in few.tags
    assert many.text.count("trained") == 23 and "3 more rows" in many.text


def test_results_are_shown_once_and_as_wide_as_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython asks for the text of all that it shows: in it rich must not show the table a second time."""
    from avssl.report import tables

    shown: list[object] = []
    monkeypatch.setattr(tables, "in_notebook", lambda: True)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda *made: shown.append(made))
    rows = Results([ResultRow("trained", "accuracy", 0.9, 0.8, 0.95, 64, 0.5, "test", 0, note="word " * 60)])
    lines = repr(rows).splitlines()
    assert shown == [] and 90 < max(map(len, lines)) <= 100 and "trained" in repr(rows)


def test_an_audit_is_shown_as_on_a_screen(media: Any) -> None:
    found = avssl.audit(media, fast=True)
    assert repr(found) == "\n".join(found.lines()) and "Finding(" not in repr(found)


def test_a_run_shows_its_curves_and_rows(clips: Path, tmp_path: Path) -> None:
    small = {"width": 4, "side": 32, "blocks": 2, "batch_size": 4, "workers": 0, "prepare": False, "steps": 1}
    run = avssl.train("rotation", clips, tmp_path / "run", control_puzzles=4, control_steps=0, **small)
    found = page(run)
    assert found.text.startswith(f"rotation in {run.path}, 1 step")
    assert len(found.pictures) == 1 and "untrained" in found.text
