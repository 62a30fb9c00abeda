"""Commands on a prepared set that lies elsewhere: as on this disk, to the bit, and each shard once an epoch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from media.remote_servers import Server, s3_environment, s3_store, serving
from PIL import Image
from safetensors.torch import load_file
from small_runs import write_clip

import avssl
from avssl.cli.main import main
from avssl.errors import UserError
from avssl.media.prepared.read import Prepared
from avssl.media.prepared.write import prepare
from avssl.samplers.order import ByShards
from avssl.trainer.loader import Source, Steps, batches
from avssl.trainer.plan import Turns

pytestmark = pytest.mark.slow

pytest.importorskip("aiohttp")

TINY = {
    **{"width": 4, "side": 32, "bands": 16, "batch_size": 4, "workers": 0, "validation_puzzles": 4, "rate": 8000},
    **{"controls": False, "checkpoint_every": 2, "steps": 8, "sources": "names"},
}
SHARDS, IN_SHARD = 8, 2


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Sixteen clips, two in a shard."""
    folder = tmp_path_factory.mktemp("set")
    for number in range(SHARDS * IN_SHARD):
        write_clip(folder / "raw" / f"clip{chr(97 + number)}.mp4", number, seconds=1.2)
    raw = avssl.open(folder / "raw", progress=False, workers=0)
    return prepare(raw, folder / "served" / "set", side=32, rate=8000, shard_size=IN_SHARD, workers=0, progress=False)


