"""``avssl.open``: whatever data are named, the same questions get the same kind of answers."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from media.made import Recipe, lateness, make, number_in
from PIL import Image

import avssl
from avssl.errors import MediaError, UserError
from avssl.media.facts import Media

CLIP = Recipe("mp4", frames=50, sound_seconds=2.0)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of two seconds; one has an annotation, one no sound."""
    folder = tmp_path_factory.mktemp("clips")
    for name in ("a", "b", "c"):
        make(folder, CLIP, name)
    make(folder, Recipe("mkv", frames=50, sound=None), "mute")
    (folder / "a.json").write_text(json.dumps({"boxes": [[0, 0, 1, 1]]}))
    (folder / "list.csv").write_text("path,start,duration\na.mp4,0.51,0.5\na.mp4,1.0,\nmute.mkv,0.2,0.3\nb.mp4,5,\n")
    return folder


def test_a_folder_of_videos_answers_frames_and_sound(clips: Path) -> None:
    media = avssl.open(clips, progress=False, workers=0)
    assert len(media) == 4
    frames = media.frames(0, [0.0, 1.0, 1.0, 99.0, -1.0])
    assert frames.dtype == np.uint8
    assert frames.shape == (5, 3, 48, 64)
    assert [number_in(frame) for frame in frames] == [0, 25, 25, 49, 0]
    sound = media.audio(0, 0.5, 0.25, 16_000)
    assert (sound.dtype, sound.shape) == (np.float32, (4000,))
    assert abs(lateness(sound, 0.5, 16_000)) < 1e-3
    assert media.frame_times(0) == pytest.approx(np.arange(50) / 25)


def test_sound_of_a_silent_film_is_an_error_that_names_it(clips: Path) -> None:
    media = avssl.open(clips, progress=False, workers=0)
    with pytest.raises(MediaError, match=r"mute.mkv.*no sound"):
        media.audio(3, 0.0, 1.0, 16_000)


def test_the_annotation_beside_a_file_is_read_when_asked(clips: Path) -> None:
    media = avssl.open(clips, progress=False, workers=0)
    assert media.annotation(0) == {"boxes": [[0, 0, 1, 1]]}
    assert media.annotation(1) is None


@pytest.mark.parametrize("content", ["[1, 2]", "{broken"])
def test_an_annotation_that_is_no_json_object_is_an_error(tmp_path: Path, content: str) -> None:
    make(tmp_path, CLIP, "a")
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(MediaError, match=r"a\.json"):
        avssl.open(tmp_path, progress=False, workers=0).annotation(0)


def test_a_single_file_and_a_list_of_files_are_collections(clips: Path) -> None:
    assert len(avssl.open(clips / "a.mp4", progress=False, workers=0)) == 1
    listed = avssl.open([clips / "c.mp4", clips / "a.mp4", clips / "gone.mp4"], progress=False, workers=0)
    assert [Path(listed.facts(i).path).name for i in range(2)] == ["c.mp4", "a.mp4"]
    assert [reason for _, reason in listed.rejected] == ["no such file"]


def test_a_number_that_is_no_item_is_an_index_error(clips: Path) -> None:
    media = avssl.open(clips, progress=False, workers=0)
    for i in (-1, 4):
        with pytest.raises(IndexError, match="0 to 3"):
            media.facts(i)


# --- stretches of files ---------------------------------------------------------------------------------


@pytest.fixture
def stretches(clips: Path) -> Media:
    return avssl.open(clips / "list.csv", progress=False, workers=0)


def test_the_zero_of_a_stretch_is_the_frame_shown_at_its_start(stretches: Media) -> None:
    # At 0.51 s frame 12 is shown, since 0.48 s.
    assert number_in(stretches.frames(0, [0.0])[0]) == 12
    assert stretches.frame_times(0) == pytest.approx(np.arange(14) / 25)
    assert stretches.facts(0).frame_count == 14
    assert stretches.facts(0).duration_seconds == pytest.approx(0.53)
    assert abs(lateness(stretches.audio(0, 0.1, 0.3, 16_000), 0.58, 16_000)) < 1e-3


