"""An audit names what data would let a network get away with, and nothing where there is nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from made_clips import hums_and_borders, unlike

import avssl
from avssl.cli.main import main


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """``own``: two clips of each source, known by border and hum; ``train`` and ``test`` one of each; ``unlike``."""
    folder = tmp_path_factory.mktemp("made")
    hums_and_borders(folder / "train", clips=(0,))
    hums_and_borders(folder / "test", clips=(1,))
    unlike(folder / "unlike", 40)
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


def test_clips_with_nothing_in_common_have_no_leak(made):
    found = avssl.audit(made / "unlike")
    assert not leaks(found)
    assert (found.items, found.sources, found.duplicates) == (40, 40, 0)


def test_copies_under_other_names_are_duplicates_and_leak_between_parts(made, tmp_path):
    train, test = tmp_path / "train", tmp_path / "test"
    shutil.copytree(made / "unlike", train)
    test.mkdir()
    for k in range(6):
        shutil.copy(train / f"clip{k:03d}.mp4", test / f"other{k}.mp4")
    shutil.copy(train / "clip039.mp4", train / "again.mp4")
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