@pytest.fixture
def server(here: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AVSSL_CACHE_GB", raising=False)
    with serving(Server(here.folder.parent)) as server:
        yield server


def weights(run: Path) -> dict[str, torch.Tensor]:
    return {
        f"{path.stem}/{name}": tensor
        for path in sorted((run / "encoders").glob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }


def same_weights(one: Path, other: Path) -> bool:
    left, right = weights(one), weights(other)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture(scope="module")
def trained(here: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the set on this disk, by shards."""
    out = tmp_path_factory.mktemp("here") / "run"
    avssl.train("av-correspondence", here.folder, out, order="shards", shard_window=2, **TINY)
    return out


@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_from_afar_goes_by_shards_and_equals_the_one_on_this_disk(
    trained: Path, server: Server, tmp_path: Path, workers: int
) -> None:
    url, out = f"{server.url}/set", tmp_path / "run"
    run = avssl.train("av-correspondence", url, out, shard_window=2, **{**TINY, "workers": workers})
    assert run.config["data"] == url
    assert same_weights(trained, out)
    assert max(count for name, count in server.asked.items() if name.endswith(".tar")) == 1


def test_a_training_from_s3_with_forked_workers_equals_the_one_on_this_disk(
    trained: Path, here: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path / "cache"))
    with s3_store(here.folder, "training", "set") as store, serving(Server(upstream=store)) as proxy:
        for name, value in s3_environment(proxy.url).items():
            monkeypatch.setenv(name, value)
        proxy.faults = [("busy", "shard-000003"), ("cut", "shard-000004"), ("wrong", "shard-000005")]
        options = {**TINY, "workers": 2, "shard_window": 2}
        avssl.train("av-correspondence", "s3://training/set", tmp_path / "run", **options)
        assert proxy.faults == []
    assert same_weights(trained, tmp_path / "run")


def test_by_items_it_is_another_training(trained: Path, here: Prepared, tmp_path: Path) -> None:
    avssl.train("av-correspondence", here.folder, tmp_path / "run", **TINY)
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["order"] == "auto"
    assert not same_weights(trained, tmp_path / "run")


def test_a_run_goes_on_with_the_order_that_it_began_with(trained: Path, here: Prepared) -> None:
    with pytest.raises(UserError, match="order"):
        avssl.train("av-correspondence", here.folder, trained, order="items", shard_window=2, **TINY)


@pytest.mark.slow
def test_killed_and_continued_it_equals_the_undisturbed_run(
    trained: Path, here: Prepared, server: Server, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    options = {**TINY, "shard-window": 2, "workers": 2}
    options.pop("controls")
    command = [sys.executable, "-m", "avssl", "train", "av-correspondence", "--data", f"{server.url}/set"]
    command += ["--out", str(out), "--no-controls"]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    # A slow line, so that the second window is still being fetched when the first checkpoint is there.
    server.bytes_a_second = sum(size for _, size, _ in here.shards) / 3
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    while not list(out.glob("checkpoints/step-*.pt")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "encoders").exists()
    server.bytes_a_second = None
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "continuing after step" in again.stdout + again.stderr
    assert same_weights(trained, out)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Ninety-six pictures, three in a shard."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "raw").mkdir()
    for number in range(96):
        Image.new("RGB", (32, 32), (2 * number, 0, 0)).save(folder / "raw" / f"{number:02d}.png")
    raw = avssl.open(folder / "raw", progress=False, workers=0)
    return prepare(raw, folder / "served" / "set", side=None, shard_size=3, workers=0, progress=False)


@pytest.mark.parametrize("workers", [0, 1])
def test_each_shard_is_fetched_once_an_epoch_a_node_even_where_the_cache_holds_three_windows_only(
    pictures: Prepared, server: Server, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    server.folder = pictures.folder.parent
    window, epochs, shards = 4, 3, len(pictures.shards)
    largest = max(size for _, size, _ in pictures.shards)
    monkeypatch.setenv("AVSSL_CACHE_GB", str(3 * window * (largest + 1) / 1e9))
    task = avssl.task("rotation", side=32)
    media = ByShards(avssl.open(f"{server.url}/set"), window)
    source = Source(task, media, len(media))
    ranks = [
        batches(Steps([source], Turns([1]), 0, 2, rank=rank, size=2), 0, epochs * 48, workers=workers, pin=False)
        for rank in range(2)  # two processes of one node share its cache
    ]
    for _ in zip(*ranks, strict=True):
        pass
    asked = [count for name, count in server.asked.items() if name.endswith(".tar")]
    assert len(asked) == shards
    # Of the epoch after the last the first window is asked for already.
    assert epochs * (shards - 3 * window) <= sum(asked) <= epochs * shards + window
    assert max(asked) <= epochs + 1


def test_the_processes_of_a_training_share_the_batches_of_one(pictures: Prepared) -> None:
    task = avssl.task("rotation", side=32)
    source = Source(task, ByShards(pictures, 3), 96)
    one = Steps([source], Turns([1]), 0, 8)
    ranks = [Steps([source], Turns([1]), 0, 8, rank=rank, size=2) for rank in range(2)]
    for step in (0, 5, 11, 12):
        whole = one[step].pieces[0].batch
        halves = [rank[step].pieces[0].batch for rank in ranks]
        for name in ("frames", "label"):
            assert torch.equal(whole[name], torch.cat([half[name] for half in halves]))


def test_a_data_set_of_puzzles_takes_the_order_of_the_trainer(pictures: Prepared, server: Server) -> None:
    server.folder = pictures.folder.parent
    task = avssl.task("rotation", side=32)
    afar = avssl.PuzzleDataset(task, f"{server.url}/set", shard_window=2)
    here = avssl.PuzzleDataset(task, pictures.folder, order="shards", shard_window=2)
    by_items = avssl.PuzzleDataset(task, pictures.folder)
    assert (
        [afar[i].name for i in range(96)] == [here[i].name for i in range(96)] != [by_items[i].name for i in range(96)]
    )
    with pytest.raises(UserError, match="shard_window"):
        avssl.PuzzleDataset(task, pictures.folder, order="shards", shard_window=0)


def test_a_cache_that_does_not_hold_three_windows_is_one_line(
    here: Prepared, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVSSL_CACHE_GB", str(5 * max(size for _, size, _ in here.shards) / 1e9))
    with pytest.raises(UserError, match="smaller --shard-window, or raise AVSSL_CACHE_GB"):
        ByShards(avssl.open(f"{server.url}/set"), 2)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_ends_a_training_from_afar_is_one_line_and_the_same_command_goes_on(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    command = ["train", "rotation", "--data", f"{server.url}/set", "--out", str(tmp_path / "run"), "--no-controls"]
    command += ["--steps", "6", "--batch-size", "2", "--side", "32", "--workers", str(workers), "--sources", "names"]
    command += ["--shard-window", "1", "--checkpoint-every", "1", "--validation-puzzles", "4", "--on-bad-file", "skip"]
    server.always = [("forbidden", f"shard-{number:06d}") for number in range(0, SHARDS, 2)]
    assert main(command) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("avssl:")]
    assert len(lines) == 1
    assert "may not be read" in lines[0]
    server.always = []
    assert main(command) == 0


@pytest.mark.slow
def test_every_command_that_reads_a_prepared_set_takes_its_url(
    trained: Path, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, run = f"{server.url}/set", str(trained)
    commands = [
        ["index", url],
        ["index", url, "--quick"],
        ["show", "av-correspondence", "--data", url, "-o", str(tmp_path / "sheet.png")],
        ["embed", url, "--run", run, "-o", str(tmp_path / "rows.npz")],
        ["evaluate", "av-correspondence", "--run", run, "--data", url, "--puzzles", "8"],
        ["evaluate", "retrieval", "--run", run, "--data", url, "-o", str(tmp_path / "retrieval")],
        ["evaluate", "neighbors", "--run", run, "--data", url, "-o", str(tmp_path / "neighbors")],
        ["audit", url, "--task", "rotation", "--side", "32", "--fast", "--json", str(tmp_path / "audit.json")],
    ]
    for command in commands:
        assert main(command) == 0, (command, capsys.readouterr())
    assert "checksums of 8 shards and the index are correct" in capsys.readouterr().out.replace("\n", " ")
