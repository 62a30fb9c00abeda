"""Correspondence evaluated with the truth of the generated world, and what the controls are said to mean."""

from __future__ import annotations

from pathlib import Path

import pytest

import avssl
from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.pretext.controls import untrained, verdict
from avssl.evaluate.pretext.correspondence import PairTruth, evaluate
from avssl.evaluate.pretext.predictions import HeldOut
from avssl.tasks.av_correspondence.puzzle import CorrespondenceOptions
from avssl.tasks.av_correspondence.task import AVCorrespondence
from avssl.world.build import generate

BELL, DRUM, BOTH = frozenset({"bell"}), frozenset({"drum"}), frozenset({"bell", "drum"})


@pytest.mark.parametrize(
    ("label", "visible", "sounding", "tells"),
    [
        (1, BELL, BELL, True),
        (1, BELL, DRUM, False),  # its own sound comes from off screen
        (1, BELL, frozenset(), False),  # nothing is heard
        (0, BELL, DRUM, True),
        (0, BELL, BELL, False),  # another bell: no kind can tell
        (0, BOTH, BELL, False),
        (0, None, BELL, False),  # no truth there
    ],
)
def test_kinds_decide_the_label_where_the_sound_is_of_something_seen_or_of_nothing_seen(
    label: int, visible: frozenset[str] | None, sounding: frozenset[str], tells: bool
) -> None:
    assert PairTruth(label, visible, sounding, None).decided_by_kinds is tells


def test_in_the_world_every_network_stands_beside_an_oracle_that_knows_the_kinds(tmp_path: Path) -> None:
    generate(tmp_path / "world", train=1, validation=0, test=12, size=64, frames=40, workers=1)
    media = avssl.open(tmp_path / "world", split="test", progress=False, workers=0)
    task = AVCorrespondence(CorrespondenceOptions(width=4, side=32, bands=16))
    rows = evaluate(task, {"untrained": untrained(task, 0)}, HeldOut(media, 64))
    found = {(row.name, row.metric): row for row in rows}
    metrics = {"accuracy", "accuracy-one-visible", "accuracy-absent-kind"}
    assert set(found) == {(name, metric) for name in ("untrained", "ceiling") for metric in metrics}
    assert found["ceiling", "accuracy-absent-kind"].value == 1.0
    # Of twelve clips some share a kind, so that knowing kinds is not enough against any other clip.
    assert 0.75 < found["ceiling", "accuracy-one-visible"].value < 1.0
    assert all(row.chance == 0.5 and row.low <= row.value <= row.high for row in rows)
    assert found["untrained", "accuracy"].n == 64


def row(name: str, value: float, margin: float = 0.03) -> ResultRow:
    return ResultRow(name, "accuracy", value, value - margin, value + margin, 1024, 0.5, "test", 0)


def test_a_control_that_beats_chance_is_named_as_a_leak() -> None:
    predicted = verdict([row("trained", 0.8), row("vision-only", 0.51), row("audio-only", 0.6)])
    assert "Beware: audio-only beat chance" in predicted
    assert "vision-only" not in predicted


def test_controls_at_chance_are_reported_so() -> None:
    predicted = verdict([row("trained", 0.8), row("untrained", 0.55), row("vision-only", 0.51)])
    assert "80.0% (77.0% to 83.0%) is above chance" in predicted
    assert "No control beats chance" in predicted


def test_a_network_that_learned_nothing_is_reported_as_such() -> None:
    assert "is NOT above chance" in verdict([row("trained", 0.52)])
