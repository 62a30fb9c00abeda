"""Large collections: known tables open without reading rows, facts come in bulk, a kill loses no verdict."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from media.made import Recipe, make
from PIL import Image

import avssl
from avssl.media.facts import Media
from avssl.media.indexing import clip_tables
from avssl.media.indexing.columns import COLUMN_FILES
from avssl.media.indexing.inspections import INSPECTION
from avssl.media.indexing.item_table import Salvaged, TableWriter, are_files_of_table
from avssl.media.prepared.write import prepare
from avssl.media.selection import Concatenated, column_of, facts_of
from avssl.media.sources import with_sources
from avssl.media.sources.source_groups import Sources


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    for n in range(count):
        Image.fromarray(np.full((8, 8, 3), n % 250, np.uint8)).save(folder / f"{n:03d}.png")
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Stretches of a video, and pictures, one of which is missing."""
    pictures(tmp_path, 3)
    make(tmp_path, Recipe("mp4", frames=60, sound_seconds=2.4), "film")
    rows = [f"film.mp4,{start},{length},a" for start, length in ((0, 1), (0.5, 0.3), (1.25, ""), ("", ""))]
    (tmp_path / "list.csv").write_text("path,start,duration,label\n" + "\n".join([*rows, "000.png,,,b", "009.png,,,c"]))
    return tmp_path / "list.csv"


def opened(table: Path) -> Media:
    return avssl.open(table, progress=False, workers=0, index=table.parent / ".index")


def answers(media: Media) -> object:
    return media.fingerprint, list(media.rejected), list(facts_of(media))


