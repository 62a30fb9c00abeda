"""Arrays of a batch lie side by side."""

from __future__ import annotations

import numpy as np

from avssl.samplers import side_by_side


def a_batch(count: int, shape: tuple[int, ...] = (3, 4)) -> list[np.ndarray]:
    rows = [side_by_side.empty(shape, np.float32) for _ in range(count)]
    for number, row in enumerate(rows):
        row[:] = number
    return rows


def test_from_the_second_batch_on_nothing_is_copied():
    copied = []
    for count in (5, 5, 7, 7):
        rows = a_batch(count)
        batch = side_by_side.stacked(rows)
        assert batch.shape == (count, 3, 4) and (batch[:, 0, 0] == range(count)).all()
        copied.append(not np.shares_memory(batch, rows[3]))
    assert copied == [True, False, True, False]


def test_whatever_is_stacked_is_as_numpy_stacks_it():
    side_by_side.stacked(a_batch(4))
    rows = a_batch(4)
    later = a_batch(4)
    halves = [row[:2] for row in rows]
    for chosen in (rows[::-1], rows[1:], rows[:1] * 4, rows[2:] + later[:2], halves, [*rows, rows[0]]):
        assert (side_by_side.stacked(chosen) == np.stack(chosen)).all()
    assert all((row == number).all() for number, row in enumerate(rows))
    assert all((row == number).all() for number, row in enumerate(later))


def test_a_picture_of_a_puzzle_of_one_needs_no_copy_without_its_axis():
    side_by_side.stacked([row[0] for row in a_batch(3, (1, 2, 2))])
    rows = [row[0] for row in a_batch(3, (1, 2, 2))]
    batch = side_by_side.stacked(rows)
    assert batch.shape == (3, 2, 2) and np.shares_memory(batch, rows[2])
