"""What is kept on disk is checked: damage ends in one line, or in the right answer, never in a wrong one."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from media.made import Recipe, make
from mutate import mutate
from PIL import Image

import avssl
from avssl.cli.main import main
from avssl.errors import MediaError, UserError
from avssl.media.collection import Collection
from avssl.media.facts import Media
from avssl.media.indexing.inspect import Inspection
from avssl.media.indexing.item_table import TableWriter
from avssl.media.prepared.in_cache import ensure_prepared
from avssl.media.prepared.read import Prepared
from avssl.media.prepared.write import prepare

RATE = 16_000


def everything(media: Media) -> list[object]:
    """All that can be asked of each item."""
    found: list[object] = [media.fingerprint, list(media.rejected)]
    for i in range(len(media)):
        facts, times = media.facts(i), media.frame_times(i)
        found += [facts, times.tolist(), media.annotation(i)]
        if len(times):
            found.append(zlib.crc32(np.ascontiguousarray(media.frames(i, times.tolist()))))
        if facts.has_sound:
            found.append(zlib.crc32(media.audio(i, -0.1, facts.audio_end_seconds + 0.2, RATE)))
    return found


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name in "abc":
        make(folder, Recipe("mp4", frames=12, sound_seconds=1.3, sound_rate=RATE), name)
    (folder / "a.json").write_text('{"kind": "bell"}')
    return folder


@pytest.fixture(scope="module")
def whole(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "set"
    prepare(avssl.open(videos, progress=False, workers=0), out, side=32, shard_size=2, workers=0, progress=False)
    return out


@pytest.fixture
def prepared(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "set"))


# --- prepared sets --------------------------------------------------------------------------------------


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "items.jsonl deleted": lambda folder: (folder / "index" / "items.jsonl").unlink(),
    "a byte of items.jsonl": lambda folder: _flip(folder / "index" / "items.jsonl", 40),
    "rows.i64 emptied": lambda folder: (folder / "index" / "rows.i64").write_bytes(b""),
    "a row cut": lambda folder: os.truncate(
        folder / "index" / "rows.i64", (folder / "index" / "rows.i64").stat().st_size - 104
    ),
    "table.json null": lambda folder: (folder / "index" / "table.json").write_text("null"),
    "table.json another fingerprint": lambda folder: (folder / "index" / "table.json").write_text(
        (folder / "index" / "table.json").read_text().replace('"fingerprint": "', '"fingerprint": "0')
    ),
    "a time": lambda folder: _flip(folder / "index" / "times.f64", 14),
    "a shard deleted": lambda folder: (folder / "shard-000001.tar").unlink(),
    "a shard cut": lambda folder: os.truncate(folder / "shard-000000.tar", 5000),
    "a shard too many": lambda folder: shutil.copy(folder / "shard-000000.tar", folder / "shard-000002.tar"),
    "a folder for a shard": lambda folder: (
        (folder / "shard-000001.tar").unlink(),
        (folder / "shard-000001.tar").mkdir(),
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_prepared_set_with_a_part_missing_or_damaged_is_refused_in_one_line(
    prepared: Path, videos: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGE[what](prepared)
    with pytest.raises(UserError, match="prepare it again") as caught:
        avssl.open(prepared)
    assert "\n" not in str(caught.value)
    assert main(["index", str(prepared)]) == 2
    assert main(["index", str(prepared), "--quick"]) == 2
    assert main(["prepare", str(videos), str(prepared), "--side", "32", "--shard-size", "2", "--workers", "0"]) == 2
    assert all(line.startswith("avssl: ") for line in capsys.readouterr().err.splitlines())


def test_a_bit_that_flips_in_any_part_of_a_shard_is_noticed_when_it_is_read(prepared: Path) -> None:
    media = Prepared(prepared)
    right = everything(media)
    shard = prepared / "shard-000000.tar"
    item = json.loads((prepared / "index" / "items.jsonl").read_text().splitlines()[0])
    jpeg, _ = media._table.jpegs(0)[3].tolist()
    for place in (jpeg + 400, item["sound"][0] + 40_000, item["described"][0] + 5):
        _flip(shard, place)
        with pytest.raises(MediaError, match=r"is damaged, in .*shard-000000\.tar"):
            everything(Prepared(prepared))
        with pytest.raises(UserError, match=r"shard-000000\.tar has changed"):
            prepared_index(prepared)
        _flip(shard, place)
    assert everything(Prepared(prepared)) == right


def prepared_index(folder: Path) -> None:
    from avssl.media.prepared.verify import verify

    verify(Prepared(folder))


def test_shards_that_changed_places_give_no_wrong_pictures(videos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for n, colour in enumerate(("red", "blue")):
        (folder / colour).mkdir(parents=True)
        Image.new("RGB", (64, 64), colour).save(folder / colour / f"{n}.png")
    prepare(avssl.open(folder, progress=False, workers=0), tmp_path / "set", shard_size=1, workers=0, progress=False)
    one, two = tmp_path / "set" / "shard-000000.tar", tmp_path / "set" / "shard-000001.tar"
    data = (one.read_bytes(), two.read_bytes())
    one.write_bytes(data[1])
    two.write_bytes(data[0])
    with pytest.raises(UserError, match="damaged"):
        everything(Prepared(tmp_path / "set"))


def test_index_says_that_every_checksum_is_right(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", str(prepared)]) == 0
    assert "the checksums of 2 shards and the index are correct" in "".join(capsys.readouterr())
    assert main(["index", str(prepared), "--quick"]) == 0
    assert "the sizes of 2 shards and the index are correct" in "".join(capsys.readouterr())


@pytest.mark.parametrize("seed", range(25))
def test_a_random_mutation_of_a_prepared_set_ends_in_the_right_answer_or_in_one_line(
    whole: Path, prepared: Path, seed: int
) -> None:
    right = everything(Prepared(whole))[:]
    done = mutate(prepared, seed)
    try:
        found = everything(avssl.open(prepared, progress=False, workers=0))
    except UserError as error:
        assert "\n" not in str(error), done
    else:
        assert found == right, done


def _as_first_written(folder: Path) -> None:
    """Make a prepared set what it would be in the first format: without any checksum."""
    index = folder / "index"
    header = json.loads((index / "table.json").read_text())
    for name in ("files", "seal", "shards"):
        del header[name]
    (index / "table.json").write_text(json.dumps({**header, "format": 1}))
    rows = np.fromfile(index / "rows.i64", "<i8").reshape(3, -1)
    lines = []
    for line in (index / "items.jsonl").read_text().splitlines():
        item = json.loads(line)
        lines.append(json.dumps({**item, "described": item["described"][:2]}) + "\n")
    lengths = np.array([len(line) for line in lines])
    rows[:, 0], rows[:, 1] = np.cumsum(lengths) - lengths, lengths
    (index / "items.jsonl").write_text("".join(lines))
    np.ascontiguousarray(rows[:, :6]).tofile(index / "rows.i64")
    (index / "checks.u32").unlink()


def test_a_set_of_the_first_format_still_opens_and_index_says_that_it_has_no_checksums(
    whole: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _as_first_written(prepared)
    assert everything(avssl.open(prepared)) == everything(Prepared(whole))
    assert main(["index", str(prepared)]) == 0
    assert "have no checksums" in "".join(capsys.readouterr())


@pytest.mark.parametrize("seed", range(100, 115))
def test_a_mutation_of_a_set_of_the_first_format_ends_without_a_traceback(prepared: Path, seed: int) -> None:
    _as_first_written(prepared)
    mutate(prepared, seed)
    try:
        everything(avssl.open(prepared, progress=False, workers=0))
    except UserError as error:
        assert "\n" not in str(error)


def test_an_interrupted_preparation_with_a_damaged_shard_writes_that_one_again(
    videos: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    media = avssl.open(videos, progress=False, workers=0)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("avssl.media.prepared.write._merge", _interrupted)
        prepare(media, out, side=32, shard_size=2, workers=0, progress=False)
    _flip(out / "shard-000000.tar", 9000)
    (out / ".parts" / "000001" / "rows.i64").write_bytes(b"")
    prepare(media, out, side=32, shard_size=2, workers=0, progress=False)
    assert everything(Prepared(out)) == everything(Prepared(whole))


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_damaged_plan_of_an_interrupted_preparation_is_one_line(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    media = avssl.open(videos, progress=False, workers=0)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("avssl.media.prepared.write._merge", _interrupted)
        prepare(media, out, side=32, shard_size=2, workers=0, progress=False)
    (out / "plan.json").write_text("null")
    with pytest.raises(UserError, match="remove it"):
        prepare(media, out, side=32, shard_size=2, workers=0, progress=False)
    with pytest.raises(UserError, match="prepare it again"):
        avssl.open(out)


def test_a_damaged_preparation_in_the_cache_is_made_again(videos: Path) -> None:
    media = avssl.open(videos, progress=False, workers=0)
    first = ensure_prepared(media, 24, RATE, 10**9, lambda line: None, workers=0, progress=False)
    assert isinstance(first, Prepared)
    right = everything(first)
    for name in ("index/rows.i64", "index/table.json", "shard-000000.tar"):
        os.truncate(first.folder / name, 4)
        message: list[str] = []
        again = ensure_prepared(media, 24, RATE, 10**9, message.append, workers=0, progress=False)
        assert everything(again) == right
        assert message[0].startswith("preparing")


# --- the index in the cache -----------------------------------------------------------------------------


@pytest.fixture
def index(videos: Path, tmp_path: Path) -> Iterator[Path]:
    """An index of the videos, made afresh."""
    avssl.open(videos, progress=False, workers=0, index=tmp_path / "index")
    yield tmp_path / "index"


def _the_table(index: Path) -> Path:
    return next(path.parent for path in index.glob("*/table.json"))


CACHE_DAMAGE: dict[str, Callable[[Path], object]] = {
    "a row cut": lambda table: os.truncate(table / "rows.i64", (table / "rows.i64").stat().st_size - 104),
    "rows emptied": lambda table: (table / "rows.i64").write_bytes(b""),
    "an item overwritten": lambda table: _flip(table / "items.jsonl", 100),
    "a time overwritten": lambda table: _flip(table / "times.f64", 14),
    "times deleted": lambda table: (table / "times.f64").unlink(),
    "null": lambda table: (table / "table.json").write_text("null"),
    "a list": lambda table: (table / "table.json").write_text("[1, 2]"),
    "no header": lambda table: (table / "table.json").unlink(),
    "a file rejected that is not there": lambda table: (table / "table.json").write_text(
        (table / "table.json").read_text().replace('"rejected": []', '"rejected": [["x", "y"]]')
    ),
}


@pytest.mark.parametrize("what", CACHE_DAMAGE)
def test_a_damaged_index_is_made_again_without_a_word(videos: Path, index: Path, what: str) -> None:
    right = everything(avssl.open(videos, progress=False, workers=0, index=index))
    CACHE_DAMAGE[what](_the_table(index))
    media = avssl.open(videos, progress=False, workers=0, index=index)
    assert everything(media) == right
    assert isinstance(media, Collection)
    assert media.inspected == 3
    assert avssl.open(videos, progress=False, workers=0, index=index).inspected == 0  # type: ignore[union-attr]


def test_an_index_mixed_from_two_is_made_again(videos: Path, index: Path, tmp_path: Path) -> None:
    right = everything(avssl.open(videos, progress=False, workers=0, index=index))
    shutil.copytree(videos, tmp_path / "other")
    (tmp_path / "other" / "a.mp4").rename(tmp_path / "other" / "d.mp4")
    avssl.open(tmp_path / "other", progress=False, workers=0, index=tmp_path / "index2")
    for name in ("items.jsonl", "rows.i64"):
        shutil.copy(_the_table(tmp_path / "index2") / name, _the_table(index) / name)
    assert everything(avssl.open(videos, progress=False, workers=0, index=index)) == right


def test_a_table_too_large_to_be_read_at_once_is_checked_item_by_item(
    videos: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avssl.media.indexing.item_table.CHECKED_AT_ONCE_BYTES", 0)
    _flip(_the_table(index) / "times.f64", 14)
    media = avssl.open(videos, progress=False, workers=0, index=index)
    with pytest.raises(UserError, match="--again"):
        media.frame_times(0)
    again = avssl.open(videos, progress=False, workers=0, index=index, again=True)
    assert again.frame_times(0)[1] == pytest.approx(0.04)


def test_rows_of_a_csv_that_come_and_go_are_counted_each_time(videos: Path, tmp_path: Path) -> None:
    table = videos / "list.csv"
    try:
        for names in (["a.mp4"], ["a.mp4", "typo1.mp4", "typo2.mp4"], ["a.mp4", "typo2.mp4"], ["a.mp4"],
                      ["a.mp4", ""], ["a.mp4", "b.mp4"]):  # fmt: skip
            table.write_text("path,label\n" + "".join(f"{name},x\n" for name in names))
            media = avssl.open(table, progress=False, workers=0, index=tmp_path / "index")
            assert len(media.rejected) == sum(name in ("", "typo1.mp4", "typo2.mp4") for name in names)
            assert len(media) == len(names) - len(media.rejected)
    finally:
        table.unlink()


# --- trouble that passes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [
        Inspection("unreadable: permission denied"),
        Inspection("unreadable: Input/output error"),
        Inspection("unreadable: Too many open files"),
        Inspection("unreadable: Stale file handle"),
        Inspection("damaged: it cannot be read on after 3.00 s (Input/output error)"),
        Inspection("unreadable: reading took longer than 60 s and was given up"),
        Inspection("unreadable: the decoder crashed (signal 9)", passing=True),
        Inspection("no such file"),
        Inspection("unreadable: MemoryError"),
    ],
    ids=lambda inspection: str(inspection.reason),
)
def test_trouble_that_passes_is_not_remembered(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Inspection
) -> None:
    from avssl.media.indexing import inspect_many

    look = inspect_many.inspect_all

    def troubled(targets: list[inspect_many.Target]) -> list[Inspection]:
        return [trouble if target.path.endswith("b.mp4") else look([target])[0] for target in targets]

    monkeypatch.setattr(inspect_many, "inspect_all", troubled)
    for _ in range(2):  # the second time only that one is looked at, and nothing is written anew
        first = avssl.open(videos, progress=False, workers=0, index=tmp_path)
        assert [reason for _, reason in first.rejected] == [trouble.reason]
    assert first.inspected == 1  # type: ignore[union-attr]
    assert len(list(tmp_path.glob("*/table.json"))) == 1
    monkeypatch.setattr(inspect_many, "inspect_all", look)
    healed = avssl.open(videos, progress=False, workers=0, index=tmp_path)
    assert (len(healed), list(healed.rejected), healed.inspected) == (3, [], 1)  # type: ignore[union-attr]
    assert avssl.open(videos, progress=False, workers=0, index=tmp_path).inspected == 0  # type: ignore[union-attr]


def test_a_verdict_of_an_earlier_version_of_the_decoder_is_not_kept(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (videos / "notes.mp4").write_text("no video")
    try:
        monkeypatch.setattr("avssl.media.indexing.inspections.readers", lambda: "av 1")
        avssl.open(videos, progress=False, workers=0, index=tmp_path)
        assert avssl.open(videos, progress=False, workers=0, index=tmp_path).inspected == 0  # type: ignore[union-attr]
        monkeypatch.setattr("avssl.media.indexing.inspections.readers", lambda: "av 2")
        assert avssl.open(videos, progress=False, workers=0, index=tmp_path).inspected == 1  # type: ignore[union-attr]
        assert avssl.open(videos, progress=False, workers=0, index=tmp_path).inspected == 0  # type: ignore[union-attr]
    finally:
        (videos / "notes.mp4").unlink()


def test_a_file_of_the_same_size_and_forged_time_is_looked_at_again(videos: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(videos, tmp_path / "copy")
    avssl.open(folder, progress=False, workers=0, index=tmp_path / "index")
    stat = (folder / "b.mp4").stat()
    (folder / "b.mp4").write_bytes(bytes(stat.st_size))
    os.utime(folder / "b.mp4", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    media = avssl.open(folder, progress=False, workers=0, index=tmp_path / "index")
    assert [Path(path).name for path, _ in media.rejected] == ["b.mp4"]


def test_a_file_that_grows_while_it_is_looked_at_is_rejected_now_and_looked_at_again(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from avssl.media.indexing import inspect_many

    folder, look = shutil.copytree(videos, tmp_path / "copy"), inspect_many.inspect_all

    def meanwhile(targets: list[inspect_many.Target]) -> list[Inspection]:
        found = look(targets)
        if targets[0].path.endswith("b.mp4"):
            os.utime(targets[0].path, ns=(1, 1))
        return found

    monkeypatch.setattr(inspect_many, "inspect_all", meanwhile)
    media = avssl.open(folder, progress=False, workers=0, index=tmp_path / "index")
    reasons = [reason for _, reason in media.rejected]
    assert reasons == ["changed while it was inspected; index again once it is complete"]
    monkeypatch.setattr(inspect_many, "inspect_all", look)
    assert len(avssl.open(folder, progress=False, workers=0, index=tmp_path / "index")) == 3


def test_again_looks_at_everything_again(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert main(["index", str(videos), "--to", str(tmp_path), "--workers", "0"]) == 0
    assert "inspected 0 files" in "".join(capsys.readouterr())
    assert main(["index", str(videos), "--to", str(tmp_path), "--workers", "0", "--again"]) == 0
    assert "inspected 3 files" in "".join(capsys.readouterr())


def test_a_table_says_what_it_was_given(tmp_path: Path) -> None:
    from avssl.media.indexing.item_table import Table

    with TableWriter(tmp_path) as writer:
        times = writer.add_times(np.arange(5.0))
        writer.add_item({"name": "é\ud800"}, times, writer.add_times(np.array([0.0])))
        writer.add_item({"name": "b"}, times)
        writer.finish({"rejected": [("x", "y")], "nan": float("inf")})
    table = Table(tmp_path)
    assert table.item(0) == {"name": "é\ud800"}
    assert table.times(1).tolist() == [0, 1, 2, 3, 4]
    assert table.keys(0).tolist() == [0.0]
    assert table.header["rejected"] == [["x", "y"]]
