"""Heads of puzzles and of joints, against the same thing done one puzzle at a time."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import ndimage
from torch import nn

from avssl.networks.colorization import AB_SCALE, ColorizationNetwork
from avssl.networks.config import VisionConfig
from avssl.networks.normals import NormalsNetwork
from avssl.networks.pose import POINT_WEIGHT, PoseNetwork, cell_centres, pose_loss
from avssl.networks.puzzles import PatchNetwork, PictureNetwork
from avssl.networks.shuffle_learn import TripletNetwork, blurred
from avssl.networks.vision import VisionEncoder

SIDE = 32


def encoder() -> VisionEncoder:
    torch.manual_seed(0)
    return VisionEncoder(VisionConfig(width=4, convs=1, side=SIDE, norm="group")).eval()


def frames(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)])
def test_a_picture_is_answered_from_its_map_pooled_to_cells(pool, hidden):
    vision, pictures = encoder(), frames(3)
    network = PictureNetwork(vision, 4, hidden, pool).eval()
    maps = vision(pictures)
    cell = maps.shape[-1] // pool
    pooled = torch.stack(
        [
            maps[:, :, y * cell : (y + 1) * cell, x * cell : (x + 1) * cell].mean((2, 3))
            for y in range(pool)
            for x in range(pool)
        ],
        dim=2,
    )
    torch.testing.assert_close(network(pictures), network.head(pooled.flatten(1)), atol=1e-5, rtol=1e-5)
    widths = [layer.out_features for layer in network.head if isinstance(layer, nn.Linear)]
    assert widths == [*hidden, 4]
    assert sum(isinstance(layer, nn.BatchNorm1d) for layer in network.head) == len(hidden)


def patch_network(**more):
    return PatchNetwork(encoder(), 2, 8, pool=1, features=5, hidden=(7,), **more)


@torch.no_grad()
def test_each_puzzle_is_answered_from_its_own_patches_in_their_order():
    network, patches = patch_network().eval(), frames(5)
    for layer in (network.patch, network.head[0]):
        layer[1].running_mean.normal_(), layer[1].running_var.uniform_(0.5, 2)
    chosen = torch.tensor([[0, 1], [1, 0], [4, 2]])
    logits = network(patches, chosen)
    assert logits.shape == (3, 8)
    for row, (first, second) in zip(logits, chosen.tolist(), strict=True):
        found = [network.patch(network.vision(patches[k : k + 1]).mean((2, 3))) for k in (first, second)]
        torch.testing.assert_close(row, network.head(torch.cat(found, dim=1))[0], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(logits[0], logits[1]), "what stands first counts"


def test_dropout_and_the_scale_of_norms_are_there_where_they_were_asked_for():
    def kinds(network, kind):
        return [layer for layer in network.modules() if isinstance(layer, kind)]

    assert not kinds(patch_network(), nn.Dropout)
    assert [layer.p for layer in kinds(patch_network(dropout=0.3), nn.Dropout)] == [0.3, 0.3]
    assert all(layer.affine for layer in kinds(patch_network(), nn.BatchNorm1d))
    assert not any(layer.affine for layer in kinds(patch_network(affine=False), nn.BatchNorm1d))
    linear = kinds(patch_network(), nn.Linear)
    assert [layer.bias is None for layer in linear] == [True, True, False]


def triplet_network(**more):
    options = {
        "grid": 1,
        "features": 6,
        "layers": 2,
        "hidden": 5,
        "differences": True,
        "dropout": 0.0,
        "norm": "group",
    }
    return TripletNetwork(encoder(), **{**options, **more})


@torch.no_grad()
@pytest.mark.parametrize("differences", [False, True])
@pytest.mark.parametrize("hidden", [0, 5])
def test_a_triplet_is_answered_from_its_three_frames_and_from_how_much_each_two_differ(differences, hidden):
    network = triplet_network(differences=differences, hidden=hidden).eval()
    triplets = frames(2, 3)
    logits = network({"frames": triplets})
    for row, triplet in zip(logits, triplets, strict=True):
        a, b, c = network.each(network.vision(triplet).mean((2, 3)))
        apart = [(a - c).abs(), (b - a).abs(), (c - b).abs()] if differences else []
        torch.testing.assert_close(row, network.together(torch.cat([a, b, c, *apart])), atol=1e-5, rtol=1e-5)
    whole = (triplets * 255).round().to(torch.uint8)
    torch.testing.assert_close(network({"frames": whole}), network({"frames": whole.float() / 255}))


@torch.no_grad()
def test_colours_of_triplets_change_in_training_only_each_frame_by_its_own_amount():
    network, triplets = triplet_network(), frames(2, 3)
    batch = {"frames": triplets, "brightness": torch.zeros(2, 3), "saturation": torch.ones(2, 3)}
    plain = network.eval()(batch)
    changed = {**batch, "brightness": torch.tensor([[0, 0, 0], [0, 0, 0.4]])}
    torch.testing.assert_close(network(changed), plain)
    found = network.train()(changed)
    torch.testing.assert_close(network(batch), plain)
    torch.testing.assert_close(found[0], plain[0])
    assert not torch.allclose(found[1], plain[1])


@pytest.mark.parametrize(
    ("norm", "kind", "bias"), [("batch", nn.BatchNorm1d, False), ("group", nn.LayerNorm, True), ("none", None, True)]
)
def test_layers_of_a_triplet_network_are_as_many_and_as_normalised_as_asked_for(norm, kind, bias):
    stack = triplet_network(norm=norm, layers=3, dropout=0.4).each
    linear = [layer for layer in stack if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in linear] == [6, 6, 6]
    assert all((layer.bias is not None) is bias for layer in linear)
    assert [layer.p for layer in stack if isinstance(layer, nn.Dropout)] == [0.4] * 3
    if kind is not None:
        assert sum(isinstance(layer, kind) for layer in stack) == 3
    assert not [layer for layer in triplet_network().each if isinstance(layer, nn.Dropout)]


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_blurred_frames_are_those_of_a_gaussian(sigma):
    pictures = torch.randint(0, 256, (1, 3, 3, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    radius = max(int(3 * sigma + 0.5), 1)
    theirs = ndimage.gaussian_filter(
        pictures.double().numpy() / 255, (0, 0, 0, sigma, sigma), mode="mirror", radius=(0, 0, 0, radius, radius)
    )
    torch.testing.assert_close(blurred(pictures, sigma).double(), torch.from_numpy(theirs), atol=1e-5, rtol=1e-5)
    assert blurred(pictures, 0.0) is pictures


def pose_network(cells=4, frozen=True):
    vision = encoder()
    channels = {name: one.shape[1] for name, one in vision.stages(frames(1)).items()}
    return PoseNetwork(vision, channels, joints=2, cells=cells, width=8, frozen=frozen)


def test_a_joint_lies_at_the_middle_of_its_heat():
    assert cell_centres(4, torch.device("cpu")).tolist() == [0.125, 0.375, 0.625, 0.875]
    network = pose_network()
    logits = torch.full((1, 2, 4, 4), -50.0)
    logits[0, 0, 1, 3] = 0  # row 1, column 3
    logits[0, 1, 2, 0] = logits[0, 1, 2, 1] = 0
    assert network.points(logits)[0].flatten().tolist() == pytest.approx([0.875, 0.375, 0.25, 0.625], abs=1e-5)


def test_the_loss_of_joints_by_hand():
    network, nan = pose_network(), math.nan
    logits = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    truth = torch.tensor([[[0.3, 0.6], [nan, nan]], [[1.2, 0.5], [0.8, 0.1]]])
    entropies, distances = [], []
    for person, joint in ((0, 0), (1, 1)):  # one is unknown, one outside the picture
        x, y = truth[person, joint].tolist()
        middles = [0.125, 0.375, 0.625, 0.875]
        bump = [
            [math.exp(-((mx - x) ** 2) * 16 / 2) * math.exp(-((my - y) ** 2) * 16 / 2) for mx in middles]
            for my in middles
        ]
        wanted = torch.tensor(bump) / sum(map(sum, bump))
        shares = logits[person, joint].flatten().softmax(0).view(4, 4)
        entropies.append(-(wanted * shares.log()).sum())
        predicted = [(shares.sum(0) * torch.tensor(middles)).sum(), (shares.sum(1) * torch.tensor(middles)).sum()]
        distances.append(math.hypot(float(predicted[0]) - x, float(predicted[1]) - y))
    expected = float(sum(entropies)) / 2 + POINT_WEIGHT * sum(distances) / 2
    assert float(pose_loss(network, logits, truth)) == pytest.approx(expected, rel=1e-4)
    nobody = pose_loss(network, logits.requires_grad_(), torch.full((2, 2, 2), nan))
    assert float(nobody.detach()) == 0
    nobody.backward()
    assert logits.grad.abs().sum() == 0


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_encoder_of_poses_stays_in_eval_mode(frozen):
    network = pose_network(frozen=frozen).train()
    assert network.training and network.encoder.training is not frozen
    assert all(one.requires_grad is not frozen for one in network.encoder.parameters())
    network(frames(2)).sum().backward()
    assert any(one.grad is not None for one in network.encoder.parameters()) is not frozen


def normals_network(centres=None):
    vision = encoder()
    scales = {name: (torch.zeros(one.shape[1]), torch.ones(())) for name, one in vision.stages(frames(1)).items()}
    return NormalsNetwork(vision, scales, 8, centres)


@torch.no_grad()
def test_the_loss_of_normals_is_one_minus_the_cosine_at_valid_pixels_or_the_entropy_of_the_nearest_centre():
    raw = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    truth = nn.functional.normalize(torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(1)), dim=1)
    valid = torch.tensor([[[True, False], [True, True]], [[False, False], [True, False]]])
    centres = torch.eye(3)
    cosines, entropies = [], []
    for n, y, x in valid.nonzero().tolist():
        predicted, true = raw[n, :, y, x], truth[n, :, y, x]
        cosines.append(float(predicted @ true / predicted.norm()))
        entropies.append(-float(predicted.log_softmax(0)[int(true.argmax())]))
    assert float(normals_network().loss(raw, truth, valid)) == pytest.approx(1 - sum(cosines) / 4, rel=1e-5)
    assert float(normals_network(centres).loss(raw, truth, valid)) == pytest.approx(sum(entropies) / 4, rel=1e-5)


@torch.no_grad()
def test_normals_are_predicted_at_half_the_size_as_unit_vectors():
    network = normals_network().eval()
    raw = network(frames(2)[:, :, :, :24])
    assert raw.shape == (2, 3, 16, 12)
    predicted = network.normals(raw, (32, 24))
    assert predicted.shape == (2, 3, 32, 24)
    torch.testing.assert_close(predicted.norm(dim=1), torch.ones(2, 32, 24))
    axes = normals_network(torch.eye(3))
    sure = torch.full((1, 3, 4, 4), -40.0)
    sure[:, 1] = 40
    torch.testing.assert_close(axes.normals(sure, (4, 4))[0, :, 2, 2], torch.tensor([0.0, 1.0, 0.0]))


@torch.no_grad()
def test_colours_are_predicted_from_lightness_by_the_heads_that_were_asked_for():
    common = {"side": SIDE, "map_side": 8, "width": 6, "depth": 2, "norm": "group"}
    both = ColorizationNetwork(encoder(), **common, bins=5, regression=True).eval()
    lightness = 100 * torch.rand(2, 1, SIDE, SIDE)
    predicted = both(lightness)
    assert predicted.logits.shape == (2, 5, 8, 8) and predicted.ab.shape == (2, 2, 8, 8)
    features = both.head(both.gather(both.vision.stages((lightness / 100).repeat(1, 3, 1, 1))))
    torch.testing.assert_close(predicted.logits, both.classify(features))
    torch.testing.assert_close(predicted.ab, 20 * both.regress(features))
    assert AB_SCALE == 20
    one = ColorizationNetwork(encoder(), **common, bins=0, regression=True, dropout=0.5)
    assert one(lightness).logits is None and one(lightness).ab is not None
    assert [layer.p for layer in one.modules() if isinstance(layer, nn.Dropout2d)] == [0.5]
    assert ColorizationNetwork(encoder(), **common, bins=3, regression=False)(lightness).ab is None
