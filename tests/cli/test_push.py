"""A run that was pushed to a hub is the run that is loaded from it; what goes wrong on the way is one line."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from media.remote_servers import ModelHub, serving
from safetensors.torch import load
from small_runs import TINY

import avssl as library
from avssl.errors import UserError

pytestmark = pytest.mark.slow

NAME = "lab/sounding-objects"
FILES = {
    "README.md", "config.yaml", "sheet.png", "curves.png", "results/controls.json", "tasks/av-correspondence.json",
    "localization.json", "heads/av-correspondence.safetensors",
    *(f"encoders/{part}.{suffix}" for part in ("vision", "audio", "fusion") for suffix in ("json", "safetensors")),
}  # fmt: skip


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModelHub]:
    """A hub on loopback, a cache of its own, and somebody who is logged in."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    with serving(ModelHub()) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server  # type: ignore[misc]


@pytest.fixture
def pushed(avssl, hub: ModelHub, finished: Path) -> str:
    assert avssl("push", finished, NAME, "--license", "mit").status == 0
    return f"hf://{NAME}"


def test_exactly_the_files_of_the_run_that_others_need_are_pushed(pushed, hub, finished, clips):
    (files,) = hub.commits[NAME]
    assert {name for name in files if not name.startswith("results/")} == {
        name for name in FILES if not name.startswith("results/")
    }
    assert all(name.endswith(".json") for name in files if name.startswith("results/"))
    assert hub.private == {NAME: False}
    places = [str(clips.parent).encode(), str(finished.parent).encode(), str(Path.home()).encode() + b"/"]
    assert not [(name, place) for name, data in files.items() for place in places if place in data]
    assert yaml.safe_load(files["config.yaml"])["data"] == clips.name
    assert files["README.md"] == (finished / "README.md").read_bytes()


def test_what_is_loaded_from_a_hub_gives_the_features_of_the_run(pushed, hub, finished):
    frames = torch.randint(0, 255, (2, 3, 40, 40), dtype=torch.uint8)
    here = library.load(finished)
    assert torch.equal(library.load(pushed).image(frames), here.image(frames))
    assert torch.equal(library.load(f"{pushed}@{0:040x}").image(frames), here.image(frames))
    assert hub.asked["vision.safetensors"] == 2  # asked about and fetched, once; then it is in the cache
    assert library.encoder(pushed).side == here.vision.side


def test_the_network_of_a_task_and_not_only_its_encoders_comes_back_to_the_bit(avssl, hub, clips, tmp_path):
    from avssl.evaluate.data.load_run import open_run
    from avssl.system.hub import fetched_run

    run = tmp_path / "run"
    tiny = [word for word in TINY if word not in ("--bands", "16")]  # pictures have none
    assert avssl("train", "rotation", "--data", clips, "--out", run, *tiny, "--steps", 1, "--no-controls").status == 0
    assert avssl("push", run, NAME).status == 0
    here, there = open_run(run), open_run(fetched_run(f"hf://{NAME}"))
    assert (there.steps, there.finished) == (1, True)
    fetched = there.network.state_dict()
    assert all(torch.equal(one, fetched[name]) for name, one in here.network.state_dict().items())
    heads = load(hub.commits[NAME][0]["heads/rotation.safetensors"])
    assert heads and not [name for name in heads if name.startswith("vision")], "encoders are not pushed twice"


