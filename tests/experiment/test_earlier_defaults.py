"""A default that has changed changes no run that was made before: it loads, goes on and is repeated as it began."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from avssl.evaluate.data.load_run import from_plain
from avssl.experiment.request import request_of
from avssl.options import options_of
from avssl.tasks.av_correspondence.puzzle import CorrespondenceOptions

NOW = {option.name: option.default for option in options_of(CorrespondenceOptions) if option.has_earlier}
BEFORE = {option.name: option.earlier for option in options_of(CorrespondenceOptions) if option.has_earlier}


def asked(out: Path, **options: Any) -> dict[str, Any]:
    config = request_of("av-correspondence", {"out": out, "steps": 5, **options}).config
    return {name: config[name] for name in BEFORE}


def begun(out: Path, **changed: Any) -> None:
    """A run of earlier defaults, of which only the config is there; None takes an option out of it."""
    out.mkdir()
    config = dict(request_of("av-correspondence", {"out": out, "steps": 5, **BEFORE, **changed}).config)
    (out / "config.yaml").write_text(yaml.safe_dump(config))


def test_a_new_run_points_and_knows_silence(tmp_path: Path) -> None:
    assert asked(tmp_path / "new") == NOW
    assert (NOW["fusion"], BEFORE["fusion"]) == ("avol", "ave")
    assert NOW["silent_rows"] > 0


def test_the_same_command_goes_on_with_the_defaults_that_the_run_began_with(tmp_path: Path) -> None:
    begun(tmp_path / "run")
    assert asked(tmp_path / "run") == BEFORE
    assert asked(tmp_path / "run", fusion="l3") == BEFORE | {"fusion": "l3"}, "which is refused, as it is another"


def test_what_a_run_was_asked_for_is_asked_for_again(tmp_path: Path) -> None:
    begun(tmp_path / "run", fusion="l3")
    assert asked(tmp_path / "run") == BEFORE | {"fusion": NOW["fusion"]}, "as a run of l3 has always needed --fusion l3"


def test_a_config_of_a_run_that_names_no_fusion_is_one_of_ave(tmp_path: Path) -> None:
    begun(tmp_path / "run")
    path = tmp_path / "run" / "config.yaml"
    config = {name: value for name, value in yaml.safe_load(path.read_text()).items() if name not in BEFORE}
    path.write_text(yaml.safe_dump(config))
    assert asked(tmp_path / "run") == BEFORE
    assert asked(tmp_path / "again", config=str(path)) == BEFORE
    request = request_of("av-correspondence", {"out": tmp_path / "run", "steps": 5})
    assert {name: request.defaults[name] for name in BEFORE} == BEFORE
    loaded = from_plain(CorrespondenceOptions, config)
    assert {name: getattr(loaded, name) for name in BEFORE} == BEFORE


@pytest.mark.parametrize("there", [True, False])
def test_a_task_among_several_keeps_them_too(tmp_path: Path, there: bool) -> None:
    options = {"tasks": ["rotation", "av-correspondence"], "out": tmp_path / "run", "steps": 5}
    if there:
        config = dict(request_of("multi-task", {**options, "av-correspondence": BEFORE}).config)
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    request = request_of("multi-task", options)
    found = {name: request.config["av-correspondence"][name] for name in BEFORE}
    assert found == (BEFORE if there else NOW)
    assert {name: getattr(request.parts[1].options, name) for name in BEFORE} == found