def test_a_stretch_shows_and_sounds_nothing_from_outside_of_it(stretches: Media) -> None:
    assert [number_in(frame) for frame in stretches.frames(0, [-1.0, 99.0])] == [12, 25]
    sound = stretches.audio(0, -0.2, 1.0, 16_000)
    assert not sound[:3200].any()
    assert not sound[3200 + 8480 :].any()
    assert np.abs(sound[3200 : 3200 + 8480]).mean() > 0.2


def test_a_stretch_without_duration_goes_to_the_end_of_its_file(stretches: Media) -> None:
    assert (stretches.facts(1).frame_count, stretches.facts(1).duration_seconds) == (25, pytest.approx(1.0))
    assert number_in(stretches.frames(1, [0.96])[0]) == 49


def test_stretches_of_one_file_have_one_source_and_short_ones_say_so(stretches: Media) -> None:
    assert stretches.facts(0).source == stretches.facts(1).source == "a.mp4"
    assert "short" in stretches.facts(0).flags
    assert "short" not in stretches.facts(1).flags
    assert not stretches.facts(2).has_sound


def test_a_stretch_after_the_end_of_its_file_is_rejected(stretches: Media) -> None:
    assert [reason for _, reason in stretches.rejected] == ["starts at 5 s, but the file ends at 2.00 s"]


# --- images and sounds ----------------------------------------------------------------------------------


def picture(colour: tuple[int, int, int], form: str = "png") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 10), colour).save(stream, form)
    return stream.getvalue()


def test_a_folder_of_images_has_labels_and_one_frame_for_all_times(tmp_path: Path) -> None:
    for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(picture(colour))
    media = avssl.open(tmp_path, progress=False, workers=0)
    assert [media.facts(i).label for i in range(2)] == ["blue", "red"]
    assert (media.facts(0).kind, media.facts(0).width, media.facts(0).duration_seconds) == ("image", 20, 0)
    frames = media.frames(1, [0.0, 3.0])
    assert frames.shape == (2, 3, 10, 20)
    assert (frames == np.array([255, 0, 0], np.uint8).reshape(1, 3, 1, 1)).all()
    assert media.frame_times(0).tolist() == [0.0]


