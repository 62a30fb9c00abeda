"""--sources: what belongs together is never divided, and a run from before that goes on as it was divided."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from small_runs import Result

from avssl import tasks
from avssl.errors import UserError
from avssl.experiment.data import DataOptions, Parts, gather, options_of_run
from avssl.experiment.options import keep_division
from avssl.media.facts import Media
from avssl.media.opening import open_media
from avssl.media.sources import find_sources, with_sources
from avssl.options import Values


@pytest.fixture(scope="module")
def cuts(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips, two of each of six sources by their names."""
    folder = tmp_path_factory.mktemp("cuts")
    for number, clip in enumerate(sorted(clips.glob("*.mp4"))[:12]):
        shutil.copy(clip, folder / f"v{number // 2:03d}_p{number % 2 + 1}.mp4")
    return folder


def parts_of(options: DataOptions) -> Parts:
    kind = tasks.get("rotation")
    return gather(kind(kind.Options()), options, 0)


def stems(part: Media | None) -> set[str]:
    return set() if part is None else {Path(part.facts(i).path).stem[:4] for i in range(len(part))}


def test_what_names_put_together_is_never_divided_and_one_line_says_so(cuts: Path, caplog: pytest.LogCaptureFixture):
    parts = parts_of(DataOptions(data=str(cuts), sources="names", prepare_side=48))  # prepared, and still told
    assert not stems(parts.train) & stems(parts.test)
    assert not stems(parts.train) & stems(parts.validation)
    assert [line for line in caplog.messages if "sources" in line] == [
        "12 items from 6 sources: 12 by name (v000_p1.mp4, v000_p2.mp4); --sources none keeps each file separate"
    ]
    assert {part.facts(0).source for part in (parts.train, parts.test) if part} <= {
        f"v{i:03d}_p1.mp4" for i in range(6)
    }


def test_every_file_can_be_kept_its_own(cuts: Path, caplog: pytest.LogCaptureFixture):
    parts = parts_of(DataOptions(data=str(cuts), sources="none", prepare=False))
    assert [line for line in caplog.messages if "sources" in line] == [
        "warning: 12 items seem by name to be parts of one source (v000_p1.mp4, v000_p2.mp4) and are taken as sources "
        "of their own, as with --sources none: training and test parts may share them"
    ]
    assert parts.train.facts(0).source == Path(parts.train.facts(0).path).name


