"""Nearest neighbours from the command line: pictures, sounds, patches, and a small world."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from probe_media import write_pictures, write_run, write_sounds


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "mine", "multi-task", ("vision", "audio"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), each=8)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    from avssl.world.build import generate

    folder = tmp_path_factory.mktemp("world")
    generate(folder, train=0, validation=0, test=12, preset="single", size=32, frames=16, workers=1)
    return folder


def _rows(place: Path) -> dict[tuple[str, str], dict]:
    return {(row["name"], row["metric"]): row for row in json.loads(place.read_text())}


def test_pictures_with_labels_beside_random_weights_and_another_run(avssl, run, pictures, tmp_path):
    other = write_run(tmp_path / "other")
    words = ("--beside", f"{other},{other}", "--stage", "conv1", "--k", 3, "--queries", 4)
    result = avssl("evaluate", "neighbors", "--run", run, "--data", pictures, "-o", tmp_path, *words)
    assert (result.status, result.err) == (0, "")
    rows = _rows(tmp_path / "neighbors.json")
    assert [name for name, _ in rows] == ["trained", "random", "other", "other-2", "gain"]
    row = rows["trained", "precision@3"]
    assert row["chance"] == pytest.approx(7 / 23)
    assert (row["n"], row["note"]) == (24, "stage conv1")
    assert rows["other", "precision@3"]["value"] == rows["other-2", "precision@3"]["value"]
    assert Image.open(tmp_path / "neighbors.png").width > 600
    assert not (tmp_path / "neighbors-shared.png").exists()
    assert (run / "results" / "neighbors.json").is_file()


def test_supervised_weights_stand_beside_where_they_are_given(avssl, run, tmp_path):
    import torch
    from torchvision import models

    torch.save(models.resnet18().state_dict(), tmp_path / "resnet18.pth")
    few = write_pictures(tmp_path / "few", each=2)
    words = ("--supervised", tmp_path / "resnet18.pth", "--neighbours", 2, "--queries", 2)
    result = avssl("evaluate", "neighbors", "--run", run, "--data", few, "-o", tmp_path, *words)
    assert (result.status, result.err) == (0, "")
    rows = _rows(tmp_path / "neighbors.json")
    assert rows["supervised", "precision@2"]["note"] == "stage layer4"
    assert rows["trained", "precision@2"]["note"] == "stage conv2"


def test_patches_and_sounds_have_files_of_their_own(avssl, run, pictures, tmp_path):
    sounds = write_sounds(tmp_path / "sounds", each=4)
    for data, what in ((pictures, "patches"), (sounds, "sounds")):
        asked = ("--what", what) if what == "patches" else ()
        result = avssl(
            "evaluate", "neighbors", "--run", run, "--data", data, "-o", tmp_path / "out", "--each", 1, *asked
        )
        assert (result.status, result.err) == (0, "")
        assert ("trained", "precision@5") in _rows(tmp_path / "out" / f"neighbors-{what}.json")
        assert Image.open(tmp_path / "out" / f"neighbors-{what}.png").width > 600


def test_in_the_world_neighbours_are_asked_what_they_share(avssl, run, world, tmp_path):
    base = ("evaluate", "neighbors", "--run", run, "--data", world, "-o", tmp_path, "--queries", 2)
    assert avssl(*base).status == 0
    rows = _rows(tmp_path / "neighbors.json")
    for attribute in ("kind", "place", "size", "pose", "colour", "background", "motion", "velocity"):
        for name in ("trained", "random"):
            row = rows[f"{name}/{attribute}", "shared"]
            assert row["chance"] == 0
            assert row["low"] <= row["value"] <= row["high"] <= 1
        assert (f"gain/{attribute}", "shared-difference") in rows
    assert "stage conv2" in rows["trained/kind", "shared"]["note"]
    assert Image.open(tmp_path / "neighbors-shared.png").width > 600
    assert avssl(*base, "--what", "sounds", "--places").status == 0
    assert ("random/pitch", "shared") in _rows(tmp_path / "neighbors-sounds.json")
    assert avssl(*base, "--what", "patches").status == 0
    assert _rows(tmp_path / "neighbors-patches.json") == {}  # nothing is known of patches


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "needs --run RUN"),
        (("--run", "{run}"), "needs --data D"),
        (("--run", "{run}", "--data", "{data}", "--what", "smells"), "--what needs one of frames, patches, sounds"),
        (("--run", "{run}", "--data", "{data}", "--stage", "conv9"), "it has: conv1, conv2"),
        (("--run", "{run}", "--data", "{data}", "--neighbours", "30"), "ask for fewer with --k"),
        (("--run", "{run}", "--data", "{data}", "--what", "sounds"), "has sound"),
        (("--run", "{run}", "--data", "{data}", "--encoder", "audio"), "takes no pictures"),
        (("--run", "{run}", "--data", "{data}", "--patch", "2"), "--patch (2) must be more than 0"),
        (("--run", "{run}", "--data", "{data}", "--supervised", "no.pth"), "no.pth: no such file"),
    ],
)
def test_what_is_wrong_is_reported_in_one_line(avssl, run, pictures, words, line):
    result = avssl("evaluate", "neighbors", *(word.format(run=run, data=pictures) for word in words))
    assert result.status == 2
    assert line in result.err
    assert result.err.count("\n") == 1
    assert result.err.startswith("avssl: ")


def test_help_says_what_neighbours_are_for(avssl):
    result = avssl("evaluate", "neighbors", "--help")
    assert result.status == 0
    assert "never from the query's own source" in result.out
