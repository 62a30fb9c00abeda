"""The clip that is shown when none is named: held out, of several objects, of the run's own world."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avssl.experiment import generated
from avssl.experiment.generated import example_clip
from avssl.world.build import generate


def test_it_is_a_test_clip_of_several_objects_of_the_run_s_world(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world, run = tmp_path / "world", tmp_path / "run"
    scenes = {"single": 1.0, "several": 1.0}
    generate(world, train=1, validation=0, test=6, size=32, frames=5, scenes=scenes, workers=1)
    run.mkdir()
    (run / "config.yaml").write_text(f"data: {world}\n")
    clip = example_clip(run)
    assert clip.parent == world / "test"
    assert json.loads(clip.with_suffix(".json").read_text())["scene"] == "several"
    earlier = [p for p in sorted(clip.parent.glob("*.json")) if p.stem < clip.stem]
    assert all(json.loads(path.read_text())["scene"] != "several" for path in earlier)
    assert str(clip) in caplog.messages[0]


def test_a_run_of_other_media_is_shown_on_the_default_world(tmp_path: Path, monkeypatch) -> None:
    world, run = tmp_path / "default", tmp_path / "run"
    generate(world, train=0, validation=0, test=1, size=32, frames=5, scenes={"several": 1.0}, workers=1)
    run.mkdir()
    (run / "config.yaml").write_text(f"data: {tmp_path}\n")
    monkeypatch.setattr(generated, "default_world", lambda: world)
    assert example_clip(run).parent == world / "test"
