"""Trainings whose pictures the device decodes and cuts."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
import torch
from small_runs import RATE, write_clip
from toy_media import ToyVideos
from trainer_toy import Streams, toy_plans, weights_digest

import avssl
from avssl.errors import UserError
from avssl.media.prepared.write import prepare
from avssl.networks import cutting
from avssl.networks.cutting import Jpegs, Views
from avssl.samplers.keys import Key
from avssl.trainer import augment
from avssl.trainer.augment import place
from avssl.trainer.loader import Fetched, Piece, Source, Steps
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import Sharing, TaskPlan, Turns
from avssl.trainer.result import files_of_batch
from avssl.trainer.run_folder import RunFolder
from avssl.trainer.shared_memory import tensor_bytes
from avssl.trainer.transfer import Transfer

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SMALL = {"side": 24, "width": 4, "vision": "small", "blocks": 2}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for number in range(4):
        write_clip(folder / "in" / f"{number}.mp4", number)
    media = avssl.open(folder / "in", progress=False, workers=0)
    return prepare(media, folder / "out", side=None, rate=RATE, workers=0, progress=False)


def options(**more):
    plain = {"steps": 6, "batch_size": 4, "workers": 0, "validation_puzzles": 0, "log_every": 1, "warmup_steps": 0}
    return TrainOptions(**{**plain, "device": "cpu", "precision": "fp32", "checkpoint_every": 2, **more})


def rotation(**more):
    return avssl.task("rotation", **SMALL, **more)


def losses(result):
    return [line["loss"] for line in result.history]


def test_a_training_cut_on_the_device_has_nearly_the_hosts_losses_and_the_same_whatever_the_workers(prepared):
    plan = TaskPlan(rotation(), prepared)
    host = fit([plan], options(augment="host"), progress="none")
    device = fit([plan], options(augment="device"), progress="none")
    again = fit([plan], options(augment="device", workers=1), progress="none")
    assert weights_digest(device.networks) == weights_digest(again.networks) != weights_digest(host.networks)
    assert all(math.isclose(a, b, rel_tol=0.02) for a, b in zip(losses(host), losses(device), strict=True))


@pytest.mark.parametrize("mix", ["alternating", "joint"])
def test_several_tasks_are_cut_on_the_device_each_in_its_way(mix, prepared):
    on_host = avssl.task("shuffle-learn", **SMALL, gap_min=0.1, tau_min=0.1, features=8, hidden=8)
    tasks = [rotation(), avssl.task("colorization", **SMALL, head_width=4), on_host]
    found = []
    for where in ("host", "device"):
        result = fit(
            [TaskPlan(task, prepared) for task in tasks],
            options(augment=where, accumulate=2),
            sharing=Sharing(mix, own_statistics=True, by_chance=True),
            progress="none",
        )
        found.append((losses(result), result.states))
    assert found[0][1] == found[1][1], "statistics are learned from what the host cuts"
    assert all(math.isclose(a, b, rel_tol=0.03) for a, b in zip(found[0][0], found[1][0], strict=True))


def test_a_killed_and_continued_run_equals_an_unbroken_one(prepared, tmp_path):
    plan, asked = TaskPlan(rotation(), prepared), options(augment="device", workers=1)
    whole = fit([plan], asked, progress="none")
    with RunFolder(tmp_path / "run", {}) as run:
        fit([plan], asked, run, progress="none")
        assert json.loads((run.path / "environment.json").read_text())["pictures_cut_on"] == "cpu, JPEGs too"
        for step in run.checkpoints.steps()[1:]:  # as if it had been killed after the first
            run.checkpoints.path(step).unlink()
        assert run.checkpoints.steps()[-1] < 6
        continued = fit([plan], asked, run, progress="none")
    assert weights_digest(continued.networks) == weights_digest(whole.networks)


def test_auto_is_the_host_but_for_prepared_data_on_a_gpu_that_decodes_jpegs(prepared, monkeypatch):
    monkeypatch.setattr(augment, "decoded", lambda jpegs, device: cutting.decoded(jpegs, CPU))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    task, raw = rotation(), ToyVideos(4)

    def where(device, media, task=task, **more):
        return place(TaskPlan(task, media), options(**more), device)

    assert where(CPU, prepared).where == where(CUDA, prepared, augment="host").where == "host"
    assert where(CUDA, raw).where == "host, as the data are not prepared"
    assert where(CUDA, prepared).task.left_to_device == "decoding"
    assert where(CUDA, prepared.subset([0, 2])).where == "cuda, JPEGs too"
    asked = where(CPU, raw, augment="device")
    assert (asked.task.left_to_device, asked.where) == ("cutting", "cpu, but for decoding: the data are not prepared")
    comparing = where(CUDA, prepared, avssl.task("shuffle-learn"))
    assert comparing.task.left_to_device == "nothing" and "needs the pixels" in comparing.where
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    assert where(CUDA, prepared).where == "host, as this GPU has no engines for JPEGs"
    assert where(CUDA, prepared, augment="device").task.left_to_device == "decoding"
    assert task.left_to_device == "nothing", "what is held out is cut on the host"


def test_jpegs_are_decoded_on_the_host_where_the_device_gives_other_pixels_or_none(prepared, monkeypatch):
    plan = TaskPlan(rotation(), prepared)

    def other(jpegs, device):
        return [(one // 8 * 8) for one in cutting.decoded(jpegs, CPU)]

    monkeypatch.setattr(augment, "decoded", other)
    found = place(plan, options(augment="device"), CUDA)
    assert found.task.left_to_device == "cutting" and "its pixels differ by up to" in found.where

    def broken(*_, **__):
        raise RuntimeError("not compiled with nvJPEG support\nat line 3")

    notes = []
    monkeypatch.setattr(augment, "decoded", cutting.decoded)
    monkeypatch.setattr(
        torch.cuda, "current_stream", lambda device: SimpleNamespace(synchronize=lambda: notes.append(1))
    )
    monkeypatch.setattr("torchvision.io.decode_jpeg", broken)
    found = place(plan, options(augment="device"), CUDA)
    assert found.task.left_to_device == "cutting" and "(not compiled with nvJPEG support)" in found.where
    assert notes == [1], "what reads the memory that it writes to has ended"


def drawn(task, media):
    leaving = task.variant(left_to_device="decoding")
    return leaving, Steps([Source(leaving, media, len(media))], Turns([1], "alternating"), 0, 4)


def test_a_thread_decodes_and_cuts_on_the_copying_stream(prepared):
    task, steps = drawn(rotation(), prepared)
    streams = Streams()
    transfer = Transfer([task], CPU, channels_last=True, cuda=streams)
    sent = transfer.send(steps[0])
    transfer.wait()
    assert sent.done(), "processes that are forked now find no thread at work"
    batch = transfer.receive(sent).pieces[0].batch
    transfer.close()
    host = task.variant(left_to_device="nothing")
    expected = host.collate([host.draw(prepared, key) for key in steps.keys(0)[0][1]])
    assert streams.notes == ["on side", "event 1 on side", "off side", "wait 1"]
    assert batch.keys() == expected.keys() and torch.equal(batch["label"], expected["label"])
    assert int((batch["frames"].int() - expected["frames"].int()).abs().max()) <= 3
    assert batch["frames"].is_contiguous(memory_format=torch.channels_last)


def test_a_training_whose_batches_a_thread_prepares_equals_one_that_prepares_them_itself(prepared, monkeypatch):
    plan = TaskPlan(rotation(), prepared, prepared)
    asked = options(augment="device", validation_puzzles=8, validate_every=2, workers=1)
    plain = fit([plan], asked, progress="none")
    made = []

    def with_streams(tasks, device, channels_last):
        made.append(Transfer(tasks, device, channels_last, cuda=Streams()))
        return made[-1]

    monkeypatch.setattr("avssl.trainer.loop.Transfer", with_streams)
    threaded = fit([plan], asked, progress="none")
    assert weights_digest(plain.networks) == weights_digest(threaded.networks)
    assert [line["loss"] for line in plain.history] == [line["loss"] for line in threaded.history]
    with pytest.raises(RuntimeError, match="after shutdown"):
        made[0].send(None)  # its thread has ended with the training


def test_a_jpeg_that_the_device_cannot_decode_ends_the_training_with_a_line(prepared, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("nvJPEG: 5\nand more")

    task, steps = drawn(rotation(), prepared)
    transfer = Transfer([task], CPU, channels_last=True, cuda=Streams())
    monkeypatch.setattr("torchvision.io.decode_jpeg", broken)
    with pytest.raises(UserError, match=r"decodes no JPEGs on cpu \(nvJPEG: 5\); give --augment host"):
        transfer.receive(transfer.send(steps[0]))
    transfer.close()


def test_views_lie_in_pinned_memory_as_any_tensor_of_a_batch(prepared, monkeypatch):
    from torch.utils.data._utils.pin_memory import pin_memory

    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self, *_: pinned.append(self.dtype) or self)
    for left, kind in (("decoding", Jpegs), ("cutting", torch.Tensor)):
        task = rotation().variant(left_to_device=left)
        batch = task.collate([task.draw(prepared, Key(0, 0, index)) for index in range(2)])
        found = pin_memory(Fetched(0, (Piece(0, 1.0, batch),), ())).pieces[0].batch["frames"]
        assert isinstance(found, Views) and isinstance(found.pictures, kind) and found.side == 24
    assert torch.uint8 in pinned and torch.float32 in pinned


def test_files_of_a_batch_are_named_where_only_their_jpegs_were_read(prepared):
    _, steps = drawn(rotation(), prepared)
    assert len(files_of_batch(steps, 0, 0)) == 4


def test_a_task_that_leaves_nothing_trains_as_on_the_host():
    found = [fit(toy_plans(), options(augment=where, batch_size=8), progress="none") for where in ("host", "device")]
    assert len({weights_digest(each.networks) for each in found}) == 1


def test_jpegs_are_fewer_bytes_to_carry_than_the_squares_cut_of_them(prepared):
    sizes = {}
    for left in ("nothing", "decoding"):
        task = avssl.task("rotation", side=48).variant(left_to_device=left, training=False)
        batch = task.collate([task.draw(prepared, Key(0, 0, index)) for index in range(4)])
        sizes[left] = tensor_bytes(batch)
    assert sizes["decoding"] < sizes["nothing"] / 2
