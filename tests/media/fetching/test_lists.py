"""The lists that the field publishes are read as they are published: whose video, which seconds, which label."""

from __future__ import annotations

from pathlib import Path

import pytest

from avssl.errors import UserError
from avssl.media.fetching.lists import LABEL_SETS, Clip, read_list, with_labels

AUDIOSET = """\
# Segments csv created Sun Mar  5 10:54:25 2017
# num_ytids=22160, num_segs=22160, num_unique_labels=527, num_positive_labels=52882
# YTID, start_seconds, end_seconds, positive_labels
--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
--ZhevVpy1s, 50.000, 60.000, "/m/012xff"
RUhOCu3LNXM, 12.500, 22.500, "/m/03w41f"
"""
KINETICS = """\
label,youtube_id,time_start,time_end,split
testifying,---QUuC4vJs,84,94,validate
bowling,--GkrdYZ9Tc,0,10,validate
"playing piano",-3B32lodo2M,59,69,train
"""
AVE = "Category&VideoID&Quality&StartTime&EndTime\nChurch bell&RUhOCu3LNXM&good&2&7\nBus&aaaaaaaaaaa&good&0&10\n"
YOUTUBE = "https://www.youtube.com/watch?v={id}"


def read(folder: Path, text: str, name: str = "list.csv", starts: str | None = None) -> list[Clip]:
    (folder / name).write_text(text)
    if starts is not None:
        (folder / "starts.csv").write_text(starts)
    return read_list(folder / name, [folder / "starts.csv"] if starts is not None else [])[0]


def test_vggsounds_list_has_no_header_and_ten_seconds_each(tmp_path: Path) -> None:
    text = '---g-f_I2yQ,1,"people marching",test\n--0PQM4-hqg,30,"waterfall burbling",train\n'
    assert read(tmp_path, text, "vggsound.csv") == [
        Clip("---g-f_I2yQ", 1.0, 10.0, "people marching", "test", "---g-f_I2yQ_000001", YOUTUBE),
        Clip("--0PQM4-hqg", 30.0, 10.0, "waterfall burbling", "train", "--0PQM4-hqg_000030", YOUTUBE),
    ]


def test_audiosets_columns_stand_in_its_third_comment(tmp_path: Path) -> None:
    first, _, third = read(tmp_path, AUDIOSET)
    assert first == Clip("--PJHxphWEs", 30.0, 10.0, "/m/09x0r,/t/dd00088", "", "--PJHxphWEs_000030", YOUTUBE)
    # Whole seconds in the name would be those of another clip.
    assert (third.start, third.stem) == (12.5, "RUhOCu3LNXM_12500")


def test_kinetics_sounds_is_kinetics_list_and_a_set_of_labels(tmp_path: Path) -> None:
    clips = read(tmp_path, KINETICS)
    assert [(clip.video, clip.start, clip.seconds, clip.label, clip.split) for clip in clips] == [
        ("---QUuC4vJs", 84, 10, "testifying", "validate"),
        ("--GkrdYZ9Tc", 0, 10, "bowling", "validate"),
        ("-3B32lodo2M", 59, 10, "playing piano", "train"),
    ]
    assert [clip.label for clip in with_labels(clips, ["kinetics-sounds"])] == ["bowling", "playing piano"]
    assert [len(set(LABEL_SETS[name])) for name in ("kinetics-sounds", "kinetics-sounds-32")] == [31, 32]


def test_one_of_the_labels_of_audioset_is_enough(tmp_path: Path) -> None:
    assert [clip.video for clip in with_labels(read(tmp_path, AUDIOSET), ["/t/dd00088"])] == ["--PJHxphWEs"]


def test_aves_clips_begin_where_audioset_says_and_are_named_as_its_own(tmp_path: Path) -> None:
    (clip,) = read(tmp_path, AVE, "Annotations.txt", starts=AUDIOSET)
    assert clip == Clip("RUhOCu3LNXM", 12.5, 10.0, "Church bell", "", "RUhOCu3LNXM", YOUTUBE)
    assert read_list(tmp_path / "Annotations.txt", [tmp_path / "starts.csv"])[1] == [
        f"{tmp_path / 'Annotations.txt'}: aaaaaaaaaaa is in none of --starts"
    ]


def test_aves_list_alone_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not where its clips begin in their videos; give AudioSet's lists"):
        read(tmp_path, AVE, "Annotations.txt")


def test_aves_lists_of_a_split_have_no_header_and_name_the_split(tmp_path: Path) -> None:
    (clip,) = read(tmp_path, AVE.partition("\n")[2], "trainSet.txt", starts=AUDIOSET)
    assert (clip.video, clip.label, clip.split) == ("RUhOCu3LNXM", "Church bell", "train")


def test_flickr_soundnets_addresses_keep_their_owner(tmp_path: Path) -> None:
    text = "http://www.flickr.com/videos/47762553@N00/9419455509/play/orig/8461e78d0d\n"
    (clip,) = read(tmp_path, text, "urls_public.txt")
    assert (clip.video, clip.start, clip.stem) == ("9419455509", None, "9419455509")
    assert clip.address == "https://www.flickr.com/photos/47762553@N00/{id}"


@pytest.mark.parametrize("line", ["10000130166,202", "10000130166", "10000130166.mp4"])
def test_flickr_soundnets_ids_may_have_a_frame_or_an_ending(tmp_path: Path, line: str) -> None:
    (clip,) = read(tmp_path, f"{line}\n", "flickr_test.csv")
    assert (clip.video, clip.address) == ("10000130166", "https://www.flickr.com/photos/_/{id}")


def test_a_clip_that_is_named_twice_is_fetched_once(tmp_path: Path) -> None:
    assert len(read(tmp_path, KINETICS + "again,---QUuC4vJs,84,94,train\n")) == 3


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ("x,../../etc/pwd,1,2,train", "line 2 has no id of a video"),
        ("x,aaaaaaaaaaa,soon,2,train", "line 2 has seconds that are no numbers"),
        ("x,aaaaaaaaaaa,5,5,train", "line 2 ends where it begins"),
    ],
)
def test_a_row_that_names_no_clip_is_said(tmp_path: Path, row: str, line: str) -> None:
    head, _, rest = KINETICS.partition("\n")
    (tmp_path / "list.csv").write_text(f"{head}\n{row}\n{rest}")
    clips, refused = read_list(tmp_path / "list.csv")
    assert len(clips) == 3
    assert len(refused) == 1
    assert line in refused[0]


def test_a_table_of_files_needs_no_fetching(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names files, not videos to fetch"):
        read(tmp_path, "path,label\na.mp4,x\n")
