"""What the page's addresses answer: right, bounded, and nothing of this machine beyond the collection."""

from __future__ import annotations

import base64
import io
import os
import re
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

pytest.importorskip("starlette", reason="starlette is not installed; make install-dev brings it")

from explored import CLIPS, HOSTILE, make_library
from small_runs import write_clip
from starlette.testclient import TestClient

from avssl.errors import UserError
from avssl.experiment.run import Run
from avssl.explore import uploads
from avssl.explore.app import make_app
from avssl.explore.guard import Guard
from avssl.explore.library import Library
from avssl.explore.options import ExploreOptions
from avssl.explore.server import open_library
from avssl.search.building import update_index
from avssl.search.index import SearchIndex
from avssl.system.process_pool import spare_cores

MARK = {"X-Avssl": "1"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    made = make_library(tmp_path_factory.mktemp("explored"))
    yield made
    made.close()


@pytest.fixture
def page(library: Library) -> Iterator[TestClient]:
    # Entered, it has one event loop for all requests, as a server has; else each has its own, and whoever waits for
    # the turn of another is never woken.
    with TestClient(make_app(library, Guard()), base_url="http://localhost", headers=MARK) as client:
        yield client


def wav_of(samples: np.ndarray, rate: int = 8000) -> bytes:
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, (samples * 32767).astype(np.int16))
    return buffer.getvalue()


