"""Help, and errors that need no tensor, are answered before torch or anything else that takes long is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import Result

from avssl.cli.main import COMMANDS
from avssl.experiment.protocols import PROTOCOLS
from avssl.tasks.registry import BUILT_IN

HEAVY = ("torch", "torchvision", "timm", "librosa", "scipy", "matplotlib", "sklearn", "pandas", "onnxruntime")

CODE = f"""
import contextlib, io, json, sys

class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise AssertionError(name + " is imported")

sys.meta_path.insert(0, Refuses())
from avssl.cli.main import main

answers = []
for words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    answers.append((status, out.getvalue(), err.getvalue()))
json.dump(answers, sys.stdout)
"""


def answers(commands: list[list[str]], folder: Path) -> list[Result]:
    """What each command answers in a process in which importing anything heavy is an error."""
    words = [sys.executable, "-c", CODE]
    found = subprocess.run(words, input=json.dumps(commands), capture_output=True, text=True, check=True, cwd=folder)
    return [Result(*answer) for answer in json.loads(found.stdout)]


def test_help_of_every_command_task_and_protocol(tmp_path: Path) -> None:
    first = [[name] for name in COMMANDS]
    tasks = [[command, name] for command in ("train", "show") for name in BUILT_IN]
    protocols = [["evaluate", name] for name in PROTOCOLS]
    commands = [*first, *tasks, *protocols, ["train", "multi-task"], ["audit", "data", "--task", "jigsaw"]]
    for words, answer in zip(commands, answers([[*one, "--help"] for one in commands], tmp_path), strict=True):
        assert (answer.status, answer.err) == (0, ""), words
        assert answer.out.startswith("usage: avssl " + " ".join(words[:1])), words


ERRORS = {
    "trian": "no command is called 'trian'; did you mean 'train'?",
    "train rotatoin": "no task is called 'rotatoin'; did you mean 'rotation'?",
    "train rotation --steps many": "--steps needs a whole number, not 'many'",
    "train rotation --sides 3": "avssl train rotation has no option --sides; did you mean '--side'?",
    "train rotation --steps 5 --minutes 3": "give one of --steps and --minutes, not both",
    "train rotation --batch-size 0": "--batch-size (0) must be more than 0",
    "train rotation --crop-low 0.9 --crop-high 0.5": "--crop-low (0.9) must be at most --crop-high (0.5)",
    "train rotation --vision resnet19": "no vision encoder is called 'resnet19'; did you mean 'resnet18'?",
    "train av-correspondence --audio resnet19": "no audio encoder is called 'resnet19'; did you mean 'resnet18'?",
    "train av-correspondence --data none": "none: no such file or folder",
    "train shuffle-learn --test none": "none: no such file or folder",
    "train rotation --data empty": "empty: the folder is empty; give one that holds videos, images or sounds",
    "train rotation --data unusable": "unusable/clip.mp4: not media",
    "train rotation --data torchvision:CIFAR10:none": "torchvision:CIFAR10:none: no such file or folder",
    "train rotation --init none": "none: no such file or folder",
    "train rotation --config none.yaml": "no such file: none.yaml",
    "train multi-task --tasks rotation,jigsaw --data none": "none: no such file or folder",
    "train multi-task --tasks rotation": "avssl train multi-task needs two tasks or more",
    "show rotation --data none": "none: no such file or folder",
    "show rotation --run none": "none is no folder; give the folder of a run",
    "show jigsaw --run run": "run is a run of rotation, not of jigsaw",
    "evaluate liner": "no protocol is called 'liner'; did you mean 'linear'?",
    "evaluate linear --run run": "avssl evaluate linear needs --data D",
    "evaluate linear --data empty": "avssl evaluate linear needs --run RUN",
    "evaluate linear --run none --data empty": "none is no folder; give the folder of a run",
    "evaluate linear --run run --data none": "none: no such file or folder",
    "evaluate linear --run run --data empty --encoder sound": "run has no encoder called 'sound'",
    "evaluate finetune --run empty --data empty": "empty holds no run (there is no config.yaml in it)",
    "evaluate localization --maps none --annotations none": "none: no such file or folder",
    "evaluate leaks none empty": "none: no such file or folder",
    "embed none --run run -o out.npz": "none: no such file or folder",
    "embed empty --run none -o out.npz": "none is not a folder; name the folder of a run",
    "embed empty --run run -o out.txt": "out.txt: embeddings are written as .npz or as .parquet",
    "export none -o out.onnx": "none is no folder; give the folder of a run",
    "export run -o out.onnx --encoder sound": "run has no encoder called 'sound'",
    "localize none -o heat.mp4": "none: no such file or folder",
    "localize --run none -o heat.mp4": "none: no such file or folder",
    "report none": "none is no folder; avssl report needs folders of runs",
    "audit none": "none: no such file or folder",
    "audit empty --test none": "none: no such file or folder",
    "index none": "none: no such file or folder",
    "prepare none out": "none: no such file or folder",
    "world out --scenes 3": "--scenes needs names with numbers",
    "doctor --all": "avssl doctor has no option --all",
}


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """What each command answers in a folder with an empty one, an unusable file and a run that says what it is."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "empty").mkdir()
    (folder / "unusable").mkdir()
    (folder / "unusable" / "clip.mp4").write_text("no video")
    (folder / "run" / "encoders").mkdir(parents=True)
    (folder / "run" / "config.yaml").write_text("task: rotation\n")
    (folder / "run" / "encoders" / "vision.json").write_text("{}")
    return dict(zip(ERRORS, answers([line.split() for line in ERRORS], folder), strict=True))


@pytest.mark.parametrize("line", ERRORS)
def test_an_error_that_needs_no_tensor(line: str, answered: dict[str, Result]) -> None:
    answer = answered[line]
    assert answer.status == 2
    assert answer.err.startswith("avssl: ")
    assert ERRORS[line] in answer.err
    assert answer.err.count("\n") == 1
