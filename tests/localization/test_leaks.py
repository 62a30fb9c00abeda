"""Near-duplicate frames between two folders, and the command that says so."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from source_films import bordered, hum, noises, scene, write

from avssl.cli.main import main
from avssl.evaluate.localization.leaks import compare, names_of


def picture(path: Path, seed: int, noise: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC), np.int16)
    pixels = pixels + np.random.default_rng(99).integers(-noise, noise + 1, pixels.shape)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def test_a_picture_that_was_saved_again_is_found_and_others_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(6):
        picture(tmp_path / "train" / f"one{seed}.png", seed)
    picture(tmp_path / "test" / "again.jpg", 2, noise=6)
    with Image.open(tmp_path / "train" / "one4.png") as one:
        one.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((70, 70)).save(tmp_path / "test" / "mirrored.png")
    for seed in range(20, 26):
        picture(tmp_path / "test" / f"new{seed}.png", seed)
    words = [str(tmp_path / "train"), str(tmp_path / "test"), "--frames", "-o", str(tmp_path / "out")]
    assert main(["evaluate", "leaks", *words]) == 0
    assert "2 items of" in capsys.readouterr().out
    twins = json.loads((tmp_path / "out/leaks.json").read_text())["near_duplicates"]
    assert [(Path(t["train"]).name, Path(t["test"]).name) for t in twins] == [
        ("one2.png", "again.jpg"),
        ("one4.png", "mirrored.png"),
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_copies_under_other_names_are_found_by_their_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], packed: bool
) -> None:
    for seed in range(24):
        picture(tmp_path / "train" / f"one{seed}.png", seed)
        (tmp_path / "test").mkdir(exist_ok=True)
        (tmp_path / "test" / f"holiday_{chr(97 + seed)}.png").write_bytes(
            (tmp_path / "train" / f"one{seed}.png").read_bytes()
        )
    picture(tmp_path / "test" / "new.png", 50)
    test = tmp_path / "test"
    if packed:
        test = tmp_path / "test.tar"
        with tarfile.open(test, "w") as archive:
            archive.add(tmp_path / "test", arcname=".")
    assert main(["evaluate", "leaks", str(tmp_path / "train"), str(test), "-o", str(tmp_path)]) == 0
    predicted = capsys.readouterr().out
    assert "0 of 25 are in both" in predicted
    assert f"24 of 25 are byte for byte a file of {tmp_path / 'train'} (96.0%): holiday_a.png = one0.png" in predicted
    assert "--frames also compares pictures, sound, borders and hums" in predicted
    copies = json.loads((tmp_path / "leaks.json").read_text())["copies"]
    assert len(copies) == 24 and copies["holiday_c.png"] == "one2.png"


def test_lists_are_compared_by_clip_and_by_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.txt").write_text("aaaaaaaaaaa_30000_40000\nbbbbbbbbbbb_000001\n")
    (tmp_path / "test.csv").write_text("aaaaaaaaaaa_000030,7\nbbbbbbbbbbb_000200,8\nccccccccccc_000001,9\n")
    assert main(["evaluate", "leaks", str(tmp_path / "train.txt"), str(tmp_path / "test.csv")]) == 0
    out = capsys.readouterr().out
    assert "1 of 3 are in both" in out
    assert "2 of 3 are of a video that is in both" in out


def test_frames_want_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("x\n")
    assert main(["evaluate", "leaks", str(tmp_path / "a.txt"), str(tmp_path / "a.txt"), "--frames"]) == 2
    assert "two folders" in capsys.readouterr().err


def leaks(*words: Path | str) -> int:
    return main(["evaluate", "leaks", *map(str, words)])


def test_numbers_that_every_class_uses_are_no_leak_and_the_same_picture_in_its_class_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, numbers in (("chair", (1, 2)), ("cup", (1, 2))):
        for number in numbers:
            picture(tmp_path / "train" / kind / f"{number:04d}.png", number + 10 * len(kind))
    picture(tmp_path / "test/chair/0003.png", 100)
    picture(tmp_path / "test/lamp/0002.png", 101)
    assert leaks(tmp_path / "train", tmp_path / "test", "-o", tmp_path) == 0
    out = capsys.readouterr().out
    assert "4 names" in out
    assert "names are paths within each set" in out
    assert "0 of 2 have the same path in both" in out
    assert json.loads((tmp_path / "leaks.json").read_text())["compared_by"] == "path"
    picture(tmp_path / "test/cup/0001.png", 102)
    (tmp_path / "test/cup/0002.png").write_bytes((tmp_path / "train/cup/0002.png").read_bytes())
    assert leaks(tmp_path / "train", tmp_path / "test", "-o", tmp_path) == 0
    assert "2 of 4 have the same path in both (50.0%): cup/0001, cup/0002" in (predicted := capsys.readouterr().out)
    assert "1 of these 2 are the same file, byte for byte; the others may share a number only" in predicted
    assert json.loads((tmp_path / "leaks.json").read_text())["same_bytes"] == ["cup/0002"]


def test_sources_that_only_a_border_and_a_hum_give_away_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for source in range(6):
        colour = ((250, 20, 30), (20, 250, 30), (30, 20, 250), (250, 250, 20), (20, 250, 250), (250, 20, 250))[source]
        for part in ("train", "test"):
            seed = source if part == "train" else source + 50
            wave = noises(seed, 2.0) + hum(83.7 + 31 * source, 2.0)
            write(tmp_path / part / f"{seed}.mp4", bordered(scene(seed, 16), colour), wave)
    assert leaks(tmp_path / "train", tmp_path / "test", "--frames") == 0
    assert "6 of the 6 items of" in (predicted := capsys.readouterr().out)
    assert "share a source with the other set (6 by border" in predicted


def test_ids_stand_for_themselves_in_any_folder() -> None:
    train = ["a/v_Archery_g01_c01.avi", "a/0001.jpg", "b/0001.jpg", "x/aaaaaaaaaaa_000001.mp4", "5/1-100038-A-14.wav"]
    test = ["z/v_Archery_g01_c02.avi", "c/0001.jpg", "y/aaaaaaaaaaa_000001.mp4", "1-100038-B-14.wav", "b/0001.png"]
    found = compare(train, test)
    assert found.by_path
    assert found.clips == ("aaaaaaaaaaa_000001", "b/0001")
    assert set(found.videos) == {"v_Archery_g01_c02", "aaaaaaaaaaa_000001", "1-100038-B-14", "b/0001"}
    # A picture and a sound of one name are one item, and frames of a clip are of its video.
    assert not compare(["frames/x.jpg", "audio/x.wav"], ["frames/x.jpg"]).by_path
    frames = compare(["v_Archery_g01_c01/0001.jpg", "v_Archery_g01_c02/0001.jpg"], ["v_Archery_g01_c03/0009.jpg"])
    assert (frames.clips, frames.videos) == ((), ("v_Archery_g01_c03/0009",))


def test_tars_are_compared_by_their_members_and_other_bytes_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, numbers in (("train", (0, 1)), ("test", (1, 2))):
        with tarfile.open(tmp_path / f"{name}.tar", "w") as archive:
            for number in numbers:
                picture(tmp_path / f"{name}{number}.png", number)
                archive.add(tmp_path / f"{name}{number}.png", arcname=f"./cat/{number:05d}.png")
    assert leaks(tmp_path / "train.tar", tmp_path / "test.tar", "--frames") == 0
    out = capsys.readouterr().out
    assert "1 of 2 have the same path in both (50.0%): cat/00001" in out
    assert "1 of these 1 are the same file" in out
    assert "1 item of" in out
    (tmp_path / "weights.bin").write_bytes(bytes(range(256)))
    assert leaks(tmp_path / "weights.bin", tmp_path / "test.tar") == 2
    assert capsys.readouterr().err.strip().endswith("cannot be read as a list of names: it is not text")


@pytest.mark.realdata
def test_caltech_has_other_pictures_on_both_sides(shared_data: Path) -> None:
    found = compare(names_of(shared_data / "caltech/train"), names_of(shared_data / "caltech/test"))
    assert (found.train, found.test, found.clips) == (1209, 432, ())
