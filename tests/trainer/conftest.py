"""Processes that train the toy task, and one thread for those that train here."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from trainer_toy import train_and_exit


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Sums depend on the number of threads in their last bit; toys are fastest with one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def start_training() -> Callable[..., multiprocessing.process.BaseProcess]:
    """Starts ``train_and_exit`` as a process of its own, forked from a server that has imported torch once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trainer_toy", "torch._dynamo", "avssl.trainer.loggers.tensorboard"])

    def start(log: Path, *arguments: Any, **environment: str) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=train_and_exit, args=(log, environment, *arguments))
        process.start()
        return process

    return start
