"""Shared memory that is full is named, in one line, and nobody waits for ever."""

from __future__ import annotations

import os
import sys

import pytest
import torch
from torch.utils.data import Dataset

from avssl.errors import UserError
from avssl.trainer import shared_memory
from avssl.trainer.loader import load

linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")


class Batches(Dataset):
    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        return {"pictures": torch.full((1000,), i, dtype=torch.float32)}


class Unsendable(Dataset):
    """Stands for a batch that torch cannot hand over although there was room when it was asked."""

    def __getitem__(self, i: int) -> object:
        return lambda: i


def _full(monkeypatch: pytest.MonkeyPatch, total: int, free: int) -> None:
    monkeypatch.setattr(shared_memory, "total_and_free", lambda: (total, free))
    monkeypatch.setattr(shared_memory, "PATIENCE_SECONDS", 0.2)


@linux
@pytest.mark.parametrize(("total", "free"), [(3000, 3000), (10**6, 100)])
def test_a_batch_without_room_is_a_line_that_names_it_and_the_way_out(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], total: int, free: int
) -> None:
    _full(monkeypatch, total, free)
    with pytest.raises(UserError, match=r"shared memory of .* MB at /dev/shm is full.*--workers 0.*--shm-size"):
        list(load(Batches(), range(4), workers=2, pin=False))
    assert "Traceback" not in capfd.readouterr().err
    assert len(list(load(Batches(), range(4), workers=0, pin=False))) == 4


@linux
def test_room_that_comes_in_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = iter([(10**6, 0), (10**6, 0)])
    monkeypatch.setattr(shared_memory, "total_and_free", lambda: next(rooms, (10**6, 10**6)))
    assert [int(batch["pictures"][0]) for batch in load(Batches(), range(3), workers=1, pin=False)] == [0, 1, 2]


@linux
def test_a_batch_that_cannot_be_handed_over_ends_in_a_line_and_not_in_waiting(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _full(monkeypatch, 10**6, 10**6)
    with pytest.raises(UserError, match=r"shared memory"):
        list(load(Unsendable(), range(2), workers=1, pin=False))
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that", "/dev/shm is full"),
        ("unable to allocate shared memory(shm) for file </torch_1>: Resource temporarily unavailable", "is full"),
        ("DataLoader worker (pid 7) is killed by signal: Killed.", "Killed.; out of memory?"),
        ("mat1 and mat2 shapes cannot be multiplied", None),
    ],
)
def test_what_torch_says_of_its_workers_is_reported_in_words_of_use(words: str, line: str | None) -> None:
    found = shared_memory.why_a_worker_died(words)
    assert (found is None) == (line is None)
    assert line is None or line in str(found)


@linux
def test_the_room_is_that_of_the_system() -> None:
    room = shared_memory.total_and_free()
    assert room is None or room[0] == os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize
