"""What file names say about sources, and what they do not."""

from __future__ import annotations

import csv
import json
import random
import re
import string
from collections import defaultdict
from pathlib import Path

import pytest

from avssl.media.sources.names import name_groups

KINDS = ("dog", "cat", "cow", "bird", "frog", "sheep")
CHARACTERS = string.ascii_letters + string.digits + "-_"


def grouped(paths: list[str], seconds: list[float] | None = None) -> set[frozenset[str]]:
    return {frozenset(paths[i] for i in group) for group in name_groups(paths, seconds).sure}


def by(paths: list[str], sources: list[str]) -> set[frozenset[str]]:
    """The groups that these sources make; files that are alone in theirs are in no group."""
    found = defaultdict(set)
    for path, source in zip(paths, sources, strict=True):
        found[source].add(path)
    return {frozenset(group) for group in found.values() if len(group) > 1}


def youtube_ids(count: int) -> list[str]:
    rng = random.Random(0)
    return ["".join(rng.choice(CHARACTERS) for _ in range(11)) for _ in range(count)]


@pytest.mark.parametrize(
    "build",
    [
        "v{a:03d}_p{b}.mp4",
        "clip-{a:03d}_part{b}.mp4",
        "scene{a}_shot{b}.mkv",
        "lecture {a} (part {b}).mp4",
        "lecture{a} - Part {b}.mov",
        "movie{a}part{b}.mp4",
        "talk_{a}_{b}of3.mp4",
        "film {a} ({b} of 3).mp4",
        "film {a} [{b}_of_3].mp4",
        "S01E{a}_seg{b}.mp4",
        "Show.S01E{a}.part{b}.mkv",
        "part{b}_v{a:03d}.mp4",
        "2023-01-{a:02d}_seg{b:03d}.mp4",
        "GX{b:02d}{a:04d}.MP4",
        "v_SoccerJuggling_g{a:02d}_c{b:02d}.avi",
        "TrumanShow{a}_wave_f_nm_np1_fr_med_{b}.avi",
        "5-{a:05d}-{b:c}-3.wav",
        "{a:06d}-3-0-{b}.wav",
    ],
)
def test_parts_of_one_source_are_put_together(build):
    numbers = [(a, b) for a in range(21, 36) for b in range(1, 4)]
    letter = ":c" in build
    paths = [build.format(a=a, b=ord("@") + b if letter else b) for a, b in numbers]
    assert grouped(paths) == by(paths, [str(a) for a, _ in numbers])


@pytest.mark.parametrize(
    "build",
    [
        "{id}_{a:06d}.mp4",
        "{id}_{a:06d}_{b:06d}.mp4",
        "{id}_{a}_{b}.mp4",
        "{id}_{a}.000_{b}.000.flac",
        "Y{id}_{a}.wav",
        "v_{id}_{a}.mp4",
        "kind/{id}_{a:06d}_gt.mp4",
        "id10270/{id}/{a:05d}.wav",
        "id10270_{id}_{a:05d}.wav",
    ],
)
def test_youtube_ids_name_the_video_wherever_they_stand(build):
    ids = [name for name in youtube_ids(300) for _ in range(2)]
    paths = [build.format(id=name, a=10 + 20 * (i % 2), b=20 + 20 * (i % 2)) for i, name in enumerate(ids)]
    groups = grouped(paths)
    assert groups <= by(paths, ids)  # never two videos together
    assert len(groups) >= (300 if "v_" not in build and "0_" not in build else 250)