def png_of(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def bomb() -> bytes:
    """A picture of 900 megapixels in half a megabyte."""
    packer, line = zlib.compressobj(1), bytes(1 + 30_000 // 8)
    data = b"".join(packer.compress(line) for _ in range(30_000)) + packer.flush()
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    parts = [
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def npy_of(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


TONE = wav_of(0.3 * np.sin(2 * np.pi * 600 * np.arange(16000) / 8000))


def row_of(library: Library, name: str) -> int:
    return next(k for k in range(len(library.index)) if Path(library.index.rows[k].path).name == name)


def upload(page: TestClient, content: bytes, name: str) -> dict:
    answer = page.post("/api/uploads", params={"name": name}, content=content)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_it_tells_what_there_is_to_explore(page, library):
    about = page.get("/api/about").json()
    assert (about["items"], about["moments"], about["labels"]) == (CLIPS, 4 * CLIPS, ["even", "odd"])
    assert about["localizes"] and about["puzzles"] == ["av-correspondence"]


def test_pages_of_moments_come_in_their_order_and_name_no_folder(page, library):
    first = page.get("/api/rows", params={"first": 2, "count": 3}).json()
    assert [one["row"] for one in first] == [2, 3, 4]
    assert page.get("/api/rows", params={"first": 10_000}).json() == []
    assert len(page.get("/api/rows", params={"count": 10_000}).json()) == 4 * CLIPS
    everything = page.get("/api/rows", params={"count": 200}).text + page.get("/api/about").text
    assert str(library.index.path.parent) not in everything
    assert HOSTILE in {one["name"] for one in page.get("/api/rows", params={"count": 200}).json()}


def test_named_moments_come_in_the_order_in_which_they_are_named(page):
    assert [one["row"] for one in page.get("/api/rows", params={"rows": "5,2,39"}).json()] == [5, 2, 39]
    assert len(page.get("/api/rows", params={"rows": ",".join(["1"] * 300)}).json()) == 200
    for wrong in ("40", "-1", "", "1,,2", "9" * 5000):
        assert page.get("/api/rows", params={"rows": wrong}).status_code == 404


def test_of_a_file_two_moments_are_listed_unless_more_are_wanted(page):
    def most_of_a_file(**more: int) -> int:
        found = page.get("/api/search/5", params={"of": "image", "kind": "audio", "count": 20, **more}).json()["found"]
        return max(Counter(one["name"] for one in found).values())

    assert (most_of_a_file(count=10), most_of_a_file(count=6, per_file=1)) == (2, 1)
    assert most_of_a_file(per_file=0) > 2


def test_a_file_that_has_changed_since_is_marked_and_its_clip_refused(tmp_path):
    library = make_library(tmp_path)
    page = TestClient(make_app(library, Guard()), base_url="http://localhost", headers=MARK)
    path = Path(library.index.rows[8].path)
    write_clip(path, 7)
    marks = {one["name"]: one["outdated"] for one in page.get("/api/rows", params={"count": 200}).json()}
    assert marks.pop(path.name).startswith("has changed since it was embedded")
    assert set(marks.values()) == {None}
    answer = page.get("/api/clips/8")
    assert (answer.status_code, "has changed since it was embedded" in answer.json()["error"]) == (422, True)
    library.close()


def test_a_moment_is_seen_heard_and_played(page):
    with Image.open(io.BytesIO(page.get("/api/thumbnails/0").content)) as picture:
        assert picture.size == (48, 48)
    with Image.open(io.BytesIO(page.get("/api/spectrograms/0").content)) as picture:
        assert np.asarray(picture).max() > 100
    rate, samples = wavfile.read(io.BytesIO(page.get("/api/sounds/1").content))
    assert (rate, len(samples)) == (16000, 64000)
    with av.open(io.BytesIO(page.get("/api/clips/1").content)) as container:
        assert {stream.codec_context.name for stream in container.streams} == {"h264", "aac"}
        assert len(list(container.decode(video=0))) == 20


def test_a_player_gets_the_part_it_asks_for(page):
    whole = page.get("/api/clips/1")
    part = page.get("/api/clips/1", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    assert page.get("/api/clips/1", headers={"Range": "bytes=-5"}).content == whole.content[-5:]
    assert page.get("/api/clips/1", headers={"Range": f"bytes={len(whole.content)}-"}).status_code == 416


def test_a_search_with_a_moment_finds_what_the_index_finds_and_none_of_its_own_file(page, library):
    answer = page.get("/api/search/5", params={"of": "image", "kind": "audio", "count": 7}).json()["found"]
    own = library.index.rows_of(path=library.index.rows[5].path)
    expected = library.index.search(
        library.index.vectors("image")[5], "audio", of="image", k=7, leave_out=own, per_file=2
    )
    assert [one["row"] for one in answer] == [one.moment.row for one in expected]
    assert answer[0]["share_below"] == pytest.approx(expected[0].share_below, abs=1e-4)


def test_a_search_with_a_file_finds_what_the_model_finds(page, library):
    frame = library.index.frame(9)
    found = upload(page, png_of(frame.transpose(1, 2, 0)), "mine.png")
    assert (found["image"], found["audio"], found["name"]) == (True, False, "mine.png")
    answer = page.get(f"/api/uploads/{found['key']}/search", params={"of": "image", "kind": "image"}).json()["found"]
    assert answer[0]["row"] == 9 and answer[0]["score"] == pytest.approx(1, abs=1e-3)
    refused = page.get(f"/api/uploads/{found['key']}/search", params={"of": "audio", "kind": "image"})
    assert (refused.status_code, refused.json()["error"]) == (422, "mine.png has no sound")


def test_a_search_with_a_sound_and_with_a_vector(page, library):
    heard = upload(page, TONE, "tone.wav")
    answer = page.get(f"/api/uploads/{heard['key']}/search", params={"of": "audio", "kind": "audio", "count": 4}).json()
    assert len(answer["found"]) == 4 and answer["milliseconds"] > 0
    buffer = io.BytesIO()
    np.save(buffer, library.index.vectors("audio")[6] * 3)
    vector = upload(page, buffer.getvalue(), "theirs.npy")
    assert vector["vector"] and not vector["image"]
    found = page.get(f"/api/uploads/{vector['key']}/search", params={"of": "audio", "kind": "audio"}).json()["found"]
    assert found[0]["score"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("content", "name", "why"),
    [
        (b"", "empty.png", "empty.png is empty"),
        (b"no picture at all", "../../etc/passwd", "passwd cannot be used"),
        (b"<svg onload=alert(1)>", "x.svg", "x.svg cannot be used"),
        (png_of(np.zeros((8, 8, 3), np.uint8))[:40], "cut.png", "cut.png cannot be used"),
        (b"\x93NUMPY\x01\x00junk", "v.npy", "v.npy is no array"),
        (npy_of(np.ones(1 << 20, np.int8)), "long.npy", "long.npy holds a vector of 1,048,576 dimensions"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(page, content, name, why):
    answer = page.post("/api/uploads", params={"name": name}, content=content)
    error = answer.json()["error"]
    assert answer.status_code == 422 and error.startswith(why) and "\n" not in error and "/tmp" not in error


def test_a_small_file_that_becomes_900_megapixels_is_refused(page):
    answer = page.post("/api/uploads", params={"name": "bomb.png"}, content=bomb())
    assert (answer.status_code, "too large: 30000×30000" in answer.json()["error"]) == (422, True)


def test_silence_and_vectors_that_do_not_fit_are_refused(page):
    quiet = upload(page, wav_of(np.zeros(16000)), "quiet.wav")
    answer = page.get(f"/api/uploads/{quiet['key']}/search", params={"of": "audio", "kind": "image"})
    assert answer.json()["error"] == "quiet.wav is silent: there is nothing to search by"
    for array, why in (
        (np.ones(7), "holds a vector of 7"),
        (np.array([1.0, np.nan]), "finite"),
        (np.eye(3), "one vector"),
    ):
        buffer = io.BytesIO()
        np.save(buffer, array)
        answer = page.post("/api/uploads", params={"name": "v.npy"}, content=buffer.getvalue())
        if answer.status_code == 200:
            answer = page.get(f"/api/uploads/{answer.json()['key']}/search", params={"of": "image", "kind": "image"})
        assert answer.status_code == 422 and why in answer.json()["error"]


def test_an_upload_has_a_bound_whatever_length_it_claims(page, monkeypatch):
    monkeypatch.setattr("avssl.explore.app.LARGEST_UPLOAD", 1000)
    parts = (b"x" * 100 for _ in range(20))
    answer = page.post("/api/uploads", params={"name": "large.wav"}, content=parts)
    assert answer.status_code == 413
    # What claims to be a gigabyte is not even read.
    assert page.post("/api/uploads", headers={"Content-Length": str(1 << 30)}, content=b"x").status_code == 413


def test_more_uploads_at_once_than_memory_holds_are_put_off(page, monkeypatch):
    monkeypatch.setattr("avssl.explore.app.MOST_UPLOADS", 0)
    answer = page.post("/api/uploads", params={"name": "tone.wav"}, content=TONE)
    assert (answer.status_code, answer.json()["error"]) == (
        503,
        "0 files are being uploaded already; try again in a minute",
    )


@pytest.mark.slow
def test_uploads_are_forgotten_before_they_fill_the_memory(page, monkeypatch):
    tones = [wav_of(np.sin(np.arange(16000) * pitch / 50), 16000) for pitch in (1, 2, 3)]
    monkeypatch.setattr("avssl.explore.uploads.MOST_BYTES", 2 * 4 * 16000)
    keys = [upload(page, tone, "tone.wav")["key"] for tone in tones]
    assert [page.get(f"/api/uploads/{key}/sound").status_code for key in keys] == [404, 200, 200]
    monkeypatch.setattr("avssl.explore.uploads.MOST_BYTES", 1)  # the latest alone is always kept
    assert page.get(f"/api/uploads/{upload(page, tones[0], 'tone.wav')['key']}/sound").status_code == 200


def test_no_more_uploads_are_decoded_at_once_than_there_are_cores(monkeypatch):
    at_once, most, lock = [0], [0], threading.Lock()

    def slowly(*_: object) -> Iterator[tuple[int, str]]:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.02)
        with lock:
            at_once[0] -= 1
        yield 0, "is slow"

    monkeypatch.setattr(uploads, "each", slowly)
    with ThreadPoolExecutor(40) as visitors:
        refused = [visitors.submit(uploads.read_upload, TONE, "tone.wav") for _ in range(40)]
    assert all("is slow" in str(one.exception()) for one in refused) and most[0] <= spare_cores()


def test_heat_has_a_map_for_each_time_and_its_film_lasts_as_long(page, library):
    heat = page.get("/api/heat/0", params={"start": 0}).json()
    maps = np.frombuffer(base64.b64decode(heat["maps"]), np.uint8)
    assert maps.size == len(heat["times"]) * heat["rows"] * heat["columns"]
    assert len(heat["scores"]) == len(heat["times"]) == len(heat["largest"]) == len(heat["audible"])
    assert heat["times"] == sorted(heat["times"]) and heat["seconds"] == pytest.approx(2.0)
    with av.open(io.BytesIO(page.get("/api/segments/0", params={"start": 0}).content)) as container:
        assert container.duration / av.time_base == pytest.approx(2.0, abs=0.1)


def test_heat_is_that_of_localize(page, library, tmp_path):
    from avssl.experiment.localize import localize

    path = library.index.rows[0].path
    localize(path, library.run, out=tmp_path / "heat.mp4", device="cpu")
    import json

    expected = json.loads((tmp_path / "heat.json").read_text())["moments"]
    heat = page.get("/api/heat/0", params={"start": 0}).json()
    assert [one["seconds"] for one in expected] == pytest.approx(heat["times"], abs=1e-3)
    assert [one["score"] for one in expected] == pytest.approx(heat["scores"], abs=2e-3)


def test_another_sound_is_laid_under_a_clip(page, library):
    key = upload(page, TONE, "tone.wav")["key"]
    silent = row_of(library, "003.mp4")
    without = page.get(f"/api/heat/{silent}", params={"start": 0})
    assert without.status_code == 422 and "has no sound" in without.json()["error"]
    heat = page.get(f"/api/heat/{silent}", params={"start": 0, "sound": key}).json()
    assert all(heat["audible"])
    film = page.get(f"/api/segments/{silent}", params={"start": 0, "sound": key}).content
    with av.open(io.BytesIO(film)) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert np.abs(samples).max() > 0.2


def test_a_map_has_a_place_and_a_group_for_each_moment(page, library):
    places = np.frombuffer(page.get("/api/map", params={"kind": "image"}).content, "<f4").reshape(-1, 2)
    assert places.shape == (len(library.index), 2) and np.isfinite(places).all()
    by = page.get("/api/groups", params={"by": "label"}).json()
    groups = np.frombuffer(base64.b64decode(by["groups"]), "<i4")
    assert [by["names"][k] for k in groups] == [moment.label for moment in library.index.rows[:]]
    tenths = page.get("/api/groups", params={"by": "time"}).json()
    assert np.frombuffer(base64.b64decode(tenths["groups"]), "<i4")[:4].tolist() == [1, 3, 6, 8]


def test_puzzles_keep_their_answers_until_they_are_given(page):
    drawn = page.get("/api/puzzles/av-correspondence", params={"seed": 3}).json()
    assert 0 < len(drawn["rounds"]) <= 20 and "truth" not in drawn["rounds"][0]
    given = [0] * len(drawn["rounds"])
    found = page.post("/api/puzzles/av-correspondence/answers", params={"seed": 3}, json=given).json()
    assert found["you"]["value"] == pytest.approx(found["truth"].count(0) / len(given))
    assert found["you"]["low"] < found["you"]["value"] < found["you"]["high"] and found["chance"] == 0.5
    assert page.get("/api/puzzles/av-correspondence", params={"seed": 3}).json() == drawn
    for wrong in ("[]", "{}", "nonsense", '["a"]', "[true]"):
        answer = page.post("/api/puzzles/av-correspondence/answers", params={"seed": 3}, content=wrong)
        assert answer.status_code == 400
    assert page.get("/api/puzzles/rotation").status_code == 422


def test_the_report_is_shut_off_from_the_page(page):
    answer = page.get("/report")
    assert "<h1>" in answer.text and "sandbox allow-scripts" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("address", ["/page/app.js", "/page/style.css", "/page/icon.svg", "/"])
def test_what_the_page_is_made_of_is_there_and_asks_nothing_of_the_network(page, address):
    answer = page.get(address)
    assert answer.status_code == 200
    text = answer.text.replace("http://www.w3.org/", "")  # a name, not an address
    assert not re.search(r"https?://", text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "address",
    [
        "/page/../app.py", "/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page//etc/passwd", "/etc/passwd",
        "/api/thumbnails/99999", "/api/thumbnails/-1", "/api/thumbnails/../../etc/passwd", "/api/rows/1e3",
        "/api/uploads/0123/search", "/api/nothing",
    ],
)  # fmt: skip
def test_nothing_outside_the_collection_can_be_read(page, address):
    assert page.get(address).status_code in (404, 405)


@pytest.mark.parametrize(
    "address",
    [
        "/api/rows?first=-1", "/api/rows?count=x", "/api/rows?first=99999999999999", "/api/search/0?of=smell",
        "/api/heat/0?start=nan", "/api/heat/0?start=-3", "/api/map?kind=x", "/api/groups?by=path",
    ],
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused(page, address):
    assert page.get(address).status_code == 400


def test_a_file_that_is_gone_is_one_line_without_its_folder(tmp_path):
    library = make_library(tmp_path)
    page = TestClient(make_app(library, Guard()), base_url="http://localhost", headers=MARK)
    path = Path(library.index.rows[8].path)
    path.unlink()
    answer = page.get("/api/clips/8")
    assert answer.status_code == 422 and str(tmp_path) not in answer.text and path.name in answer.json()["error"]
    library.close()


@pytest.mark.slow
def test_names_that_are_not_utf_8_are_shown_as_far_as_they_can_be(tmp_path):
    odd = os.fsdecode(b"od\xffd")
    make_library(tmp_path / "as-usual").close()
    videos = (tmp_path / "as-usual" / "videos").rename(tmp_path / odd)
    (videos / "odd").rename(videos / odd)
    (videos / odd / "001.mp4").rename(videos / odd / (odd + ".mp4"))
    wavfile.write(videos / odd / (odd + ".wav"), 8000, np.full(8000, 1000, np.int16))
    update_index(tmp_path / "index", str(videos), tmp_path / "as-usual" / "run", 0.5, workers=0, shown=False)
    library = Library(SearchIndex(tmp_path / "index"), Run(tmp_path / "as-usual" / "run"))
    page = TestClient(make_app(library, Guard()), base_url="http://localhost", headers=MARK)
    about = page.get("/api/about").json()
    assert about["labels"] == ["even", "od?d"] and about["collection"] == "od?d"
    for by in ("label", "source"):
        assert any("od?d" in name for name in page.get("/api/groups", params={"by": by}).json()["names"])
    answer = page.get(f"/api/clips/{row_of(library, odd + '.wav')}")
    assert (answer.status_code, answer.json()["error"]) == (422, "od?d.wav has no pictures, only sound")
    library.close()


def test_numbers_of_thousands_of_digits_are_no_numbers(page):
    digits = "9" * 5000
    assert page.get(f"/api/thumbnails/{digits}").status_code == 404
    assert page.get("/api/rows", params={"first": digits}).status_code == 400
    whole = page.get("/api/sounds/1").content
    for asked in (
        f"bytes={digits}-",
        f"bytes=-{digits}",
        f"bytes=0-{digits}",
        "bytes=a-b",
        "bytes=--5",
        "bytes=-",
        "x",
    ):
        answer = page.get("/api/sounds/1", headers={"Range": asked})
        assert (answer.status_code, answer.content) == (200, whole)


def test_a_browser_asks_again_whether_what_it_kept_is_of_this_collection(page, library, monkeypatch):
    for address in ("/api/thumbnails/0", "/api/spectrograms/0", "/api/clips/1", "/api/sounds/1", "/api/segments/0"):
        first = page.get(address)
        assert "no-cache" in first.headers["cache-control"] and "max-age" not in first.headers["cache-control"]
        known = {"If-None-Match": first.headers["etag"]}
        assert page.get(address, headers=known).status_code == 304
        with monkeypatch.context() as changed:
            changed.setattr(library, "state", "another")  # another collection at the same address
            assert page.get(address, headers=known).status_code == 200
            part = {"Range": "bytes=0-3", "If-Range": first.headers["etag"]}
            assert page.get(address, headers=part).status_code == 200
        assert page.get(address, headers=part).status_code == 206


@pytest.mark.slow
def test_no_answer_names_a_folder_of_this_machine(tmp_path):
    library = make_library(tmp_path)
    page = TestClient(make_app(library, Guard()), base_url="http://localhost", headers=MARK)
    weights = tmp_path / "run" / "encoders" / "vision.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    assert "other weights than run has now" in page.get("/api/heat/0").json()["error"]
    (tmp_path / "videos").rename(tmp_path / "elsewhere")
    for address in ("/api/about", "/api/heat/0", "/api/clips/0", "/api/puzzles/av-correspondence"):
        answer = page.get(address)
        assert str(tmp_path) not in answer.text, address
    with pytest.raises(UserError, match="other weights"):  # seen before a page is served
        open_library(ExploreOptions(index=str(library.index.path), device="cpu"))
    library.close()


def test_twenty_visitors_at_once_get_what_one_gets(page):
    addresses = ["/api/clips/2", "/api/thumbnails/2", "/api/search/2?of=image&kind=audio", "/api/heat/0?start=0"]
    alone = {address: page.get(address) for address in addresses}

    def visit(number: int) -> bool:
        address = addresses[number % len(addresses)]
        answer = page.get(address)
        if "search" in address:
            return answer.json()["found"] == alone[address].json()["found"]
        return answer.content == alone[address].content

    with ThreadPoolExecutor(20) as visitors:
        assert all(visitors.map(visit, range(60)))


def test_an_upload_is_decoded_in_a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(uploads, "_decode", _crash)
    with pytest.raises(Exception, match=r"mine\.wav cannot be read"):
        uploads.read_upload(TONE, "mine.wav")


def _crash(path: str) -> str:
    import os

    os.abort()
