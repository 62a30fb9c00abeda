"""Which items are for training and for evaluation, and their targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from probe_media import write_pictures, write_sounds

import avssl
from avssl.evaluate.data.joins import joined
from avssl.evaluate.data.labelled import hold_out, labelled, source_folds
from avssl.evaluate.data.split_files import (
    action_group,
    action_lists,
    column_of,
    is_voc,
    splits_of,
    voc_list,
    voc_truths,
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return avssl.open(write_pictures(tmp_path_factory.mktemp("pictures"), each=10), workers=0)


def test_without_a_test_part_a_fifth_of_each_class_is_evaluated(pictures):
    data = labelled(pictures)
    (division,) = data.divisions
    assert data.classes == ("blue", "green", "red")
    assert data.single
    assert np.bincount(data.labels[division.test]).tolist() == [2, 2, 2]
    assert set(division.train) | set(division.test) == set(range(30))
    assert not set(division.train) & set(division.test)


def test_items_of_the_test_part_are_not_learned_from(pictures):
    data = labelled(pictures, pictures.subset([0, 10, 20]))
    (division,) = data.divisions
    assert not {0, 10, 20} & set(division.train.tolist())
    assert division.test.tolist() == [30, 31, 32]
    part, item = data.locate(31)
    assert part.facts(item).path == pictures.facts(10).path


def test_copies_of_test_items_under_other_names_are_not_learned_from(pictures, tmp_path):
    for number, i in enumerate((0, 10, 20)):
        place = tmp_path / pictures.facts(i).label / f"copy{number}.png"
        place.parent.mkdir()
        place.write_bytes(Path(pictures.facts(i).path).read_bytes())
    (division,) = labelled(pictures, avssl.open(tmp_path, workers=0)).divisions
    assert not {0, 10, 20} & set(division.train.tolist()) and len(division.train) == len(pictures) - 3


def test_folds_of_a_csv_are_evaluated_in_turn(tmp_path):
    table = write_sounds(tmp_path / "s", each=4, folds=2)
    media = avssl.open(table, workers=0)
    data = labelled(media, folds=column_of(table, media, "fold"))
    assert [division.name for division in data.divisions] == ["fold 1", "fold 2"]
    assert sorted(data.test) == list(range(8))
    assert all(len(division.train) == 4 for division in data.divisions)


def test_folds_of_files_of_one_name_in_several_folders_are_those_of_their_own_rows(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"{kind}/{number:04d}.png" for kind in ("cat", "dog", "cow") for number in range(8)]
    folds = [str(rng.integers(5)) for _ in names]
    for k, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), (10 * k, 5, 90)).save(tmp_path / name)
    rows = [f"{name},{name.split('/')[0]},{fold}" for name, fold in zip(names, folds, strict=True)]
    (tmp_path / "t.csv").write_text("path,label,fold\n" + "\n".join(rows) + "\n")
    media = avssl.open(tmp_path / "t.csv", workers=0)
    found = column_of(tmp_path / "t.csv", media, "fold")
    result = dict(zip(names, folds, strict=True))
    assert found == [result["/".join(Path(media.facts(i).path).parts[-2:])] for i in range(len(media))]
    assert column_of(tmp_path / "t.csv", media.subset([20, 3]), "fold") == [found[20], found[3]]
    (tmp_path / "t.csv").write_text("path,label,fold\n" + "\n".join(rows[:-1]) + f"\n{names[-1]},cow,\n")
    with pytest.raises(avssl.UserError, match=r"has no value for .*cow/0007.png"):
        column_of(tmp_path / "t.csv", avssl.open(tmp_path / "t.csv", workers=0), "fold")


def test_names_that_could_be_several_files_are_refused():
    paths = ["/d/cat/0001.jpg", "/d/dog/0001.jpg", "/d/dog/0002.jpg"]
    assert joined(["dog/0001.jpg", "cat/0001.jpg", "0002.jpg"], paths, "list.txt") == [1, 0, 2]
    assert joined(["photos/dog/0001.jpg", "/d/cat/0001.jpg", "x/0003.jpg"], paths, "list.txt") == [1, 0, None]
    with pytest.raises(avssl.UserError, match=r"list.txt: '0001.jpg' could be cat/0001.jpg and dog/0001.jpg"):
        joined(["0001.jpg"], paths, "list.txt")
    with pytest.raises(avssl.UserError, match=r"both could be 0001.jpg"):
        joined(["cat/0001.jpg", "dog/0001.jpg"], ["/flat/0001.jpg", "/flat/0002.jpg"], "list.txt")


def test_an_unknown_column_names_those_there_are(tmp_path):
    table = write_sounds(tmp_path / "s")
    with pytest.raises(avssl.UserError, match=r"no column 'folds'; its columns: file, fold, label"):
        column_of(table, avssl.open(table, workers=0), "folds")


def test_no_source_is_on_both_sides():
    targets = np.eye(2, dtype=np.int8)[np.repeat([0, 1], 20)]
    sources = [f"s{i // 4}" for i in range(40)]
    rest, held = hold_out(np.arange(40), targets, sources)
    assert not {sources[i] for i in rest} & {sources[i] for i in held}
    assert np.bincount(targets[held].argmax(1)).tolist() == [4, 4]
    folds = source_folds(np.arange(40), targets, sources, 3)
    assert sorted(np.concatenate([fold for _, fold in folds])) == list(range(40))
    assert all(not {sources[i] for i in rest} & {sources[i] for i in fold} for rest, fold in folds)


def test_several_labels_an_item(tmp_path):
    write_pictures(tmp_path / "p", each=3)
    rows = [f"p/{name}/0-{k:03d}.png,{name}|any" for name in ("blue", "green", "red") for k in range(3)]
    (tmp_path / "t.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    data = labelled(avssl.open(tmp_path / "t.csv", workers=0), separator="|")
    assert data.classes == ("any", "blue", "green", "red")
    assert not data.single
    assert data.targets.sum(1).tolist() == [2] * 9
    assert data.targets[:, 0].all()


def test_items_without_labels_are_refused(tmp_path):
    write_pictures(tmp_path, each=2, classes=("one",))
    with pytest.raises(avssl.UserError, match="two classes"):
        labelled(avssl.open(tmp_path, workers=0))
    with pytest.raises(avssl.UserError, match="no label for"):
        labelled(avssl.open(tmp_path / "one", workers=0))


def test_the_lists_of_ucf101_and_hmdb51(tmp_path):
    (tmp_path / "trainlist01.txt").write_text("Juggling/v_Juggling_g08_c01.avi 1\n")
    (tmp_path / "testlist01.txt").write_text("Juggling/v_Juggling_g01_c01.avi\n")
    marks = action_lists(tmp_path, 1)
    assert marks == {"Juggling/v_Juggling_g08_c01.avi": "train", "Juggling/v_Juggling_g01_c01.avi": "test"}
    there = ["/d/UCF/Juggling/v_Juggling_g01_c01.avi", "/d/UCF/Other/v_Other_g01_c01.avi"]
    assert splits_of(marks, there, "lists") == ["test", None]
    assert splits_of(marks, [f"/flat/{Path(path).name}" for path in there], "lists") == ["test", None]
    assert action_group("/d/Juggling/v_Juggling_g08_c01.avi") == "Juggling/g08"
    (tmp_path / "wave_test_split2.txt").write_text("a b.avi 1 \nc.avi 2 \nd.avi 0 \n")
    assert action_lists(tmp_path, 2) == {"wave/a b.avi": "train", "wave/c.avi": "test"}
    with pytest.raises(avssl.UserError, match="split 3"):
        action_lists(tmp_path, 3)


def test_a_voc_folder_has_several_labels_and_difficult_ones(tmp_path):
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_text("1\n")
    objects = [("cat", 0), ("dog", 1), ("cat", 1)]
    inner = "".join(f"<object><name>{n}</name><difficult>{d}</difficult></object>" for n, d in objects)
    (tmp_path / "Annotations/1.xml").write_text(f"<annotation>{inner}</annotation>")
    assert is_voc(tmp_path)
    (picture,) = voc_list(tmp_path, "trainval", "train")
    assert voc_truths(tmp_path, [picture]) == {str(picture): {"cat": 1, "dog": -1}}


@pytest.mark.realdata
def test_the_real_voc_folder_of_blood_cells(shared_data: Path):
    folder = shared_data / "detection" / "voc_bccd"
    pictures = voc_list(folder, "train")
    truths = voc_truths(folder, pictures)
    assert len(truths) == 36
    assert {name for row in truths.values() for name in row} == {"RBC", "WBC", "Platelets"}


@pytest.mark.realdata
def test_the_real_lists_of_actions(shared_data: Path):
    marks = action_lists(shared_data / "annotations" / "ucf101", 1)
    assert [list(marks.values()).count(split) for split in ("train", "test")] == [9537, 3783]
    assert len({action_group(name) for name, split in marks.items() if split == "test"}) == 707
    tiny = action_lists(shared_data / "actions" / "hmdb51" / "testTrainMulti_7030_splits", 1)
    assert set(tiny.values()) == {"train", "test"}
