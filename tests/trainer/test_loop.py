"""What a training does with its tasks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from trainer_toy import OtherToy, Toy, ToyMedia, ToyOptions, toy_plans, weights_digest

from avssl.errors import UserError
from avssl.media.selection import Subset
from avssl.tasks.base import Losses
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import Sharing, TaskPlan
from avssl.trainer.status import Status


def options(**more):
    # In fp32: on a machine that computes bf16 a sum in pieces is rounded otherwise than the whole.
    plain = {"steps": 20, "batch_size": 8, "workers": 0, "validation_puzzles": 32, "precision": "fp32"}
    return TrainOptions(**{**plain, **more})


def quiet(plans, asked, **more):
    return fit(plans, asked, progress="none", **more)


def test_a_toy_is_learned():
    result = quiet(toy_plans(), options(steps=120, batch_size=16, learning_rate=0.02, validation_puzzles=128))
    last = result.history[-1]
    assert last["split"] == "val" and last["accuracy"] > 0.85 and last["low"] > 0.75
    assert result.finished and result.steps == 120 and result.seconds > 0 and 0 < result.data_wait < 1
    assert not result.networks["toy"].training


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    one, again, other = (quiet(toy_plans(), options(seed=seed, steps=5)) for seed in (0, 0, 1))
    assert weights_digest(one.networks) == weights_digest(again.networks) != weights_digest(other.networks)


def test_a_tasks_first_weights_do_not_depend_on_the_tasks_beside_it():
    alone, together = (quiet(toy_plans(n), options(steps=1, learning_rate=1e-12)) for n in (1, 2))
    for a, b in zip(alone.networks["toy"].parameters(), together.networks["toy"].parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=0)


def test_neither_validation_nor_saving_nor_the_callers_randomness_changes_what_is_learned():
    torch.manual_seed(1)
    often = quiet(toy_plans(), options(validate_every=1, log_every=1))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    never = quiet(toy_plans(), options(validation_puzzles=0))
    assert weights_digest(often.networks) == weights_digest(never.networks)
    assert torch.equal(torch.get_rng_state(), before), "the caller's generator is as it was"


def test_tasks_share_the_encoder_of_a_role_and_idle_heads_rest():
    heads = []

    class Watched(OtherToy):
        def loss(self, network, batch):
            heads.append(network[-1].weight.detach().clone())
            return super().loss(network, batch)

    plans = [TaskPlan(Toy(ToyOptions()), ToyMedia()), TaskPlan(Watched(ToyOptions()), ToyMedia(), weight=0.5)]
    result = quiet(plans, options(steps=9, optimizer="adamw", weight_decay=0.5))
    assert result.networks["toy"][0] is result.networks["other-toy"][0] is result.encoders["vision"]
    assert [line["task"] for line in result.history] == ["toy", "other-toy"]
    assert len(heads) == 3, "two turns of three are the other task's"

    plans = [TaskPlan(Toy(ToyOptions()), ToyMedia()), TaskPlan(OtherToy(ToyOptions()), ToyMedia(), weight=1e-9)]
    idle = quiet(plans, options(steps=5, weight_decay=0.5))
    fresh = quiet(plans, options(steps=1, weight_decay=0.5))
    assert torch.equal(idle.networks["other-toy"][-1].weight, fresh.networks["other-toy"][-1].weight)


def test_joint_losses_are_weighted():
    seen = {}

    def train(weight):
        plans = [
            TaskPlan(Toy(ToyOptions(dropout=0.0)), ToyMedia()),
            TaskPlan(OtherToy(ToyOptions(dropout=0.0)), ToyMedia(), weight=weight),
        ]
        plain = options(steps=1, optimizer="sgd", learning_rate=1.0, momentum=0.0, weight_decay=0.0)
        result = quiet(plans, plain, sharing=Sharing("joint"))
        seen[weight] = result.networks["other-toy"][-1].weight.grad
        return result

    assert len(train(1.0).history) == 2
    train(0.25)
    torch.testing.assert_close(seen[0.25], 0.25 * seen[1.0])


def test_a_batch_in_pieces_gives_the_gradient_of_the_whole():
    whole, pieces = (
        quiet(toy_plans(dropout=0.0), options(steps=6, accumulate=n, optimizer="sgd", learning_rate=0.05))
        for n in (1, 4)
    )
    for a, b in zip(whole.networks["toy"].parameters(), pieces.networks["toy"].parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert whole.history[0]["loss"] == pytest.approx(pieces.history[0]["loss"], rel=1e-5)


def test_the_gradient_is_clipped():
    plain = {"steps": 1, "optimizer": "sgd", "learning_rate": 1.0, "momentum": 0.0, "weight_decay": 0.0}
    result = quiet(toy_plans(), options(**plain, clip_norm=0.01))
    norm = math.sqrt(sum(float(weight.grad.square().sum()) for weight in result.networks.pop("toy").parameters()))
    assert norm == pytest.approx(0.01, rel=1e-3)


def test_weights_that_are_given_are_trained_on():
    given = Toy(ToyOptions()).encoders()["vision"]
    before = weights_digest({"given": given})
    result = quiet(toy_plans(), options(steps=3), encoders={"vision": given})
    assert result.encoders["vision"] is given and weights_digest({"given": given}) != before


def test_frozen_weights_stay_and_nothing_to_train_is_reported():
    given = Toy(ToyOptions()).encoders()["vision"].requires_grad_(False)
    before = weights_digest({"given": given})
    quiet(toy_plans(), options(steps=3), encoders={"vision": given})
    assert weights_digest({"given": given}) == before

    class Frozen(Toy):
        def network(self, encoders):
            return super().network(encoders).requires_grad_(False)

    with pytest.raises(UserError, match="nothing to train: every weight"):
        quiet([TaskPlan(Frozen(ToyOptions()), ToyMedia())], options())


def test_no_decay_on_biases_and_norms():
    class Idle(Toy):
        def loss(self, network, batch):
            return Losses(sum((weight * 0).sum() for weight in network.parameters()))

    asked = options(steps=10, optimizer="sgd", learning_rate=0.1, weight_decay=0.5, schedule="constant")
    result = quiet([TaskPlan(Idle(ToyOptions()), ToyMedia())], asked)
    norm, head = result.encoders["vision"][1], result.networks["toy"][-1]
    assert torch.equal(norm.weight, torch.ones(8))
    assert head.weight.abs().mean() < 0.8 * nn.Linear(128, 2).weight.abs().mean()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loss_that_is_nan_stops_with_task_step_files_and_keys(workers):
    asked = options(workers=workers, log_every=7)
    with pytest.raises(UserError) as refusal:
        quiet(toy_plans(explode_at=24), asked)
    assert str(refusal.value) == (
        "the loss of toy is infinite at step 4; files in that batch: toy-24, toy-25, toy-26 … (and 5 more); "
        "its keys: seed 0, epoch 0, index 24 to 31; look at these, or try a lower --learning-rate or --clip-norm 1"
    )


class Spoilt(Toy):
    """Its loss is NaN in the batch that begins with key 8."""

    name = "spoilt"

    def loss(self, network, batch):
        losses = super().loss(network, batch)
        return Losses(losses.loss * math.nan if int(batch["keys"][0, 2]) == 8 else losses.loss, losses.measures)


@pytest.mark.parametrize("mix", ["alternating", "joint"])
def test_of_several_tasks_the_files_named_are_those_of_the_task_whose_loss_is_nan(mix):
    media = Subset(ToyMedia(80), np.arange(40, 80))
    plans = [*toy_plans(), TaskPlan(Spoilt(ToyOptions()), media)]
    with pytest.raises(UserError, match=r"^the loss of spoilt is NaN at step \d; files in that batch: toy-48, toy-49"):
        quiet(plans, options(workers=1, steps=8), sharing=Sharing(mix=mix))


def test_weights_that_are_nan_are_not_saved_over_good_ones(tmp_path):
    from avssl.trainer.run_folder import RunFolder

    class Root(Toy):
        """The root of 0 has an infinite gradient: the loss is a number, the next weights are none."""

        def loss(self, network, batch):
            losses = super().loss(network, batch)
            if int(batch["keys"][0, 2]) == 24:
                losses.loss = losses.loss + (losses.loss * 0).sqrt()
            return losses

    with RunFolder(tmp_path / "run", {}) as run:
        plans = [TaskPlan(Root(ToyOptions()), ToyMedia())]
        with pytest.raises(UserError, match="are NaN or infinite after step 4, which was not saved"):
            fit(plans, options(checkpoint_every=2), run)
        assert run.checkpoints.steps() == [2]


def test_a_task_that_stays_at_chance_is_reported_and_one_that_learns_is_not(caplog):
    fit(toy_plans(learnable=False), options(validate_every=5, validation_puzzles=128))
    sentences = [line for line in caplog.messages if "still at chance" in line]
    assert len(sentences) == 2, "past the middle and at the end"
    assert sentences[0].startswith("toy is still at chance after 10 steps: accuracy 0.")
    assert "chance 0.500) on 128 held-out puzzles" in sentences[0]
    caplog.clear()
    fit(toy_plans(), options(steps=120, batch_size=16, learning_rate=0.02))
    assert not any("chance" in line for line in caplog.messages)


def test_the_best_weights_are_kept_where_asked():
    asked = options(steps=30, validate_every=3, learning_rate=0.3, warmup_steps=0)
    last, best = (quiet(toy_plans(), TrainOptions(**{**vars(asked), "keep": keep})) for keep in ("last", "best"))
    losses = {line["step"]: line["loss"] for line in best.history if line["split"] == "val"}
    assert best.best == {"step": min(losses, key=losses.get), "score": min(losses.values())}
    shorter = {**vars(asked), "keep": "best", "best_by": "accuracy"}
    by_accuracy = quiet(toy_plans(), TrainOptions(**shorter))
    accuracies = {line["step"]: line["accuracy"] for line in by_accuracy.history if line["split"] == "val"}
    assert by_accuracy.best["step"] == max(accuracies, key=accuracies.get)
    if best.best["step"] != 30:
        assert weights_digest(best.networks) != weights_digest(last.networks)


def test_held_out_puzzles_are_the_same_at_every_validation_and_for_every_seed():
    seen = []

    class Noting(Toy):
        def answers(self, network, batch):
            assert not self.training and not network.training and not torch.is_grad_enabled()
            seen.append(batch["keys"].tolist())
            return super().answers(network, batch)

    for seed in (0, 1):
        plans = [TaskPlan(Noting(ToyOptions()), ToyMedia(), ToyMedia(20))]
        quiet(plans, options(seed=seed, steps=4, validate_every=2, validation_puzzles=30))
    validations = [list(itertools.chain(*seen[i : i + 4])) for i in range(0, len(seen), 4)]
    assert len(validations) == 4 and all(found == validations[0] for found in validations)
    assert len({tuple(key) for key in validations[0]}) == 30


def test_minutes_are_kept():
    result = quiet(toy_plans(draw_seconds=0.002), options(steps=None, minutes=0.02))
    assert 1.2 <= result.seconds < 2.5 and result.finished
    assert result.steps > 3


def test_progress_is_reported_in_lines_with_what_matters(monkeypatch, caplog):
    from avssl.system import console

    monkeypatch.setattr(console, "LINE_EVERY_SECONDS", 0.0)
    fit(toy_plans(), options())
    message = caplog.messages
    assert message[0].startswith("training toy for 20 steps of 8 puzzles on cpu in ")
    line = next(line for line in message if line.startswith("step 12/20"))
    for part in ("loss ", "accuracy ", "steps/s", "puzzles/s", "waiting for data", "left"):
        assert part in line
    assert message[-1].startswith("trained 20 steps in ")


def test_a_loss_is_shown_from_the_first_step_on_and_is_of_the_step_beside_it(monkeypatch, caplog):
    from avssl.system import console

    monkeypatch.setattr(console, "LINE_EVERY_SECONDS", 0.0)
    often = fit(toy_plans(), options(steps=3, log_every=1, validation_puzzles=0)).history
    caplog.clear()
    fit(toy_plans(), options(steps=3, log_every=1000, validation_puzzles=0))
    shown = [line.split(" · ")[1] for line in caplog.messages if line.startswith("step ")]
    losses = [line["loss"] for line in often]
    assert shown == [f"loss {sum(losses[:n]) / n:.3g}" for n in (1, 2, 3)]


def test_losses_of_several_tasks_are_shown_by_name_and_of_the_step_beside_them(monkeypatch, caplog):
    from avssl.system import console

    monkeypatch.setattr(console, "LINE_EVERY_SECONDS", 0.0)
    joint = Sharing("joint")
    often = fit(toy_plans(2), options(steps=2, log_every=1, validation_puzzles=0), sharing=joint).history
    caplog.clear()
    fit(toy_plans(2), options(steps=2, log_every=1000, validation_puzzles=0), sharing=joint)
    (line,) = [line for line in caplog.messages if line.startswith("step 1/2")]
    losses = [f"{line['task']} loss {line['loss']:.3g}" for line in often if line["step"] == 1]
    assert len(losses) == 2 and losses == [part for part in line.split(" · ") if " loss " in part]


def test_figures_of_a_gpu_are_shown_once_they_have_arrived_and_nothing_waits_for_them(monkeypatch, caplog):
    """The CPU's stand for a GPU's, of which every second look finds that they are not there yet."""
    from avssl.system import console
    from avssl.trainer import recorder, result, transfer

    looks, waits = itertools.count(), []
    monkeypatch.setattr(console, "LINE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(result, "DRAW_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(recorder, "READ_LATE", ("cpu",))
    monkeypatch.setattr(transfer.Arrival, "there", lambda self: next(looks) % 2 == 1)
    monkeypatch.setattr(transfer.Arrival, "__call__", lambda self: waits.append(len(caplog.messages)))
    fit(toy_plans(), options(steps=6, log_every=1000, validation_puzzles=0))
    lines = [line for line in caplog.messages if line.startswith("step ")]
    shown = [next((part for part in line.split(" · ") if part.startswith("loss ")), "") for line in lines]
    assert shown[:2] == ["", ""] and shown[2] == shown[3] != "" and shown[4] not in ("", shown[2])
    assert waits and min(waits) > 5, "only at the end, when the weights are saved"


def test_on_a_terminal_of_80_columns_no_figure_of_a_training_is_cut():
    status = Status(0, 30000, 64, step=29000, share=0.96)
    status.began -= 40000
    status.figures = {"loss": 0.168, "accuracy": 0.999, "held-out accuracy": 0.539}
    line = status.short()
    assert len(line) <= 71 and line.startswith("29000/30000 · 27 min 47 s left · loss 0.168 · held-out accuracy 0.539")
    status.figures = {"loss": 0.168, "accuracy": 0.999}
    assert " · accuracy 0.999 · 0.7/s" in status.short()


def test_an_empty_data_set_and_a_task_named_twice_are_reported():
    with pytest.raises(UserError, match="toy has no items to train on"):
        quiet([TaskPlan(Toy(ToyOptions()), ToyMedia(0))], options(), encoders={})
    with pytest.raises(UserError, match="'toy' is named twice"):
        quiet(toy_plans() + toy_plans(), options())


def test_too_many_bad_files_end_even_a_training_that_skips_them():
    with pytest.raises(UserError, match=r"\d+ files could not be read in drawing \d+ puzzles; `avssl index` lists"):
        quiet(toy_plans(bad=tuple(np.arange(5, 25))), options(on_bad_file="skip"))


def test_one_bad_file_is_one_line_however_often_it_is_drawn(caplog):
    fit(toy_plans(bad=(7,)), options(on_bad_file="skip", steps=60, validation_puzzles=0))
    assert len([line for line in caplog.messages if "toy-7.mp4" in line]) == 1
    assert [line for line in caplog.messages if line.startswith("skipped 1 bad file in ")]
