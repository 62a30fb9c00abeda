"""Boxes as VOC and COCO write them: same pixels, same classes, whatever the format; what is wrong is said."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_boxes import voc_xml, write_coco, write_voc
from PIL import Image

from avssl.errors import UserError
from avssl.evaluate.transfer.detection.box_sets import open_boxes


def test_the_same_pictures_in_both_formats_have_the_same_boxes(tmp_path):
    voc = open_boxes(write_voc(tmp_path / "voc", seed=3))
    coco = open_boxes(write_coco(tmp_path / "coco", seed=3))
    for one, other in zip(voc, coco, strict=True):
        assert one.classes == other.classes == ("disc", "square")
        for a, b in zip(one.truths, other.truths, strict=True):
            np.testing.assert_array_equal(a.boxes, b.boxes)
            np.testing.assert_array_equal(a.labels, b.labels)
    assert [len(part.scenes) for part in voc] == [6, 4]


def test_corners_of_voc_begin_at_pixel_one_and_belong_to_the_box(tmp_path):
    folder = write_voc(tmp_path / "voc")
    picture = np.asarray(Image.open(folder / "JPEGImages" / "test000.jpg")).astype(int)
    for (x0, y0, x1, y1), label in zip(*_of(open_boxes(folder)[1].truths[0]), strict=True):
        if label == 1:  # a square: red up to its very edge, noise beyond
            inside = picture[int(y0) + 2 : int(y1) - 2, int(x0) + 2 : int(x1) - 2]
            assert (inside[..., 0] - inside[..., 2]).min() > 80
            assert x1 - x0 >= 14 and x1 == int(x1)


def _of(truth):
    return truth.boxes, truth.labels


def test_difficult_objects_and_crowds_do_not_count(tmp_path):
    folder = write_voc(tmp_path / "voc")
    hard = voc_xml("test000.jpg", [("disc", (5, 5, 30, 30))], difficult=1)
    (folder / "Annotations" / "test000.xml").write_text(hard)
    truth = open_boxes(folder)[1].truths[0]
    assert (truth.ignored.tolist(), truth.crowd.tolist()) == ([True], [False])
    file = write_coco(tmp_path / "coco") / "annotations" / "instances_val2017.json"
    found = json.loads(file.read_text())
    found["annotations"][0]["iscrowd"] = 1
    file.write_text(json.dumps(found))
    truth = open_boxes(tmp_path / "coco")[1].truths[0]
    assert (truth.ignored[0], truth.crowd[0]) == (True, True)


def test_pictures_that_cannot_be_used_and_boxes_without_area_are_named(tmp_path):
    folder = write_voc(tmp_path / "voc")
    (folder / "JPEGImages" / "test000.jpg").unlink()
    (folder / "JPEGImages" / "test001.jpg").write_text("no picture")
    odd = voc_xml("test002.jpg", [("disc", (5, 5, 30, 30))], side=100)
    (folder / "Annotations" / "test002.xml").write_text(odd)
    flat = voc_xml("test003.jpg", [("disc", (5, 5, 30, 30)), ("disc", (9, 9, 9, 20)), ("square", (50, 50, 90, 90))])
    (folder / "Annotations" / "test003.xml").write_text(flat)
    _, test = open_boxes(folder)
    assert (test.listed, len(test.scenes)) == (4, 1)
    reasons = [line.split(": ")[1] for line in test.passed_over]
    assert reasons == [
        "no such picture",
        "not a picture that can be read",
        "64×64 pixels, but its annotation says 100×100",
        "1 box without area",
    ]
    assert test.truths[0].boxes.tolist() == [[5, 5, 30, 30], [50, 50, 64, 64]]  # cut at the border


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda voc, coco: voc / "JPEGImages", "laid out neither as VOC"),
        (lambda voc, coco: _wrote(voc, "Annotations/test000.xml", "<annotation>"), "cannot be read as an annotation"),
        (lambda voc, coco: _wrote(voc, "Annotations/test000.xml", "<annotation/>"), "it has no size/width"),
        (lambda voc, coco: _wrote(coco, "annotations/instances_val2017.json", "{}"), "it has no 'categories'"),
        (lambda voc, coco: coco / "annotations" / "instances_train2017.json", "give held-out data with --test"),
        (lambda voc, coco: _wrote(voc, "ImageSets/Main/test.txt", ""), "no picture of 0 has an object to find"),
    ],
)
def test_what_cannot_be_read_is_reported_in_one_line(tmp_path, spoil, line):
    place = spoil(write_voc(tmp_path / "voc"), write_coco(tmp_path / "coco"))
    with pytest.raises(UserError, match=line) as error:
        open_boxes(place)
    assert "\n" not in str(error.value)


def _wrote(folder, name, text):
    (folder / name).write_text(text)
    return folder


def test_a_file_of_coco_alone_with_another_to_evaluate_on(tmp_path):
    annotations = write_coco(tmp_path / "coco") / "annotations"
    train, test = open_boxes(annotations / "instances_train2017.json", annotations / "instances_val2017.json")
    assert (len(train.scenes), len(test.scenes)) == (6, 4)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "pictures", "boxes"),
    [("voc_raccoon", (60, 20), 83), ("voc_bccd", (36, 12), 641), ("coco", (56, 28), 629)],
)
def test_real_sets_are_read_whole(shared_data, name, pictures, boxes):
    parts = open_boxes(shared_data / "detection" / name)
    assert tuple(len(part.scenes) for part in parts) == pictures
    assert sum(len(truth.boxes) for part in parts for truth in part.truths) == boxes
    assert [part.passed_over for part in parts] == [(), ()]
