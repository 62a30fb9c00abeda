"""Several tasks on one encoder, and an encoder that another run has trained."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from toy_media import ToyVideos
from trainer_toy import OtherToy, Toy, ToyMedia, ToyOptions

from avssl.errors import UserError
from avssl.networks.batchnorm import with_own_statistics
from avssl.networks.config import VisionConfig
from avssl.networks.saving import load_module
from avssl.networks.vision import VisionEncoder
from avssl.tasks.shuffle_learn.puzzle import ShuffleLearnOptions
from avssl.tasks.shuffle_learn.task import ShuffleLearn
from avssl.trainer.initial_encoders import encoders_from
from avssl.trainer.loop import fit
from avssl.trainer.options import TrainOptions
from avssl.trainer.plan import Sharing, TaskPlan
from avssl.trainer.run_folder import RunFolder

# In fp32: a machine that computes bf16 rounds a loss and its multiple differently.
OPTIONS = TrainOptions(steps=6, batch_size=8, workers=0, warmup_steps=0, precision="fp32")
SMALL = ShuffleLearnOptions(side=32, width=4, blocks=2, vision_pools=1, grid=2, features=8, hidden=8)


class DarkToy(OtherToy):
    """The other toy on much darker pictures."""

    def draw(self, media, key):
        picture, label, key = super().draw(media, key)
        return picture - 3, label, key


def toys(sharing, other=DarkToy, **options):
    wanted = ToyOptions(batch_norm=True, dropout=0.0, **options)
    plans = [TaskPlan(kind(wanted), ToyMedia(), ToyMedia(60)) for kind in (Toy, other)]
    return fit(plans, OPTIONS, sharing=sharing)


@pytest.mark.parametrize("mix", ["alternating", "joint"])
def test_tasks_share_weights_and_keep_statistics_of_their_own(mix):
    result = toys(Sharing(mix, own_statistics=True))
    ours, theirs = (result.networks[name][0] for name in ("toy", "other-toy"))
    assert ours is result.encoders["vision"] is not theirs
    assert all(a is b for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert (ours[1].running_mean - theirs[1].running_mean).abs().max() > 0.1
    mixed = toys(Sharing(mix)).networks
    assert mixed["toy"][0] is mixed["other-toy"][0]


def test_in_evaluation_statistics_of_its_own_fit_a_task_and_mixed_ones_do_not():
    """Train accuracy far above that in eval mode on the same kind of puzzles is the classic failure."""
    options = TrainOptions(
        validate_every=150, steps=150, batch_size=16, workers=0, learning_rate=0.01, validation_puzzles=256
    )
    wanted = ToyOptions(batch_norm=True, dropout=0.0)
    accuracy = {}
    for own in (True, False):
        plans = [TaskPlan(kind(wanted), ToyMedia(), ToyMedia(60)) for kind in (Toy, DarkToy)]
        history = fit(plans, options, sharing=Sharing(own_statistics=own)).history
        accuracy[own] = min(line["accuracy"] for line in history if line["split"] == "val")
    assert accuracy[True] > 0.85 and accuracy[False] < accuracy[True] - 0.1, accuracy


def test_each_task_s_encoder_is_kept_where_its_statistics_differ(tmp_path):
    class Saving(DarkToy):
        def saved(self, network):
            return {"vision": network[0]}

    wanted = ToyOptions(batch_norm=True)
    plans = [TaskPlan(kind(wanted), ToyMedia()) for kind in (Toy, Saving)]
    with RunFolder(tmp_path / "run", {}) as run:
        fit(plans, OPTIONS, run, sharing=Sharing(own_statistics=True))
    written = (tmp_path / "run" / "encoders").glob("*.safetensors")
    assert sorted(path.stem for path in written) == ["vision", "vision-other-toy"]


def test_losses_are_divided_by_what_knowing_nothing_costs():
    gradients = {}
    for by_chance in (False, True):
        plans = [TaskPlan(Toy(ToyOptions(dropout=0.0)), ToyMedia())]
        once = replace(OPTIONS, steps=1, optimizer="sgd", learning_rate=1.0, momentum=0.0, weight_decay=0.0)
        network = fit(plans, once, sharing=Sharing(by_chance=by_chance)).networks["toy"]
        gradients[by_chance] = network[-1].weight.grad
    torch.testing.assert_close(gradients[True] * plans[0].task.chance_loss(), gradients[False])


def test_a_view_of_an_encoder_moves_its_own_buffers_only():
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    view = with_own_statistics(encoder)
    view(torch.randn(8, 3, 6, 6) + 5)
    assert view[1].num_batches_tracked == 1 and encoder[1].num_batches_tracked == 0
    with torch.no_grad():
        encoder[0].weight.zero_()
    assert not view[0].weight.any()


def test_a_harmonised_encoder_sees_a_picture_and_its_grey_copy_alike_and_is_rebuilt_so(tmp_path):
    from avssl.networks.saving import save_module

    torch.manual_seed(0)
    encoder = VisionEncoder(VisionConfig(width=4, blocks=2, convs=1, side=32)).eval()
    picture = torch.rand(2, 3, 32, 32)
    red, green, blue = picture.unbind(1)
    grey = (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1).expand(-1, 3, -1, -1)
    assert not torch.allclose(encoder(picture), encoder(grey))
    encoder.see_grey()
    torch.testing.assert_close(encoder(picture), encoder(grey))
    save_module(encoder, tmp_path / "vision")
    torch.testing.assert_close(load_module(tmp_path / "vision")(picture), encoder(picture))


def first_run(folder):
    with RunFolder(folder, {}) as run:
        return fit([TaskPlan(ShuffleLearn(SMALL), ToyVideos())], replace(OPTIONS, steps=2), run)


def test_a_training_starts_from_the_encoders_of_another_run(tmp_path):
    first = first_run(tmp_path / "first")
    task = ShuffleLearn(replace(SMALL, side=48))
    given = encoders_from(tmp_path / "first", [task])
    assert given["vision"].config.side == 48, "what it is fed may be another size"
    torch.testing.assert_close(given["vision"].state_dict(), first.encoders["vision"].state_dict())
    result = fit([TaskPlan(task, ToyVideos())], replace(OPTIONS, steps=1), encoders=given)
    assert result.encoders["vision"] is given["vision"]


def test_a_run_that_cannot_be_started_from_is_reported_in_a_line(tmp_path):
    first_run(tmp_path / "first")
    with pytest.raises(
        UserError, match=r"vision encoder of .*first has another architecture \(width 4 there, 8 here\)"
    ):
        encoders_from(tmp_path / "first", [ShuffleLearn(replace(SMALL, width=8))])
    with pytest.raises(UserError, match=r"nowhere holds no encoders to start from; --init needs the folder of a run"):
        encoders_from(tmp_path / "nowhere", [ShuffleLearn(SMALL)])
    (tmp_path / "first" / "encoders" / "vision.json").unlink()
    with pytest.raises(UserError, match=r"first has no vision encoder to start from"):
        encoders_from(tmp_path / "first", [ShuffleLearn(SMALL)])
