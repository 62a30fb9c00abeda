"""A data set that Hugging Face's ``datasets`` saved is read as the files that it was made of."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from media.remote_servers import DataHub, serving
from PIL import Image
from small_runs import write_clip

import avssl
from avssl.errors import UserError
from avssl.experiment.places import absolute_source, refuse_missing
from avssl.media import hf_dataset

pyarrow = pytest.importorskip("pyarrow")
ipc = pytest.importorskip("pyarrow.ipc")
parquet = pytest.importorskip("pyarrow.parquet")

FILE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
LABEL = {"names": ["cat", "dog"], "_type": "ClassLabel"}


def picture(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((40, 48, 3), 20 * number, np.uint8)).save(file, "PNG")
    return file.getvalue()


def table(files: list[dict | None], kind: str = "Image", labels: list[int] | None = None) -> pyarrow.Table:
    """As datasets lays it out: files as structs, what the columns are in the schema's metadata."""
    name = kind.lower()
    columns = {name: pyarrow.array(files, FILE)}
    features: dict = {name: {"_type": kind}}
    if labels is not None:
        columns["label"], features["label"] = pyarrow.array(labels, pyarrow.int64()), LABEL
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pyarrow.table(columns).replace_schema_metadata(metadata)


def pictures(count: int) -> pyarrow.Table:
    return table(
        [{"bytes": picture(k), "path": f"{k}.png"} for k in range(count)], labels=[k % 2 for k in range(count)]
    )


def save(content: pyarrow.Table, folder: Path, split: str | None = None) -> None:
    """As Dataset.save_to_disk does."""
    folder.mkdir(parents=True)
    name = "data-00000-of-00001.arrow"
    with ipc.new_stream(str(folder / name), content.schema) as writer:
        writer.write_table(content)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}], "_split": split}))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A DatasetDict of twelve pictures."""
    save(pictures(8), tmp_path / "saved" / "train", "train")
    save(pictures(4), tmp_path / "saved" / "test", "test")
    (tmp_path / "saved" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    return tmp_path / "saved"


def listed(source: str) -> list[tuple]:
    media = avssl.open(source)
    return [(facts.kind, facts.label, facts.split) for facts in map(media.facts, range(len(media)))]


def test_a_saved_data_set_gives_its_pictures_labels_and_splits(saved):
    found = listed(f"hf-dataset:{saved}")
    assert found == [
        *[("image", ("cat", "dog")[k % 2], "train") for k in range(8)],
        *[("image", ("cat", "dog")[k % 2], "test") for k in range(4)],
    ]
    media = avssl.open(f"hf-dataset:{saved}")
    assert [int(media.frames(k, [0.0]).max()) for k in range(8)] == [20 * k for k in range(8)]


def test_one_split_of_it_is_divided_as_any_data_are(saved):
    assert listed(f"hf-dataset:{saved}:test") == [("image", ("cat", "dog")[k % 2], None) for k in range(4)]
    with pytest.raises(UserError, match=r"no split 'val'; there are: test, train"):
        avssl.open(f"hf-dataset:{saved}:val")


def test_parquet_files_say_their_split_by_their_names(tmp_path):
    for split, count in (("train", 3), ("validation", 2)):
        parquet.write_table(pictures(count), tmp_path / f"{split}-00000-of-00001.parquet")
    assert [split for _, _, split in listed(f"hf-dataset:{tmp_path}")] == ["train"] * 3 + ["validation"] * 2


def test_videos_with_their_sound_are_read_from_rows(tmp_path):
    write_clip(tmp_path / "clip.mp4")
    save(table([{"bytes": (tmp_path / "clip.mp4").read_bytes(), "path": None}, None], "Video"), tmp_path / "videos")
    media = avssl.open(f"hf-dataset:{tmp_path / 'videos'}")
    here = avssl.open(tmp_path / "clip.mp4")
    assert len(media) == 1 and (media.frames(0, [1.0]) == here.frames(0, [1.0])).all()
    assert np.array_equal(media.audio(0, 0.5, 0.5, 8000), here.audio(0, 0.5, 0.5, 8000))


def test_sounds_are_read_from_rows(tmp_path):
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.full(8000, 8192, "<i2").tobytes())
    save(table([{"bytes": sound.getvalue(), "path": None}], "Audio", labels=[1]), tmp_path / "sounds")
    media = avssl.open(f"hf-dataset:{tmp_path / 'sounds'}")
    assert media.facts(0).label == "dog"
    assert media.audio(0, 0.25, 0.5, 8000) == pytest.approx(np.full((4000,), 0.25, np.float32))


def test_rows_that_only_name_a_file_are_read_where_it_lies(tmp_path):
    (tmp_path / "a.png").write_bytes(picture(3))
    save(table([{"bytes": None, "path": str(tmp_path / "a.png")}]), tmp_path / "named")
    assert avssl.open(f"hf-dataset:{tmp_path / 'named'}").facts(0).path == str(tmp_path / "a.png")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A hub of data sets on loopback, and a cache of its own."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    with serving(DataHub()) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def as_parquet(content: pyarrow.Table) -> bytes:
    file = io.BytesIO()
    parquet.write_table(content, file)
    return file.getvalue()


def test_a_data_set_on_a_hub_is_read_by_its_name_and_then_from_the_cache(hub):
    files = {
        f"data/{split}-00000-of-00001.parquet": as_parquet(pictures(n)) for split, n in (("train", 3), ("test", 2))
    }
    hub.commits["lab/pets"], hub.private["lab/pets"] = [{"README.md": b"cats and dogs", **files}], False
    refuse_missing("hf-dataset:lab/pets")
    assert [split for _, _, split in listed("hf-dataset:lab/pets")] == ["test"] * 2 + ["train"] * 3
    assert listed("hf-dataset:lab/pets:test") == [("image", "cat", None), ("image", "dog", None)]
    assert absolute_source("hf-dataset:lab/pets:test") == "hf-dataset:lab/pets:test"
    assert hub.asked["README.md"] == 0 and hub.asked["test-00000-of-00001.parquet"] == 2  # a HEAD and a GET, once
    hub.always = [("hang up", "")]
    assert len(avssl.open(f"hf-dataset:lab/pets@{0:040x}")) == 5, "the cache has it"


def test_of_a_data_set_that_was_uploaded_otherwise_the_hubs_conversion_is_read(hub):
    hub.commits["lab/pets"], hub.private["lab/pets"] = [{"train/cat/0.png": picture(1)}], False
    with pytest.raises(UserError, match=r"lab/pets on the hub holds no Parquet files"):
        avssl.open("hf-dataset:lab/pets")
    hub.converted["lab/pets"] = {
        f"{name}/train/0000.parquet": as_parquet(pictures(n)) for name, n in (("small", 2), ("large", 4))
    }
    with pytest.raises(UserError, match=r"holds several configurations: large, small; give hf-dataset:lab/pets/large"):
        avssl.open("hf-dataset:lab/pets")
    assert len(avssl.open("hf-dataset:lab/pets/small")) == 2
    with pytest.raises(UserError, match=r"has no configuration 'tiny': large, small"):
        avssl.open("hf-dataset:lab/pets/tiny:train")


def test_rows_of_a_hub_cannot_name_files_of_this_machine(hub, tmp_path):
    (tmp_path / "secret.png").write_bytes(picture(3))
    rows = table([{"bytes": None, "path": str(tmp_path / "secret.png")}, {"bytes": picture(1), "path": None}])
    hub.commits["lab/odd"], hub.private["lab/odd"] = [{"train.parquet": as_parquet(rows)}], False
    media = avssl.open("hf-dataset:lab/odd")
    assert len(media) == 1 and "secret" not in media.facts(0).path


def test_a_data_set_that_is_neither_here_nor_on_the_hub_is_one_line(hub, monkeypatch):
    with pytest.raises(UserError, match="has no such repository"):
        avssl.open("hf-dataset:lab/none")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="cannot be reached"):
        avssl.open("hf-dataset:lab/other")


def test_files_are_written_once_and_again_when_the_data_set_has_changed(saved, monkeypatch):
    first = hf_dataset.exported(f"hf-dataset:{saved}:train")
    written = []
    real = hf_dataset._write
    monkeypatch.setattr(hf_dataset, "_write", lambda *a, **k: (written.append(a[2]), real(*a, **k)))
    assert hf_dataset.exported(f"hf-dataset:{saved}:train") == first and not written
    (saved / "train" / "data-00000-of-00001.arrow").unlink()
    (saved / "train" / "state.json").unlink()
    (saved / "train").rmdir()
    save(pictures(5), saved / "train", "train")
    assert len(avssl.open(f"hf-dataset:{saved}:train")) == 5 and len(written) == 1


def test_its_place_is_absolute_in_the_options_of_a_run(saved, monkeypatch):
    monkeypatch.chdir(saved.parent)
    assert absolute_source("hf-dataset:saved:test") == f"hf-dataset:{saved}:test"
    refuse_missing("hf-dataset:saved")


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda folder: (folder / "data-00000-of-00001.arrow").write_bytes(b"half"), "cannot be read"),
        (lambda folder: (folder / "data-00000-of-00001.arrow").unlink(), "cannot be read"),
        (lambda folder: (folder / "state.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "state.json").unlink(), "holds no data set"),
    ],
)
def test_a_damaged_data_set_is_one_line_and_leaves_nothing_behind(tmp_path, monkeypatch, spoil, line):
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path / "cache"))
    save(pictures(3), tmp_path / "data")
    spoil(tmp_path / "data")
    with pytest.raises(UserError, match=line) as caught:
        avssl.open(f"hf-dataset:{tmp_path / 'data'}")
    assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.suffix in (".png", ".csv")]


def test_a_data_set_without_media_or_that_is_not_there_is_one_line(tmp_path):
    plain = pyarrow.table({"text": ["a"]}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": {"text": {"_type": "Value"}}}})}
    )
    save(plain, tmp_path / "plain")
    with pytest.raises(UserError, match=r"no column is an Image, Video or Audio; its columns: text \(Value\)"):
        avssl.open(f"hf-dataset:{tmp_path / 'plain'}")
    with pytest.raises(UserError, match="no such file or folder"):
        avssl.open(f"hf-dataset:{tmp_path / 'none'}")
    save(table([None]), tmp_path / "empty")
    with pytest.raises(UserError, match="no row of it holds a file"):
        avssl.open(f"hf-dataset:{tmp_path / 'empty'}")
