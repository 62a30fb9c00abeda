"""Rows gathered over processes: the loss and the gradient of one process."""

from __future__ import annotations

import multiprocessing

import pytest
import torch
import torch.distributed as dist

from avssl.networks.gather import gather_with_gradient

WORLD, ROWS = 3, 2


def loss_of(rows: torch.Tensor) -> torch.Tensor:
    """Something in which every row meets every other, and places count."""
    weights = torch.arange(1.0, 1 + len(rows))
    return (weights[:, None] * (rows @ rows.T).tanh() * weights.flip(0)).sum()


def everything() -> torch.Tensor:
    return torch.randn(WORLD * ROWS, 4, generator=torch.Generator().manual_seed(0))


def _work(rank: int, port_file: str, queue) -> None:
    dist.init_process_group("gloo", init_method=f"file://{port_file}", rank=rank, world_size=WORLD)
    mine = everything()[rank * ROWS : (rank + 1) * ROWS].clone().requires_grad_()
    rows = gather_with_gradient(mine)
    loss = loss_of(rows)
    loss.backward()
    queue.put((rank, rows.detach().tolist(), float(loss.detach()), mine.grad.tolist()))
    dist.barrier()
    dist.destroy_process_group()


def test_each_process_has_all_rows_in_rank_order_and_the_gradient_of_all_losses_for_its_own(tmp_path):
    context = multiprocessing.get_context("spawn")  # the threads of this process do not survive a fork
    queue = context.SimpleQueue()
    workers = [context.Process(target=_work, args=(rank, str(tmp_path / "meet"), queue)) for rank in range(WORLD)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * WORLD
    found = sorted(queue.get() for _ in workers)
    rows = everything().requires_grad_()
    loss = loss_of(rows)
    loss.backward()
    for rank, theirs, value, gradient in found:
        torch.testing.assert_close(torch.tensor(theirs), rows.detach())
        assert value == pytest.approx(float(loss.detach()), rel=1e-5)
        # Each of three processes computes the same loss, and their gradients are summed.
        own = WORLD * rows.grad[rank * ROWS : (rank + 1) * ROWS]
        torch.testing.assert_close(torch.tensor(gradient), own, rtol=1e-4, atol=1e-4)


def test_a_single_process_has_its_own_rows():
    rows = torch.randn(3, 2)
    assert gather_with_gradient(rows) is rows
