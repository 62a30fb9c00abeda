"""The same seed gives the same figures, whatever was rebuilt: short runs of every task against recorded ones.

``short_runs.py`` explains how to record them again.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import RECORD, RUNS, machine, make_data, train

from avssl.tasks.registry import names

Figures = dict[str, Any]
RECORDED: Figures = json.loads(RECORD.read_text(encoding="utf-8"))

TOLERANCE = 1e-3
"""Relative, of a loss on a machine that adds up in another order: with narrower vectors (AVX2, SSE4.1) the losses moved
by up to 3e-5; another seed moves them by tenths."""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Sums depend on the number of threads in their last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clips and pictures that the runs were recorded on."""
    folder = tmp_path_factory.mktemp("data")
    if make_data(folder) != RECORDED["data"]:
        pytest.skip("clips and pictures made here do not decode to those that the runs were recorded on")
    return folder


@pytest.fixture(scope="module")
def exact(one_thread: None) -> bool:
    """Whether this machine computes as the recording one did, to the bit."""
    return machine() == RECORDED["machine"]


def test_every_task_has_a_short_run():
    assert {words[0] for words in RUNS.values()} == {*names(), "multi-task"}
    assert RUNS.keys() == RECORDED.keys() - {"data", "machine"}


def test_this_machine_computes_as_the_recording_one_did(exact: bool):
    if not exact:
        pytest.skip(
            f"recorded with {RECORDED['machine']}, here {machine()}: losses are compared within {TOLERANCE:.0%}"
        )


@pytest.mark.parametrize("name", RUNS)
def test_a_short_run_has_the_figures_that_were_recorded(name: str, data: Path, exact: bool, tmp_path: Path):
    found, recorded = train(name, data, tmp_path / "run"), RECORDED[name]
    differences = _exact_differences(found, recorded) if exact else _rough_differences(found, recorded)
    assert not differences, f"{len(differences)} figures differ, the first: {differences[:5]}"


def _exact_differences(found: Figures, recorded: Figures) -> list[str]:
    """Each recorded figure that is another now; a figure that has come beside them is none."""
    differences = []
    for kind in ("lines", "rows"):
        if len(found[kind]) != len(recorded[kind]):
            differences.append(f"{len(found[kind])} {kind} for {len(recorded[kind])}")
        for place, (now, then) in enumerate(zip(found[kind], recorded[kind], strict=False)):
            differences += [
                f"{kind}[{place}] {k}: {now.get(k)} for {then[k]}"
                for k in then
                if not (_same_end if kind == "lines" and k in ("low", "high") else _same)(now.get(k), then[k])
            ]
    if found["weights"].keys() != recorded["weights"].keys():
        differences.append(f"encoders {sorted(found['weights'])} for {sorted(recorded['weights'])}")
    for encoder, tensors in recorded["weights"].items():
        now = found["weights"].get(encoder, {})
        changed = [key for key in sorted(tensors.keys() | now.keys()) if tensors.get(key) != now.get(key)]
        differences += [f"{encoder} {key}" for key in changed]
    return differences


def _same(now: Any, then: Any) -> bool:
    """Equal; of numbers but for their last digit, as Python adds up more exactly from 3.12 on."""
    both = isinstance(now, float) and isinstance(then, float)
    return bool(now == then or (both and sys.version_info >= (3, 12) and math.isclose(now, then, rel_tol=1e-14)))


def _same_end(now: Any, then: Any) -> bool:
    """Equal but for the last bits: Wilson's interval was written in one way for what is logged, in another for rows."""
    both = isinstance(now, float) and isinstance(then, float)
    return bool(now == then or (both and math.isclose(now, then, abs_tol=2e-16)))


def _rough_differences(found: Figures, recorded: Figures) -> list[str]:
    """What does not hang on last bits: losses within the tolerance, and which rows and weights there are."""

    def outline(figures: Figures) -> list[Any]:
        lines = [(line["step"], line["split"], line["task"]) for line in figures["lines"]]
        rows = [(row["name"], row["metric"], row["n"], row["split"]) for row in figures["rows"]]
        return [*lines, *rows, {encoder: sorted(tensors) for encoder, tensors in figures["weights"].items()}]

    if outline(found) != outline(recorded):
        pairs = zip_longest(outline(found), outline(recorded))
        return [f"{now} for {then}" for now, then in pairs if now != then]
    return [
        f"loss of {then['split']} at step {then['step']}: {now['loss']} for {then['loss']}"
        for now, then in zip(found["lines"], recorded["lines"], strict=True)
        if not math.isclose(now["loss"], then["loss"], rel_tol=TOLERANCE)
    ]
