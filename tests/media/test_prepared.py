"""A prepared set answers what the files answer, at random and fast, and is plain WebDataset."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media.made import Recipe, lateness, make, number_in
from numpy.typing import NDArray
from PIL import Image

import avssl
from avssl.errors import MediaError, UserError
from avssl.media.collection import Collection
from avssl.media.decoding.jpeg import decode_jpeg, encode_jpeg
from avssl.media.facts import Media
from avssl.media.prepared.estimate import estimate, estimated_bytes
from avssl.media.prepared.in_cache import ensure_prepared
from avssl.media.prepared.read import Prepared
from avssl.media.prepared.shard import Settings
from avssl.media.prepared.write import PrepareWork, prepare
from avssl.system.parts import WHOLE, Part

UNEVEN = tuple(Fraction(n * n % 7 + 5 * n, 100) for n in range(20))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Media:
    """Even and uneven frames, B-frames, late sound, no sound, sound alone, an annotation, a bad file."""
    folder = tmp_path_factory.mktemp("raw")
    make(folder, Recipe("mp4", frames=50, sound_seconds=2.0, sound_rate=16_000, b_frames=2), "a")
    make(
        folder, Recipe("mkv", frames=20, frame_seconds=UNEVEN, tick=Fraction(1, 1000), sound_start=Fraction(1, 5)), "b"
    )
    make(folder, Recipe("mp4", sound=None, frames=30, width=128, height=96), "c")
    make(folder, Recipe("wav", video=None, sound="pcm_s16le", sound_rate=22_050, sound_seconds=1.5), "d")
    (folder / "a.json").write_text(json.dumps({"kind": "bell"}))
    (folder / "bad.mp4").write_text("bad")
    return avssl.open(folder, progress=False, workers=0)


@pytest.fixture(scope="module")
def prepared(raw: Media, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    out = tmp_path_factory.mktemp("out") / "set"
    return prepare(raw, out, side=48, rate=16_000, shard_size=2, workers=0, progress=False)


def test_its_jpegs_are_what_its_frames_are_decoded_from(prepared: Prepared):
    items = range(len(prepared))
    times = [0.0, 0.31, 0.3]
    for i in (i for i in items if prepared.facts(i).has_video):
        frames = prepared.frames(i, times)
        for data, frame in zip(prepared.jpegs(i, times), frames, strict=True):
            decode_jpeg(data, into := np.empty((*frame.shape[1:], 4), np.uint8))
            assert np.array_equal(into[..., :3].transpose(2, 0, 1), frame)
    (sound,) = (i for i in items if prepared.facts(i).kind == "sound")
    with pytest.raises(MediaError, match="has no pictures, only sound"):
        prepared.jpegs(sound, [0.0])


def test_a_prepared_folder_is_opened_like_any_other_data(prepared: Prepared, raw: Media) -> None:
    media = avssl.open(prepared.folder)
    assert isinstance(media, Prepared)
    assert len(media) == len(raw) == 4
    assert list(media.rejected) == list(raw.rejected)
    assert [Path(media.facts(i).path).name for i in range(4)] == ["a.mp4", "b.mkv", "c.mp4", "d.wav"]


def test_frames_are_chosen_as_from_the_files_at_any_time(prepared: Prepared, raw: Media) -> None:
    times = np.random.default_rng(0).uniform(-0.2, 2.2, 40).round(3).tolist()
    for i in range(3):
        expected = [number_in(frame) for frame in raw.frames(i, times)]
        assert [number_in(frame) for frame in prepared.frames(i, times)] == expected
        assert prepared.frame_times(i).tolist() == raw.frame_times(i).tolist()


def test_frames_have_the_stored_size_and_nearly_the_same_colours(prepared: Prepared, raw: Media) -> None:
    assert (prepared.facts(2).width, prepared.facts(2).height) == (64, 48)
    assert prepared.frames(2, [0.5]).shape == (1, 3, 48, 64)
    difference = prepared.frames(0, [0.5]).astype(int) - raw.frames(0, [0.5])
    assert np.abs(difference).mean() < 6


def test_sound_at_the_stored_rate_is_the_sound_of_the_file_to_one_step(prepared: Prepared, raw: Media) -> None:
    for start, seconds in ((0.0, 0.5), (0.7, 1.0), (-0.5, 0.8), (1.5, 1.5)):
        there, here = raw.audio(0, start, seconds, 16_000), prepared.audio(0, start, seconds, 16_000)
        assert here.dtype == np.float32
        assert here.shape == there.shape
        assert np.abs(here - there).max() <= 1 / 32767


def test_sound_at_other_rates_and_of_other_files_lies_where_it_should(prepared: Prepared) -> None:
    for i, rate in ((0, 22_050), (0, 8_000), (1, 16_000), (1, 24_000), (3, 16_000)):
        assert abs(lateness(prepared.audio(i, 0.5, 0.5, rate), 0.5, rate)) < 1e-3
    late = prepared.audio(1, 0.0, 0.3, 16_000)
    assert not late[:3000].any()
    assert late[3400:].any()


def test_what_was_known_of_an_item_is_still_known(prepared: Prepared, raw: Media) -> None:
    assert prepared.annotation(0) == {"kind": "bell"}
    assert prepared.annotation(1) is None
    for i in range(4):
        there, here = raw.facts(i), prepared.facts(i)
        for name in ("path", "kind", "duration_seconds", "frame_count", "frame_rate", "label", "source", "flags"):
            assert getattr(here, name) == getattr(there, name), name
        assert (here.audio_rate, here.audio_channels) == ((16_000, 1) if there.has_sound else (0, 0))


def test_what_an_item_does_not_have_is_an_error_that_names_it(prepared: Prepared) -> None:
    with pytest.raises(MediaError, match=r"c\.mp4.*no sound"):
        prepared.audio(2, 0.0, 1.0, 16_000)
    with pytest.raises(MediaError, match=r"d\.wav.*no pictures"):
        prepared.frames(3, [0.0])
    with pytest.raises(IndexError):
        prepared.facts(4)


def test_it_goes_to_other_processes_and_answers_the_same_bytes(prepared: Prepared) -> None:
    prepared.frames(0, [0.0])
    copy = pickle.loads(pickle.dumps(prepared.subset([2, 0])))
    assert copy.frames(1, [0.5]).tobytes() == prepared.frames(0, [0.5]).tobytes()
    assert len(pickle.dumps(copy)) < 2000


def test_webdataset_reads_the_shards_as_they_are(prepared: Prepared) -> None:
    webdataset = pytest.importorskip("webdataset")
    shards = sorted(str(path) for path in prepared.folder.glob("*.tar"))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"))
    assert [Path(sample["json"]["path"]).name for sample in samples] == ["a.mp4", "b.mkv", "c.mp4", "d.wav"]
    first = samples[0]
    assert first["json"]["times"] == prepared.frame_times(0).tolist()
    assert len([name for name in first if name.endswith("jpg")]) == 50
    assert number_in(first["0012.jpg"].transpose(2, 0, 1)) == 12
    with tarfile.open(shards[0]) as tar, wave.open(tar.extractfile("000000000.wav")) as sound:  # type: ignore[arg-type]
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16_000, 1, 2)
        samples16 = np.frombuffer(sound.readframes(8000), "<i2") / np.float32(32767)
    assert np.abs(samples16 - prepared.audio(0, 0.0, 0.5, 16_000)).max() < 1e-6


def test_frames_a_second_and_native_rate_are_options(raw: Media, tmp_path: Path) -> None:
    media = prepare(raw, tmp_path, side=None, fps=5, rate=None, workers=0, progress=False)
    assert media.frame_times(0) == pytest.approx(np.arange(10) / 5)
    assert [number_in(frame) for frame in media.frames(0, [0.0, 0.3, 9.0])] == [0, 5, 45]
    assert (media.facts(0).frame_count, media.facts(0).frame_rate) == (10, pytest.approx(5.0))
    assert media.facts(2).width == 128
    assert media.facts(3).audio_rate == 22_050


def test_sound_that_passes_full_scale_is_not_clipped(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make(folder, Recipe("wav", video=None, sound="pcm_f32le", sound_rate=16_000, channels=(3.0,)), "loud")
    raw = avssl.open(folder, progress=False, workers=0)
    media = prepare(raw, tmp_path / "out", workers=0, progress=False)
    assert np.abs(media.audio(0, 0.2, 1.0, 16_000) - raw.audio(0, 0.2, 1.0, 16_000)).max() < 1e-6
    assert np.abs(media.audio(0, 0.2, 1.0, 16_000)).max() > 1.4


def test_stretches_are_prepared_as_items_of_their_own(raw: Media, tmp_path: Path) -> None:
    folder = Path(raw.facts(0).path).parent
    (tmp_path / "list.csv").write_text(f"path,start,duration\n{folder}/a.mp4,0.51,0.5\n{folder}/b.mkv,0.3,\n")
    clips = avssl.open(tmp_path / "list.csv", progress=False, workers=0)
    media = prepare(clips, tmp_path / "out", workers=0, progress=False)
    for i in range(2):
        times = [-1.0, 0.0, 0.1, 0.25, 0.4, 9.0]
        expected = [number_in(frame) for frame in clips.frames(i, times)]
        assert [number_in(frame) for frame in media.frames(i, times)] == expected
    # The stretch begins at 0.48 s of the file, which is a whole number of samples.
    assert np.abs(media.audio(0, 0.0, 0.6, 16_000) - clips.audio(0, 0.0, 0.6, 16_000)).max() <= 1 / 32767


def test_images_are_prepared_with_their_labels(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "in" / label).mkdir(parents=True)
        Image.new("RGB", (60, 40), (255, 0, 0)).save(tmp_path / "in" / label / "1.png")
    media = prepare(avssl.open(tmp_path / "in", progress=False, workers=0), tmp_path / "out", side=20, workers=0)
    assert [media.facts(i).label for i in range(2)] == ["cat", "dog"]
    assert media.frames(1, [0.0, 1.0]).shape == (2, 3, 20, 30)
    assert media.frames(1, [0.0])[0, :, 10, 10].tolist() == pytest.approx([254, 0, 0], abs=2)


def test_pixels_are_those_that_pillow_decodes() -> None:
    rng = np.random.default_rng(0)
    for full_colour in (True, False):
        data = encode_jpeg(rng.integers(0, 255, (37, 53, 3), np.uint8), 95, full_colour)
        found = np.empty((37, 53, 4), np.uint8)
        decode_jpeg(np.frombuffer(data, np.uint8), found)
        assert (found[..., :3] == np.asarray(Image.open(io.BytesIO(data)))).all()


# --- whole or not at all --------------------------------------------------------------------------------


def test_one_process_or_two_write_the_same_bytes(raw: Media, prepared: Prepared, tmp_path: Path) -> None:
    two = prepare(raw, tmp_path, side=48, rate=16_000, shard_size=2, workers=2, progress=False)
    assert two.fingerprint == prepared.fingerprint
    for shard in prepared.folder.glob("*.tar"):
        assert (tmp_path / shard.name).read_bytes() == shard.read_bytes()


def test_an_interrupted_preparation_goes_on_where_it_was(raw: Media, prepared: Prepared, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = (
        "import sys, pickle, pathlib, os; from avssl.media.prepared.write import prepare\n"
        "from avssl.media.prepared import write\n"
        "m = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "real = write.write_shard\n"
        "write.write_shard = lambda job: real(job) if job.shard == 0 else os._exit(9)\n"
        "prepare(m, sys.argv[2], side=48, rate=16_000, shard_size=2, workers=0, progress=False)"
    )
    (tmp_path / "media").write_bytes(pickle.dumps(raw))
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "media", out], check=False, timeout=60)
    assert done.returncode == 9
    with pytest.raises(UserError, match="its preparation was interrupted"):
        avssl.open(out)
    before = (out / "shard-000000.tar").stat().st_mtime_ns
    media = prepare(raw, out, side=48, rate=16_000, shard_size=2, workers=0, progress=False)
    assert (out / "shard-000000.tar").stat().st_mtime_ns == before
    assert media.fingerprint == prepared.fingerprint
    assert (out / "shard-000001.tar").read_bytes() == (prepared.folder / "shard-000001.tar").read_bytes()


def test_an_item_that_fails_midway_is_left_out_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b", "c"):
        make(folder, Recipe("mp4", frames=25, sound_seconds=1.0), name)
    raw = avssl.open(folder, progress=False, workers=0)
    os.truncate(folder / "b.mp4", 3000)
    media = prepare(raw, tmp_path / "out", shard_size=3, workers=0, progress=False)
    assert [Path(media.facts(i).path).name for i in range(len(media))] == ["a.mp4", "c.mp4"]
    assert [Path(path).name for path, _ in media.rejected] == ["b.mp4"]
    assert number_in(media.frames(1, [0.4])[0]) == 10
    with tarfile.open(tmp_path / "out" / "shard-000000.tar") as tar:
        assert {name.split(".")[0] for name in tar.getnames()} == {"000000000", "000000002"}


class Crashing(Collection):
    """Files of which one takes the process with it."""

    def all_frames(self, i: int, *args: Any) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        if self.facts(i).path.endswith("c.mp4"):
            os.abort()
        return super().all_frames(i, *args)


def test_a_crash_of_the_decoder_costs_one_item(raw: Media, tmp_path: Path) -> None:
    fragile = Crashing(raw._table)  # type: ignore[attr-defined]
    media = prepare(fragile, tmp_path, shard_size=4, workers=2, progress=False)
    assert [Path(media.facts(i).path).name for i in range(len(media))] == ["a.mp4", "b.mkv", "d.wav"]
    assert ("c.mp4", "the decoder crashed (signal 6)") in {(Path(path).name, why) for path, why in media.rejected}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "index", "plan.json", "shard-000000.tar"]


def test_a_folder_that_holds_something_else_is_not_touched(raw: Media, prepared: Prepared, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="is not empty"):
        prepare(raw, tmp_path, workers=0)
    with pytest.raises(UserError, match="prepared from other data or with other settings"):
        prepare(raw, prepared.folder, side=32, workers=0)
    with pytest.raises(UserError, match="prepared already"):
        prepare(prepared, tmp_path / "again")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_full_disk_is_one_line_and_what_is_whole_stays(raw: Media, tmp_path: Path) -> None:
    script = (
        "import sys, pickle, pathlib, resource; from avssl import UserError\n"
        "from avssl.media.prepared.write import prepare\n"
        "m = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))\n"
        "try: prepare(m, sys.argv[2], side=48, shard_size=1, workers=1, progress=False)\n"
        "except UserError as error: print(error)"
    )
    (tmp_path / "media").write_bytes(pickle.dumps(raw))
    command = [sys.executable, "-c", script, tmp_path / "media", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "the file grows larger than" in done.stdout, done.stderr
    assert not list((tmp_path / "out").glob(".shard*"))
    media = prepare(raw, tmp_path / "out", side=48, shard_size=1, workers=0, progress=False)
    assert len(media) == 4


def test_a_shard_cut_short_is_an_error_that_says_so(raw: Media, tmp_path: Path) -> None:
    media = prepare(raw, tmp_path, side=48, workers=0, progress=False)
    os.truncate(tmp_path / "shard-000000.tar", 5000)
    with pytest.raises(MediaError, match="shorter than its index says; remove the set"):
        media.frames(0, [1.9])


# --- by itself ------------------------------------------------------------------------------------------


def test_media_are_prepared_once_into_the_cache_and_it_is_reported(raw: Media) -> None:
    message: list[str] = []
    first = ensure_prepared(raw, 40, 16_000, 10**9, message.append, workers=0, progress=False)
    again = ensure_prepared(raw, 40, 16_000, 10**9, message.append, workers=0, progress=False)
    assert isinstance(first, Prepared)
    assert isinstance(again, Prepared)
    assert again.folder == first.folder
    assert [line.split(" ")[0] for line in message] == ["preparing", "reading"]
    assert ensure_prepared(first, 40, 16_000, 10**9, message.append) is first
    other = ensure_prepared(raw.subset([0, 2]), 40, 16_000, 10**9, message.append, workers=0, progress=False)  # type: ignore[attr-defined]
    assert (len(other), isinstance(other, Prepared)) == (2, True)


def test_small_images_are_read_as_they_are(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40), (255, 0, 0)).save(tmp_path / "1.png")
    media = avssl.open(tmp_path, progress=False, workers=0)
    assert ensure_prepared(media, 40, 16_000, 10**9, pytest.fail) is media


def test_what_does_not_fit_is_read_from_the_files_and_it_is_reported(raw: Media) -> None:
    message: list[str] = []
    assert ensure_prepared(raw, 44, 16_000, 1000, message.append) is raw
    assert message[0].startswith("not prepared: that would take about")


def test_a_changed_file_is_prepared_again(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mp4", frames=25, sound_seconds=1.0), "a")
    message: list[str] = []
    for _ in range(2):
        ensure_prepared(avssl.open(path, progress=False, workers=0), 32, 16_000, 10**9, message.append, workers=0)
        os.utime(path, ns=(1, 1))
    assert [line.split(" ")[0] for line in message] == ["preparing", "preparing"]


def test_the_estimate_of_the_disk_is_of_the_right_size_and_nearer_once_a_few_items_were_tried(
    raw: Collection, prepared: Prepared
) -> None:
    real = sum(path.stat().st_size for path in prepared.folder.glob("*.tar"))
    assert 0.5 < estimated_bytes(raw, Settings(48)) / real < 2
    tried = estimate(raw, Settings(48), processes=0)
    assert 0.8 < tried.bytes / real < 1.25
    assert tried.seconds is not None and tried.seconds > 0


def test_items_that_cannot_be_read_are_no_reason_to_fail_beforehand(raw: Collection) -> None:
    def unreadable(*_: object) -> Any:
        raise MediaError("x.mp4", "damaged")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Collection, "all_frames", unreadable)
        patch.setattr(Collection, "audio", unreadable)
        found = estimate(raw, Settings(48), processes=0)
    assert found.seconds is None and found.bytes == estimated_bytes(raw, Settings(48))


def test_what_is_there_already_counts_neither_as_size_nor_as_time(raw: Collection, tmp_path: Path) -> None:
    work = PrepareWork.of(raw, tmp_path / "out", Settings(48), 1)
    whole = work.estimate(WHOLE, 0)
    assert whole is not None and whole[0] == len(raw)
    work.do(Part(1, 2), 0, False)
    rest = work.estimate(WHOLE, 0)
    assert rest is not None and rest[0] == len(raw) - len(raw) // 2 and rest[1].bytes < whole[1].bytes
    assert work.estimate(Part(1, 2), 0) is None


def test_a_jpeg_that_is_damaged_or_of_another_size_is_an_error() -> None:
    whole = np.frombuffer(encode_jpeg(np.zeros((16, 24, 3), np.uint8), 95, True), np.uint8)
    for data, shape in (
        (whole[:40], (16, 24)),
        (whole[:-2], (16, 24)),
        (whole, (24, 16)),
        (whole, (8, 8)),
        (whole, (32, 24)),
    ):
        with pytest.raises(ValueError, match=r".+"):
            decode_jpeg(data, np.empty((*shape, 4), np.uint8))
