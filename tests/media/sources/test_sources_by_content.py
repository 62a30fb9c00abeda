"""Sources found by what is in the files: copies, the same pictures, sounds, borders and hums; and what is not one."""

from __future__ import annotations

import colorsys
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from source_films import bordered, hum, noises, scene, write

from avssl.errors import MediaError
from avssl.media.opening import open_media
from avssl.media.sources import Sources, find_sources, sources_in_both, traces
from avssl.media.sources.audio_landmarks import coherence


def found_in(folder: Path, mode: str = "content") -> Sources:
    return find_sources(open_media(folder, progress=False, workers=0), mode, progress=False, workers=0)


def groups(sources: Sources) -> set[tuple[str, ...]]:
    """File names that have one source, without those that are alone; whichever rule found them."""
    by_source: dict[str, list[str]] = {}
    for group in sources.groups:
        for i, path in zip(group.items, group.paths, strict=True):
            by_source.setdefault(sources.names[i], []).append(Path(path).name)
    return {tuple(sorted(set(names))) for names in by_source.values()}


def colour(number: int, of: int) -> tuple[int, int, int]:
    red, green, blue = (round(255 * value) for value in colorsys.hsv_to_rgb(number / of, 0.9, 0.9))
    return red, green, blue


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten sources of two clips each, in train and test: five have their own border, five a hum; names say nothing."""
    folder = tmp_path_factory.mktemp("identities")
    for source in range(10):
        for part, name in enumerate(("train", "test")):
            seed = 100 + 2 * source + part
            pictures, wave = scene(seed, 24), noises(seed, 3.0)
            if source % 2:
                wave = wave + hum(87.3 + 23.7 * source, 3.0)
            else:
                pictures = bordered(pictures, colour(source, 10))
            write(folder / name / f"{seed * 7919 % 1000:03d}.mp4", pictures, wave)
    return folder


def test_a_border_or_a_hum_of_its_own_identifies_a_source(identities: Path):
    sources = found_in(identities)
    assert sources.count == 10
    assert {group.rule for group in sources.groups} == {"border", "hum"}
    assert all(len(group.items) == 2 for group in sources.groups)


def test_a_curtain_that_ends_at_the_floor_is_no_border(tmp_path: Path):
    for number in range(10):
        pictures = scene(40 + number, 16)
        for picture in pictures if number < 2 else ():
            picture[:52, :4] = picture[:52, -4:] = (70, 140, 63)
        write(tmp_path / f"{number}.mp4", pictures)
    assert not found_in(tmp_path).groups


def test_what_two_collections_have_in_common_is_found_across_them(identities: Path):
    train, test = (open_media(identities / name, progress=False, workers=0) for name in ("train", "test"))
    shared = sources_in_both(train, test, progress=False, workers=0)
    assert len(shared) == 10
    assert all(group.items[0] < len(train) <= group.items[1] for group in shared)


def test_a_border_that_half_of_the_folder_has_is_a_look_and_no_source(tmp_path: Path):
    for number in range(12):
        pictures = scene(number, 16)
        write(tmp_path / f"{number}.mp4", bordered(pictures, (200, 30, 40)) if number % 2 else pictures)
    sources = found_in(tmp_path)
    assert not sources.groups
    assert [(warning.rule, len(warning.items)) for warning in sources.warnings] == [("border", 6)]
    assert "kept apart: a border of colour #" in sources.lines()[0]


def test_copies_are_one_however_they_are_packed_encoded_scaled_or_mirrored(tmp_path: Path):
    pictures, wave = scene(1, 32), noises(1, 4.0)
    write(tmp_path / "film.mp4", pictures, wave)
    shutil.copy(tmp_path / "film.mp4", tmp_path / "copy.mp4")
    write(tmp_path / "packed.mkv", pictures, wave)
    larger = [np.asarray(Image.fromarray(picture).resize((144, 96), Image.Resampling.BICUBIC)) for picture in pictures]
    write(tmp_path / "encoded.mp4", larger, 0.3 * wave, crf=33, sound_rate=32_000)
    write(tmp_path / "mirrored.mp4", [picture[:, ::-1] for picture in pictures])
    for number in range(2, 5):
        write(tmp_path / f"other{number}.mp4", scene(number, 32), noises(number, 4.0))
    sources = found_in(tmp_path)
    assert groups(sources) == {("copy.mp4", "encoded.mp4", "film.mp4", "mirrored.mp4", "packed.mkv")}
    assert [len(group.items) for group in sources.groups if group.rule == "bytes"] == [2]


def test_copies_are_one_though_brighter_or_of_fewer_frames(tmp_path: Path):
    for number in (1, 2):
        pictures, wave = scene(number, 48), noises(number, 4.0)
        write(tmp_path / f"film{number}.mp4", pictures, wave, fps=12)
        brighter = [np.clip(0.8 * picture.astype(np.float32) + 45, 0, 255).astype(np.uint8) for picture in pictures]
        write(tmp_path / f"bright{number}.mp4", brighter, fps=12)
        write(tmp_path / f"fewer{number}.mp4", pictures[1::2], wave, fps=6)
    assert groups(found_in(tmp_path)) == {(f"bright{k}.mp4", f"fewer{k}.mp4", f"film{k}.mp4") for k in (1, 2)}


def test_numbers_after_names_are_parts_where_the_pictures_say_so(tmp_path: Path):
    names = ("concert", "walk", "kitchen", "harbour", "school", "garden")
    for number, name in enumerate(names):
        pictures = scene(60 + number, 48)
        write(tmp_path / "cuts" / f"{name}_1.mp4", pictures[:20])
        write(tmp_path / "cuts" / f"{name}_2.mp4", pictures[28:])
        for part in (1, 2):
            write(tmp_path / "kinds" / f"{name}_{part}.mp4", scene(80 + 2 * number + part, 20))
    assert groups(found_in(tmp_path / "cuts")) == {(f"{name}_1.mp4", f"{name}_2.mp4") for name in names}
    assert not found_in(tmp_path / "kinds").groups
    assert not found_in(tmp_path / "cuts", "names").groups


def test_cuts_that_overlap_are_one_by_sound_and_pictures(tmp_path: Path):
    pictures, wave = scene(7, 64), noises(7, 8.0)
    write(tmp_path / "early.mp4", pictures[:40], wave[: 5 * 16000])
    write(tmp_path / "late.mp4", pictures[23:], wave[23 * 2000 :])
    write(tmp_path / "other.mp4", scene(8, 40), noises(8, 5.0))
    sources = found_in(tmp_path)
    assert groups(sources) == {("early.mp4", "late.mp4")}
    assert [group.rule for group in sources.groups] == ["sound"]


def test_music_under_other_pictures_is_a_warning(tmp_path: Path):
    music = noises(11, 4.0)
    for number in range(3):
        write(tmp_path / f"{number}.mp4", scene(20 + number, 32), music)
    sources = found_in(tmp_path)
    assert not sources.groups
    assert [(warning.rule, len(warning.items)) for warning in sources.warnings] == [("sound", 3)]
    assert sources.warnings[0].words == "the same sound under other pictures"


def test_silence_mains_noise_black_and_titles_say_nothing(tmp_path: Path):
    title = np.zeros((64, 96, 3), np.uint8)
    title[24:40, 16:80] = 255
    rng = np.random.default_rng(0)
    sounds = [np.zeros(48000, np.float32), hum(50, 3.0), rng.normal(0, 0.1, 48000).astype(np.float32)]
    for number in range(6):
        black = [np.zeros_like(title)] * 12 + [title] * 12
        write(tmp_path / f"{number}.mp4", black if number < 3 else scene(number, 24), sounds[number % 3])
    shutil.move(tmp_path / "0.mp4", tmp_path / "first.mp4")
    assert not [group for group in found_in(tmp_path).groups if group.rule != "bytes"]


def test_pictures_are_one_or_two(tmp_path: Path):
    ones = [scene(number, 1, (120, 160))[0] for number in range(5)]
    for number, picture in enumerate(ones):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    Image.fromarray(ones[0]).resize((100, 75)).save(tmp_path / "small.jpg", quality=60)
    Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(tmp_path / "plain.png")
    Image.fromarray(np.full((60, 81, 3), 90, np.uint8)).save(tmp_path / "plain_too.png")
    assert groups(found_in(tmp_path)) == {("0.png", "small.jpg")}
    assert found_in(tmp_path, "names").count == found_in(tmp_path, "none").count == 8


def test_what_was_measured_is_kept_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for number in range(3):
        write(tmp_path / f"{number}.mp4", scene(30 + number, 16), noises(30 + number, 2.0))
    before = found_in(tmp_path)
    measured = []
    measure = traces.measure
    monkeypatch.setattr(traces, "measure", lambda media, i: measured.append(i) or measure(media, i))
    assert found_in(tmp_path) == before
    assert measured == []
    write(tmp_path / "1.mp4", scene(30, 16), noises(30, 2.0))  # now another film, a copy of the first
    assert found_in(tmp_path).count == 2
    assert measured == [1]


def test_what_cannot_be_read_is_alone_and_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for number in range(3):
        write(tmp_path / f"{number}.mp4", scene(40, 16))

    def broken(media: object, i: int) -> None:
        raise MediaError("x", "cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr(traces, "measure", broken)
        assert {group.rule for group in found_in(tmp_path).groups} <= {"bytes"}
    assert found_in(tmp_path).count == 1


def test_coherence_knows_one_recording_from_two_and_from_a_shared_tone():
    wave = noises(1, 3.0)[::2]
    assert coherence(wave, 0.2 * wave) > 0.9
    assert coherence(wave, noises(2, 3.0)[::2]) < 0.1
    tone = hum(440, 3.0)[::2]
    assert coherence(tone + 0.01 * wave, tone + 0.01 * noises(2, 3.0)[::2]) < 0.15
