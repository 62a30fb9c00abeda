"""Label propagation from the command line, on made videos in the published layouts."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from made_videos import made_video, write_davis, write_jhmdb, write_plain
from PIL import Image
from probe_media import write_run

from avssl.experiment import generated
from avssl.world import Settings

TINY = ("--side", 64, "--draws", 20, "--overlays", 1)


def rows_in(folder: Path) -> dict[tuple[str, str], dict]:
    rows = json.loads((folder / "propagation.json").read_text())
    return {(row["name"], row["metric"]): row for row in rows}


def test_masks_are_carried_beside_blind_rows_and_drawn_over_the_video(avssl, tmp_path):
    run, data = write_run(tmp_path / "run"), write_davis(tmp_path / "davis")
    result = avssl("evaluate", "propagation", "--run", run, "--data", data, "-o", tmp_path / "out", *TINY)
    assert (result.status, result.err) == (0, "")
    assert "2 of 2 videos" in result.out
    rows = rows_in(tmp_path / "out")
    names = {"trained", "random", "blind/colour"}
    assert {name for name, _ in rows} == {
        *names,
        *(f"{name}/whole-frame" for name in names),
        *("blind/unmoved", "blind/unmoved-cells", "truth-at-map-size", "gain", "gain/unmoved", "gain/colour"),
    }
    value = {name: row["value"] for (name, metric), row in rows.items() if metric == "jf-mean"}
    # Squares of one colour on noise: colour follows them, and what stays behind does not.
    assert value["truth-at-map-size"] > 0.6 > value["blind/unmoved"]
    assert value["blind/colour/whole-frame"] > value["blind/unmoved"] + 0.15
    assert rows["gain/unmoved", "jf-mean-difference"]["value"] == pytest.approx(
        value["trained"] - value["blind/unmoved"]
    )
    assert rows["trained", "jf-mean"]["chance"] == pytest.approx(value["blind/unmoved"])
    assert (rows["trained", "j-mean"]["n"], rows["trained", "j-mean"]["clusters"]) == (4, 2)
    assert (tmp_path / "out" / "propagation.png").is_file()
    with av.open(str(tmp_path / "out" / "propagation.mp4")) as film:
        assert film.streams.video[0].frames == 6 and not film.streams.audio


def test_key_points_are_carried_and_counted_with_the_lost_and_without(avssl, tmp_path):
    run, data = write_run(tmp_path / "run"), write_jhmdb(tmp_path / "jhmdb", videos=1)
    result = avssl(
        "evaluate", "propagation", "--run", run, "--data", data, "-o", tmp_path / "out", "--no-whole-frame", *TINY
    )
    assert (result.status, result.err) == (0, "")
    rows = rows_in(tmp_path / "out")
    assert {metric for _, metric in rows if "difference" not in metric} == {
        f"{kind}@{alpha}" for kind in ("pck", "pck-of-found") for alpha in (0.1, 0.2, 0.3, 0.4, 0.5)
    }
    assert rows["truth-at-map-size", "pck@0.5"]["value"] == 1.0


def test_without_data_generated_clips_of_things_that_hide_each_other_are_taken(avssl, tmp_path, monkeypatch):
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path / "cache"))
    small = Settings(train=0, validation=0, test=2, size=32, frames=4, preset="tracking")
    monkeypatch.setattr(generated, "TRACKING_WORLD", small)
    run = write_run(tmp_path / "run")
    result = avssl("evaluate", "propagation", "--run", run, "--no-whole-frame", "--seeds", 2, "--draws", 20)
    assert (result.status, result.err) == (0, "")
    rows = rows_in(run / "results")
    assert {"random", "random/seed0", "random/seed1"} <= {name for name, _ in rows}
    assert rows["blind/unmoved", "jf-mean"]["clusters"] == 2 and rows["random", "jf-mean"]["method"] == "t"


def test_of_one_video_with_a_mask_nothing_is_scored_and_the_overlay_shows_it(avssl, tmp_path):
    run, plain = write_run(tmp_path / "run"), write_plain(tmp_path / "plain")
    Image.fromarray((made_video()[1][0] > 0).astype(np.uint8) * 255).save(tmp_path / "first.png")
    words = ("--data", plain / "frames" / "one", "--mask", tmp_path / "first.png", "-o", tmp_path / "out")
    result = avssl("evaluate", "propagation", "--run", run, *words, *TINY)
    assert (result.status, result.err) == (0, "")
    assert "nothing to score" in result.out
    assert (tmp_path / "out" / "propagation.mp4").is_file()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "needs --run RUN"),
        (("--run", "{run}", "--data", "{run}"), "no videos with labels"),
        (("--run", "{run}", "--data", "{data}", "--split", "train"), "--split is one of val"),
        (("--run", "{run}", "--data", "{data}", "--stage", "conv9"), "no stage called 'conv9'"),
        (("--run", "{run}", "--data", "{data}", "--top", "0"), "--top (0) must be at least 1"),
        (("--run", "{run}", "--data", "{data}", "--mask", "{run}/none.png"), "none.png"),
    ],
)
def test_what_is_wrong_is_reported_in_one_line(avssl, tmp_path, words, line):
    run, data = write_run(tmp_path / "run"), write_davis(tmp_path / "davis", videos=1)
    result = avssl("evaluate", "propagation", *(word.format(run=run, data=data) for word in words))
    assert result.status == 2
    assert result.err.startswith("avssl: ")
    assert line in result.err
    assert result.err.count("\n") == 1