def test_copies_that_are_kept_apart_are_warned_of(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    for number, clip in enumerate(sorted(clips.glob("*.mp4"))[:8]):
        shutil.copy(clip, tmp_path / f"{'abcdefgh'[number]}.mp4")
    shutil.copy(tmp_path / "a.mp4", tmp_path / "z.mp4")
    parts_of(DataOptions(data=str(tmp_path), sources="none", prepare=False))
    assert "2 items seem by their bytes to be copies (a.mp4, z.mp4)" in " ".join(caplog.messages)
    caplog.clear()
    parts_of(DataOptions(sources="none", data=str(clips), prepare=False))
    assert not [line for line in caplog.messages if "warning" in line]


def test_a_column_of_the_table_is_taken_alone(cuts: Path, caplog: pytest.LogCaptureFixture):
    rows = [f"{path.name},{'left' if number % 4 < 2 else number}" for number, path in enumerate(sorted(cuts.glob("*")))]
    (cuts / "told.csv").write_text("\n".join(["path,room", *rows]) + "\n")
    for options in (DataOptions(sources="room"), DataOptions(source_column="room")):
        parts = parts_of(DataOptions(**{**vars(options), "data": str(cuts / "told.csv"), "prepare": False}))
        found = [{part.facts(i).source for i in range(len(part))} for part in (parts.train, parts.test) if part]
        assert not found[0] & found[1]
        assert "left" in found[0] | found[1]
    (cuts / "two.csv").write_text(
        "\n".join(
            [
                "path,source",
                *(row.split(",")[0] + ",x" for row in rows[:4]),
                *(row.split(",")[0] + "," for row in rows[4:]),
            ]
        )
        + "\n"
    )
    parts_of(DataOptions(data=str(cuts / "two.csv"), sources="names", prepare=False))
    assert "; --sources none keeps to the given sources" in " ".join(caplog.messages)
    with pytest.raises(UserError, match="--sources room: is none of content, names, none"):
        parts_of(DataOptions(data=str(cuts), sources="room"))
    with pytest.raises(UserError, match="contradict each other"):
        parts_of(DataOptions(data=str(cuts), sources="names", source_column="room"))


def test_test_data_of_sources_that_are_trained_on_are_named(
    cuts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        for path in cuts.glob(f"*_p{number}.mp4"):
            shutil.copy(path, tmp_path / str(number))
    options = DataOptions(data=str(tmp_path / "1"), test=str(tmp_path / "2"), sources="names", prepare=False)
    parts = parts_of(options)
    shared = len(parts.train)  # of the others two are validated on
    assert any(
        line.startswith(f"{shared} of the 6 test items come from sources in the training data")
        for line in caplog.messages
    )


def test_a_run_keeps_which_items_belong_together_and_how_that_was_found(
    cuts: Path, tmp_path: Path, avssl: Callable[..., Result]
):
    train = ("train", "rotation", "--data", cuts, "--sources", "names", "--out", tmp_path / "run", "--no-controls")
    small = ("--width", "4", "--batch-size", "4", "--workers", "0", "--no-prepare", "--validation-puzzles", "4")
    assert avssl(*train, *small, "--steps", "1").status == 0
    kept = json.loads((tmp_path / "run" / "sources.json").read_text())
    assert (kept["found_by"], kept["items"], kept["sources"], kept["kept_apart"]) == ("names", 12, 6, [])
    first = kept["groups"][0]
    assert (first["rule"], first["source"]) == ("names", "v000_p1.mp4")
    assert [Path(path).name for path in first["paths"]] == ["v000_p1.mp4", "v000_p2.mp4"]
    (tmp_path / "run" / "sources.json").unlink()  # a run of an earlier version goes on, and has it then
    assert avssl(*train, *small, "--steps", "1").status == 0
    assert json.loads((tmp_path / "run" / "sources.json").read_text()) == kept


@pytest.mark.realdata
def test_a_folder_of_cuts_is_never_divided_within_a_video(shared_data: Path, tmp_path: Path):
    videos = sorted((shared_data / "real-av" / "videos" / "train").glob("*.mp4"))[:32]  # names only, no table
    for path in videos:
        shutil.copy(path, tmp_path)
    media = open_media(tmp_path, progress=False)
    sources = find_sources(media, progress=False)
    assert sources.count == len({path.stem[:4] for path in videos})
    found = with_sources(media, sources)
    for seed in range(20):
        rest, held_out = found.split_by_source(0.3, seed)
        assert not stems(rest) & stems(held_out)


def test_a_run_from_before_is_divided_as_it_was(tmp_path: Path):
    old = {"task": "rotation", "data": "x", "source_column": None, "prepare_gb": 20.0}
    assert options_of_run(old).sources_asked == "none"
    assert options_of_run({**old, "sources": "content"}).sources_asked == "content"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(old))
    values, defaults = Values(sources="content", config=None), {"sources": "content"}
    keep_division(values, tmp_path, defaults)
    assert (values["sources"], defaults["sources"]) == ("none", "none")
    values = Values(sources="content", config=str(tmp_path / "config.yaml"))
    keep_division(values, tmp_path / "again", {})
    assert values["sources"] == "none"
    (tmp_path / "mine.yaml").write_text("task: rotation\ndata: x\n")
    values = Values(sources="content", config=str(tmp_path / "mine.yaml"))
    keep_division(values, tmp_path / "again", {})
    assert values["sources"] == "content"
