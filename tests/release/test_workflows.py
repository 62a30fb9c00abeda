"""Workflows and the Dockerfile ask only for what is there: targets of the Makefile, files, versions of Python."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def workflow(path: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def made(path: Path) -> list[str]:
    """The targets that a workflow or script makes, those of a matrix too."""
    lines = re.findall(r"(?:^|run: )\s*make ([a-z -]+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    lines += [row["make"] for row in matrix(path)]
    return [target for line in lines for target in line.split()]


def matrix(path: Path) -> list[dict[str, str]]:
    if path.suffix != ".yml":
        return []
    jobs = workflow(path)["jobs"].values()
    return [row for job in jobs for row in job.get("strategy", {}).get("matrix", {}).get("include", [])]


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / ".ci/run"], ids=lambda path: path.name)
def test_it_makes_targets_that_exist(path: Path) -> None:
    assert made(path), f"{path} makes nothing"
    assert set(made(path)) <= TARGETS


def test_every_target_is_phony_and_explained() -> None:
    phony = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split())
    explained = set(re.findall(r"^([a-z][a-z-]*):.*## ", MAKEFILE, re.MULTILINE))
    assert TARGETS == phony == explained


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_may_read_and_no_more_unless_a_job_says_so_and_name_the_versions_of_their_actions(path: Path) -> None:
    parsed = workflow(path)
    assert parsed["permissions"] == {"contents": "read"}
    assert parsed[True], "YAML 1.1 reads the key `on` as true"
    for name, job in parsed["jobs"].items():
        assert job["timeout-minutes"] if "steps" in job and name != "publish" else True
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), step
            assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v1)", step["uses"]), step


def test_the_matrix_tests_every_python_that_is_supported_and_what_must_pass_before_a_change_lands() -> None:
    ci = ROOT / ".github/workflows/ci.yml"
    lowest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    tested = [row["python"] for row in matrix(ci) if row["make"] == "test"]
    assert lowest == f">={tested[0]}" and tested == ["3.11", "3.12", "3.13", "3.14"]
    assert set(made(ROOT / ".ci/run")) | {"test-oldest", "test-newest"} <= set(made(ci))


def test_the_image_copies_files_that_are_there_and_sent_to_the_builder() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"]
    assert copied and all((ROOT / name).exists() for name in copied)
    assert all(any(fnmatch(name, pattern) for pattern in sent) for name in copied)


def test_the_image_is_for_the_cpu_unless_told_and_does_not_run_as_root() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    stages = re.split(r"^FROM \S+ AS (\w+)$", text, flags=re.MULTILINE)[1:]
    bodies = dict(zip(stages[::2], stages[1::2], strict=True))
    assert list(bodies)[-1] == "cpu" and "cuda" in bodies
    for name in ("cpu", "cuda"):
        users = re.findall(r"^USER (\S+)$", bodies[name], re.MULTILINE)
        assert users and users[-1] not in ("root", "0"), name
    assert 'ENTRYPOINT ["avssl"]' in bodies["base"]
