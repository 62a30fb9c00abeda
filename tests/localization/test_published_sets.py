"""A run judged on media of a published set: found by name, missing ones named, one at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from small_runs import write_clip

from avssl.cli.main import main
from avssl.networks.audio import AudioConfig, AudioEncoder
from avssl.networks.front_end import FrontEndConfig
from avssl.networks.fusion import FUSIONS
from avssl.networks.saving import save_module
from avssl.networks.vision import VisionConfig, VisionEncoder

NAMES = [f"{c * 11}_000001" for c in "abcde"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    vision = VisionEncoder(VisionConfig(width=4, convs=1, side=32))
    audio = AudioEncoder(AudioConfig(FrontEndConfig("log-mel", 8000, 16, 0.5), width=4, convs=1))
    for name, module in (("vision", vision), ("audio", audio), ("fusion", FUSIONS["avol"](32, 32))):
        save_module(module, tmp_path / "run/encoders" / name)
    return tmp_path / "run"


def test_a_run_on_annotated_videos_gives_all_rows_and_names_what_is_missing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [{"file": name, "class": "ab"[k % 2], "bbox": [[0.2, 0.2, 0.7, 0.8]]} for k, name in enumerate(NAMES)]
    (tmp_path / "vggss.json").write_text(json.dumps(records))
    for number, name in enumerate(NAMES[:4]):
        # Two of them named by milliseconds, as other lists write them.
        stem = name if number < 2 else f"{name[:11]}_1000_11000"
        write_clip(tmp_path / "media" / f"{stem}.mp4", number, seconds=1.0)
    words = ["--run", str(run), "--data", str(tmp_path / "media"), "--annotations", str(tmp_path / "vggss.json")]
    protocols = "pointing,topk-half,topk-truth,lvs,ez-vsl,negatives"
    assert main(["evaluate", "localization", *words, "--protocol", protocols, "--draws", "10"]) == 0
    assert f"{NAMES[4]} (no picture)" in capsys.readouterr().out
    rows = json.loads((run / "results/localization.json").read_text())
    found = {(row["name"], row["metric"]): row for row in rows}
    for name in ("trained", "untrained", "swap", "silence", "noise", "ceiling", "blind/centre-disc", "blind/mean-map"):
        assert (name, "ciou-half") in found
    assert (found["trained", "pointing"]["n_listed"], found["trained", "pointing"]["n_used"]) == (5, 4)
    for name in ("silence", "noise", "off-screen"):
        assert 0 <= found[name, "pia/negatives"]["value"] <= 1
    assert ("trained", "f-loc/negatives") in found


def test_media_that_are_none_of_the_items_are_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vggss.json").write_text(json.dumps([{"file": NAMES[0], "bbox": [[0.1, 0.1, 0.5, 0.5]]}]))
    write_clip(tmp_path / "media/other.mp4")
    words = ["--run", str(run), "--data", str(tmp_path / "media"), "--annotations", str(tmp_path / "vggss.json")]
    assert main(["evaluate", "localization", *words]) == 2
    assert "none of the 1 annotated items" in capsys.readouterr().err
