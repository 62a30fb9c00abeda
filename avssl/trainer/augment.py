"""Where pictures are decoded and cropped: what ``--augment`` leaves to the device."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import numpy as np
import torch

from avssl.errors import MediaError, UserError
from avssl.media.prepared.read import Prepared
from avssl.networks.cutting import Jpegs, decoded
from avssl.samplers.views import prepared_of
from avssl.tasks.base import Task
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan

# Stored pictures that are decoded both ways before JPEGs are left to the device.
COMPARED = 8
# Of 255, by which a pixel may differ. nvJPEG may enlarge colours that are stored at half resolution in another way.
LEVELS = 3

JPEG_ENGINES = ((8, 0), (9, 0), (10, 0))
"""Compute capabilities of the GPUs with engines for JPEGs: A100 and A30, Hopper, B200. On others nvJPEG reads the codes
on the host, in the training process."""


class Placed(NamedTuple):
    """A task as its puzzles are drawn for training, and where its pictures are made, in words."""

    task: Task
    where: str


def place(plan: TaskPlan, options: TrainOptions, device: torch.device) -> Placed:
    """By the options and what the data and the device are, never by a measurement of time: two runs decide alike.

    Cutting without decoding spares the loader a twelfth of a pair and carries more bytes: only where it is asked for.
    """
    task, auto = plan.task, options.augment == "auto"
    if options.augment == "host" or (auto and device.type != "cuda"):
        return Placed(task, "host")
    if not task.can_leave:
        return Placed(task, f"host, as {task.name} with these options needs the pixels to draw a puzzle")
    reason = why_not_decoded(prepared_of(plan.train), device)
    if auto and reason is None and torch.cuda.get_device_capability(device) not in JPEG_ENGINES:
        reason = "this GPU has no engines for JPEGs"
    if reason is None:
        return Placed(task.variant(left_to_device="decoding"), f"{device.type}, JPEGs too")
    if auto:
        return Placed(task, f"host, as {reason}")
    return Placed(task.variant(left_to_device="cutting"), f"{device.type}, but for decoding: {reason}")


def why_not_decoded(prepared: Prepared | None, device: torch.device) -> str | None:
    """Why JPEGs are decoded on the host; None where the device gives the same pixels for some of them."""
    if prepared is None:
        return "the data are not prepared"
    if not prepared.has_checksums:  # what is damaged is then seen by decoding alone
        return "the set has no checksums"
    data, frames = [], []
    for item in np.unique(np.linspace(0, len(prepared) - 1, COMPARED).astype(int)).tolist():
        with suppress(MediaError):  # sound alone; what is damaged is reported when its turn comes
            frame = prepared.frames(item, [0.0])[0]
            data += prepared.jpegs(item, [0.0])
            frames.append(torch.from_numpy(frame.copy()))
    if not frames:
        return "no picture could be read"
    jpegs = Jpegs(torch.from_numpy(np.concatenate(data)), torch.tensor([len(one) for one in data]))
    try:
        found = decoded(jpegs, device)
    except UserError as error:
        return str(error)
    for one, expected in zip(found, frames, strict=True):
        apart = int((one.cpu().int() - expected.int()).abs().max()) if one.shape == expected.shape else 255
        if apart > LEVELS:
            return f"its pixels differ by up to {apart} levels"
    return None
