"""The published annotation files: what they hold, and what is wrong with them, counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from avssl.errors import UserError
from avssl.evaluate.localization.annotations import clip_name, read_annotations, read_entries, source_of
from avssl.evaluate.localization.leaks import compare, names_of

XML = """<annotation><file>1</file>{boxes}</annotation>"""
BOX = "<bbox><name>{who}</name><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bbox>"


def test_one_clip_has_one_name_however_it_is_written() -> None:
    assert clip_name("gklbB7TYoK4_30000_40000") == clip_name("gklbB7TYoK4_000030")
    assert source_of("gklbB7TYoK4_000030") == "gklbB7TYoK4"
    assert source_of("a_B-c_12345_000030") == "a_B-c_12345"[:11]
    assert source_of("v_ApplyEyeMakeup_g01_c04") == "v_ApplyEyeMakeup_g01"
    assert source_of("1-100038-A-14") == "100038"


def test_boxes_without_area_are_counted_and_the_item_stays(tmp_path: Path) -> None:
    overflow = -28823037615171176.0
    records = [
        {"file": "aaaaaaaaaaa_000001", "class": "dog", "bbox": [[0.1, 0.1, 0.5, 0.5], [0.2, 0.2, overflow, 0.4]]},
        {"file": "bbbbbbbbbbb_000002", "class": "cat", "bbox": [[0.4, 0.4, 0.4, 0.9]]},
    ]
    path = tmp_path / "vggss.json"
    path.write_text(json.dumps(records))
    found = read_annotations(path)
    defects = found.defects()
    assert (defects.boxes, defects.degenerate, defects.records) == (3, 2, 2)
    assert defects.empty == ("bbbbbbbbbbb_000002",)
    assert len(found.items) == 2
    assert not found.items[1].truth().any()


def test_flickr_annotators_agree_or_weigh_one_half(tmp_path: Path) -> None:
    boxes = "".join(BOX.format(*box, who=f"p{k}") for k, box in enumerate([(0, 0, 128, 128), (0, 0, 256, 128)]))
    (tmp_path / "10000.xml").write_text(XML.format(boxes=f"<object>{boxes}</object>"))
    truth = read_annotations(tmp_path).items[0].truth()
    assert sorted(set(truth.ravel())) == [0.0, 0.5, 1.0]
    assert (truth == 1).sum() == 112 * 112


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{}", "list of records"),
        ("[{}]", "neither file and bbox"),
        ("nonsense", "cannot be read as annotations"),
        ('[{"file": "a", "bbox": [[1, 2, 3]]}]', "record 0"),
    ],
)
def test_a_file_that_is_no_annotation_says_so_in_one_line(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UserError, match=what) as error:
        read_annotations(path)
    assert "\n" not in str(error.value)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "items", "pictures", "degenerate", "empty"),
    [
        ("vggss/vggss.json", 5158, 5158, 18, 2),
        ("is3/synthetic3240_bbox.json", 6480, 3240, 0, 0),
        ("vpo/vpo_ss_bbox.json", 890, 890, 0, 0),
        ("vpo/vpo_ms_bbox.json", 2157, 1432, 2, 2),
        ("avsbench/s4_box.json", 3700, 3700, 6, 6),
        ("avsbench/ms3_box.json", 320, 320, 29, 29),
    ],
)
def test_the_published_files_load_whole(
    shared_data: Path, name: str, items: int, pictures: int, degenerate: int, empty: int
) -> None:
    found = read_annotations(shared_data / "annotations" / name)
    defects = found.defects()
    assert (len(found.items), len({item.picture for item in found.items})) == (items, pictures)
    assert (defects.degenerate, len(defects.empty)) == (degenerate, empty)


@pytest.mark.realdata
def test_vggss_has_its_videos_and_its_doubtful_negatives(shared_data: Path) -> None:
    folder = shared_data / "annotations/vggss"
    found = read_annotations(folder / "vggss.json", negatives=folder / "vggss_test_plus_silent.csv")
    assert len({item.cluster for item in found.positives}) == 5017
    assert Counter(item.label for item in found.negatives) == {"": 3594, "same-class": 1185, "own-sound": 379}
    part = read_annotations(folder / "vggss.json", wanted=folder / "sslalign_vggss_list.txt")
    assert (len(part.items), part.not_annotated) == (4655, ())


@pytest.mark.realdata
def test_every_list_is_read(shared_data: Path) -> None:
    folder = shared_data / "annotations"
    counts = {path.name: len(read_entries(path)) for path in folder.rglob("*") if path.suffix in (".csv", ".txt")}
    assert len(counts) == 19
    assert counts["vggss_heard_test.csv"] == 2564
    assert counts["flickr_test_249.csv"] == 249
    assert counts["flickr_test_slavc.csv"] == 250
    assert counts["esc50.csv"] == 2000
    assert counts["hmdb51_splits.csv"] == 6766
    assert counts["trainlist01.txt"] == 9537


@pytest.mark.realdata
def test_ucf_splits_share_no_group_and_other_splits_do(shared_data: Path) -> None:
    folder = shared_data / "annotations/ucf101"
    clean = compare(names_of(folder / "trainlist01.txt"), names_of(folder / "testlist01.txt"))
    assert (clean.clips, clean.videos) == ((), ())
    mixed = compare(names_of(folder / "trainlist01.txt"), names_of(folder / "testlist02.txt"))
    assert len(mixed.clips) == len(mixed.videos) > 3000


def test_clips_of_one_video_on_both_sides_are_found() -> None:
    found = compare(["aaaaaaaaaaa_000001", "bbbbbbbbbbb_000001"], ["aaaaaaaaaaa_000030", "ccccccccccc_000001"])
    assert (found.clips, found.videos) == ((), ("aaaaaaaaaaa_000030",))
    assert np.isclose(len(found.videos) / found.test, 0.5)
