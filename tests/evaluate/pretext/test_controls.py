"""Controls by luck off chance: one network taught random answers is no proof, four of them are."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.pretext import controls
from avssl.trainer.options import TrainOptions


class Puzzle:
    """A task of which only the name of one control is asked."""

    name, classes = "puzzle", 4

    def controls(self):
        return {"shuffled-labels": self}


def control_row(monkeypatch, values):
    """The rows of a control whose networks, one after the other, score ``values``."""
    scores, seeds = iter(values), []

    def fit(plans, options, run, **_):
        seeds.append(options.seed)
        return SimpleNamespace(networks={"puzzle": None})

    def scored(_task, networks, _held_out):
        (name,), value = networks, next(scores)
        return [ResultRow(name, "accuracy", value, value - 0.01, value + 0.01, 8000, 0.25, "test", 0)]

    monkeypatch.setattr(controls, "fit", fit)
    monkeypatch.setattr(controls, "evaluate_control", scored)
    monkeypatch.setattr(controls, "evaluate_trained", lambda *_, **__: [])
    monkeypatch.setattr(controls, "untrained", lambda *_: None)
    rows = controls.run_controls(Puzzle(), None, [], [], TrainOptions(), steps=5)
    return rows, seeds


def test_a_control_at_chance_is_trained_once(monkeypatch):
    (row,), seeds = control_row(monkeypatch, [0.252])
    assert (row.value, row.method, len(seeds)) == (0.252, "none", 1)


@pytest.mark.parametrize("values", [(0.29, 0.21, 0.27, 0.24), (0.21, 0.29, 0.27, 0.24)])
def test_a_network_off_chance_by_accident_is_distinguished_from_a_leak_by_the_mean_of_four(monkeypatch, caplog, values):
    (row,), seeds = control_row(monkeypatch, values)
    assert len(set(seeds)) == 4
    assert row.value == pytest.approx(0.2525)
    assert row.holds_chance
    assert row.method == "t"
    assert "mean of 4 networks" in row.note
    assert any("perhaps by chance variation" in line for line in caplog.messages)


def test_a_leak_stays_a_leak(monkeypatch):
    (row,), _ = control_row(monkeypatch, [0.40, 0.43, 0.39, 0.41])
    assert row.low > 0.25
    trained = ResultRow("trained", "accuracy", 0.7, 0.69, 0.71, 8000, 0.25, "test", 0)
    assert "Beware: shuffled-labels" in controls.verdict([trained, row])
