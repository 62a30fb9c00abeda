"""Every kind of collection is explored, or ends in one line: none in a crash."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.io import wavfile
from small_runs import write_clip

pytest.importorskip("starlette", reason="starlette is not installed; make install-dev brings it")

from starlette.testclient import TestClient

from avssl.cli.main import main
from avssl.errors import UserError
from avssl.experiment.run import Run
from avssl.explore.app import make_app
from avssl.explore.guard import Guard
from avssl.explore.library import Library
from avssl.explore.options import ExploreOptions
from avssl.explore.server import open_library
from avssl.search.building import update_index
from avssl.search.index import SearchIndex


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips, and a run of two tasks on them that localizes."""
    place = tmp_path_factory.mktemp("collections")
    for number in range(4):
        write_clip(place / "videos" / f"{number}.mp4", number)
    options = {
        **{"tasks": ["rotation", "av-correspondence"], "data": str(place / "videos"), "steps": 2, "batch_size": 4},
        **{"workers": 0, "prepare": False, "validation_puzzles": 4, "controls": False, "device": "cpu"},
        "rotation": {"width": 4, "side": 32, "blocks": 2, "norm": "group"},
        "av-correspondence": {"bands": 16, "side": 32, "fusion": "avol"},
    }
    (place / "tasks.yaml").write_text(yaml.safe_dump(options))
    words = ["train", "multi-task", "--config", str(place / "tasks.yaml"), "--out", str(place / "run")]
    assert main(words) == 0
    return place


def pixels(number: int) -> np.ndarray:
    picture = np.full((40, 56, 3), 30 * number, np.uint8)
    picture[:, : 10 * number] = 200
    return picture


def pictures(made: Path, place: Path) -> Path:
    for number in range(4):
        Image.fromarray(pixels(number)).save(place / f"{number}.png")
    return place


def sounds(made: Path, place: Path) -> Path:
    for number in range(4):
        tone = 0.3 * np.sin(2 * np.pi * (300 + 100 * number) * np.arange(16000) / 8000)
        wavfile.write(place / f"{number}.wav", 8000, (tone * 32767).astype(np.int16))
    return place


def tar(made: Path, place: Path) -> Path:
    with tarfile.open(place / "pictures.tar", "w") as archive:
        for number in range(4):
            buffer = io.BytesIO()
            Image.fromarray(pixels(number)).save(buffer, "PNG")
            about = tarfile.TarInfo(f"kind{number % 2}/{number}.png")
            about.size = buffer.tell()
            archive.addfile(about, io.BytesIO(buffer.getvalue()))
    return place / "pictures.tar"


def segments(made: Path, place: Path) -> Path:
    rows = [f"{made / 'videos'}/{n}.mp4,{start},1,{n}" for n in range(2) for start in (0, 1)]
    (place / "clips.csv").write_text("\n".join(["path,start,duration,label", *rows]))
    return place / "clips.csv"


def prepared(made: Path, place: Path) -> Path:
    words = ["prepare", str(made / "videos"), str(place / "set"), "--side", "32", "--rate", "8000", "--workers", "0"]
    assert main(words) == 0
    return place / "set"


def silent(made: Path, place: Path) -> Path:
    for number in range(4):
        write_clip(place / f"{number}.mp4", number, sound=False)
    return place


def one_film(made: Path, place: Path) -> Path:
    write_clip(place / "film.mp4", 2, seconds=6.0)
    return place


def all_kinds(made: Path, place: Path) -> Path:
    write_clip(place / "clip.mp4", 3)
    return sounds(made, pictures(made, place))


LONG = [pytest.param(make, marks=pytest.mark.slow) for make in (sounds, tar, segments, silent, one_film)]


@pytest.mark.parametrize("make", [pictures, prepared, all_kinds, *LONG])
def test_every_view_of_it_answers(make: Callable[[Path, Path], Path], made: Path, tmp_path: Path):
    (tmp_path / "data").mkdir()
    data = make(made, tmp_path / "data")
    update_index(tmp_path / "index", str(data), made / "run", 1.0, workers=0, shown=False)
    library = Library(SearchIndex(tmp_path / "index"), Run(made / "run"))
    page = TestClient(make_app(library, Guard()), base_url="http://localhost", headers={"X-Avssl": "1"})
    about = page.get("/api/about").json()
    assert about["kinds"] == {"pictures": ["image"], "tar": ["image"], "silent": ["image"], "sounds": ["audio"]}.get(
        make.__name__, ["image", "audio"]
    )
    rows = page.get("/api/rows").json()
    assert len(rows) == about["moments"] >= 4 and {row["outdated"] for row in rows} == {None}
    for row in rows:
        for address in visited(row):
            answer = page.get(f"/api/{address}")
            assert answer.status_code == 200, (address, answer.text)
        other = page.get(f"/api/heat/{row['row']}", params={"start": 0})
        assert other.status_code == 200 if row["image"] and row["audio"] else "\n" not in other.json()["error"]
        for of in about["kinds"]:
            for kind in about["kinds"]:
                found = page.get(f"/api/search/{row['row']}", params={"of": of, "kind": kind})
                assert found.status_code == (200 if row[of] else 422)
                assert found.json().get("found") or not row[of]
    for kind in about["kinds"]:
        places = np.frombuffer(page.get("/api/map", params={"kind": kind}).content, "<f4").reshape(-1, 2)
        assert np.isfinite(places[[row[kind] for row in rows]]).all()
    groups = page.get("/api/groups", params={"by": "label"}).json()
    assert len(base64.b64decode(groups["groups"])) == 4 * len(rows)
    assert page.get("/report").status_code == 200
    library.close()


def visited(row: dict) -> Iterator[str]:
    """What the page asks for of a moment."""
    if row["image"]:
        yield f"thumbnails/{row['row']}"
    if row["audio"]:
        yield from (f"spectrograms/{row['row']}", f"sounds/{row['row']}")
    if row["media"] == "video":
        yield from (f"clips/{row['row']}", f"segments/{row['row']}?start=0")


def test_a_run_of_other_tasks_says_what_it_lacks(made: Path, tmp_path: Path):
    words = ["--out", str(tmp_path / "run"), "--data", str(made / "videos"), "--steps", "1", "--side", "32"]
    more = ["--batch-size", "4", "--workers", "0", "--no-prepare", "--device", "cpu", "--no-controls"]
    assert main(["train", "rotation", *words, *more, "--validation-puzzles", "4"]) == 0
    with pytest.raises(UserError, match="no space where picture and sound meet; take a run of: avssl train av-corr"):
        open_library(ExploreOptions(run=str(tmp_path / "run"), data=str(made / "videos"), device="cpu"))
