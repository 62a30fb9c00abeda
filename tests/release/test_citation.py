"""``CITATION.cff`` cites this version, and the papers as CFF 1.2.0 wants them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import avssl
from avssl.tasks.registry import BUILT_IN

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    loaded: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return loaded


def test_the_version_is_that_of_the_project_and_of_the_package(citation: dict, project: dict) -> None:
    assert citation["version"] == project["version"] == avssl.__version__


def test_authors_licence_and_keywords_are_those_of_the_project(citation: dict, project: dict) -> None:
    assert citation["authors"] == project["authors"]
    assert citation["license"] == project["license"]
    assert citation["keywords"] == project["keywords"]


def test_it_has_what_the_format_asks_for(citation: dict) -> None:
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "type"} <= citation.keys()
    for paper in citation["references"]:
        assert {"type", "title", "authors", "year", "conference", "url", "notes"} == paper.keys(), paper["title"]
        assert all({"family-names", "given-names"} == author.keys() for author in paper["authors"]), paper["title"]


def test_every_task_but_the_combination_has_its_paper(citation: dict) -> None:
    named = {paper["notes"].split()[0] for paper in citation["references"]}
    assert named == set(BUILT_IN) - {"multi-task"}
