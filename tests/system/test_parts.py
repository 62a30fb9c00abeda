"""Work in parts: the parts of a division are all of it, and merging refuses where one is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from avssl.errors import UserError
from avssl.experiment.part_options import PartOptions, without_parts
from avssl.system.engines import check_engine
from avssl.system.parts import Part, parts_of, parts_there


@pytest.mark.parametrize(("units", "count"), [(10, 3), (2, 5), (7, 7), (0, 4), (1, 1)])
def test_parts_are_every_unit_once_and_in_order(units: int, count: int) -> None:
    assert [unit for part in parts_of(count) for unit in part.range(units)] == list(range(units))


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "a/b", "-1/3", "1/3/5"])
def test_what_is_no_part_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match="give K/N with K from 1 to N, such as 3/8"):
        Part.parsed(text)


def test_missing_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no part of it is there"):
        parts_there([], "it")
    there = [tmp_path / f"{part.name}.npz" for part in parts_of(9) if part.number in (2, 9)]
    with pytest.raises(UserError, match=r"parts are missing: 1/9, 3/9, 4/9, 5/9, 6/9 and 2 more; run each"):
        parts_there([*there, tmp_path / ".000001-of-000009.npz.1234.unfinished"], "it")


def test_a_division_that_is_complete_is_taken_whatever_else_was_begun(tmp_path: Path) -> None:
    whole = [tmp_path / part.name for part in parts_of(2)]
    assert parts_there([tmp_path / Part(1, 3).name, *reversed(whole)], "it") == whole


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (PartOptions(part="1/2", merge=True), "leave out --merge and --engine"),
        (PartOptions(engine="spark"), "none of local, ray"),
        (PartOptions(part="x"), "such as 3/8"),
    ],
)
def test_what_contradicts_itself_is_refused(options: PartOptions, words: str) -> None:
    with pytest.raises(UserError, match=words):
        options.check()


def test_without_ray_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'avssl\[ray\]'"):
        check_engine("ray")


def test_results_name_the_command_that_does_the_same_on_one_machine() -> None:
    argv = ["a", "--part", "1/2", "-o", "x.npz", "--engine=ray", "--merge"]
    assert without_parts(argv) == ["a", "-o", "x.npz"]
