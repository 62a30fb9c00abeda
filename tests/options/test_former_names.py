"""An option that was renamed is still taken by its former name, in every way that options are given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from avssl.cli.command import Command
from avssl.errors import UserError
from avssl.experiment.protocols import get
from avssl.options import build, option


@dataclass(frozen=True)
class Counted:
    k: int = option(3, "how many neighbours", low=1, formerly="neighbours")


def command() -> Command:
    made = Command("avssl count", "Count.")
    made.add(Counted)
    return made


def test_flags_files_and_keywords_take_the_former_name(tmp_path: Path) -> None:
    config = tmp_path / "own.yaml"
    config.write_text("neighbours: 5\n")
    assert command().parse(["--neighbours", "5"]).build(Counted) == Counted(5)
    assert command().parse(["--config", str(config)]).build(Counted) == Counted(5)
    assert build(Counted, {"neighbours": 5}) == Counted(5)
    assert "neighbours N" not in command().help() and "--k N" in command().help()


def test_a_value_by_the_former_name_is_checked_as_one_by_the_new() -> None:
    with pytest.raises(UserError, match=r"--k \(0\) must be at least 1"):
        command().parse(["--neighbours", "0"])
    with pytest.raises(UserError, match="'neighbours' is another name of 'k'; give one of them"):
        build(Counted, {"k": 3, "neighbours": 5})


@pytest.mark.parametrize(
    ("protocol", "former", "now"),
    [
        ("knn", "neighbours", "k"),
        ("knn", "numbers", "max_features"),
        ("linear", "moments", "views"),
        ("finetune", "moments", "views"),
        ("neighbors", "neighbours", "k"),
        ("retrieval", "moments", "frames"),
        ("localization", "moments", "frames"),
    ],
)
def test_a_protocol_takes_what_it_took_before(protocol: str, former: str, now: str) -> None:
    made = build(get(protocol), {former: 7})
    assert getattr(made, now) in (7, (7,))
