"""A network of one's own is trained by the name of a function, which is called only where a person says so."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from probe_media import write_pictures
from torch import nn

import avssl
from avssl.cli.main import main
from avssl.errors import UserError
from avssl.networks import own_modules

CODE = """
from torch import nn

import avssl


def small_net():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 6, 3, 2))


def two_stages():
    def features(net, x):
        first = net[:2](x)
        return {"first": first, "second": net[2](first)}

    return avssl.encoder(small_net(), features=features, side=32, mean=(0.5, 0.5, 0.5), std=(1, 1, 1))
"""
TINY = {"steps": 1, "batch_size": 4, "side": 32, "controls": False, "device": "cpu", "workers": 0}


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module ``my_nets`` can be imported, and nobody has named anything of it yet."""
    (tmp_path / "my_nets.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(own_modules, "_named", set())
    monkeypatch.delitem(sys.modules, "my_nets", raising=False)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), each=4)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process."""
    monkeypatch.setattr(own_modules, "_named", set())


def test_a_function_that_makes_a_network_is_trained_and_its_run_loads_where_its_module_is_allowed(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import my_nets

    run = avssl.train("rotation", pictures, tmp_path / "run", vision=my_nets.small_net, **TINY)
    assert run.config["vision"] == "module:my_nets:small_net"
    frames = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    before = avssl.load(run.path).vision(frames)
    assert before.shape == (1, 6, 7, 7)

    forget(monkeypatch)
    with pytest.raises(UserError, match="my_nets:small_net, which a file alone may not run: set AVSSL_MODULES=my_nets"):
        avssl.load(run.path)
    monkeypatch.setenv("AVSSL_MODULES", "others, my_nets")
    assert torch.equal(avssl.load(run.path).vision(frames), before)


def test_a_file_that_names_code_runs_none_of_it_unasked(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    avssl.train("rotation", pictures, tmp_path / "run", vision="module:my_nets:small_net", **TINY)
    (tmp_path / "my_nets.py").write_text("print('code was run')")
    monkeypatch.delitem(sys.modules, "my_nets")
    forget(monkeypatch)
    (tmp_path / "own.yaml").write_text("vision: module:my_nets:small_net\n")
    commands = [
        ["evaluate", "knn", "--run", str(tmp_path / "run"), "--data", str(pictures), "--device", "cpu"],
        ["show", "rotation", "--run", str(tmp_path / "run"), "--data", str(pictures)],
        ["train", "rotation", "--data", str(pictures), "--config", str(tmp_path / "own.yaml")],
    ]
    for words in commands:
        assert main(words) == 2
        said = capfd.readouterr()
        assert "code was run" not in said.out
        assert said.err.startswith("avssl: ") and "set AVSSL_MODULES=my_nets" in said.err


def test_the_command_line_trains_continues_and_evaluates_it(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train = ["train", "rotation", "--data", str(pictures), "--out", "run", "--vision", "module:my_nets:two_stages"]
    tiny = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items() if name != "controls"]
    for _ in range(2):
        assert main([*train, *tiny, "--no-controls"]) == 0
        forget(monkeypatch)
    monkeypatch.setenv("AVSSL_MODULES", "my_nets")
    assert (
        main(["evaluate", "knn", "--run", "run", "--data", str(pictures), "--device", "cpu", "--neighbours", "3"]) == 0
    )
    names = {row["name"] for row in json.loads((tmp_path / "run" / "results" / "knn.json").read_text())}
    assert {"trained/first", "trained/second", "random/first"} <= names

    monkeypatch.delenv("AVSSL_MODULES")
    of_none = ["evaluate", "knn", "--encoder", "module:my_nets:two_stages", "--data", str(pictures), "-o", "out"]
    assert main([*of_none, "--device", "cpu", "--neighbours", "3"]) == 0
    names = {row["name"] for row in json.loads((tmp_path / "out" / "knn.json").read_text())}
    assert {"trained/first", "trained/second", "random/first"} <= names


@pytest.mark.parametrize(
    ("vision", "message"),
    [
        ("module:my_nets", "is named module:PACKAGE.MODULE:FUNCTION"),
        ("module:my_nets:small-net", "is named module:PACKAGE.MODULE:FUNCTION"),
        ("module:no_nets:small_net", "No module named 'no_nets'"),
        ("module:my_nets:no_net", "no attribute 'no_net'"),
        ("module:builtins:dict", "makes a dict; it must return a torch module"),
        (nn.Conv2d(3, 4, 3), "give the function or class that makes it"),
        (lambda: nn.Conv2d(3, 4, 3), "cannot be found again by name"),
    ],
)
def test_what_makes_no_network_is_refused_in_one_line(
    pictures: Path, tmp_path: Path, vision: object, message: str
) -> None:
    with pytest.raises(UserError, match=message) as refused:
        avssl.train("rotation", pictures, tmp_path / "run", vision=vision, **TINY)
    assert "\n" not in str(refused.value)


def test_weights_of_a_network_of_ones_own_come_from_a_file(tmp_path: Path) -> None:
    import my_nets

    net = my_nets.small_net()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    encoder = avssl.encoder(f"module:my_nets:small_net:{tmp_path / 'net.pth'}", side=32)
    assert all(torch.equal(one, other) for one, other in zip(encoder.parameters(), net.parameters(), strict=True))
    with pytest.raises(UserError, match="does not take these weights"):
        avssl.encoder("module:my_nets:two_stages", weights=_other(tmp_path))


def _other(folder: Path) -> Path:
    torch.save(nn.Conv2d(1, 1, 1).state_dict(), folder / "other.pth")
    return folder / "other.pth"