def test_a_tar_of_images_is_read_in_place(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for name, data in (
            ("red/1.png", picture((255, 0, 0))),
            ("blue/2.png", picture((0, 0, 255))),
            ("x/3.png", b"junk"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    media = avssl.open(tmp_path / "set.tar", progress=False, workers=0)
    assert [media.facts(i).label for i in range(len(media))] == ["red", "blue"]
    assert media.frames(1, [0.0])[0, :, 5, 5].tolist() == [0, 0, 255]
    assert media.facts(0).path == str(tmp_path / "set.tar" / "red/1.png")
    assert [(path, reason) for path, reason in media.rejected] == [(str(tmp_path / "set.tar/x/3.png"), "not an image")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set.tar"]


def test_a_folder_of_sounds_starts_with_the_first_sample(tmp_path: Path) -> None:
    make(tmp_path, Recipe("wav", video=None, sound="pcm_s16le", sound_rate=22_050, sound_seconds=1.5), "tone")
    media = avssl.open(tmp_path, progress=False, workers=0)
    assert (media.facts(0).kind, media.facts(0).duration_seconds) == ("sound", pytest.approx(1.5))
    assert abs(lateness(media.audio(0, 0.5, 0.5, 16_000), 0.5, 16_000)) < 1e-3
    with pytest.raises(MediaError, match="no pictures"):
        media.frames(0, [0.0])


# --- parts ----------------------------------------------------------------------------------------------


def test_splits_are_opened_by_name(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "1.png").write_bytes(picture((1, 2, 3)))
    assert len(avssl.open(tmp_path, split="validation", progress=False, workers=0)) == 1
    with pytest.raises(UserError, match=r"no item is of split 'test' \(its splits: train, validation\)"):
        avssl.open(tmp_path, split="test", progress=False, workers=0)


def test_a_subset_answers_for_its_items(clips: Path) -> None:
    media = avssl.open(clips, progress=False, workers=0)
    part = media.subset([3, 1])
    assert [part.facts(i) for i in range(2)] == [media.facts(3), media.facts(1)]
    assert part.subset([1]).facts(0) == media.facts(1)
    assert part.fingerprint not in (media.fingerprint, media.subset([1, 3]).fingerprint)
    with pytest.raises(IndexError):
        media.subset([4])


def test_a_filter_keeps_what_it_is_asked_to(clips: Path) -> None:
    assert len(avssl.open(clips, progress=False, workers=0).filter(lambda facts: facts.has_sound)) == 3


def test_a_split_by_source_is_a_partition_that_depends_on_the_seed(clips: Path) -> None:
    media = avssl.open(clips, progress=False, workers=0)
    parts = {seed: media.split_by_source(0.5, seed) for seed in range(8)}
    for rest, held_out in parts.values():
        assert sorted([*rest.indices, *held_out.indices]) == [0, 1, 2, 3]
        assert len(held_out) == 2
    again = media.split_by_source(0.5, 3)[1]
    assert again.indices.tolist() == parts[3][1].indices.tolist()
    assert len({tuple(held_out.indices) for _, held_out in parts.values()}) > 1


def test_one_source_cannot_be_divided(clips: Path) -> None:
    with pytest.raises(UserError, match="one source"):
        avssl.open(clips / "a.mp4", progress=False, workers=0).split_by_source(0.5)


def test_collections_go_to_other_processes_and_answer_the_same_bytes(clips: Path, tmp_path: Path) -> None:
    media = avssl.open(clips, progress=False, workers=0).subset([2, 0])
    (tmp_path / "media.pickle").write_bytes(pickle.dumps(media))
    script = (
        "import pickle, hashlib, pathlib, sys; m = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes());"
        "print(hashlib.sha256(m.frames(0, [0.3]).tobytes() + m.audio(1, 0.2, 0.5, 16000).tobytes()).hexdigest())"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "media.pickle")]
    there = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    here = hashlib.sha256(media.frames(0, [0.3]).tobytes() + media.audio(1, 0.2, 0.5, 16_000).tobytes()).hexdigest()
    assert there == here
    assert len(pickle.dumps(media)) < 2000


# --- what goes wrong ------------------------------------------------------------------------------------


def test_a_missing_folder_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^nowhere/: no such file or folder$"):
        avssl.open("nowhere/")


def test_a_folder_of_junk_says_how_much_and_why(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f"{n}.txt").write_text("junk")
    (tmp_path / "none.mp4").touch()
    with pytest.raises(UserError, match=r"none of its 4 files can be used, most often because: not media \(3\)$"):
        avssl.open(tmp_path, progress=False, workers=0)


def test_a_bad_file_opened_alone_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "none.mp4").touch()
    with pytest.raises(UserError, match=r"none\.mp4: empty file$"):
        avssl.open(tmp_path / "none.mp4", progress=False, workers=0)


def test_a_file_that_vanishes_after_indexing_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = make(tmp_path, CLIP, "a")
    media = avssl.open(tmp_path, progress=False, workers=0)
    Path(path).unlink()
    with pytest.raises(MediaError, match=r"a\.mp4"):
        media.frames(0, [0.0])


def test_a_column_that_is_named_says_what_items_were_cut_from(clips: Path) -> None:
    (clips / "made.csv").write_text("path,photo,sound\na.mp4,p1,s1\nb.mp4,p2,s1\nc.mp4,p1,s2\n")
    by = {
        column: [media.facts(i).source for i in range(3)]
        for column in ("photo", "sound")
        for media in [avssl.open(clips / "made.csv", source_column=column, progress=False, workers=0)]
    }
    assert by == {"photo": ["p1", "p2", "p1"], "sound": ["s1", "s1", "s2"]}
    with pytest.raises(UserError, match=r"no column 'video'; its columns: path, photo, sound"):
        avssl.open(clips / "made.csv", source_column="video", progress=False)
    with pytest.raises(UserError, match="is no CSV"):
        avssl.open(clips, source_column="sound", progress=False)
