"""``avssl.evaluate``: what the command does, of a run or of any encoder."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from probe_media import audio_encoder, vision_encoder, write_pictures, write_run, write_sounds
from torch import nn

import avssl
from avssl.cli.main import main
from avssl.errors import UserError
from avssl.evaluate.core.rows import read_rows
from avssl.experiment.protocols import PROTOCOLS, command_of, get
from avssl.options import build, options_of


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), each=8)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", "rotation", ("vision",))


def figures(rows) -> list[tuple[object, ...]]:
    return [(row.name, row.metric, row.value, row.low, row.high, row.note) for row in rows]


def test_it_gives_the_rows_of_the_command_and_writes_them_into_the_run(run: Path, pictures: Path, capfd):
    words = ["--run", str(run), "--data", str(pictures), "--stages", "conv2", "--neighbours", "3,5"]
    assert main(["evaluate", "knn", *words]) == 0
    ours = read_rows(run / "results" / "knn.json")
    (run / "results" / "knn.json").unlink()
    rows = avssl.evaluate("knn", run, pictures, stages=["conv2"], neighbours=(3, 5))
    assert figures(rows) == figures(ours) == figures(read_rows(run / "results" / "knn.json"))
    assert (run / "results" / "knn.png").is_file()
    assert figures(avssl.evaluate("knn", avssl.Run(run), pictures, stages="conv2", neighbours="3,5")) == figures(ours)
    assert rows.files == ["knn"] * len(rows), "a list of rows that also gives a frame"


def test_the_command_in_its_rows_gives_them_again(run: Path, pictures: Path, tmp_path: Path, capfd):
    rows = avssl.evaluate("low-shot", run, pictures, output=tmp_path / "out", shots=2, samples=2, stages="conv2")
    words = shlex.split(rows[0].command)
    assert words[:3] == ["avssl", "evaluate", "low-shot"] and "--cost" not in words
    assert main(words[1:]) == 0
    assert figures(read_rows(tmp_path / "out" / "low-shot.json")) == figures(rows)


def test_an_encoder_stands_beside_random_weights_and_nothing_is_written(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    rows = avssl.evaluate("knn", vision_encoder(), pictures, neighbours=3)
    assert {"trained/conv1", "random/conv1", "trained", "random", "pixels", "gain"} <= {row.name for row in rows}
    assert not list((tmp_path / "empty").iterdir())
    assert {row.command for row in rows} == {""}, "no command line names an object"
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1))
    out = tmp_path / "out"
    rows = avssl.evaluate("linear", avssl.encoder(net, side=32), pictures, output=out, iterations=5)
    assert {"trained", "random"} <= {row.name for row in rows}
    assert figures(read_rows(out / "linear.json")) == figures(rows)


def test_an_encoder_of_the_wrong_kind_or_none_at_all_is_refused_in_a_line(run: Path, pictures: Path):
    with pytest.raises(UserError, match=r"Conv2d is neither a run nor an encoder; avssl\.encoder\(module, side=224\)"):
        avssl.evaluate("knn", nn.Conv2d(3, 3, 3), pictures)
    with pytest.raises(UserError, match=r"retrieval takes no encoder: it needs both encoders of a run"):
        avssl.evaluate("retrieval", vision_encoder(), pictures)
    with pytest.raises(UserError, match="l3 takes sound, and the data are pictures"):
        avssl.evaluate("knn", audio_encoder(), pictures)
    sounds = write_sounds(run / "sounds")
    with pytest.raises(UserError, match="torchvision:resnet18 takes pictures, and the data are sound"):
        avssl.evaluate("linear", audio_encoder(), sounds, folds="fold", beside="torchvision:resnet18")
    with pytest.raises(UserError, match="belongs to no run; leave out one of the two"):
        avssl.evaluate("knn", run, pictures, encoder="timm:resnet18")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"neighbors": 3}, "did you mean 'neighbours'?"),
        ({"neighbours": 0}, "must be at least 1"),
        ({"pool": "median"}, "needs one of max, average"),
        ({"test": "a", "folds": "b"}, "give one of test and folds"),
    ],
)
def test_options_are_those_of_the_command_and_checked_alike(run: Path, pictures: Path, options, line):
    with pytest.raises(UserError) as refusal:
        avssl.evaluate("knn", run, pictures, **options)
    assert line in str(refusal.value) and "\n" not in str(refusal.value)


def test_what_two_folders_share_comes_without_a_run(pictures: Path, tmp_path: Path):
    other = write_pictures(tmp_path / "other", each=8)
    rows = {row.name: row for row in avssl.evaluate("leaks", train=str(pictures), test=str(other))}
    assert rows["copies"].value == 1.0 and rows["copies"].n == 24, "the same files, drawn by the same seed"


def test_the_package_of_protocols_is_the_function_too():
    code = "import avssl, avssl.evaluate.core.rows; assert callable(avssl.evaluate); print(avssl.evaluate.core.rows)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    with pytest.raises(UserError, match="no protocol is called 'liner'; did you mean 'linear'"):
        avssl.evaluate("liner")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_has_frozen_options_that_explain_themselves(name: str):
    kind = get(name)
    assert dataclasses.fields(kind) and all(option.help for option in options_of(kind))
    given = {option.name: "x" for option in options_of(kind) if option.required}
    made = build(kind, given)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.output = "x"
    assert command_of(name, made) == " ".join(["avssl", "evaluate", name, *given.values()])
