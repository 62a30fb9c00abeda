"""Every file is looked at once; the verdicts are kept until a file changes; nothing half-written is left."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from media.made import Recipe, make
from PIL import Image

import avssl
from avssl.errors import UserError
from avssl.media.indexing.summary import in_words, summarize, verdicts
from avssl.system.process_pool import Lost

SHORT = Recipe("mp4", frames=30, sound_seconds=1.2)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two good videos, and files that are none."""
    folder = tmp_path / "videos"
    folder.mkdir()
    make(folder, SHORT, "good")
    make(folder, Recipe("mkv", sound=None, frames=30), "mute")
    (folder / "empty.mp4").touch()
    (folder / "notes.txt").write_text("no video")
    whole = (folder / "good.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    return folder


def test_good_files_are_items_and_each_bad_one_has_its_reason(videos: Path) -> None:
    media = avssl.open(videos, progress=False)
    assert [Path(media.facts(i).path).name for i in range(len(media))] == ["good.mp4", "mute.mkv"]
    reasons = {Path(path).name: reason for path, reason in media.rejected}
    assert reasons.keys() == {"empty.mp4", "notes.txt", "cut.mp4"}
    assert reasons["empty.mp4"] == "empty file"
    assert reasons["notes.txt"] == "not media"
    assert reasons["cut.mp4"].startswith("truncated")


def test_the_index_has_a_true_word_about_every_file(videos: Path) -> None:
    media = avssl.open(videos, progress=False, workers=0)
    words = {verdict.path: verdict.words for verdict in verdicts(media)}
    assert sorted(words) == ["cut.mp4", "empty.mp4", "good.mp4", "mute.mkv", "notes.txt"]
    assert words["good.mp4"] == "video 64×48, 1.20 s, 25 fps, sound 44.1 kHz mono"
    assert words["mute.mkv"] == "video 64×48, 1.20 s, 25 fps, no sound"


def test_the_summary_counts_what_is_there(videos: Path) -> None:
    summary = summarize(avssl.open(videos, progress=False, workers=0))
    assert (summary.usable, dict(summary.kinds), summary.without_sound) == (2, {"video": 2}, 1)
    assert summary.video_hours == pytest.approx(2.4 / 3600, abs=1e-6)
    assert summary.reasons.keys() == {reason for _, reason in summary.rejected}
    assert [verdict.path for verdict in summary.odd] == ["mute.mkv"]
    assert summary.lines()[0] == f"{videos}: 2 videos usable, 3 rejected"


def test_unchanged_files_are_not_looked_at_again(videos: Path) -> None:
    first = avssl.open(videos, progress=False, workers=0)
    again = avssl.open(videos, progress=False, workers=0)
    assert (first.inspected, again.inspected) == (5, 0)
    assert again.fingerprint == first.fingerprint
    assert list(again.rejected) == list(first.rejected)


def test_only_what_changed_or_came_is_looked_at(videos: Path) -> None:
    before = avssl.open(videos, progress=False, workers=0)
    make(videos, SHORT, "came")
    (videos / "notes.txt").write_text("still no video")
    (videos / "mute.mkv").unlink()
    media = avssl.open(videos, progress=False, workers=0)
    assert media.inspected == 2
    assert [Path(media.facts(i).path).name for i in range(len(media))] == ["came.mp4", "good.mp4"]
    assert media.fingerprint != before.fingerprint
    assert media.frames(1, [0.5]).tolist() == before.frames(0, [0.5]).tolist()


def test_a_file_replaced_by_a_bad_one_of_the_same_name_is_noticed(videos: Path) -> None:
    avssl.open(videos, progress=False, workers=0)
    (videos / "good.mp4").write_bytes(b"rubbish")
    media = avssl.open(videos, progress=False, workers=0)
    assert "good.mp4" in {Path(path).name for path, _ in media.rejected}


def test_the_fingerprint_follows_the_content_and_not_the_place(videos: Path, tmp_path: Path) -> None:
    one = avssl.open(videos, progress=False, workers=0)
    moved = videos.rename(tmp_path / "elsewhere")
    two = avssl.open(moved, progress=False, workers=0)
    assert two.fingerprint == one.fingerprint
    assert [two.facts(i).source for i in range(2)] == [one.facts(i).source for i in range(2)]


def test_one_process_or_two_find_the_same(videos: Path, tmp_path: Path) -> None:
    alone = avssl.open(videos, progress=False, workers=0, index=tmp_path / "a")
    together = avssl.open(videos, progress=False, workers=2, index=tmp_path / "b")
    assert together.fingerprint == alone.fingerprint
    assert list(together.rejected) == list(alone.rejected)


def test_the_index_is_kept_where_asked(videos: Path, tmp_path: Path) -> None:
    avssl.open(videos, progress=False, workers=0, index=tmp_path / "here")
    assert avssl.open(videos, progress=False, workers=0, index=tmp_path / "here").inspected == 0
    assert list((tmp_path / "here").glob("*/table.json"))


def test_progress_is_reported_to_the_end(videos: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    avssl.open(videos, progress=lambda done, total: calls.append((done, total)), workers=0, index=tmp_path / "index")
    assert calls[-1] == (5, 5)


def test_an_image_that_crashes_the_decoder_costs_itself_and_not_its_portion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{n}.png")

    def crashing(function: Any, jobs: Any, *rest: Any) -> Any:
        for place, job in enumerate(jobs):
            crashes = any(target.path.endswith("3.png") for target in job)
            yield place, Lost("the decoder crashed (signal 11)") if crashes else function(job)

    monkeypatch.setattr("avssl.media.indexing.inspect_many.each", crashing)
    media = avssl.open(tmp_path, progress=False)
    assert len(media) == 4
    assert [reason for _, reason in media.rejected] == ["unreadable: the decoder crashed (signal 11)"]


def test_progress_can_be_shown_as_a_line_on_the_screen(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    avssl.open(videos, progress=True, workers=0)
    assert capsys.readouterr().out == ""


def test_a_full_disk_is_one_line_and_leaves_nothing_behind(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space is left on this disk") as caught:
        avssl.open(videos, progress=False, workers=0, index=tmp_path / "index")
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "index").iterdir()] == [".lock"]


def test_a_disk_that_fills_up_while_writing_is_one_line_too(videos: Path, tmp_path: Path) -> None:
    # A limit on the size of files stops the writing in its middle, as a full disk does.
    script = textwrap.dedent(f"""
        import resource, avssl
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        try:
            avssl.open({str(videos)!r}, progress=False, workers=0, index={str(tmp_path / "index")!r})
        except avssl.UserError as error:
            print(error)
        """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "the file grows larger than" in done.stdout, done.stderr
    assert [path.name for path in (tmp_path / "index").iterdir()] == [".lock"]


# --- real data ------------------------------------------------------------------------------------------

BAD = {
    "README.md": "not media",
    "corrupted.mp4": "damaged",
    "made_empty.mp4": "empty file",
    "made_not_a_video.mp4": "not media",
    "made_truncated.mkv": "truncated",
    "made_truncated_no_index.mp4": "truncated",
    "vp9_broken.webm": "damaged",
}
WORDS = {
    "av1_no_sound.mkv": "no sound",
    "hevc10_rotated.mp4": "1080×1920",
    "made_mjpeg_pcm8k.avi": "sound 8 kHz mono",
    "made_mpeg1_no_sound.mpg": "no sound",
    "made_opengop_bframes_5.1_48k.mkv": "sound 48 kHz 5.1",
    "made_rotated90.mp4": "180×320",
    "made_sound_only_8k.m4a": "sound 8 kHz mono, 3.0",
    "made_sound_shorter.mp4": "to 1.2",
    "made_sound_starts_late.mkv": "from 0.68 s",
    "made_vfr_flac96k.mkv": "sound 96 kHz stereo",
    "h264_fragmented_wrong_duration.mp4": "1.00 s",
    "sound_only_eac3_6ch.mp4": "sound 48 kHz 5.1",
    "vp9_161x121_no_sound.webm": "161×121",
}


@pytest.mark.realdata
def test_every_odd_file_has_a_true_word(shared_data: Path, tmp_path: Path) -> None:
    media = avssl.open(shared_data / "media", progress=False, index=tmp_path)
    found = {verdict.path: verdict for verdict in verdicts(media)}
    assert sorted(found) == sorted(path.name for path in (shared_data / "media").iterdir())
    assert {name for name, verdict in found.items() if not verdict.usable} == BAD.keys()
    for name, words in {**BAD, **WORDS}.items():
        assert words in found[name].words, name


@pytest.mark.realdata
def test_clips_of_one_source_video_stay_on_one_side(shared_data: Path) -> None:
    media = avssl.open(shared_data / "grid" / "grid.csv", progress=False)
    assert (len(media), len(media.rejected)) == (32, 0)
    rest, held_out = media.split_by_source(0.25, seed=0)
    sources = [{part.facts(i).source for i in range(len(part))} for part in (rest, held_out)]
    assert len(sources[0] | sources[1]) == 18
    assert not sources[0] & sources[1]
    assert in_words(media.facts(0)) == "video 360×288, 3.00 s, 25 fps, sound 44.1 kHz stereo"


@pytest.mark.realdata
def test_real_images_have_the_labels_of_their_folders(shared_data: Path) -> None:
    media = avssl.open(shared_data / "caltech" / "test", progress=False)
    summary = summarize(media)
    assert (len(media), len(media.rejected), set(summary.labels.values())) == (432, 0, {12})
    assert len(summary.labels) == 36


@pytest.mark.realdata
def test_real_images_in_a_tar_are_read_where_they_lie(shared_data: Path) -> None:
    media = avssl.open(shared_data / "cifar10" / "test.tar", progress=False)
    summary = summarize(media)
    assert (len(media), set(summary.labels.values())) == (2000, {200})
    assert media.frames(1999, [0.0]).shape == (1, 3, 32, 32)
