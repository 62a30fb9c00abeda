"""Embeddings of files: rows at a hop, in .npz and in Parquet, written as they come."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from probe_media import audio_encoder, vision_encoder
from small_runs import write_clip

import avssl
from avssl.errors import UserError
from avssl.evaluate.retrieval.embedding import Block, embed, row_times
from avssl.evaluate.retrieval.embedding_files import write_embeddings
from avssl.experiment.embed import EmbedOptions, EmbedWork, embed_files
from avssl.media.facts import Facts
from avssl.networks.fusion import FUSIONS
from avssl.networks.model import Model
from avssl.system.parts import Part


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    vision, audio = vision_encoder(), audio_encoder()
    return Model(vision, audio, FUSIONS["ave"](vision.channels, audio.channels)).eval()


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    write_clip(folder / "a.mp4", 0)
    write_clip(folder / "b.mp4", 1, sound=False)
    return avssl.open(folder, workers=0)


def _facts(seconds: float) -> Facts:
    return Facts("a.mp4", "video", seconds, 8, 8, 10, 10.0, 0, 0, 0.0, 0.0)


def test_rows_lie_a_hop_apart_from_half_a_hop_on():
    assert row_times(_facts(2.0), 0.5) == [0.25, 0.75, 1.25, 1.75]
    assert row_times(_facts(0.3), 0.1) == pytest.approx([0.05, 0.15, 0.25])
    assert row_times(_facts(2.3), 1.0) == [0.5, 1.5]
    assert row_times(_facts(0.4), 1.0) == [0.2]
    assert row_times(_facts(2.0), None) == [1.0]


def test_a_row_is_the_output_of_the_model_at_that_time(model, media):
    blocks = list(embed(model, media, 0.5))
    assert [Path(block.path).name for block in blocks] == ["a.mp4", "b.mp4"]
    expected = model.image(media.frames(0, [0.75])), model.audio(media.audio(0, 0.5, 0.5, 8000)[None], 8000)
    assert blocks[0].seconds[1] == 0.75
    np.testing.assert_allclose(blocks[0].image[1], expected[0][0], atol=1e-5)
    np.testing.assert_allclose(blocks[0].audio[1], expected[1][0], atol=1e-5)
    assert blocks[1].audio is None


def test_frames_of_many_pixels_are_decoded_few_at_a_time(model, media, monkeypatch):
    monkeypatch.setattr("avssl.evaluate.retrieval.embedding.PIXELS", 48 * 48 * 3)
    assert [len(block.seconds) for block in embed(model, media, 0.5)] == [3, 1, 3, 1]


def test_npz_and_parquet_hold_the_same_rows(model, media, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    about = {"command": "avssl embed …"}
    for name in ("rows.npz", "rows.parquet"):
        assert write_embeddings(embed(model, media, 0.5), tmp_path / name, about) == 8
    table, arrays = parquet.read_table(tmp_path / "rows.parquet"), np.load(tmp_path / "rows.npz")
    assert table.column_names == ["path", "seconds", "image", "audio"]
    assert table.schema.metadata[b"command"].decode() == str(arrays["command"]) == "avssl embed …"
    assert table["path"].to_pylist() == arrays["path"].tolist()
    assert table["seconds"].to_pylist() == arrays["seconds"].tolist()
    assert np.array_equal(np.array(table["image"].to_pylist(), np.float32), arrays["image"])
    assert arrays["image"].shape == arrays["audio"].shape == (8, 128)
    heard = table["audio"].to_pylist()
    assert np.array_equal(np.array(heard[:4], np.float32), arrays["audio"][:4])
    assert heard[4:] == [None] * 4
    assert np.isnan(arrays["audio"][4:]).all()


def test_items_of_one_file_keep_their_order(tmp_path):
    rows = np.zeros((1, 128), np.float32)
    names = ["long.mp4", "b.mp4", "long.mp4"]
    blocks = [Block(name, [float(k)], rows + k, None) for k, name in enumerate(names)]
    write_embeddings(blocks, tmp_path / "rows.npz", {})
    found = np.load(tmp_path / "rows.npz")
    assert found["path"].tolist() == names
    assert found["image"][:, 0].tolist() == found["seconds"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_memory_does_not_grow_with_the_rows(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow.parquet")
    rows = np.ones((256, 128), np.float32)
    one = Block("long.mp4", [0.0] * 256, rows, rows)
    write_embeddings([one], tmp_path / f"first{suffix}", {})  # what is loaded once
    tracemalloc.start()
    try:
        assert write_embeddings((one for _ in range(200)), tmp_path / f"rows{suffix}", {}) == 51200
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 51200 * 128 * 4 * 2 / 4  # a quarter of what the rows take


def test_another_suffix_and_a_model_of_one_sense_are_refused(media, tmp_path):
    with pytest.raises(avssl.UserError, match=r"written as \.npz or as \.parquet"):
        write_embeddings([], tmp_path / "rows.csv", {})
    with pytest.raises(avssl.UserError, match="no space where picture and sound meet"):
        next(embed(Model(vision_encoder(), None, None), media))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_rows_embedded_in_parts_are_those_embedded_whole(model, media, tmp_path, monkeypatch, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow.parquet")
        monkeypatch.setattr("avssl.evaluate.retrieval.embedding_files.ROW_GROUP", 3)
    monkeypatch.setattr("avssl.networks.model.load", lambda run: model)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "vision.json").touch()  # as if it had encoders; the model stands in for them
    whole, parts = tmp_path / f"whole{suffix}", tmp_path / f"parts{suffix}"

    def work(output: Path) -> EmbedWork:
        return EmbedWork(options(output), "avssl embed …")

    def options(output: Path, **how: Any) -> EmbedOptions:
        return EmbedOptions(files=(media.root,), run=str(tmp_path / "run"), output=str(output), every=0.5, **how)

    embed_files(options(whole), "avssl embed …")
    work(parts).do(Part(2, 2), 0, False)
    assert work(parts).units_there() == 1
    with pytest.raises(UserError, match="parts are missing: 1/2"):
        work(parts).merged()
    embed_files(options(parts, part="1/2"))
    embed_files(options(parts, merge=True), "avssl embed …")
    assert parts.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"parts{suffix}", "run", f"whole{suffix}"]
