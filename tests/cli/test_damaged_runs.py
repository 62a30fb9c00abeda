"""A run folder that disks, copies or people have damaged: the right answer or one line, in every command."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mutate import mutate
from small_runs import TINY, Result

import avssl as package
from avssl.errors import UserError
from avssl.trainer.recorder import Recorder
from avssl.trainer.signals import Stopped

STEPS = ("--steps", "2", *TINY)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)


def _newest(run: Path) -> Path:
    return sorted(run.glob("checkpoints/step-*.pt"))[-1]


def _lacking(run: Path) -> None:
    state = torch.load(_newest(run), weights_only=True)
    del state["networks"]
    torch.save(state, _newest(run))


def _swap_checkpoints(run: Path) -> None:
    older, newer = sorted(run.glob("checkpoints/step-*.pt"))[-2:]
    one, two = older.read_bytes(), newer.read_bytes()
    older.write_bytes(two)
    newer.write_bytes(one)


IN_A_READER: dict[str, tuple[Callable[[Path], object], str]] = {
    "a state that is null": (lambda run: (run / "tasks" / "av-correspondence.json").write_text("null"), "evaluate"),
    "a state of other numbers": (
        lambda run: (run / "tasks" / "av-correspondence.json").write_text('{"mean": 0.0, "std": 1.0}'),
        "evaluate",
    ),
    "no state": (lambda run: (run / "tasks" / "av-correspondence.json").unlink(), "evaluate"),
    "a checkpoint of something else": (lambda run: torch.save([1, 2], _newest(run)), "evaluate"),
    "no last checkpoint": (lambda run: _newest(run).unlink(), "evaluate"),
    "a checkpoint without networks": (_lacking, "evaluate"),
    "a bit of a checkpoint": (lambda run: _flip(_newest(run), 20_000), "evaluate"),
    "checkpoints that changed places": (_swap_checkpoints, "evaluate"),
    "an empty config": (lambda run: (run / "config.yaml").write_text(""), "evaluate"),
    "a config of one number more": (
        lambda run: (run / "config.yaml").write_text(
            (run / "config.yaml").read_text().replace("seconds: 1.0", "seconds: 1.5")
        ),
        "evaluate",
    ),
    "no vision.json": (lambda run: (run / "encoders" / "vision.json").unlink(), "embed"),
    "no vision at all": (lambda run: [path.unlink() for path in run.glob("encoders/vision.*")], "embed"),
    "cut weights": (
        lambda run: (run / "encoders" / "vision.safetensors").write_bytes(
            (run / "encoders" / "vision.safetensors").read_bytes()[:3000]
        ),
        "embed",
    ),
    "a bit of the weights": (lambda run: _flip(run / "encoders" / "audio.safetensors", 9000), "embed"),
    "a description that is null": (lambda run: (run / "encoders" / "audio.json").write_text("null"), "embed"),
    "a description of another rate": (
        lambda run: (run / "encoders" / "audio.json").write_text(
            (run / "encoders" / "audio.json").read_text().replace('"rate": ', '"rate": 1')
        ),
        "embed",
    ),
}


@pytest.mark.parametrize("what", IN_A_READER)
def test_a_damaged_run_is_one_line_where_it_is_read(
    avssl: Callable[..., Result], run: Path, clips: Path, tmp_path: Path, what: str
) -> None:
    damage, command = IN_A_READER[what]
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    damage(run)
    assert before != {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}, "nothing was damaged"
    if command == "evaluate":
        result = avssl("evaluate", "av-correspondence", "--run", run, "--data", clips, "--puzzles", "8")
    else:
        result = avssl("embed", clips / "00.mp4", "--run", run, "-o", tmp_path / "out.npz")
        with pytest.raises(UserError, match=r"^[^\n]+$"):
            package.load(run)
    assert result.status == 2
    assert result.err.startswith("avssl: ")
    assert result.err.count("\n") == 1


def test_a_run_goes_on_in_spite_of_damaged_notes(avssl: Callable[..., Result], run: Path, clips: Path) -> None:
    """What a run writes for people is passed over where it is damaged; what it needs comes from its checkpoint."""
    lines = (run / "metrics.jsonl").read_bytes()
    (run / "metrics.jsonl").write_bytes(b'null\n[1, 2]\n{"step": "x"}\n' + lines + b'{"step": 2, "los\xff')
    (run / "environment.json").write_text("{")
    (run / "results" / "controls.json").write_text("null")
    (run / "tasks" / "av-correspondence.json").write_text("null")
    result = avssl("train", "av-correspondence", "--data", clips, "--out", run, *STEPS)
    assert result.status == 0, result.err
    assert (run / "metrics.jsonl").read_bytes() == lines
    assert json.loads((run / "tasks" / "av-correspondence.json").read_text())
    assert json.loads((run / "environment.json").read_text())["versions"]


@pytest.mark.parametrize("name", ["sheet.png", "curves.png"])
def test_a_folder_where_a_picture_is_to_be_is_named(
    avssl: Callable[..., Result], run: Path, clips: Path, name: str
) -> None:
    (run / name).unlink()
    (run / name).mkdir()
    result = avssl("train", "av-correspondence", "--data", clips, "--out", run, *STEPS)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert f"{run / name}: a folder of this name is in the way" in result.err


def test_a_training_goes_on_from_the_checkpoint_before_a_damaged_one(
    avssl: Callable[..., Result], run: Path, finished: Path, clips: Path
) -> None:
    torch.save([1, 2], _newest(run))
    assert avssl("train", "av-correspondence", "--data", clips, "--out", run, *STEPS).status == 0
    for there, here in zip(_weights(finished), _weights(run), strict=True):
        assert torch.equal(there, here)


def test_a_run_that_was_stopped_is_evaluated_as_far_as_it_went(
    avssl: Callable[..., Result], run: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(run)
    monkeypatch.setattr(Recorder, "after_step", _interrupted(Recorder.after_step))
    options = {"steps": 9, "side": 32, "width": 4, "batch_size": 4, "workers": 0, "prepare": False, "controls": False}
    with pytest.raises(Stopped):
        package.train("rotation", clips, run, **options)
    assert avssl("evaluate", "rotation", "--run", run, "--data", clips, "--puzzles", "8").status == 0


def _interrupted(after_step: Callable[..., None]) -> Callable[..., None]:
    signals = iter([signal.SIGINT])  # a second one ends the process at once

    def interrupt(*args: object) -> None:
        for number in signals:
            os.kill(os.getpid(), number)
        after_step(*args)

    return interrupt


def _weights(run: Path) -> list[torch.Tensor]:
    return list(package.load(run).state_dict().values())


def test_a_run_without_checksums_still_loads(run: Path, finished: Path) -> None:
    """As an earlier version wrote it."""
    for path in run.glob("encoders/*.json"):
        described = json.loads(path.read_text())
        for name in ("seal", "weights_crc32", "beside"):
            del described[name]
        path.write_text(json.dumps(described))
    state = torch.load(_newest(run), weights_only=True)
    del state["config"]
    torch.save(state, _newest(run))
    for there, here in zip(_weights(finished), _weights(run), strict=True):
        assert torch.equal(there, here)


@pytest.mark.parametrize("seed", range(25))
def test_a_random_mutation_of_a_run_ends_in_the_right_answer_or_in_one_line(
    run: Path, finished: Path, seed: int
) -> None:
    from avssl.evaluate.data.load_run import open_run
    from avssl.report.run_parts import read_runs

    done = mutate(run, seed)
    readers: dict[str, Callable[[Path], list[torch.Tensor]]] = {
        "load": _weights,
        "open_run": lambda folder: list(open_run(folder).network.state_dict().values()),
        "report": lambda folder: [torch.tensor(len(read_runs([folder])))],
    }
    for name, read in readers.items():
        right = read(finished)
        try:
            found = read(run)
        except UserError as error:
            assert "\n" not in str(error), (done, name)
            continue
        assert len(found) == len(right), (done, name)
        assert all(np.array_equal(a, b) for a, b in zip(found, right, strict=True)), (done, name)
