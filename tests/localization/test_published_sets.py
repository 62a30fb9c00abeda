"""A run evaluated on media of a published set: found by name, missing ones named, one at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import write_clip

from avssl.cli.main import main
from avssl.evaluate.localization.annotations import read_annotations
from avssl.evaluate.localization.datasets import ModelMaps, TestMedia
from avssl.evaluate.localization.negatives import negative_rows
from avssl.evaluate.localization.protocols import protocol
from avssl.evaluate.localization.scoring import localization_context
from avssl.media.opening import open_media
from avssl.networks.audio import AudioConfig, AudioEncoder
from avssl.networks.config import VisionConfig
from avssl.networks.front_end import FrontEndConfig
from avssl.networks.fusion import FUSIONS
from avssl.networks.saving import save_module
from avssl.networks.vision import VisionEncoder

NAMES = [f"{c * 11}_000001" for c in "abcde"]

CONTEXT = localization_context(draws=50)


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
    protocols = "pointing,inside,topk-half,topk-truth,lvs,ez-vsl,negatives"
    assert main(["evaluate", "localization", *words, "--protocol", protocols, "--draws", "10"]) == 0
    assert f"{NAMES[4]} (no picture)" in capsys.readouterr().out
    rows = json.loads((run / "results/localization.json").read_text())
    found = {(row["name"], row["metric"]): row for row in rows}
    for name in ("trained", "untrained", "swap", "silence", "noise", "ceiling", "blind/centre-disc", "blind/mean-map"):
        assert (name, "ciou-half") in found
    assert (found["trained", "pointing"]["n_listed"], found["trained", "pointing"]["n_used"]) == (5, 4)
    for name in ("silence", "noise", "off-screen"):
        assert 0 <= found[name, "pia/negatives"]["value"] <= 1
    assert found["trained/logits", "f-loc/negatives"]["method"] in ("bootstrap", "none")
    assert "the default: none was fitted" in found["trained/logits", "iou/negatives"]["note"]
    assert (run / "results/localization-missing.txt").read_text() == f"{NAMES[4]}\tno picture\n"
    assert found["trained", "inside"]["chance"] == 0.5
    assert found["trained", "pointing"]["chance"] is None


def test_media_that_are_none_of_the_items_are_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vggss.json").write_text(json.dumps([{"file": NAMES[0], "bbox": [[0.1, 0.1, 0.5, 0.5]]}]))
    write_clip(tmp_path / "media/other.mp4")
    words = ["--run", str(run), "--data", str(tmp_path / "media"), "--annotations", str(tmp_path / "vggss.json")]
    assert main(["evaluate", "localization", *words]) == 2
    assert "none of the 1 annotated items" in capsys.readouterr().err


class Full:
    """A model that sees the sound everywhere, unless nothing is heard."""

    seconds, rate = 0.5, 8000

    def maps(self, frames, waveforms, picture="whole"):  # type: ignore[no-untyped-def]
        return np.full((len(frames), 7, 7), 1.0 if waveforms.any() else -1.0, np.float32)


def annotated(folder: Path, labels: str, silent: bool = False) -> TestMedia:
    """Clips of these classes with a box of the whole frame; with ``silent`` as many pairs of no source in sight."""
    names = [f"{chr(ord('a') + k) * 11}_000001" for k in range(len(labels))]
    records = [
        {"file": name, "class": label, "bbox": [[0, 0, 1, 1]]} for name, label in zip(names, labels, strict=True)
    ]
    (folder / "vggss.json").write_text(json.dumps(records))
    for number, name in enumerate(names):
        write_clip(folder / "media" / f"{name}.mp4", number, seconds=0.6)
    pairs = None
    if silent:
        pairs = folder / "silent.csv"
        pairs.write_text("video,audio,label\n" + "".join(f"{n},{names[k - 1]},x\n" for k, n in enumerate(names)))
    items = read_annotations(folder / "vggss.json", negatives=pairs).items
    return TestMedia(open_media(folder / "media", progress=False), items, 0)


def test_listed_negatives_are_no_positives_of_the_one_threshold(tmp_path: Path) -> None:
    test = annotated(tmp_path, "abab", silent=True)
    assert len(test.items) == 8
    rows = {(row.name, row.metric): row for row in negative_rows(test, Full(), 0.0, replace(CONTEXT, draws=20))}
    positives = rows["trained/logits", "iou/negatives"]
    assert (positives.value, positives.n, positives.n_listed) == (1.0, 4, 4)
    assert rows["silence", "pia/negatives"].value == 0
    assert rows["noise", "pia/negatives"].value == rows["off-screen", "pia/negatives"].value == 1
    # The three kinds keep 1, 0 and 0 of the picture clear: a third, with 1 for the positives.
    assert rows["trained/logits", "f-loc/negatives"].value == pytest.approx(0.5)
    assert all(row.value == row.low == row.high for row in rows.values() if row.method == "none")


class Loud:
    """Predicts as much of the picture as the sum of the samples says: other draws, other areas."""

    seconds, rate = 0.5, 8000

    def maps(self, frames, waveforms, picture="whole"):  # type: ignore[no-untyped-def]
        columns = 1 + round(abs(float(waveforms.sum(dtype=np.float64))) * 1e4) % 220
        m = np.full((len(frames), 224, 224), -1.0, np.float32)
        m[:, :, :columns] = 1.0
        return m


def test_drawn_sounds_are_drawn_ten_times_and_pooled(tmp_path: Path) -> None:
    test = annotated(tmp_path, "abab")
    rows = {(row.name, row.metric): row for row in negative_rows(test, Loud(), 0.0, CONTEXT, "clips of x")}
    areas = []
    for draw in range(10):
        maps = ModelMaps(Loud(), test, "noise", draw)
        areas.append([float((maps(item, protocol("negatives")) > 0).mean()) for item in test.items])  # type: ignore[operator]
    assert len({tuple(area) for area in areas}) == 10
    assert rows["noise", "pia/negatives"].value == pytest.approx(np.mean(areas))
    assert "logits above 0.00, fitted on clips of x; 10 draws" in rows["noise", "pia/negatives"].note
    joint = rows["trained/logits", "f-loc/negatives"]
    assert joint.low < joint.value < joint.high
    assert joint.method == "bootstrap"


def test_nothing_takes_the_place_of_another_class_that_is_not_there(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = annotated(tmp_path, "aaab")
    assert test.another(test.items[0]) == test.items[3]
    alone = annotated(tmp_path, "aaaa")
    assert alone.another(alone.items[0]) is None
    words = ["--run", str(run), "--data", str(tmp_path / "media"), "--annotations", str(tmp_path / "vggss.json")]
    assert main(["evaluate", "localization", *words, "--protocol", "topk-half", "--draws", "5"]) == 0
    assert "swap: 4 items left out" in capsys.readouterr().out
    rows = json.loads((run / "results/localization.json").read_text())
    assert "silence" in {row["name"] for row in rows}
    assert "swap" not in {row["name"] for row in rows}


def test_an_item_without_a_sound_to_swap_in_is_counted(run: Path, tmp_path: Path) -> None:
    annotated(tmp_path, "aab")
    records = json.loads((tmp_path / "vggss.json").read_text())
    # Two clips of one video and one of another, all of one class but the last, which is of the first's video.
    for number, record in enumerate(records):
        name = ["aaaaaaaaaaa_000001", "bbbbbbbbbbb_000001", "aaaaaaaaaaa_000002"][number]
        (tmp_path / "media" / f"{record['file']}.mp4").rename(tmp_path / "media" / f"{name}.mp4")
        record["file"] = name
    (tmp_path / "vggss.json").write_text(json.dumps(records))
    words = ["--run", str(run), "--data", str(tmp_path / "media"), "--annotations", str(tmp_path / "vggss.json")]
    assert main(["evaluate", "localization", *words, "--protocol", "topk-half", "--draws", "5"]) == 0
    rows = {(row["name"], row["metric"]): row for row in json.loads((run / "results/localization.json").read_text())}
    swap = rows["swap", "ciou-half"]
    assert (swap["n_listed"], swap["n_used"]) == (3, 2)
    assert "1 item left out: no sound of another class" in swap["note"]
