"""The localizer that is taken where none is named: trained once, and fitted to say that nothing is heard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from avssl.experiment import default_localizer, generated
from avssl.localization.localizer import open_localizer
from avssl.system.files import read_json

pytestmark = pytest.mark.slow

TINY = {"steps": 2, "batch_size": 4, "width": 4, "side": 32, "bands": 16, "validation_puzzles": 4, "workers": 0}


def test_it_is_trained_once_and_its_threshold_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path))
    monkeypatch.setattr(
        generated, "LOCALIZATION_WORLD", replace(generated.LOCALIZATION_WORLD, train=6, validation=4, test=2)
    )
    monkeypatch.setattr(default_localizer, "RECIPE", default_localizer.RECIPE | TINY)
    run = default_localizer.default_run()
    fitted = read_json(run / "localization.json")
    assert fitted is not None and fitted["fitted_on"] == "4 validation clips"
    assert open_localizer(run).threshold == fitted["threshold"]
    assert any("made once, in about eight minutes" in line for line in caplog.messages)
    caplog.clear()
    (run / "localization.json").unlink()  # of a model whose fitting was interrupted
    assert default_localizer.default_run() == run
    assert read_json(run / "localization.json") == fitted
    assert not any("training" in line for line in caplog.messages)
