"""The page of all commands, written from their own help."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from avssl.cli.main import COMMANDS
from avssl.cli.reference import WIDTH, reference
from avssl.tasks.registry import BUILT_IN, get
from avssl.trainer.options import TrainOptions


@pytest.fixture(scope="module")
def page() -> str:
    return reference()


def section(page: str, heading: str) -> str:
    """What stands under a heading of the third level, or of the second before the first of the third."""
    return re.split(r"^#{2,3} ", page.split(f" {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_every_command_has_a_section_with_its_usage_and_an_example(page: str):
    for name in COMMANDS:
        text = section(page, f"avssl {name}")
        assert f"usage: avssl {name}" in text
        assert "example:" in text


def test_every_task_has_a_section_with_each_of_its_options(page: str):
    for name in BUILT_IN:
        text = section(page, f"avssl train {name}")
        for field in fields(get(name).Options):
            assert f"--{field.name.replace('_', '-')}" in text


def test_options_that_all_trainings_have_stand_there_once(page: str):
    first = section(page, f"avssl train {next(iter(BUILT_IN))}")
    for field in fields(TrainOptions):
        assert f"--{field.name.replace('_', '-')}" in first
    assert page.count("--accumulate N ") == 1
    assert page.count("--validation-share X ") == 1


def test_the_page_has_one_width_whatever_the_terminal_has(page: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert reference() == page
    lines = section(page, "avssl train rotation").splitlines()
    assert all(len(line) <= WIDTH for line in lines[: lines.index("example:")])
