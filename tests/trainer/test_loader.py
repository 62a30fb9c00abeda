"""Batches: the same whatever the number of workers, ranks and the step at which they begin."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys

import pytest
import torch
from trainer_toy import OtherToy, Toy, ToyMedia, ToyOptions

from avssl.errors import MediaError, UserError
from avssl.samplers.keys import Key
from avssl.trainer.loader import _WORKERS_START, REPLACEMENTS, Source, Steps, _start_worker, batches, load
from avssl.trainer.plan import Turns, batch_keys


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
def test_a_bad_file_is_reported_with_its_name_and_time_whichever_process_met_it(workers):
    data = Steps(sources(Toy(ToyOptions()), bad=[3]), Turns([1]), seed=0, batch_size=4)
    with pytest.raises(MediaError) as refusal:
        drawn(data, workers=workers)
    assert str(refusal.value) == "toy-3.mp4 at 0.100 s: truncated"
    assert refusal.value.seconds == 0.1


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


def test_a_worker_that_was_killed_is_reported_in_a_line():
    data = Steps(sources(Dying(ToyOptions())), Turns([1]), seed=0, batch_size=4)
    with pytest.raises(UserError, match=r"DataLoader worker \(pid.*; out of memory\? try fewer --workers") as refusal:
        drawn(data, workers=1)
    assert "\n" not in str(refusal.value)


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


class Counted(ToyMedia):
    """Media that write down each time that they are opened anew from a pickle."""

    def __init__(self, path):
        super().__init__(20)
        object.__setattr__(self, "path", path)

    def __reduce__(self):
        return _opened, (self.path,)


def _opened(path):
    with path.open("a") as file:
        file.write("opened\n")
    return Counted(path)


@pytest.mark.parametrize(("workers", "times"), [(0, 0), (1, 1), (2, 2)])
def test_each_worker_opens_media_once_and_the_training_process_uses_them_as_they_are(tmp_path, workers, times):
    task, notes = Toy(ToyOptions()), tmp_path / "opened.txt"
    task.load_state({"mean": 100.0})
    drawn(Steps([Source(task, Counted(notes), 20)], Turns([1]), seed=0, batch_size=4), end=6, workers=workers)
    assert (notes.read_text().count("opened") if notes.exists() else 0) == times


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


def test_the_keys_of_a_step_are_those_of_the_batches_whose_turn_it_is():
    data = steps()  # two batches of the first task to one of the second, six puzzles each, of twenty
    counts = [0, 0]
    for step in range(12):
        ((plan, keys),) = data.keys(step)
        assert keys == batch_keys(3, counts[plan], 20, 6)
        counts[plan] += 1
    assert counts == [8, 4]
    joint = Steps(data.sources, Turns([2, 1], "joint"), seed=3, batch_size=6)
    assert joint.keys(5) == [(0, batch_keys(3, 5, 20, 6)), (1, batch_keys(3, 5, 20, 6))]


@pytest.mark.parametrize(("rank", "size", "accumulate"), [(0, 1, 1), (1, 2, 3), (2, 3, 2), (5, 6, 1)])
def test_each_piece_is_the_ranks_own_part_of_the_batch_and_pieces_weigh_alike(rank, size, accumulate):
    data = Steps(sources(Toy(ToyOptions())), Turns([1]), 3, 12, accumulate, rank, size)
    fetched = data[4]
    assert fetched.step == 4 and len(fetched.pieces) == accumulate
    assert [piece.share for piece in fetched.pieces] == pytest.approx([1 / accumulate] * accumulate)
    each = 12 // size // accumulate
    assert [len(piece.batch["keys"]) for piece in fetched.pieces] == [each] * accumulate
    found = [tuple(key) for piece in fetched.pieces for key in piece.batch["keys"].tolist()]
    mine = 12 // size
    assert found == data.keys(4)[0][1][rank * mine : (rank + 1) * mine]


@pytest.mark.parametrize(("batch_size", "size", "accumulate"), [(6, 4, 1), (6, 1, 4), (8, 2, 3), (12, 5, 1)])
def test_a_batch_that_cannot_be_divided_evenly_is_refused(batch_size, size, accumulate):
    with pytest.raises(UserError) as refusal:
        Steps(sources(Toy(ToyOptions())), Turns([1]), 0, batch_size, accumulate, 0, size)
    assert str(refusal.value) == (
        f"--batch-size ({batch_size}) must be a multiple of {size * accumulate}: "
        f"{size} processes times --accumulate {accumulate}"
    )


def test_a_replacement_keeps_seed_and_epoch_and_differs_from_key_to_key():
    (source,) = sources(Toy(ToyOptions()), bad=[3])
    found = [source.draw(Key(seed, epoch, 3), "skip", [])[2] for seed in range(4) for epoch in range(12)]
    assert [(key.seed, key.epoch) for key in found] == [(seed, epoch) for seed in range(4) for epoch in range(12)]
    assert 3 not in {key.index for key in found}
    assert {key.index for key in found} <= set(range(20)) and len({key.index for key in found}) > 12
    again = source.draw(Key(2, 5, 3), "skip", [])[2]
    assert again == found[2 * 12 + 5]


def test_each_bad_file_skipped_is_reported_until_too_many_are_in_a_row():
    (source,) = sources(Toy(ToyOptions()), bad=range(20))
    passed_over: list[str] = []
    with pytest.raises(UserError, match=f"{REPLACEMENTS + 1} files in a row"):
        source.draw(Key(0, 0, 3), "skip", passed_over)
    assert len(passed_over) == REPLACEMENTS == 8
    assert passed_over[0] == "toy-3.mp4 at 0.100 s: truncated"
    assert len(set(passed_over)) > 3, "another one each time"
    (good,) = sources(Toy(ToyOptions()), bad=[3])
    with pytest.raises(MediaError):
        good.draw(Key(0, 0, 3), "raise", passed_over)


def test_batches_go_on_for_ever_unless_asked_where_to_end():
    endless = batches(steps(), 98, None, workers=0, pin=False)
    assert [next(endless).step for _ in range(4)] == [98, 99, 100, 101]
    assert [fetched.step for fetched in batches(steps(), 3, 5, workers=0, pin=False)] == [3, 4]


class Faulty(torch.utils.data.Dataset):
    """Data with a fault of the program."""

    def __getitem__(self, i):
        raise RuntimeError("a tensor of another shape")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_fault_of_the_program_is_not_taken_for_a_dead_worker(workers):
    with pytest.raises(RuntimeError, match="a tensor of another shape"):
        list(load(Faulty(), range(2), workers=workers, pin=False))


def _started(queue):
    _start_worker(0)
    handlers = signal.getsignal(signal.SIGINT) is signal.SIG_IGN, signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    os.kill(os.getpid(), signal.SIGTERM)
    queue.put((*handlers, signal.alarm(0)))


def test_workers_leave_interrupts_to_the_training_and_end_a_while_after_being_asked_to():
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    worker = context.Process(target=_started, args=(queue,))
    worker.start()
    worker.join(30)
    ignored, ends, seconds = queue.get()
    assert ignored and ends, "an alarm ends the process"
    assert 25 <= seconds <= 30


class Marked(torch.utils.data.Dataset):
    """Says whether a mark that the training process made after it began is there where it draws."""

    mark = False

    def __getitem__(self, i):
        return Marked.mark


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Python's own way is taken")
def test_workers_are_forked_from_the_training_process_whatever_python_does_by_default(monkeypatch):
    spawn = multiprocessing.get_context("spawn")
    monkeypatch.setattr(multiprocessing.context._default_context, "_actual_context", spawn)
    monkeypatch.setattr(Marked, "mark", True)
    assert list(load(Marked(), range(3), workers=1, pin=False)) == [True] * 3
    assert _WORKERS_START == "fork"