@pytest.mark.parametrize(
    "paths",
    [
        [f"frame_{i:04d}.jpg" for i in range(300)],
        [f"video{i}.mp4" for i in range(1, 501)],
        [f"IMG_{i}.mp4" for i in range(1234, 1400)],
        [f"clip_{i:03d}.mp4" for i in range(1, 999)],
        [f"video_clip_{i:03d}.mp4" for i in range(1, 999)],
        [f"movie1_part{i}.mp4" for i in range(1, 9)],
        [f"2023-{m:02d}-{d:02d}_{k:02d}.mp4" for m in range(1, 13) for d in range(1, 28) for k in range(3)],
        [f"VID_2023{m:02d}{d:02d}_1{d:02d}5{m:02d}.mp4" for m in range(1, 13) for d in range(1, 28)],
        [f"2015-02-16-16-{m:02d}-{s:02d}_denoised_thumb.mp4" for m in range(60) for s in range(10, 50, 9)],
        [f"{kind}/{i:04d}.jpg" for kind in KINDS for i in range(50)],
        [f"{kind}_clip_{i}.mp4" for kind in KINDS for i in range(5)],
        [f"{kind}_p{i}.mp4" for kind in KINDS for i in range(5)],
        [f"{kind}/{kind}_part{i}.mp4" for kind in KINDS for i in range(5)],
        [f"cam{a}_shot{i:03d}.jpg" for a in range(4) for i in range(100)],
        [f"subject{a:02d}_take{i}.mp4" for a in range(20) for i in range(3)],
        [f"n0{a}440764_{i}.JPEG" for a in range(100) for i in range(10)],
        [f"200{a}_{i:06d}.jpg" for a in (7, 8) for i in range(200)],
        [f"{a}_{b}_{i:04d}.jpg" for a in ("Aaron", "Marco") for b in ("Smith", "Jones") for i in range(5)],
        [f"P{a:02d}_{b:02d}.MP4" for a in range(1, 33) for b in range(1, 10)],
        [f"01-0{a}-0{e}-01-02-01-{s:02d}.mp4" for a in (1, 2) for e in range(1, 9) for s in range(1, 25)],
        [f"person{s:02d}_{c}_d{d}_uncomp.avi" for s in range(25) for c in ("boxing", "running") for d in range(1, 5)],
        [f"s{s}/{a}{b}a{c}{d}{e}.mpg" for s in (1, 2) for a in "blps" for b in "bgrw" for c in "abc" for d in "123"
         for e in "anps"],
        [f"clip_{i:05d}.mp4" for i in range(300)],
    ],
    ids=lambda paths: paths[0],
)  # fmt: skip
def test_running_numbers_classes_people_and_dates_are_no_parts(paths):
    assert grouped(paths) == set()


def test_stems_that_are_words_are_only_likely_to_be_sources():
    paths = [f"{kind}_p{i}.mp4" for kind in KINDS for i in range(3)]
    assert len(name_groups(paths).likely) == len(KINDS)


@pytest.mark.parametrize("build", ["{}_{}.mp4", "{} ({}).mp4", "{}-{}.mov"])
@pytest.mark.parametrize("parts", ["123", "012", "abc", "AB"])
def test_numbers_and_letters_after_words_are_nothing_without_the_pictures(build: str, parts: str):
    found = name_groups([build.format(kind, part) for kind in KINDS for part in parts])
    assert not found.sure
    assert not found.likely
    assert [len(group) for group in found.bare] == len(KINDS) * [len(parts)]


def test_a_start_and_an_end_count_if_the_file_is_as_long():
    stems = [stem for stem in ("holiday", "wedding", "school") for _ in range(3)]
    paths = [f"{stem}_{10 * (i % 3)}_{10 * (i % 3) + 10}.mp4" for i, stem in enumerate(stems)]
    assert grouped(paths, [10.0] * 9) == by(paths, stems)
    assert grouped(paths, [4.0] * 9) == set()


@pytest.mark.parametrize("build", ["{}@{}-{}.mp4", "{}_s{}_e{}.mp4", "{} ({}-{}).mp4", "{} [0:{} - 0:{}].mp4"])
def test_a_start_and_an_end_are_written_in_many_ways(build):
    stems = [stem for stem in ("holiday", "wedding", "school") for _ in range(3)]
    paths = [build.format(stem, 10 * (i % 3) + 10, 10 * (i % 3) + 14) for i, stem in enumerate(stems)]
    assert grouped(paths, [4.0] * 9) == by(paths, stems)
    assert grouped(paths, [9.0] * 9) == set()


def test_parts_of_a_single_stem_are_likely_and_not_sure():
    paths = [f"holiday-part{i:02d}.mp4" for i in range(1, 16)]
    found = name_groups(paths)
    assert not found.sure
    assert found.likely == (tuple(range(15)),)
    assert not name_groups([f"clip_{i:03d}.mp4" for i in range(15)]).likely


def test_the_same_stem_and_number_in_two_folders_are_two_sources():
    paths = [f"{kind}/v{a}_p{b}.mp4" for kind in KINDS for a in range(3) for b in (1, 2)]
    assert grouped(paths) == by(paths, [path.split("_")[0] for path in paths])
    sorted_by_kind = [f"{KINDS[b]}/v{a}_p{b}.mp4" for a in range(9) for b in (1, 2)]
    assert grouped(sorted_by_kind) == by(sorted_by_kind, [path.split("/")[1][:2] for path in sorted_by_kind])


@pytest.mark.realdata
def test_lists_of_names_fall_into_their_true_sources(shared_data):
    for title, paths, sources in true_lists(shared_data):
        assert grouped(paths) == by(paths, sources), title


@pytest.mark.realdata
def test_names_of_real_files_are_never_put_together_wrongly(shared_data):
    for title, paths, sources in [*true_lists(shared_data), *loose_lists(shared_data)]:
        assert grouped(paths) <= by(paths, sources), title


def true_lists(data: Path) -> list[tuple[str, list[str], list[str]]]:
    lists = data / "annotations"
    read = lambda name: (lists / name).read_text().split("\n")  # noqa: E731
    ucf = [line.split()[0] for name in ("trainlist01", "testlist01") for line in read(f"ucf101/{name}.txt") if line]
    hmdb = list(csv.DictReader((lists / "hmdb51" / "hmdb51_splits.csv").open()))
    films = [re.sub(rf"_{re.escape(row['class'])}_[fhlu]_.*", "", row["file"]) for row in hmdb]
    vgg = [line.split(",")[0] for line in read("vggss/vggss_test.csv") if line]
    times = [line for line in read("vggss/sslalign_vggss_list.txt") if line]
    esc = list(csv.DictReader((lists / "esc50" / "esc50.csv").open()))
    frames = [record["image"] for record in json.loads((lists / "avsbench" / "s4_box.json").read_text())]
    cuts = sorted(path.name for path in (data / "real-av" / "videos").rglob("*.mp4"))
    talks = sorted(path.name for path in (data / "grid").glob("*.mp*"))
    return [
        ("UCF101", ucf, [path.split("/")[1].split("_c")[0] for path in ucf]),
        ("HMDB51", [f"{row['class']}/{row['file']}" for row in hmdb], films),
        ("VGG-SS", [f"{name}.mp4" for name in vgg], [name[:11] for name in vgg]),
        ("VGG-SS with times", [f"{name}.mp4" for name in times], [name[:11] for name in times]),
        ("ESC-50", [row["filename"] for row in esc], [row["src_file"] for row in esc]),
        ("AVSBench S4", frames, [path.split("/")[-1][:11] for path in frames]),
        ("real videos", cuts, [name[:4] for name in cuts]),
        ("talking faces", talks, [name[:5] if name.startswith("vox") else name for name in talks]),
    ]


def loose_lists(data: Path) -> list[tuple[str, list[str], list[str]]]:
    """Names that say less than there is to know: none may be put together wrongly."""
    found = []
    for folder in ("caltech", "actions", "keypoints", "normals", "detection", "media", "real-av/photos"):
        paths = [str(path.relative_to(data)) for path in sorted((data / folder).rglob("*.*")) if path.is_file()]
        found.append((folder, paths, paths))
    for name in ("is3/synthetic3240_bbox", "vpo/vpo_ss_bbox", "vpo/vpo_ms_bbox"):
        pictures = [record["image"] for record in json.loads((data / "annotations" / f"{name}.json").read_text())]
        found.append((name, pictures, [path.rsplit("_", 1)[0] for path in pictures]))
    return found
