"""Boxes, maps, lists and media of one name in several folders are never taken for each other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_runs import write_clip

import avssl
from avssl.evaluate.localization.annotations import read_annotations
from avssl.evaluate.localization.datasets import MapFile, TestMedia
from avssl.evaluate.localization.metrics import ciou

BOXES = {"cat/0001.mp4": [0, 0, 0.5, 0.5], "dog/0001.mp4": [0.5, 0.5, 1, 1], "dog/0002.mp4": [0, 0, 1, 1]}


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    place = tmp_path / "boxes.json"
    place.write_text(json.dumps([{"file": name, "bbox": [box], "class": "x"} for name, box in BOXES.items()]))
    return place


def test_items_of_one_name_in_two_folders_are_two_things(annotations):
    items = read_annotations(annotations).items
    assert [item.name for item in items] == ["cat/0001", "dog/0001", "0002"]
    assert len({item.picture for item in items}) == len({item.cluster for item in items}) == 3


@pytest.mark.parametrize("kind", ["npz", "folder"])
def test_maps_are_found_by_name_and_folder(annotations, tmp_path, kind):
    items = read_annotations(annotations).items
    maps = {item.name: item.truth() for item in items}
    if kind == "npz":
        np.savez(tmp_path / "maps.npz", **maps)
        found = MapFile(tmp_path / "maps.npz")
    else:
        for name, one in maps.items():
            (tmp_path / "maps" / name).parent.mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / "maps" / f"{name}.npy", one)
        found = MapFile(tmp_path / "maps")
    assert len(found) == 3 and not found.unknown(items)
    for item in items:
        result = found(item)
        assert result is not None and ciou(result > 0, item.truth()) == 1


def test_a_map_that_could_be_of_several_items_is_of_none_and_twice_the_name_is_refused(annotations, tmp_path):
    cat, dog, other = read_annotations(annotations).items
    np.savez(tmp_path / "bare.npz", **{"0001": cat.truth(), "0002": other.truth()})
    bare = MapFile(tmp_path / "bare.npz")
    assert bare(cat) is None and bare(dog) is None and bare(other) is not None
    np.savez(tmp_path / "twice.npz", **{"a/0002": other.truth(), "b/0002": other.truth()})
    with pytest.raises(avssl.UserError, match="a/0002 and b/0002 could both be the map of 0002"):
        MapFile(tmp_path / "twice.npz")(other)


def test_a_list_must_say_which_it_means(annotations, tmp_path):
    (tmp_path / "list.txt").write_text("dog/0001.mp4\n0002\n")
    chosen = read_annotations(annotations, wanted=tmp_path / "list.txt")
    assert [item.name for item in chosen.items] == ["dog/0001", "0002"]
    (tmp_path / "list.txt").write_text("0001\n")
    with pytest.raises(avssl.UserError, match="'0001' could be cat/0001 and dog/0001"):
        read_annotations(annotations, wanted=tmp_path / "list.txt")


def test_media_are_found_by_name_and_folder_or_refused(annotations, tmp_path):
    for number, name in enumerate([*BOXES, "copy/0002.mp4"]):
        write_clip(tmp_path / "media" / name, number, seconds=1.0)
    items = read_annotations(annotations).items
    media = avssl.open(tmp_path / "media", workers=0)
    with pytest.raises(avssl.UserError, match=r"0002 could be .*copy/0002.mp4 and .*dog/0002.mp4"):
        TestMedia(media, items, 0)
    (tmp_path / "media/copy/0002.mp4").unlink()
    found = TestMedia(avssl.open(tmp_path / "media", workers=0), items, 0)
    paths = {name: found.media.facts(place.picture).path for name, place in found.places.items()}
    assert [str(Path(paths[item.name]).relative_to(tmp_path / "media")) for item in items] == list(BOXES)
