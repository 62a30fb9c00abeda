"""The model that is taken where none is named: quickstart's, or one that is trained once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from avssl.evaluate.localization.threshold import write_threshold
from avssl.experiment import default_localizer, generated
from avssl.localization.localizer import open_localizer
from avssl.networks.fusion import FUSIONS
from avssl.networks.saving import save_module
from avssl.system.files import read_json

TINY = {"steps": 2, "batch_size": 4, "width": 4, "side": 32, "bands": 16, "validation_puzzles": 4, "workers": 0}


@pytest.mark.slow
def test_it_is_trained_once_and_knows_from_which_logit_on_something_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path))
    monkeypatch.setattr(generated, "WORLD", replace(generated.WORLD, train=6, validation=4, test=2))
    monkeypatch.setattr(default_localizer, "RECIPE", default_localizer.RECIPE | TINY)
    run = default_localizer.default_run()
    fitted = read_json(run / "localization.json")
    assert fitted is not None and fitted["fitted_on"] == "moments of 4 validation clips"
    assert open_localizer(run).threshold == fitted["threshold"]
    assert any("made once, in about eight minutes" in line for line in caplog.messages)
    caplog.clear()
    assert default_localizer.default_run() == run
    assert not any("training" in line for line in caplog.messages)


def test_the_run_of_quickstart_is_taken_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Path] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(default_localizer, "_train", trained.append)
    run = Path("runs/quickstart")
    for name, heard, taken in (
        ("avol", False, (False, True)),
        ("ave", True, (False, True)),
        ("avol", True, (True, True)),
    ):
        save_module(FUSIONS[name](4, 4), run / "encoders" / "fusion")
        if heard:
            write_threshold(run, 0.0, "clips of a test")
        found = [default_localizer.default_run(to_point) == run for to_point in (True, False)]
        assert found == list(taken), f"{name}, a threshold: {heard}"
    assert len(trained) == 2, "a model of its own only where that of quickstart cannot point"
