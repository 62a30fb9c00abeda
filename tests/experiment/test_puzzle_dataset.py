"""``avssl.PuzzleDataset`` in any DataLoader: the puzzles of the trainer, by their keys alone."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, DistributedSampler

import avssl
from avssl.errors import MediaError, UserError
from avssl.trainer.loader import Source, Steps
from avssl.trainer.plan import Turns

SMALL = {"side": 32, "width": 4, "bands": 16}


@pytest.fixture
def data(clips: Path) -> avssl.PuzzleDataset:
    return avssl.PuzzleDataset(avssl.task("av-correspondence", **SMALL), clips, seed=3, fit=True)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name]
        for name, value in one.items()
    )


def all_same(one: Iterable[Mapping[str, Any]], other: Iterable[Mapping[str, Any]]) -> bool:
    return all(same(a, b) for a, b in zip(one, other, strict=True))


def test_it_draws_the_puzzles_of_the_trainer(data: avssl.PuzzleDataset) -> None:
    steps = Steps([Source(data.task, data.media, len(data))], Turns([1.0]), seed=3, batch_size=4)
    epochs = []
    for epoch in range(2):
        data.set_epoch(epoch)
        epochs += list(DataLoader(data, 4, collate_fn=data.collate))
    assert all_same(epochs, [steps[step].pieces[0].batch for step in range(len(epochs))])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_that_stay_follow_the_epoch(data: avssl.PuzzleDataset, start: str) -> None:
    plain = DataLoader(data, 4, collate_fn=data.collate)
    workers = DataLoader(
        data, 4, collate_fn=data.collate, num_workers=2, persistent_workers=True, multiprocessing_context=start
    )
    seen = []
    for epoch in (0, 1):
        data.set_epoch(epoch)
        batches = list(workers)
        assert all_same(batches, plain)
        seen.append(batches)
    assert not all_same(*seen)


def test_a_distributed_sampler_gives_each_rank_its_part(data: avssl.PuzzleDataset) -> None:
    parts = [list(DistributedSampler(data, 2, rank, shuffle=False)) for rank in range(2)]
    assert sorted(parts[0] + parts[1]) == list(range(len(data)))
    batches = [list(DataLoader(data, 3, sampler=part, collate_fn=data.collate)) for part in parts]
    assert same(batches[1][0], data.collate([data[index] for index in parts[1][:3]]))


def test_it_is_the_same_after_pickling(data: avssl.PuzzleDataset) -> None:
    data.set_epoch(5)
    copy = pickle.loads(pickle.dumps(data))
    assert copy.epoch == 5
    assert same(copy.collate([copy[0]]), data.collate([data[0]]))


def test_a_task_that_was_never_fitted_is_refused_with_the_way_out(clips: Path) -> None:
    with pytest.raises(UserError, match=r"PuzzleDataset\(…, fit=True\)"):
        avssl.PuzzleDataset(avssl.task("av-correspondence", **SMALL), clips)
    avssl.PuzzleDataset(avssl.task("rotation", side=32), clips)  # has nothing to learn
    avssl.PuzzleDataset(avssl.task("jigsaw"), clips)


def test_a_bad_file_is_raised_or_replaced_as_the_trainer_replaces_it(
    clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "clips"
    shutil.copytree(clips, folder)
    media = avssl.open(folder, progress=False)
    bad = folder / "03.mp4"
    bad.write_bytes(bad.read_bytes()[:2000])  # after it was looked at
    task = avssl.task("rotation", side=32)
    strict, lenient = avssl.PuzzleDataset(task, media), avssl.PuzzleDataset(task, media, on_bad_file="skip")
    with pytest.raises(MediaError, match=r"03\.mp4"):
        [strict[index] for index in range(12)]
    steps = Steps([Source(task, lenient.media, 12)], Turns([1.0]), seed=0, batch_size=12, on_bad_file="skip")
    assert same(lenient.collate([lenient[index] for index in range(12)]), steps[0].pieces[0].batch)
    assert any("03.mp4" in line for line in caplog.messages)


def test_an_open_collection_is_taken_and_what_is_of_no_use_is_left_out(clips: Path) -> None:
    media = avssl.open(clips, progress=False)
    some = avssl.PuzzleDataset(avssl.task("rotation", side=32), media.subset([0, 3, 5]))
    assert len(some) == 3
    assert [some.media.facts(i).path for i in range(3)] == [media.facts(i).path for i in (0, 3, 5)]
    with pytest.raises(IndexError):
        some[3]
    with pytest.raises(UserError, match="no such file or folder"):
        avssl.PuzzleDataset(avssl.task("rotation"), clips / "nowhere")


def test_a_model_takes_a_batch_whole_or_as_keywords(data: avssl.PuzzleDataset) -> None:
    model = avssl.PuzzleModel(data.task).eval()
    batch = data.collate([data[0], data[1]])
    assert torch.equal(model(batch)["loss"], model(**batch)["loss"])


def test_the_name_of_a_task_is_refused_where_a_task_is_wanted(clips: Path) -> None:
    with pytest.raises(UserError, match=r"avssl\.task\('rotation'\)"):
        avssl.PuzzleDataset("rotation", clips)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="needs a task that is made"):
        avssl.PuzzleModel("rotation")  # type: ignore[arg-type]


def test_a_bad_file_that_a_worker_meets_can_be_caught_as_any_other(tmp_path: Path) -> None:
    for name in "ab":
        Image.new("RGB", (40, 40), (9, 9, 9)).save(tmp_path / f"{name}.png")
    data = avssl.PuzzleDataset(avssl.task("rotation", side=32), tmp_path)
    (tmp_path / "a.png").write_bytes(b"junk")
    with pytest.raises(MediaError, match=r"a\.png.*changed since it was indexed"):
        list(DataLoader(data, 2, collate_fn=data.collate, num_workers=1))
    assert "changed since it was indexed" in data._repr_html_()  # a cell shows the line, not a traceback


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"media": None}, "needs the name of data or an open collection, not NoneType"),
        ({"media": ["a.png"]}, "not list; avssl.open"),
        ({"seed": "3"}, "seed needs a whole number, not '3'"),
        ({"seed": 1.5}, "seed needs a whole number, not 1.5"),
        ({"on_bad_file": "ignore"}, "on_bad_file needs one of raise, skip, not 'ignore'"),
    ],
)
def test_an_argument_of_another_type_is_refused_where_it_is_given(clips: Path, change: dict[str, Any], message: str):
    asked: dict[str, Any] = {"task": avssl.task("rotation"), "media": clips} | change
    with pytest.raises(UserError, match=message):
        avssl.PuzzleDataset(**asked)
