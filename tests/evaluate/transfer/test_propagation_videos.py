"""Labelled videos are read from the layouts of DAVIS and JHMDB, from worlds, plain folders and single files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_videos import FRAMES, HEIGHT, WIDTH, made_video, write_davis, write_jhmdb, write_plain
from PIL import Image
from small_runs import write_clip

from avssl.errors import MediaError, UserError
from avssl.evaluate.transfer.propagation.folders import open_videos
from avssl.evaluate.transfer.propagation.videos import Masks, Points
from avssl.media.opening import open_media
from avssl.world import Settings, generate, read_truth


def test_davis_lists_its_videos_and_masks_keep_the_numbers_of_their_palette(tmp_path: Path) -> None:
    found = open_videos(write_davis(tmp_path / "davis"))
    assert [video.name for video in found.videos] == ["video-0", "video-1"] and found.split == "val"
    frames, truth = found.videos[1].frames(), found.videos[1].truth()
    assert frames.shape == (FRAMES, 3, HEIGHT, WIDTH) and isinstance(truth, Masks)
    np.testing.assert_array_equal(truth.labels, made_video(1)[1])
    assert truth.objects == 2 and truth.known.all()
    with pytest.raises(UserError, match="--split is one of val"):
        open_videos(tmp_path / "davis", split="test-dev")


def test_joints_of_jhmdb_count_pixels_from_one_and_only_test_videos_are_taken(tmp_path: Path) -> None:
    found = open_videos(write_jhmdb(tmp_path / "jhmdb"))
    assert [video.name for video in found.videos] == ["wave/clip_0", "wave/clip_1"]
    truth = found.videos[0].truth()
    assert isinstance(truth, Points) and truth.places.shape == (FRAMES, 15, 2)
    assert truth.places[2, 0].tolist() == [10.0, 4.0]  # the corner of the square in the third frame


def test_a_plain_folder_may_have_masks_of_some_frames(tmp_path: Path) -> None:
    truth = open_videos(write_plain(tmp_path)).videos[0].truth()
    assert isinstance(truth, Masks)
    assert truth.known.tolist() == [True, False] * 3 and truth.labels[1].max() == 0 and truth.objects == 2


def test_a_film_may_stand_for_its_frames_and_its_masks_are_numbered(tmp_path: Path) -> None:
    write_clip(tmp_path / "frames" / "film.mp4", seconds=0.5, sound=False, fps=10)
    (tmp_path / "masks" / "film").mkdir(parents=True)
    found = tmp_path / "frames" / "film.mp4"
    height, width = open_media(found, progress=False).frames(0, [0.0]).shape[2:]
    for number in (0, 3):
        mask = np.zeros((height, width), np.uint8)
        mask[: height // 2] = 1
        Image.fromarray(mask).save(tmp_path / "masks" / "film" / f"{number:05d}.png")
    videos = open_videos(tmp_path)
    truth = videos.videos[0].truth()
    assert isinstance(truth, Masks) and truth.known.tolist() == [True, False, False, True, False]
    assert videos.videos[0].frames().shape == (5, 3, height, width)
    assert videos.seconds_a_frame == pytest.approx(0.1)


def test_clips_of_a_world_bring_masks_of_the_objects_of_their_first_frame(tmp_path: Path) -> None:
    generate(
        tmp_path / "w", Settings(train=0, validation=0, test=1, size=32, frames=3, fps=10, preset="tracking"), workers=1
    )
    videos = open_videos(tmp_path / "w")
    assert videos.seconds_a_frame == pytest.approx(0.1)
    video = videos.videos[0]
    frames, truth = video.frames(), video.truth()
    assert isinstance(truth, Masks) and frames.shape == (3, 3, 32, 32) and truth.labels.shape == (3, 32, 32)
    assert truth.objects == len(read_truth(video.file)["objects"])


def test_one_video_with_a_grey_mask_of_its_first_frame_is_one_object(tmp_path: Path) -> None:
    write_plain(tmp_path / "plain")
    Image.fromarray((made_video()[1][0] == 1).astype(np.uint8) * 255).save(tmp_path / "first.png")
    place = tmp_path / "plain" / "frames" / "one"
    truth = open_videos(place, mask=str(tmp_path / "first.png")).videos[0].truth()
    assert isinstance(truth, Masks) and truth.objects == 1
    assert truth.known.tolist() == [True, *[False] * (FRAMES - 1)]
    np.testing.assert_array_equal(truth.labels[0], made_video()[1][0] == 1)


@pytest.mark.parametrize("what", ["nothing", "empty", "film", "coloured", "blank"])
def test_what_cannot_be_read_is_one_line(tmp_path: Path, what: str) -> None:
    Image.new("RGB", (WIDTH, HEIGHT), (9, 200, 9)).save(tmp_path / "coloured.png")
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "blank.png")
    place = write_plain(tmp_path / "plain") / "frames" / "one"
    (tmp_path / "empty").mkdir()
    (tmp_path / "film.mp4").write_bytes(b"")
    if what in ("coloured", "blank"):
        video = open_videos(place, mask=str(tmp_path / f"{what}.png")).videos[0]
        with pytest.raises(MediaError, match="is no mask: RGB" if what == "coloured" else "marks no object"):
            video.truth()
        return
    place, message = {
        "nothing": (tmp_path / "nothing", "no such file or folder"),
        "empty": (tmp_path / "empty", "no videos with labels; give a folder as DAVIS"),
        "film": (tmp_path / "film.mp4", "--mask M.png must mark"),
    }[what]
    with pytest.raises(UserError, match=message):
        open_videos(place)