def test_a_known_table_opens_without_reading_its_rows(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = answers(opened(table))
    monkeypatch.setattr(clip_tables.formats, "read_table", lambda *given: pytest.fail("the rows were read"))
    assert answers(opened(table)) == before


def _add_row(folder: Path) -> None:
    with (folder / "list.csv").open("a") as file:
        file.write("\n001.png,,,b\n")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a row was added": _add_row,
    "a file was written anew": lambda folder: Image.new("RGB", (16, 16)).save(folder / "000.png"),
    "a file was removed": lambda folder: (folder / "000.png").unlink(),
    "a missing file came": lambda folder: Image.new("RGB", (8, 8)).save(folder / "009.png"),
    "a file became a folder": lambda folder: ((folder / "000.png").unlink(), (folder / "000.png").mkdir()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_known_table_notices_what_changed(table: Path, tmp_path: Path, change: Callable[[Path], object]) -> None:
    before = answers(opened(table))
    change(tmp_path)
    now = answers(opened(table))
    assert now != before
    assert now == answers(avssl.open(table, progress=False, workers=0, index=tmp_path / ".other"))


def test_the_rights_of_a_file_are_part_of_its_state(table: Path, tmp_path: Path) -> None:
    media = opened(table)
    (tmp_path / "000.png").chmod(0o600)
    again = opened(table)
    assert (media.inspected, again.inspected) == (2, 1)  # type: ignore[attr-defined]


def test_a_list_of_videos_notices_a_file_that_fits_a_row_better(tmp_path: Path) -> None:
    make(tmp_path, Recipe("mp4", frames=60, sound_seconds=2.4), "---1_cCGK4M")
    table = tmp_path / "vggsound.csv"
    table.write_text("---1_cCGK4M,1,dog,train\n")
    assert opened(table).facts(0).path.endswith("/---1_cCGK4M.mp4")
    make(tmp_path, Recipe("mp4", frames=30, sound_seconds=1.2), "---1_cCGK4M_000001")
    assert opened(table).facts(0).path.endswith("/---1_cCGK4M_000001.mp4")


def test_facts_in_bulk_are_those_of_the_items_one_by_one(table: Path) -> None:
    media = opened(table)
    named = with_sources(media, Sources(("x", "x", "y", "z", "z"), "content", (), ()))
    made = prepare(media, table.parent / "prepared", side=8, workers=0, progress=False)  # type: ignore[arg-type]
    collections = [made, media, named, named.subset([4, 0, 2]), Concatenated(media, named), media.subset([])]  # type: ignore[attr-defined]
    for one in collections:
        singly = [one.facts(i) for i in range(len(one))]
        assert list(facts_of(one)) == singly
        for name in ("path", "source", "label", "split", "duration_seconds", "frame_count"):
            assert column_of(one, name).tolist() == [getattr(facts, name) for facts in singly]
    assert [facts.duration_seconds for facts in facts_of(media)] == pytest.approx([1.0, 0.32, 1.16, 2.4, 0.0])


def test_what_a_worker_gets_does_not_grow_with_the_rows(table: Path) -> None:
    table.write_text("path,start,label\n" + "".join(f"film.mp4,{n / 1000},label {n}\n" for n in range(2000)))
    media = opened(table)
    sent = pickle.dumps(media)
    assert len(sent) < 2000
    assert list(facts_of(pickle.loads(sent))) == list(facts_of(media))


def test_a_killed_inspection_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", 100)
    script = textwrap.dedent(f"""
        import os, signal, avssl
        from avssl.media.indexing import inspections
        inspections.FLUSH_SECONDS = 0.0
        def killed(done, total):
            if done > 32:
                os.kill(os.getpid(), signal.SIGKILL)
        avssl.open({str(folder)!r}, progress=killed, workers=0, index={str(tmp_path / "index")!r})
        """)
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60, env={**os.environ})
    assert done.returncode == -signal.SIGKILL
    media = avssl.open(folder, progress=False, workers=0, index=tmp_path / "index")
    assert len(media) == 100
    assert media.inspected == 36  # type: ignore[union-attr]
    assert [path for path in (tmp_path / "index").iterdir() if path.name.endswith(".unfinished")] == []


def test_half_written_rows_of_a_killed_look_are_not_believed(tmp_path: Path) -> None:
    with TableWriter(tmp_path) as writer:
        for n in range(3):
            writer.add_item({"n": n}, writer.add_times(np.arange(n + 1.0)))
    for name, cut in (("rows.i64", 3), ("items.jsonl", 1)):
        os.truncate(tmp_path / name, (tmp_path / name).stat().st_size - cut)
    assert list(Salvaged(tmp_path)) == [{"n": 0}, {"n": 1}]
    os.truncate(tmp_path / "times.f64", 8)
    assert list(Salvaged(tmp_path)) == [{"n": 0}]


def test_verdicts_of_an_index_of_the_version_before_are_taken_over(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", 3)
    (index,) = (_index_of(folder, tmp_path / "new")).glob("*/table.json")
    old = tmp_path / "old" / "0123456789abcdef-0"
    old.mkdir(parents=True)
    with TableWriter(old) as writer:
        new = Salvaged(index.parent)
        for number, item in enumerate(new):
            _, times, keys = new.read(number) or pytest.fail("damaged")
            line = {name: item[name] for name in ("name", "size", "modified_ns", "offset", "changed_ns", "found")}
            writer.add_item({**line, "label": None, "source": ""}, writer.add_times(times), writer.add_times(keys))
        empty = {"rejected": [], "refused": [], "passing": [], "readers": ""}
        writer.finish({"root": str(folder), "look": INSPECTION, **empty})
    media = avssl.open(folder, progress=False, workers=0, index=tmp_path / "old")
    assert (len(media), media.inspected) == (3, 0)  # type: ignore[union-attr]


def test_a_prepared_set_of_a_version_without_columns_answers_alike(table: Path, tmp_path: Path) -> None:
    new = prepare(opened(table), tmp_path / "new", side=8, workers=0, progress=False)
    old = Path(shutil.copytree(tmp_path / "new", tmp_path / "old"))
    header = json.loads((old / "index" / "table.json").read_text())
    assert are_files_of_table(header["files"])
    for name in COLUMN_FILES:
        (old / "index" / name).unlink()
        del header["files"][name]
    assert are_files_of_table(header["files"])
    sealed = {name: value for name, value in header.items() if name != "seal"}
    seal = hashlib.blake2b(json.dumps(sealed, sort_keys=True).encode(), digest_size=16).hexdigest()
    (old / "index" / "table.json").write_text(json.dumps({**sealed, "seal": seal}))
    assert list(facts_of(avssl.open(old))) == list(facts_of(new))
    assert (len(avssl.open(old)), avssl.open(old).fingerprint) == (len(new), new.fingerprint)


def _index_of(folder: Path, index: Path) -> Path:
    avssl.open(folder, progress=False, workers=0, index=index)
    return index
