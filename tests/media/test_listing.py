"""What is where, before any file is opened."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from avssl.errors import UserError
from avssl.media.opening import list_source


def put(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def tar_of(path: Path, *names: str, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    return path


def test_the_first_sub_folder_is_the_label(tmp_path: Path) -> None:
    listing = list_source(put(tmp_path, "cat/a.jpg", "dog/old/b.jpg", "c.jpg"))
    assert [(entry.name, entry.label) for entry in listing.entries] == [
        ("c.jpg", None),
        ("cat/a.jpg", "cat"),
        ("dog/old/b.jpg", "dog"),
    ]


def test_sub_folders_named_as_splits_are_splits(tmp_path: Path) -> None:
    listing = list_source(put(tmp_path, "train/cat/a.jpg", "val/cat/b.jpg", "test/c.jpg"))
    found = {entry.name: (entry.split, entry.label) for entry in listing.entries}
    assert found == {
        "train/cat/a.jpg": ("train", "cat"),
        "val/cat/b.jpg": ("validation", "cat"),
        "test/c.jpg": ("test", None),
    }


def test_a_class_called_train_among_other_classes_is_a_class(tmp_path: Path) -> None:
    listing = list_source(put(tmp_path, "train/a.jpg", "bus/b.jpg"))
    assert {entry.label for entry in listing.entries} == {"train", "bus"}
    assert {entry.split for entry in listing.entries} == {None}


def test_the_order_does_not_depend_on_the_file_system(tmp_path: Path) -> None:
    names = ["b.mp4", "a/z.mp4", "a.mp4", "a-b/c.mp4"]
    one = list_source(put(tmp_path / "one", *names))
    two = list_source(put(tmp_path / "two", *reversed(names)))
    assert [entry.name for entry in one.entries] == [entry.name for entry in two.entries]


def test_hidden_files_and_annotations_are_no_items(tmp_path: Path) -> None:
    listing = list_source(put(tmp_path, "a.mp4", "a.json", ".b.mp4", ".git/c.mp4", "lonely.json"))
    assert [entry.name for entry in listing.entries] == ["a.mp4", "lonely.json"]


def test_a_link_that_leads_nowhere_is_named_and_a_loop_of_links_ends(tmp_path: Path) -> None:
    put(tmp_path, "in/a.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nothing")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    listing = list_source(tmp_path)
    assert [entry.name for entry in listing.entries] == ["in/a.mp4"]
    assert [(Path(path).name, reason) for path, reason in listing.rejected] == [
        ("gone.mp4", "a link that leads nowhere")
    ]


def test_a_table_says_label_split_source_and_start(tmp_path: Path) -> None:
    put(tmp_path, "clips/a.mp4")
    table = tmp_path / "list.csv"
    table.write_text("path,label,start,duration,split,source_video\nclips/a.mp4,cat,1.5,2,val,video7\n")
    (entry,) = list_source(table).entries
    assert (entry.name, entry.label, entry.start_seconds, entry.duration_seconds) == ("clips/a.mp4", "cat", 1.5, 2.0)
    assert (entry.split, entry.source) == ("validation", "video7")


@pytest.mark.parametrize("head", ["file;kind", "\ufeffClip\tclass", " filename , label "])
def test_tables_as_people_write_them_are_understood(tmp_path: Path, head: str) -> None:
    put(tmp_path, "a.mp4")
    delimiter = next(mark for mark in ";\t," if mark in head)
    table = tmp_path / "list.csv"
    table.write_text(f"{head}\r\na.mp4{delimiter}cat\r\n\r\n", encoding="utf-8")
    assert [(entry.name, entry.label) for entry in list_source(table).entries] == [("a.mp4", "cat")]


def test_a_table_may_lie_beside_the_folder_of_its_own_name(tmp_path: Path) -> None:
    put(tmp_path, "esc/a.ogg")
    (tmp_path / "esc.csv").write_text("file\na.ogg\n")
    assert [entry.name for entry in list_source(tmp_path / "esc.csv").entries] == ["esc/a.ogg"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("gone.mp4,0", "no such file"),
        ("a.mp4,soon", "start is not a number of seconds: 'soon' (row 3)"),
        ("a.mp4,-1", "start is not a time in a file: -1 (row 3)"),
        ("a.mp4,nan", "start is not a time in a file: nan (row 3)"),
        (",1", "the row names no file"),
    ],
)
def test_a_bad_row_is_named_and_the_others_count(tmp_path: Path, row: str, reason: str) -> None:
    put(tmp_path, "a.mp4")
    (tmp_path / "list.csv").write_text(f"path,start\na.mp4,\n{row}\n")
    listing = list_source(tmp_path / "list.csv")
    assert len(listing.entries) == 1
    assert [rejected.reason for rejected in listing.rejected] == [reason]


def test_members_of_a_tar_have_labels_and_never_lead_out_of_it(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "set.tar", "cat/1.png", "../evil.png", "/abs.png", "dog/2.png")
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("cat/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    listing = list_source(path)
    assert [(entry.name, entry.label) for entry in listing.entries] == [("cat/1.png", "cat"), ("dog/2.png", "dog")]
    assert [rejected.reason for rejected in listing.rejected] == [
        "its name leads out of the tar",
        "its name leads out of the tar",
        "a link or a device, not a picture",
    ]
    data = path.read_bytes()
    assert [data[entry.offset : entry.offset + entry.size] for entry in listing.entries] == [b"x", b"x"]


def test_an_unchanged_tar_is_known_without_reading_it_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tar_of(tmp_path / "set.tar", "cat/1.png")
    monkeypatch.setattr(tarfile, "open", lambda *args: pytest.fail("the tar was read"))
    assert list_source(path).digest() == list_source(path).digest()


def test_the_digest_changes_with_every_file(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4")
    before = list_source(tmp_path).digest()
    assert list_source(tmp_path).digest() == before
    (tmp_path / "a.mp4").write_bytes(b"longer")
    changed = list_source(tmp_path).digest()
    put(tmp_path, "b.mp4")
    assert len({before, changed, list_source(tmp_path).digest()}) == 3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "missing", "no such file or folder"),
        (lambda folder: put(folder / "empty", ".hidden"), "the folder is empty"),
        (lambda folder: [], "the list of files is empty"),
        (
            lambda folder: _written(folder / "a.csv", "name,label\nx,y\n"),
            "has no column 'path' (its columns: name, label)",
        ),
        (lambda folder: _written(folder / "a.csv", "path\n"), "has no rows"),
        (lambda folder: _written(folder / "a.csv", b"\xff\xfe\x00"), "is not a text table"),
        (lambda folder: tar_of(folder / "a.tar.gz", "x/1.png", mode="w:gz"), "compressed tar cannot be read in place"),
        (lambda folder: _written(folder / "a.tar", "junk"), "not a tar"),
        (lambda folder: tar_of(folder / "a.tar"), "the tar is empty"),
    ],
)
def test_what_cannot_be_listed_is_reported_in_one_line(tmp_path: Path, make: object, words: str) -> None:
    source = make(tmp_path)  # type: ignore[operator]
    with pytest.raises(UserError) as caught:
        list_source(source).entries
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def _written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