def test_every_command_that_takes_a_run_takes_one_on_a_hub(avssl, pushed, hub, finished, clips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cached = tmp_path / "hub"
    for words in (
        ("evaluate", "retrieval", "--data", clips, "-o", "figures", "--draws", "10"),
        ("show", "av-correspondence", "--data", clips, "--count", "4", "-o", "sheet.png"),
        ("localize", clips / "00.mp4", "--per-second", "1", "-o", "heat.mp4"),
        ("evaluate", "av-correspondence", "--data", clips, "-o", "figures", "--puzzles", "8"),
        ("embed", clips / "00.mp4", "-o", "vectors.npz"),
        ("search", clips / "00.mp4", "--in", clips, "--kind", "both"),
    ):
        result = avssl(*words, "--run", pushed)
        assert result.status == 0, (words, result.err)
    assert avssl("compare", finished, pushed).status == 0
    assert avssl("report", pushed).status == 0 and avssl("export", pushed, "-o", "weights.onnx").status == 0
    page = Path("report.html").read_text()
    assert "<title>sounding-objects" in page and f"{0:040x}" not in page, "not as the cache calls it"
    assert all(Path(name).is_file() for name in ("figures/retrieval.json", "sheet.png", "heat.mp4", "vectors.npz"))
    rows = json.loads(Path("figures/retrieval.json").read_text())
    assert all(f"--run {pushed}" in row["command"] for row in rows)
    there = {path.name for path in cached.rglob("*") if path.is_file() and path.parent.name == "results"}
    assert there == {name.removeprefix("results/") for name in hub.commits[NAME][0] if name.startswith("results/")}


def test_a_run_on_a_hub_is_explored_with_heat_and_puzzles_of_the_collection(pushed, clips, monkeypatch, tmp_path):
    pytest.importorskip("starlette")
    from avssl.explore.options import ExploreOptions
    from avssl.explore.server import open_library

    monkeypatch.chdir(tmp_path)  # where its data's name means nothing
    with contextlib.closing(open_library(ExploreOptions(run=pushed, data=str(clips)))) as explored:
        assert explored.about()["localizes"] and explored.about()["run"] == NAME
        assert explored.heat(0, 0.0)["times"]
        puzzles = explored.puzzles("av-correspondence")
        assert len(puzzles.rounds(0, count=4)) == 4 and not puzzles.held_out
    assert b"<title>" in explored.report().encode()


def test_the_threshold_that_was_fitted_and_what_tasks_know_of_their_data_go_with_a_run(avssl, hub, finished, tmp_path):
    from avssl.evaluate.localization.threshold import read_threshold, write_threshold
    from avssl.system.hub import fetched_run

    run = tmp_path / "run"
    shutil.copytree(finished, run)
    write_threshold(run, 0.25, "clips of a stranger")
    assert avssl("push", run, NAME).status == 0
    fetched = Path(fetched_run(f"hf://{NAME}"))
    assert read_threshold(fetched) == 0.25
    assert (fetched / "tasks/av-correspondence.json").is_file()


def test_a_second_push_changes_the_repository_and_leaves_its_first_version(avssl, pushed, hub, finished):
    assert avssl("push", finished, NAME, "--license", "cc-by-4.0", "--message", "licence").status == 0
    first, second = hub.commits[NAME]
    assert b"license: mit" in first["README.md"] and b"license: cc-by-4.0" in second["README.md"]


def test_a_dry_run_lists_the_files_and_pushes_nothing(avssl, hub, finished):
    done = avssl("push", finished, NAME, "--dry-run", "--no-pictures")
    assert done.status == 0 and "nothing was pushed" in done.out + done.err
    assert not hub.commits and not hub.asked
    assert "sheet.png" not in done.out + done.err and "sheet.png" not in (finished / "README.md").read_text()


def test_a_private_repository_is_made_with_the_token_of_a_file(avssl, hub, finished, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "token").write_text("hf_good\n")
    assert avssl("push", finished, NAME, "--private", "--token-file", tmp_path / "token").status == 0
    assert hub.private == {NAME: True}


def refused(done) -> str:
    assert done.status == 2 and done.err.count("\n") == 1, done.err
    return done.err


def test_whatever_keeps_a_run_from_being_pushed_is_one_line(avssl, hub, finished, tmp_path, monkeypatch):
    assert "is no name on a hub" in refused(avssl("push", finished, "no-owner"))
    assert "is no name on a hub" in refused(avssl("push", finished, "../../etc/x"))
    assert "no folder" in refused(avssl("push", tmp_path / "none", NAME))
    assert "cannot be read" in refused(avssl("push", finished, NAME, "--token-file", tmp_path / "none"))
    hub.always = [("forbidden", "create")]
    assert "does not accept the token" in refused(avssl("push", finished, "another/name"))
    hub.always = [("busy", "create")]
    assert "answers 503" in refused(avssl("push", finished, NAME))
    hub.always = []
    monkeypatch.setenv("HF_TOKEN", "hf_bad")
    line = refused(avssl("push", finished, NAME))
    assert "token" in line and "hf_bad" not in line
    monkeypatch.delenv("HF_TOKEN")
    assert "a token is needed" in refused(avssl("push", finished, NAME))
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        assert "cannot be reached" in refused(avssl("push", finished, NAME))


def test_a_repository_that_is_not_there_or_foreign_or_damaged_is_one_line(pushed, hub, monkeypatch):
    with pytest.raises(UserError, match="has no such repository"):
        library.load("hf://lab/none")
    with pytest.raises(UserError, match="no such revision"):
        library.load(f"{pushed}@none")
    with pytest.raises(UserError, match="is no name on a hub"):
        library.load("hf://lab")
    hub.commits["lab/foreign"], hub.private["lab/foreign"] = [{"pytorch_model.bin": b"pickle"}], False
    with pytest.raises(UserError, match="holds no run of avssl"):
        library.load("hf://lab/foreign")
    assert not hub.asked["pytorch_model.bin"]
    files = dict(hub.commits[NAME][0])
    files["encoders/vision.safetensors"] = files["encoders/vision.safetensors"][:-1] + b"!"
    hub.commits["lab/damaged"], hub.private["lab/damaged"] = [files], False
    with pytest.raises(UserError, match="is damaged") as caught:
        library.load("hf://lab/damaged")
    assert "\n" not in str(caught.value)


def test_a_damaged_run_is_not_pushed(avssl, hub, finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "encoders" / "audio.safetensors").write_bytes(b"half")
    assert "is damaged" in refused(avssl("push", run, NAME)) and not hub.commits


def test_commands_that_need_encoders_alone_take_a_run_on_a_hub(avssl, pushed, hub, clips, tmp_path):
    assert avssl("embed", clips, "--run", pushed, "--index", tmp_path / "index").status == 0
    assert avssl("search", clips / "00.mp4", "--in", tmp_path / "index", "--run", pushed).status == 0
    line = refused(avssl("evaluate", "linear", "--run", "hf://lab/none", "--data", clips))
    assert "has no such repository" in line
    assert "has no such repository" in refused(avssl("export", "hf://lab/none", "-o", tmp_path / "vision.pt2"))
    assert "has no such repository" in refused(
        avssl("localize", clips / "00.mp4", "--run", "hf://lab/none", "-o", tmp_path / "heat.mp4")
    )
