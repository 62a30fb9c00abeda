"""Tables of clips as people have them are read, or refused in a line that says what is there and what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from avssl.errors import UserError
from avssl.media.indexing.clip_tables import offered_tables
from avssl.media.indexing.listing import Entry, Listing
from avssl.media.opening import list_source

ID, OTHER = "---1_cCGK4M", "-0zovoIpu-k"


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def read(folder: Path, text: str | bytes, name: str = "list.csv") -> Listing:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(data)
    listing = list_source(folder / name)
    assert listing.entries or listing.rejected  # made now, where an error would show
    return listing


def only(listing: Listing) -> Entry:
    assert list(listing.rejected) == []
    (entry,) = listing.entries
    return entry


def stretch(entry: Entry) -> tuple[float | None, float | None]:
    return entry.start_seconds, entry.duration_seconds


# --- our own columns ------------------------------------------------------------------------------------


def test_an_end_is_a_duration_from_the_start(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4")
    listing = read(tmp_path, "path,start,end\na.mp4,1.5,4\na.mp4,,2\na.mp4,1,\na.mp4,,\n")
    assert [stretch(entry) for entry in listing.entries] == [(1.5, 2.5), (0.0, 2.0), (1.0, None), (None, None)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.mp4,3,2,", "end (2) must come after start (3) (row 2)"),
        ("a.mp4,3,3,", "end (3) must come after start (3) (row 2)"),
        ("a.mp4,3,soon,", "end is not a number of seconds: 'soon' (row 2)"),
        ("a.mp4,3,5,9", "end (5) and duration (9) contradict each other (row 2)"),
    ],
)
def test_an_end_that_cannot_be_is_named_with_its_row(tmp_path: Path, row: str, reason: str) -> None:
    put(tmp_path, "a.mp4")
    assert [rejected.reason for rejected in read(tmp_path, f"path,start,end,duration\n{row}\n").rejected] == [reason]


ODD = ["a\u2028b.mp4", "two\nlines.mp4", " leading.mp4", "trailing .mp4", "#1.mp4", 'quo"te.mp4', "a,b.mp4", "x;y.mp4"]


@pytest.mark.parametrize("name", ODD)
def test_a_name_is_what_the_csv_module_reads(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    quoted = '"' + name.replace('"', '""') + '"'
    assert only(read(tmp_path, f"path,label\n{quoted},cat\n")).name == name


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_marks_line_ends_and_unicode_of_every_spreadsheet(tmp_path: Path, end: str, mark: str, encoding: str) -> None:
    put(tmp_path, "café.mp4")
    text = end.join([f"Path{mark}Label", f"café.mp4{mark}grün", ""])
    entry = only(read(tmp_path, text.encode(encoding)))
    assert (entry.name, entry.label) == ("café.mp4", "grün")


def test_latin_1_as_windows_writes_it_finds_files_and_labels(tmp_path: Path) -> None:
    put(tmp_path, "café.mp4")
    entry = only(read(tmp_path, "path,label\ncafé.mp4,grün\n".encode("cp1252")))
    assert (entry.name, entry.label) == ("café.mp4", "grün")


def test_a_name_of_bytes_that_are_no_unicode_is_found(tmp_path: Path) -> None:
    put(tmp_path, "caf\udce9.mp4")
    assert only(read(tmp_path, b"path\ncaf\xe9.mp4\n")).name == "caf\udce9.mp4"


def test_a_row_of_too_many_cells_is_named_and_not_misread(tmp_path: Path) -> None:
    put(tmp_path, "a", "ok.mp4")
    listing = read(tmp_path, "path,label\na,b.mp4,cat\nok.mp4,dog\n")
    assert [entry.label for entry in listing.entries] == ["dog"]
    assert [rejected.reason for rejected in listing.rejected] == [
        "line 2 has more cells than the 2 columns; quote cells with commas"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,start\nx,1\n", r"has no column 'path' \(its columns: name, start\); expected: path.*VGGSound"),
        ("x.mp4,1\ny.mp4,2\n", "has no column 'path'"),
        ("", "has no column 'path'"),
        ("path\n", "has no rows"),
        ('path\n"never closed' + "x" * 200_000, "cannot be read as a row"),
        (b"path\n\0\0\0", "is not a text table"),
    ],
)
def test_what_is_no_table_of_clips_is_refused_in_one_line(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


# --- published lists ------------------------------------------------------------------------------------

VGGSOUND = f'{ID},30,"playing ""hard"", outside",test\n'
AUDIOSET = f'# Segments csv created Sun Mar  5 10:54:31 2017\n# num_ytids=1\n# YTID, start_seconds, end_seconds, positive_labels\n{ID}, 30.000, 40.000, "/m/0dgw9r,/m/09x0r"\n'  # noqa: E501
KINETICS = f'label,youtube_id,time_start,time_end,split\n"playing drums",{ID},30,40,validate\n'
AVE = f"Category&VideoID&Quality&StartTime&EndTime\nplaying drums&{ID}&good&30&40\n"

LISTS = {
    "VGGSound": (VGGSOUND, "list.csv", 'playing "hard", outside', "test"),
    "VGGSound, headed": (f"YouTube ID, start seconds, label, split\n{ID},30,drums,test\n", "list.csv", "drums", "test"),
    "AudioSet": (AUDIOSET, "list.csv", "/m/0dgw9r,/m/09x0r", None),
    "AudioSet without its comments": (AUDIOSET.splitlines()[3], "list.csv", "/m/0dgw9r,/m/09x0r", None),
    "Kinetics": (KINETICS, "list.csv", "playing drums", "validation"),
    "AVE": (AVE, "Annotations.txt", "playing drums", None),
}
CUT = ["{id}_000030.mp4", "{id}_30.mp4", "sub/{id}_000030.webm", "Y{id}.wav"]
CUT_TO_AN_END = ["{id}_000030_000040.mp4", "{id}_30_40.mp4", "{id}_30.000_40.000.mkv", "{id}_30000_40000.flac"]
WHOLE = ["{id}.mp4", "videos/{id}.mkv", "playing drums/{id}.mp4", "playing_drums/{id}.mp4", "v_{id}.mp4"]


@pytest.mark.parametrize("which", LISTS)
@pytest.mark.parametrize("name", [*CUT, *CUT_TO_AN_END, *WHOLE])
def test_a_published_list_finds_its_file_and_its_name_says_whether_it_is_cut(
    tmp_path: Path, which: str, name: str
) -> None:
    text, file, label, split = LISTS[which]
    name = name.format(id=ID)
    put(tmp_path, name, f"{OTHER}.mp4", f"{ID}_000031.json")
    listing = read(tmp_path, text, file)
    entry = only(listing)
    assert (entry.name, entry.label, entry.split, entry.source) == (name, label, split, ID)
    whole = name in [each.format(id=ID) for each in WHOLE]
    assert stretch(entry) == ((30.0, 10.0) if whole else (None, None))


def test_a_clip_in_the_folder_of_its_label_and_a_video_rather_than_a_sound(tmp_path: Path) -> None:
    put(tmp_path, f"other/{ID}_000030.mp4", f"playing drums/{ID}_000030.wav", f"playing drums/{ID}_000030.mp4")
    assert only(read(tmp_path, KINETICS)).name == f"playing drums/{ID}_000030.mp4"


def test_a_clip_that_was_not_downloaded_is_missing_by_name(tmp_path: Path) -> None:
    put(tmp_path, "x.mp4")
    listing = read(tmp_path, KINETICS + f"playing drums,{OTHER},5,15,train\n")
    assert [(Path(path).name, reason) for path, reason in listing.rejected] == [
        (f"{ID}_000030.mp4", "no such file"),
        (f"{OTHER}_000005.mp4", "no such file"),
    ]


def test_stretches_of_one_video_are_of_one_source(tmp_path: Path) -> None:
    put(tmp_path, f"{ID}.mp4")
    listing = read(tmp_path, f"{ID},30,drums,train\n{ID},90,drums,test\n")
    assert [(entry.source, entry.start_seconds) for entry in listing.entries] == [(ID, 30.0), (ID, 90.0)]


def test_a_path_that_is_cut_by_its_name_is_not_cut_again(tmp_path: Path) -> None:
    put(tmp_path, "x_000030_000040.mp4", "x.mp4", "take_30.mp4")
    listing = read(tmp_path, "path,time_start,time_end\nx_000030_000040.mp4,30,40\nx.mp4,30,40\n")
    assert [stretch(entry) for entry in listing.entries] == [(None, None), (30.0, 10.0)]
    assert stretch(only(read(tmp_path, "path,start\ntake_30.mp4,30\n"))) == (30.0, None)


# --- offers ---------------------------------------------------------------------------------------------


def test_a_table_in_a_folder_that_speaks_of_its_files_is_offered(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "b.mp4", "sub/c.mp4", "notes.txt")
    (tmp_path / "labels.csv").write_text("path,label,source\na.mp4,x,1\nsub/c.mp4,y,2\ngone.mp4,z,3\n")
    (tmp_path / "other.csv").write_text("name,price\nx,1\n")
    (tmp_path / "few.csv").write_text("path\na.mp4\n")
    assert offered_tables(tmp_path) == [
        f"{tmp_path}/labels.csv lists 2 of its 3 files (columns path,label,source); "
        f"use it with --data {tmp_path}/labels.csv"
    ]
    (tmp_path / "labels.csv").unlink()
    assert offered_tables(tmp_path) == []
