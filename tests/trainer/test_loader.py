"""Batches: the same whatever the number of workers, ranks and the step at which they begin."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from trainer_toy import OtherToy, Toy, ToyMedia, ToyOptions

from avssl.errors import MediaError, UserError
from avssl.trainer.loader import Source, Steps, batches
from avssl.trainer.plan import Turns


def sources(*tasks, bad=()):
    for task in tasks:
        task.load_state({"mean": 100.0})
    return [Source(task, ToyMedia(20, tuple(bad)), 20) for task in tasks]


def steps(**more):
    return Steps(sources(Toy(ToyOptions()), OtherToy(ToyOptions())), Turns([2, 1]), seed=3, batch_size=6, **more)


def drawn(data, first=0, end=10, workers=0):
    return [
        (fetched.step, piece.plan, piece.batch["keys"].tolist(), piece.batch["picture"].sum().item())
        for fetched in batches(data, first, end, workers=workers, pin=False)
        for piece in fetched.pieces
    ]


def test_batches_do_not_depend_on_the_number_of_workers_or_on_where_they_begin():
    here = drawn(steps())
    assert len(here) == 10
    assert drawn(steps(), workers=1) == here
    assert drawn(steps(), workers=2) == here
    assert drawn(steps(), first=7, workers=2) == here[7:]


def test_ranks_and_pieces_are_contiguous_parts_of_the_batch():
    whole = [pictures for _, _, pictures, _ in drawn(steps(), end=2)]
    parts = [drawn(steps(accumulate=3, rank=rank, size=2), end=2) for rank in (0, 1)]
    for step in (0, 1):
        keys = [key for rank in parts for at, _, keys, _ in rank if at == step for key in keys]
        assert keys == whole[step]
        assert [len(keys) for at, _, keys, _ in parts[0] if at == step] == [1, 1, 1]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_file_is_told_with_its_name_and_time_whichever_process_met_it(workers):
    data = Steps(sources(Toy(ToyOptions()), bad=[3]), Turns([1]), seed=0, batch_size=4)
    with pytest.raises(MediaError) as told:
        drawn(data, workers=workers)
    assert str(told.value) == "toy-3.mp4 at 0.100 s: truncated"
    assert told.value.seconds == 0.1


def test_a_bad_file_that_may_be_skipped_is_replaced_by_its_key_alone_and_counted():
    data = Steps(sources(Toy(ToyOptions()), bad=[3, 4]), Turns([1]), seed=0, batch_size=4, on_bad_file="skip")
    here = drawn(data)
    assert drawn(data, workers=2) == here
    keys = [key for _, _, keys, _ in here for key in keys]
    assert len(keys) == 40 and not {3, 4} & {index for _, _, index in keys}
    passed_over = [line for fetched in batches(data, 0, 10, workers=0, pin=False) for line in fetched.passed_over]
    assert 4 <= len(passed_over) <= 8 and passed_over[0] == "toy-3.mp4 at 0.100 s: truncated"


def test_where_all_files_are_bad_skipping_ends():
    data = Steps(sources(Toy(ToyOptions()), bad=range(20)), Turns([1]), seed=0, batch_size=4, on_bad_file="skip")
    with pytest.raises(UserError, match="9 files in a row could not be read; the last: toy-"):
        drawn(data)


class Dying(Toy):
    """A task whose worker is killed, as for want of memory."""

    def draw(self, media, key):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_was_killed_is_told_in_a_line():
    data = Steps(sources(Dying(ToyOptions())), Turns([1]), seed=0, batch_size=4)
    with pytest.raises(UserError, match=r"DataLoader worker \(pid.*; out of memory\? try fewer --workers") as told:
        drawn(data, workers=1)
    assert "\n" not in str(told.value)


class WithHandle(ToyMedia):
    """Media that keep something open, and leave it behind when they are pickled."""

    def __getstate__(self):
        return {}

    def frames(self, i, times):
        opened_in = self.__dict__.setdefault("opened_in", os.getpid())
        assert opened_in == os.getpid(), "a handle was shared between processes"
        return super().frames(i, times)


def test_workers_open_files_for_themselves():
    media = WithHandle(20)
    media.frames(0, [0.0])
    task = Toy(ToyOptions())
    task.load_state({"mean": 100.0})
    drawn(Steps([Source(task, media, 20)], Turns([1]), seed=0, batch_size=4), workers=1)


class Threads(Toy):
    """A task whose batch tells how many threads drew it."""

    def collate(self, puzzles):
        return {"threads": torch.get_num_threads()}


def test_one_thread_draws_in_a_worker():
    torch.set_num_threads(2)
    data = Steps(sources(Threads(ToyOptions())), Turns([1]), seed=0, batch_size=4)
    (fetched,) = batches(data, 0, 1, workers=1, pin=False)
    torch.set_num_threads(1)
    assert fetched.pieces[0].batch == {"threads": 1}
