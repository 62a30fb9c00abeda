"""``avssl search`` and ``avssl embed --index`` as they are typed."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile
from small_runs import Result, write_clip

from avssl.cli.main import main
from avssl.report.search_sheet import print_found
from avssl.search.index import Found, SearchIndex
from avssl.search.query import Query
from avssl.search.rows import Moment


def write_tone(path: Path, loudness: float = 0.3) -> None:
    """Two seconds of 500 Hz."""
    tone = loudness * np.sin(2 * np.pi * 500 * np.arange(16000) / 8000)
    wavfile.write(path, 8000, (tone * 32767).astype(np.int16))


@pytest.fixture(scope="module")
def searched(clips: Path, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the clips, a moment every half second."""
    place = tmp_path_factory.mktemp("searched") / "index"
    assert main(["embed", str(clips), "--run", str(finished), "--index", str(place), "--every", "0.5"]) == 0
    return place


def test_search_lists_the_nearest_moments_and_writes_them_as_json(avssl, searched, clips, tmp_path):
    result: Result = avssl("search", clips / "03.mp4", "--in", searched, "--top", 5, "--json", tmp_path / "found.json")
    assert (result.status, result.err) == (0, "")
    assert "pictures nearest to the sound of 03.mp4" in result.out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["query"]["of"] == "audio"
    assert [one["kind"] for one in found["found"]] == ["image"] * 5
    scores = [one["score"] for one in found["found"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= one["share_below"] <= 1 for one in found["found"])
    assert str(clips / "03.mp4") not in {one["path"] for one in found["found"]}  # its own file is left out
    for one in found["found"]:
        assert f"{one['score']:.3f}" in result.out


def test_a_picture_a_sound_a_time_and_a_vector_are_searched_with(avssl, searched, clips, tmp_path):
    Image.new("RGB", (64, 48), (200, 40, 90)).save(tmp_path / "photo.jpg")
    write_tone(tmp_path / "tone.wav")
    np.save(tmp_path / "vector.npy", np.ones(128))
    ways = {
        "sounds nearest to the picture of photo.jpg": (tmp_path / "photo.jpg",),
        "pictures nearest to the sound of tone.wav": (tmp_path / "tone.wav",),
        "sounds nearest to the picture of 02.mp4": (clips / "02.mp4", "--by", "image", "--at", "1.5"),
        "sounds nearest to the sound of vector.npy": (tmp_path / "vector.npy", "--by", "audio", "--kind", "audio"),
    }
    for title, words in ways.items():
        result = avssl("search", *words, "--in", searched)
        assert (result.status, result.err) == (0, "")
        assert title in result.out
    both = avssl("search", clips / "02.mp4", "--kind", "both", "--own", "--in", searched)
    assert "pictures nearest to" in both.out and "sounds nearest to" in both.out
    assert "1.000" in both.out  # its own moment


def test_a_wrong_query_ends_in_one_line(avssl, searched, clips, tmp_path):
    (tmp_path / "notes.txt").write_text("no media")
    write_tone(tmp_path / "silence.wav", loudness=0.0)
    write_clip(tmp_path / "mute.mp4", sound=False)
    np.save(tmp_path / "short.npy", np.ones(7))
    np.save(tmp_path / "zero.npy", np.zeros(128))
    np.save(tmp_path / "scalar.npy", np.float32(3))
    wrong = {
        "not media": (tmp_path / "notes.txt",),
        "silent at": (tmp_path / "silence.wav",),
        "has no sound to search by": (tmp_path / "mute.mp4", "--by", "audio"),
        "has no picture to search by": (tmp_path / "silence.wav", "--by", "image"),
        "lasts from 0 to": (clips / "00.mp4", "--at", "99"),
        "must be finite": (clips / "00.mp4", "--at", "nan"),
        "no such file": (tmp_path / "gone.wav",),
        "is a folder": (clips,),
        "say with --by": (tmp_path / "short.npy",),
        "one vector of numbers": (tmp_path / "scalar.npy", "--by", "image"),
        "has 7 dimensions": (tmp_path / "short.npy", "--by", "image"),
        "not all zero": (tmp_path / "zero.npy", "--by", "image"),
        "is not in": (tmp_path / "mute.mp4", "--by", "image", "--exclude-source"),
    }
    for words, query in wrong.items():
        result = avssl("search", *query, "--in", searched)
        assert result.status == 2, words
        assert words in result.err
        assert result.err.count("\n") == 1 and result.err.startswith("avssl: ")


def test_the_table_fits_eighty_columns():
    path = "/home/somebody/recordings of the last summer/2026-07/in the garden behind the house/00000123.mp4"
    moment = Moment(0, path, 3600.0, 3600.0, 4000.0, "a dog that barks", None, path, "video", True, True)
    query = Query("/tmp/bark.wav", "audio", np.zeros(8000, np.float32), 0.5, 8000)
    out = io.StringIO()
    print_found(query, {"image": [Found(moment, "image", -0.1234, 0.99994)] * 12}, out, 80)
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "…the house/00000123.mp4" in out.getvalue()  # the end of a path is kept
    assert "-0.123" in out.getvalue() and "99.99 %" in out.getvalue()


def test_files_below_the_current_folder_are_named_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    inside, outside = str(tmp_path / "videos" / "a.mp4"), "s3://bucket/b.mp4"
    moments = [Moment(0, path, 1.0, 1.0, 4.0, None, None, path, "video", True, True) for path in (inside, outside)]
    query = Query("/tmp/bark.wav", "audio", np.zeros(8000, np.float32), 0.5, 8000)
    print_found(query, {"image": [Found(moment, "image", 0.5, 0.9) for moment in moments]}, out := io.StringIO(), 80)
    assert str(tmp_path) not in out.getvalue()
    assert "   videos/a.mp4 " in out.getvalue() and outside in out.getvalue()


def test_the_page_needs_nothing_from_elsewhere_and_escapes_names(avssl, finished, tmp_path):
    hostile = "<img src=x onerror=alert(1)>.mp4"
    for number, name in enumerate(("a.mp4", hostile, "c.mp4")):
        write_clip(tmp_path / "videos" / name, number)
    words = ("--in", tmp_path / "videos", "--run", finished, "--html", tmp_path / "found.html")
    result = avssl("search", tmp_path / "videos" / "a.mp4", *words)
    assert (result.status, result.err) == (0, "")
    assert "a moment every 1 s, once, into" in result.out
    page = (tmp_path / "found.html").read_text()
    assert "<img src=x" not in page and "&lt;img src=x onerror" in page
    assert page.count('src="data:image/jpeg') == 9  # the query's spectrogram; frame and spectrogram of four moments
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    again = avssl("search", tmp_path / "videos" / "a.mp4", *words)
    assert "once, into" not in again.out  # the index of before
    place = Path(result.out.partition("once, into ")[2].partition("\n")[0])
    (place / "index.json").write_text("{}")
    mended = avssl("search", tmp_path / "videos" / "a.mp4", *words)
    assert (mended.status, "is damaged (index.json has changed); it is made again" in mended.out) == (0, True)


def test_embed_wants_one_place_to_write_to(avssl, clips, finished, tmp_path):
    for words in ((), ("-o", tmp_path / "a.npz", "--index", tmp_path / "index")):
        result = avssl("embed", clips, "--run", finished, *words)
        assert result.status == 2
        assert "needs -o OUT, the .npz or .parquet to write, or --index FOLDER" in result.err


def test_an_index_is_made_by_a_job_array(avssl, clips, finished, searched, tmp_path):
    words = ("embed", clips, "--run", finished, "--index", tmp_path / "index", "--every", "0.5")
    assert "part 1/2 is done" in avssl(*words, "--part", "1/2").out
    missing = avssl(*words, "--merge")
    assert (missing.status, "parts are missing: 2/2" in missing.err) == (2, True)
    assert avssl(*words, "--part", "2/2").status == 0
    merged = avssl(*words, "--merge")
    assert (merged.status, merged.err) == (0, "")
    one, other = SearchIndex(searched), SearchIndex(tmp_path / "index")
    assert list(one.rows) == list(other.rows)
    np.testing.assert_allclose(one.vectors("audio"), other.vectors("audio"), atol=1e-6)
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == [".lock", "0001", "index.json"]


def test_of_a_file_two_moments_are_listed_unless_more_are_wanted(avssl, searched, clips, tmp_path):
    def most_of_a_file(*more: object) -> int:
        avssl("search", clips / "03.mp4", "--in", searched, "--json", tmp_path / "found.json", *more)
        return max(Counter(one["path"] for one in json.loads((tmp_path / "found.json").read_text())["found"]).values())

    assert (most_of_a_file(), most_of_a_file("--per-file", 1)) == (2, 1)
    assert most_of_a_file("--per-file", 0, "--top", 30) > 2  # of eleven files


def test_files_that_have_changed_since_they_were_embedded_are_named(avssl, finished, tmp_path):
    for number in range(3):
        write_clip(tmp_path / "videos" / f"{number}.mp4", number)
    avssl("embed", tmp_path / "videos", "--run", finished, "--index", tmp_path / "index")
    write_clip(tmp_path / "videos" / "1.mp4", 7)
    words = ("search", tmp_path / "videos" / "0.mp4", "--in", tmp_path / "index", "--json", tmp_path / "found.json")
    result = avssl(*words, "--html", tmp_path / "found.html")
    assert result.out.count("1.mp4 has changed since it was embedded; avssl embed … --index") == 1
    found = json.loads((tmp_path / "found.json").read_text())["found"]
    assert {Path(one["path"]).name for one in found if one["outdated"]} == {"1.mp4"}
    assert "has changed since it was embedded" in (tmp_path / "found.html").read_text()
