"""An audit names what data would let a network get away with, and nothing where there is nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import DESKTOP, PHONE, opened
from made_clips import hums_and_borders, unlike, write

import avssl
from avssl.cli.main import main


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """``own``: two clips of each source, known by border and hum; ``train`` and ``test`` one of each; ``unlike``."""
    folder = tmp_path_factory.mktemp("made")
    hums_and_borders(folder / "train", clips=(0,))
    hums_and_borders(folder / "test", clips=(1,))
    unlike(folder / "unlike", 24)
    return folder


def leaks(found) -> dict[str, float]:
    return {row.name: row.value for row in found.leaks if row.verdict == "leak"}


@pytest.fixture(scope="module")
def apart(made):
    return avssl.audit(made / "train", test=made / "test")


def test_sources_known_by_hum_and_border_are_named_where_the_second_clip_of_each_is_test_data(apart):
    named = [name for name in leaks(apart) if "hum" in name and "border" in name]
    assert named == ["border and hum name one training source"]
    assert leaks(apart)[named[0]] > 0.9
    assert apart.items == 20


def test_the_same_clips_in_one_folder_are_of_twenty_sources_known_by_border_and_hum(made, tmp_path):
    shutil.copytree(made / "train", tmp_path / "all")
    shutil.copytree(made / "test", tmp_path / "all", dirs_exist_ok=True)
    found = avssl.audit(tmp_path / "all")
    assert (found.items, found.sources) == (40, 20)
    assert not leaks(found)  # a training keeps them together
    parted = avssl.audit(tmp_path / "all", sources="none")
    assert {"same border", "same hum", "border and hum name one training source"} <= set(leaks(parted))
    result = "\n".join(found.lines())
    assert "by the same border" in result and "by the same hum" in result
    warned = [row.name for row in found.leaks if row.verdict == "warning"]
    assert "shared sources if split file by file" in warned


def test_train_and_test_folders_of_one_data_set_are_its_parts(made, tmp_path):
    for part in ("train", "test"):
        shutil.copytree(made / part, tmp_path / "parts" / part)
    found = avssl.audit(tmp_path / "parts")
    assert {"same border", "same hum", "border and hum name one training source"} <= set(leaks(found))
    assert "the splits named in the data" in found.division


def test_clips_with_nothing_in_common_have_no_leak(made):
    found = avssl.audit(made / "unlike")
    assert not leaks(found)
    assert (found.items, found.sources, found.duplicates) == (24, 24, 0)


def test_copies_under_other_names_are_duplicates_and_leak_between_parts(made, tmp_path):
    train, test = tmp_path / "train", tmp_path / "test"
    shutil.copytree(made / "unlike", train)
    test.mkdir()
    for k in range(6):
        shutil.copy(train / f"clip{k:03d}.mp4", test / f"other{k}.mp4")
    shutil.copy(train / "clip023.mp4", train / "again.mp4")
    found = avssl.audit(train, test=test)
    assert found.duplicates == 1
    assert leaks(found)["same bytes"] == 1.0


def test_the_same_audit_comes_out_again(made, apart):
    assert avssl.audit(made / "train", test=made / "test").leaks == apart.leaks


def test_the_command_writes_what_it_prints(made, tmp_path, capsys):
    words = ["audit", str(made / "train"), "--test", str(made / "test"), "--json", str(tmp_path / "a.json")]
    assert main([*words, "--html", str(tmp_path / "a.html")]) == 0
    screen = capsys.readouterr().out
    assert "border and hum name one training source" in screen
    assert max(len(line) for line in screen.splitlines() if str(tmp_path.parent) not in line) <= 80
    found = json.loads((tmp_path / "a.json").read_text())
    assert (found["items"], found["sources"], found["duplicates"]) == (20, 20, 0)
    assert set(found["leaks"][0]) >= {"name", "value", "low", "high", "chance", "verdict"}


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_page_opens_whole_on_a_desk_and_in_a_hand(apart, tmp_path, size):
    place = tmp_path / "audit.html"
    place.write_text(replace(apart, data="<script>alert(1)</script>").html(), encoding="utf-8")
    with opened(place, size) as page:
        assert page.faults == []
        assert page.overhang() == 0
        assert page.tab.title() == "Audit of <script>alert(1)</script>"
        assert page.tab.locator("td.mark", has_text="leak").count() == len(leaks(apart))


def test_options_of_the_task_are_options_of_the_command(made, tmp_path):
    place = tmp_path / "a.json"
    words = ["audit", str(made / "train"), "--task", "rotation", "--turn", "interpolated", "--fast"]
    assert main([*words, "--json", str(place)]) == 0
    found = {row["name"]: row["verdict"] for row in json.loads(place.read_text())["leaks"]}
    assert found["rotation: borders left by interpolation"] == "leak"


def test_a_task_that_there_is_not_is_reported_in_one_line(made, capsys):
    assert main(["audit", str(made / "unlike"), "--task", "rotatoin"]) == 2
    assert "did you mean 'rotation'?" in capsys.readouterr().err


def test_a_prepared_set_is_audited_as_its_files_are(made, tmp_path, apart):
    from avssl.media.prepared.write import prepare

    prepare(avssl.open(made / "train"), tmp_path / "prepared", side=None, rate=None, workers=0)
    found = avssl.audit(tmp_path / "prepared", test=made / "test")
    assert any(kind.startswith("prepared") for kind, _ in found.makes)
    assert {"same border", "same hum"} <= set(leaks(found))
    assert max(share for name, share in leaks(found).items() if "hum name one training source" in name) > 0.9


def test_a_folder_of_everything_is_audited_too(made, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    shutil.copytree(made / "unlike", tmp_path / "all")
    for k in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / "all" / f"picture{k}.png")
    write(tmp_path / "all" / "silent.mp4", [np.full((3, 64, 64), 9, np.uint8)] * 10, np.zeros(16_000))
    found = avssl.audit(tmp_path / "all")
    assert not leaks(found)
    assert any("25 of 28 items" in note for note in found.notes)
