"""Options: flags, YAML keys, defaults, and the message about a wrong one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from avssl.cli.command import Command
from avssl.errors import UserError
from avssl.options import Option, Values, option, options_of, resolve


@dataclass(frozen=True)
class Toy:
    steps: int | None = field(default=None, metadata={"help": "how many steps"})
    epochs: float | None = field(default=None, metadata={"help": "how many passes"})
    batch_size: int = field(default=64, metadata={"help": "puzzles in a step, 100 % of them"})
    learning_rate: float = field(default=1e-3, metadata={"help": "peak rate"})
    optimizer: Literal["adamw", "sgd"] = field(default="adamw", metadata={"help": "which"})
    flip: bool = field(default=True, metadata={"help": "mirror half of the pictures"})
    step_at: tuple[float, ...] = field(default=(0.5, 0.75), metadata={"help": "where the rate drops"})
    shares: Mapping[str, float] | None = field(default=None, metadata={"help": "shares by name"})
    device: str = field(default="auto", metadata={"help": "where"})


EXCLUSIVE = [("steps", "epochs")]


def parse(*argv: str, yaml: str | None = None, folder: Path | None = None) -> Values:
    command = Command("avssl toy", "A toy.", "avssl toy --steps 3", exclusive=EXCLUSIVE)
    command.add([Option("data", str | None, None, "where the data are", positional=True)])
    command.add([Option("config", str | None, None, "a YAML file"), Option("out", str, "runs", "where to", short="-o")])
    command.add(options_of(Toy), "training")
    words = list(argv)
    if yaml is not None:
        assert folder is not None
        file = folder / "c.yaml"
        file.write_text(yaml)
        words += ["--config", str(file)]
    values = command.parse(words)
    given = {name: values[name] for name in values.given}
    return resolve(command.options.values(), given, config="config", extra_keys=["task"], exclusive=EXCLUSIVE)


def test_nothing_given_is_the_defaults():
    assert parse().build(Toy) == Toy()


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--batch-size", "7"], "batch_size", 7),
        (["--batch_size=7"], "batch_size", 7),
        (["--learning-rate", "1e-4"], "learning_rate", 1e-4),
        (["--learning-rate", "1"], "learning_rate", 1.0),
        (["--learning-rate", "-.5"], "learning_rate", -0.5),
        (["--optimizer", "sgd"], "optimizer", "sgd"),
        (["--flip"], "flip", True),
        (["--no-flip"], "flip", False),
        (["--flip=no"], "flip", False),
        (["--flip", "false"], "flip", False),
        (["--step-at", "0.1,0.9"], "step_at", (0.1, 0.9)),
        (["--step-at", "[0.1, 0.9]"], "step_at", (0.1, 0.9)),
        (["--shares", "{a: 1, b: 2}"], "shares", {"a": 1.0, "b": 2.0}),
        (["--steps", "null"], "steps", None),
        (["--device", "0"], "device", "0"),
        (["-o", "there"], "out", "there"),
        (["folder"], "data", "folder"),
        (["folder", "--flip", "--steps", "3"], "steps", 3),
    ],
)
def test_a_flag_becomes_a_value_of_its_type(words: list[str], name: str, value: object):
    found = parse(*words)[name]
    assert found == value
    assert type(found) is type(value)


def test_yaml_beats_the_default_and_a_flag_beats_yaml(tmp_path: Path):
    values = parse("--batch-size", "5", yaml="batch_size: 6\nlearning-rate: 1e-2\ntask: toy\n", folder=tmp_path)
    assert (values["batch_size"], values["learning_rate"], values["optimizer"]) == (5, 0.01, "adamw")
    assert values["task"] == "toy"
    assert {"batch_size", "learning_rate"} <= values.given
    assert "optimizer" not in values.given


def test_a_flag_overrides_its_rival_in_yaml(tmp_path: Path):
    values = parse("--epochs", "2", yaml="steps: 100\n", folder=tmp_path)
    assert (values["steps"], values["epochs"]) == (None, 2.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bach-size", "3"], "avssl toy has no option --bach-size; did you mean '--batch-size'?"),
        (["--batch", "3"], "avssl toy has no option --batch; did you mean '--batch-size'?"),
        (["--no-flop"], "avssl toy has no option --no-flop; did you mean '--no-flip'?"),
        (["-z"], "avssl toy has no option -z; see avssl toy --help"),
        (["--batch-size", "many"], "--batch-size needs a whole number, not 'many'"),
        (["--batch-size", "3.5"], "--batch-size needs a whole number, not '3.5'"),
        (["--steps", "soon"], "--steps needs a whole number, not 'soon'"),
        (["--learning-rate", "fast"], "--learning-rate needs a number, not 'fast'"),
        (["--optimizer", "sdg"], "--optimizer needs one of adamw, sgd, not 'sdg'; did you mean 'sgd'?"),
        (["--flip=perhaps"], "--flip needs true or false, not 'perhaps'"),
        (["--step-at", "early"], "--step-at needs numbers separated by commas, not 'early'"),
        (["--batch-size"], "--batch-size needs a whole number after it"),
        (["--batch-size", "--flip"], "--batch-size needs a whole number after it"),
        (["--steps", "3", "--epochs", "2"], "give one of --steps and --epochs, not both"),
        (["one", "two"], "avssl toy does not know what to do with 'two'; see avssl toy --help"),
    ],
)
def test_a_wrong_flag_is_one_line_that_says_what_is_wanted(words: list[str], message: str):
    with pytest.raises(UserError) as caught:
        parse(*words)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("bach_size: 3", "no option is called 'bach_size'; did you mean 'batch_size'?"),
        ("batch_size: many", "batch_size needs a whole number, not 'many'"),
        ("batch_size: 1\nbatch-size: 2", "'batch-size' is there twice; keep one of them"),
        ("batch_size: 1\nbatch_size: 2", "line 2: 'batch_size' is there twice"),
        ("flip: 1", "flip needs true or false, not 1"),
        ("steps: soon", "steps needs a whole number or null, not 'soon'"),
        ("optimizer: {class_path: os.system}", "optimizer needs one of adamw, sgd, not"),
        ("optimizer: !!python/name:os.system ''", "the tag 'tag:yaml.org,2002:python/name:os.system' is refused"),
        ("optimizer: !Thing x", "the tag '!Thing' is refused"),
        ("steps: 3\nepochs: 2", "gives steps and epochs; keep one of them"),
        ("- steps", "needs lines of the form 'option: value'"),
        ("steps: [", "line 1"),
        ("config: other.yaml", "no option is called 'config'"),
        ("? [a]\n: b", "a key must be a word"),
    ],
)
def test_a_wrong_yaml_file_is_one_line_that_names_it(yaml: str, message: str, tmp_path: Path):
    with pytest.raises(UserError) as caught:
        parse(yaml=yaml, folder=tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_config_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"no such file: .*nowhere\.yaml"):
        parse("--config", str(tmp_path / "nowhere.yaml"))


def test_an_empty_config_is_the_defaults(tmp_path: Path):
    assert parse(yaml="# nothing yet\n", folder=tmp_path).build(Toy) == Toy()


def test_help_shows_every_option_with_its_default_and_the_example(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for part in ("avssl toy [DATA] [options]", "-o, --out TEXT", "--batch-size N", "100 % of them (default: 64)"):
        assert part in text
    for part in ("--flip, --no-flip", "{adamw,sgd}", "(default: 0.5,0.75)", "avssl toy --steps 3"):
        assert part in text


def test_every_command_takes_its_options_from_a_file_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = Command("avssl toy", "A toy.")
    command.add([Option("files", tuple[str, ...], (), "which", positional=True, required=True)])
    command.add(Toy, "training")
    config = tmp_path / "toy.yaml"
    config.write_text("files: [a, b]\nbatch-size: 5\nflip: off\n")
    values = command.parse(["--config", str(config), "--batch-size", "6"])
    assert (values["files"], values["batch_size"], values["flip"]) == (("a", "b"), 6, False)
    config.write_text("bach_size: 5\n")
    with pytest.raises(UserError, match="did you mean 'batch_size'"):
        command.parse(["--config", str(config)])
    with pytest.raises(SystemExit):
        command.parse(["--help"])
    assert "--config YAML" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--optimizer", "sgd"], ["--optimizer=sgd"], ["--config", "{file}"]])
def test_an_option_that_decides_which_others_there_are_is_seen_first(words: list[str], tmp_path: Path):
    (tmp_path / "toy.yaml").write_text("optimizer: sgd\n")
    command = Command("avssl toy", "A toy.")
    command.add(Toy)
    assert command.peek([word.format(file=tmp_path / "toy.yaml") for word in words], "optimizer") == "sgd"
    assert command.peek(["--optimizer"], "optimizer") is None


def test_a_flag_with_a_part_s_name_before_it_is_that_part_s():
    def section(name: str) -> list[Option]:
        if name != "second-toy":
            raise UserError(f"no toy is called {name!r}")
        return options_of(Toy)

    command = Command("avssl toys", "Toys.", section=section)
    command.add(Toy)
    words = ["--second-toy.batch_size", "7", "--batch-size=8", "--second-toy.no-flip", "--second-toy.step-at", "0.5"]
    values = command.parse(words)
    assert values["second-toy"] == {"batch_size": 7, "flip": False, "step_at": (0.5,)}
    assert values["batch_size"] == 8
    assert values.given == {"second-toy", "batch_size"}
    for word, message in (
        ("--second-toy.bach-size=7", "avssl toys has no option --second-toy.bach-size; did you mean '--second-toy."),
        ("--second-toy.steps=few", "--second-toy.steps needs a whole number, not 'few'"),
        ("--third-toy.steps=3", "no toy is called 'third-toy'"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            command.parse([word])


@dataclass(frozen=True)
class Bounded:
    share: float = option(0.5, "of all", low=0, high=1)
    side: int | None = option(None, "pixels", low=8)
    loudness: float = option(-40.0, "dB", high=0)
    hidden: tuple[int, ...] = option((4,), "widths", low=1)


@pytest.mark.parametrize(
    ("word", "value", "rule"),
    [
        ("share", "1.5", "(1.5) must lie between 0 and 1"),
        ("share", "-0.1", "(-0.1) must lie between 0 and 1"),
        ("share", ".nan", "(nan) must lie between 0 and 1"),
        ("side", "7", "(7) must be at least 8"),
        ("loudness", "20", "(20) must be at most 0"),
        ("hidden", "[3, 0]", "(3,0) must be at least 1"),
    ],
)
def test_a_number_outside_its_bounds_is_refused_wherever_it_is_given(word: str, value: str, rule: str, tmp_path: Path):
    command = Command("avssl toy", "A toy.")
    command.add([Option("config", str | None, None, "a YAML file"), *options_of(Bounded)])
    with pytest.raises(UserError) as caught:
        command.parse([f"--{word}={value}"])
    assert str(caught.value) == f"--{word} {rule}"
    (tmp_path / "c.yaml").write_text(f"{word}: {value}\n")
    with pytest.raises(UserError) as caught:
        resolve(command.options.values(), {"config": tmp_path / "c.yaml"}, config="config")
    assert str(caught.value) == f"{tmp_path / 'c.yaml'}: {word} {rule}"
    kept = command.parse(["--share", "1", "--side", "null", "--loudness", "0", "--hidden", "1"])
    assert (kept["share"], kept["side"], kept["loudness"], kept["hidden"]) == (1.0, None, 0.0, (1,))
