"""What goes to the device and comes back while the training goes on."""

from __future__ import annotations

import threading

import pytest
import torch
from trainer_toy import Streams, Toy, ToyMedia, ToyOptions, toy_plans, weights_digest

from avssl.errors import UserError
from avssl.trainer import recorder
from avssl.trainer.checkpoint_writer import CheckpointWriter
from avssl.trainer.checkpoints import Checkpoints
from avssl.trainer.loader import Fetched, Piece
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import TaskPlan
from avssl.trainer.run_folder import RunFolder
from avssl.trainer.transfer import Transfer, to_host

CPU, TOYS = torch.device("cpu"), [Toy(ToyOptions())]


def fetched(step: int) -> Fetched:
    return Fetched(step, (Piece(0, 1.0, {"x": torch.full((2, 3, 4, 4), float(step)), "names": ["a"]}),), ())


def test_a_batch_is_copied_on_a_stream_of_its_own_and_training_waits_for_that_batch_alone():
    streams = Streams()
    transfer = Transfer(TOYS, CPU, channels_last=True, cuda=streams)
    first, second = transfer.send(fetched(1)), transfer.send(fetched(2))
    came = transfer.receive(first)
    assert streams.notes == [
        *("on side", "event 1 on side", "off side"),
        *("on side", "event 2 on side", "off side"),
        "wait 1",
    ]
    batch = came.pieces[0].batch
    assert came.step == 1 and float(batch["x"].mean()) == 1 and batch["names"] == ["a"]
    assert batch["x"].is_contiguous(memory_format=torch.channels_last)
    assert transfer.receive(second).step == 2


def test_without_a_gpu_a_batch_stays_as_it_is_until_it_is_trained():
    transfer = Transfer(TOYS, CPU, channels_last=True)
    sent = transfer.send(fetched(1))
    assert sent.arrived is None and sent.fetched.pieces[0].batch["x"].is_contiguous()
    assert transfer.receive(sent).pieces[0].batch["x"].is_contiguous(memory_format=torch.channels_last)


def test_a_copy_keeps_what_was_there_and_what_is_shared_in_it():
    weight = torch.arange(6.0).view(2, 3)
    copy, wait = to_host({"a": weight, "b": [weight, (weight[0], 5)], "empty": torch.zeros(0)})
    weight += 1
    wait()
    assert torch.equal(copy["a"], torch.arange(6.0).view(2, 3))
    assert copy["b"][0] is copy["a"] and copy["b"][1][1] == 5
    assert torch.equal(copy["b"][1][0], torch.arange(3.0))


def options(**more):
    plain = {"steps": 12, "batch_size": 8, "workers": 0, "checkpoint_every": 3, "validation_puzzles": 0, "log_every": 2}
    return TrainOptions(**{**plain, **more})


def test_training_goes_on_while_a_checkpoint_is_written_which_holds_the_step_it_was_taken_at(tmp_path, monkeypatch):
    seen, later = [], threading.Event()

    class Counting(Toy):
        def loss(self, network, batch):
            seen.append(weights_digest({"toy": network}))
            if len(seen) > 5:
                later.set()
            return super().loss(network, batch)

    with RunFolder(tmp_path / "run", {}) as run:
        save = run.checkpoints.save

        def slowly(state, step, best):
            assert step > 3 or later.wait(20), "the training waits for its checkpoint"
            save(state, step, best)

        monkeypatch.setattr(run.checkpoints, "save", slowly)
        monkeypatch.setattr("avssl.trainer.checkpoints.KEPT", 10)
        fit(
            [TaskPlan(Counting(ToyOptions()), ToyMedia())],
            options(),
            run,
            progress="none",
        )
        assert run.checkpoints.steps() == [3, 6, 9, 12]
        network = Toy(ToyOptions()).network(Toy(ToyOptions()).encoders())
        weights = run.checkpoints.load(3)["networks"]
        network.load_state_dict({name.removeprefix("toy."): value for name, value in weights.items()})
        assert weights_digest({"toy": network}) == seen[3], "the weights that the fourth step began with"


def test_an_error_of_the_writer_ends_the_training_with_its_line(tmp_path, monkeypatch):
    def full(self, state, step, best):
        raise UserError("the disk is full")

    monkeypatch.setattr(Checkpoints, "save", full)
    for steps in (12, 3):  # met at the next checkpoint; and at the end
        with RunFolder(tmp_path / str(steps), {}) as run, pytest.raises(UserError, match="the disk is full"):
            fit(toy_plans(), options(steps=steps), run, progress="none")


def test_weights_of_tasks_that_share_an_encoder_are_written_once(tmp_path):
    weight = torch.randn(1000, 100)
    writer, sizes = CheckpointWriter(), []
    for name, other in (("shared", weight), ("apart", weight.clone())):
        checkpoints = Checkpoints(tmp_path / name, ())
        state = {"networks": {"a": weight, "b": other}, "tally": {"step": 1, "best": None}}
        writer.save(checkpoints, state, 1, None)
        writer.wait()
        sizes.append(checkpoints.path(1).stat().st_size)
    writer.close()
    assert sizes[0] < 0.6 * sizes[1]


def test_figures_that_are_read_late_give_the_same_lines(monkeypatch):
    def lines():
        found = fit(toy_plans(), options(steps=11, validation_puzzles=8, validate_every=5), progress="none").history
        return [{k: v for k, v in line.items() if k not in ("seconds", "data_wait")} for line in found]

    at_once = lines()
    monkeypatch.setattr(recorder, "READ_LATE", ("cpu",))
    assert lines() == at_once
