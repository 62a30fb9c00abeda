"""Options given in Python: checked as flags and YAML keys are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from avssl.errors import UserError
from avssl.options import REQUIRED, argument, build, check_bounds, option, options_of, resolve


@dataclass(frozen=True, kw_only=True)
class Toy:
    data: str = argument("where the clips are")
    run: str = option(REQUIRED, "a finished run", metavar="RUN")
    side: int | None = option(64, "pixels", low=8)
    rate: float = option(1.0, "how fast", above=0, high=10)
    workers: int = option(1, "processes", low=0)
    erase: Literal["before", "off"] = option("before", "when to erase")
    level: Literal[1, 2] = option(1, "which")
    flip: bool = option(False, "mirror")
    widths: tuple[int, ...] = option((4,), "of layers")
    shares: Mapping[str, float] | None = option(None, "by name")
    weight: int | float | None = None
    slope: float = 1.0
    length: float = option(1.0, "seconds", above=0)


GIVEN: dict[str, Any] = {"data": "clips/", "run": "runs/a"}


def test_what_is_not_given_keeps_its_default():
    assert build(Toy, GIVEN) == Toy(data="clips/", run="runs/a")


@pytest.mark.parametrize(
    ("name", "value", "built"),
    [
        ("data", Path("clips") / "a", "clips/a"),
        ("side", np.int64(32), 32),
        ("side", "32", 32),
        ("side", None, None),
        ("side", np.array(32), 32),
        ("flip", np.True_, True),
        ("widths", np.array([3, 4]), (3, 4)),
        ("widths", np.array([], int), ()),
        ("rate", 2, 2.0),
        ("rate", np.float32(0.5), 0.5),
        ("rate", "1e-1", 0.1),
        ("erase", False, "off"),  # as YAML 1.1 reads the word off
        ("level", 2, 2),
        ("level", "2", 2),
        ("widths", [3, 4], (3, 4)),
        ("widths", 3, (3,)),
        ("widths", "3, 4", (3, 4)),
        ("widths", [], ()),
        ("shares", {"a": 1}, {"a": 1.0}),
    ],
)
def test_a_value_becomes_one_of_its_option_s_type(name: str, value: object, built: object):
    found = getattr(build(Toy, GIVEN | {name: value}), name)
    assert found == built
    assert type(found) is type(built)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sied", 3, "no option is called 'sied'; did you mean 'side'?"),
        ("entirely_else", 3, "no option is called 'entirely_else'"),
        ("side", "many", "side needs a whole number or None, not 'many'"),
        ("side", 8.5, "side needs a whole number or None, not 8.5"),
        ("side", True, "side needs a whole number or None, not True"),
        ("side", 7, "side (7) must be at least 8"),
        ("rate", None, "rate needs a number, not None"),
        ("rate", True, "rate needs a number, not True"),
        ("rate", 0.0, "rate (0) must be more than 0 and at most 10"),
        ("rate", float("nan"), "rate (nan) must be more than 0 and at most 10"),
        ("side", np.array([32]), "side needs a whole number or None, not array([32])"),
        ("side", 10**400, f"side needs a whole number or None, not {10**400}"),
        ("side", np.float64(32.5), "side needs a whole number or None, not np.float64(32.5)"),
        ("slope", float("nan"), "slope (nan) must be finite"),
        ("length", float("inf"), "length (inf) must be finite"),
        (3, 4, "no option is called 3"),
        ("widths", b"ab", "widths needs whole numbers separated by commas, not b'ab'"),
        ("workers", -3, "workers (-3) must not be negative"),
        ("erase", "befor", "erase needs one of before, off, not 'befor'; did you mean 'before'?"),
        ("erase", True, "erase needs one of before, off, not True"),
        ("level", True, "level needs one of 1, 2, not True"),
        ("flip", "yes", "flip needs true or false, not 'yes'"),
        ("data", 3, "data needs text, not 3"),
        ("widths", [3, "x"], "widths needs whole numbers separated by commas, not [3, 'x']"),
        ("widths", {"a": 1}, "widths needs whole numbers separated by commas, not {'a': 1}"),
        ("shares", [1], "shares needs names with numbers, such as {a: 1, b: 2} or None, not [1]"),
    ],
)
def test_a_wrong_value_is_one_line_that_says_what_is_wanted(name: Any, value: object, message: str):
    with pytest.raises(UserError) as caught:
        build(Toy, GIVEN | {name: value}, "here: ")
    assert str(caught.value) == f"here: {message}"


def test_an_option_that_must_be_given_is_asked_for():
    with pytest.raises(UserError) as caught:
        build(Toy, {"data": "clips/"})
    assert str(caught.value) == "Toy needs run: a finished run"


def test_a_type_that_no_flag_can_have_is_the_program_s_fault():
    with pytest.raises(TypeError, match="no option can be of the type"):
        build(Toy, GIVEN | {"weight": 3})


def test_bounds_hold_for_options_that_were_made_directly():
    with pytest.raises(UserError, match=r"^--share \(1\) must be more than 0 and less than 1$"):
        check_bounds(Bounded(share=1.0))
    with pytest.raises(UserError, match=r"^--widths \(4,0\) must be at least 1$"):
        check_bounds(Bounded(widths=(4, 0)))
    check_bounds(Bounded())


def test_keywords_beat_the_yaml_file_and_drop_their_rivals_there(tmp_path: Path):
    config = tmp_path / "c.yaml"
    config.write_text("side: 32\nrate: 2\ntask: toy\n")
    options = options_of(Toy, skip=["weight"])
    given = {"workers": 2, "config": config}
    values = resolve(
        [*options, *options_of(Config)],
        given,
        config="config",
        extra_keys=["task"],
        exclusive=[("workers", "side")],
    )
    assert (values["side"], values["workers"], values["rate"], values["task"]) == (64, 2, 2.0, "toy")
    assert values.given == {"workers", "config", "rate"}


@dataclass(frozen=True)
class Config:
    config: str | None = option(None, "a YAML file")


@dataclass(frozen=True)
class Bounded:
    share: float = option(0.5, "of all", above=0, below=1)
    widths: tuple[int, ...] = option((4,), "of layers", low=1)
    side: int | None = option(None, "pixels", high=64)


@dataclass(frozen=True)
class Wordy:
    workers: int | Literal["auto"] = option("auto", "processes", low=0)
    compile: bool | Literal["auto"] = option("auto", "compile")


@pytest.mark.parametrize(
    ("name", "value", "built"),
    [
        ("workers", "auto", "auto"),
        ("workers", "3", 3),
        ("workers", 0, 0),
        ("compile", True, True),
        ("compile", "auto", "auto"),
    ],
)
def test_an_option_may_take_a_word_beside_its_values(name: str, value: Any, built: Any):
    assert getattr(build(Wordy, {name: value}), name) == built


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("workers", "many", "workers needs a whole number or auto, not 'many'"),
        ("workers", "auot", "workers needs a whole number or auto, not 'auot'; did you mean 'auto'?"),
        ("workers", -1, "workers (-1) must not be negative"),
        ("compile", 3, "compile needs true or false or auto, not 3"),
    ],
)
def test_an_option_with_a_word_refuses_what_is_neither(name: str, value: Any, words: str):
    with pytest.raises(UserError) as refusal:
        build(Wordy, {name: value})
    assert str(refusal.value).startswith(words)


def test_a_yes_or_no_with_a_word_is_a_flag_that_takes_it():
    from avssl.cli.command import Command

    command = Command("toy", "a toy")
    command.add(Wordy)
    for words, wanted in (
        ([], "auto"),
        (["--compile"], True),
        (["--no-compile"], False),
        (["--compile", "auto"], "auto"),
        (["--compile", "--workers", "2"], True),
    ):
        assert command.parse(words)["compile"] == wanted
    assert "--workers N|auto" in command.help()
