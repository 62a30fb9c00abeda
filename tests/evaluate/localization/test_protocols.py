"""The frozen protocols: what each does to a map, ties included."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slow_reference as slow

from avssl.errors import UserError
from avssl.evaluate.localization.protocols import ACL_BARS, PROTOCOLS, normalise, predict, protocol, upsample


def test_a_protocol_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PROTOCOLS["lvs"].rule = "half"  # type: ignore[misc]


def test_an_unknown_protocol_says_which_was_meant() -> None:
    with pytest.raises(UserError, match="did you mean 'ez-vsl'"):
        protocol("ezvsl")


@pytest.mark.parametrize("corners", [True, False])
def test_upsampling_agrees_with_a_slow_reference(corners: bool) -> None:
    m = np.random.default_rng(0).random((7, 5))
    found = upsample(m, "bilinear-corners" if corners else "bilinear", 32)
    np.testing.assert_allclose(found, slow.bilinear(m.tolist(), 32, corners), atol=1e-9)


@pytest.mark.parametrize(("value", "pixels"), [(0.3, 16), (0.0, 16), (-0.3, 0)])
def test_a_constant_map_through_lvs_is_everything_or_nothing(value: float, pixels: int) -> None:
    lvs = PROTOCOLS["lvs"]
    m = normalise(np.full((4, 4), value), lvs.normalisation)
    assert predict(m, np.zeros((4, 4)), lvs).sum() == pixels
    ez = PROTOCOLS["ez-vsl"]
    assert predict(normalise(np.full((4, 4), value), ez.normalisation), np.zeros((4, 4)), ez).sum() == 16


@pytest.mark.parametrize("value", [0.0, 0.3, -0.7, 0.123456, 12.7])
@pytest.mark.parametrize("side", [1, 7, 14])
def test_a_constant_map_of_any_size_is_everything_or_nothing_and_never_a_rounding_error(
    value: float, side: int
) -> None:
    truth = np.eye(224)
    for name, share in {
        "ez-vsl": 1.0, "slavc": 1.0, "slavc-extended": 1.0, "slavc-fixed": float(value >= 0), "lvs": float(value >= 0),
        "ssl-align": 0.0, "ssl-align-is3": 0.0, "ssl-align-adaptive": 0.0, "ssl-align-is3-adaptive": 0.0,
    }.items():  # fmt: skip
        chosen = PROTOCOLS[name]
        m = normalise(upsample(np.full((side, side), value), chosen.upsampling), chosen.normalisation)
        assert predict(m, truth, chosen).mean() == share, name


def test_ssl_aligns_adaptive_rule_off_vggss_aligns_the_corners() -> None:
    m, truth = np.random.default_rng(2).random((7, 7)), np.zeros((224, 224))
    truth[30:90, 100:180] = 1
    chosen = PROTOCOLS["ssl-align-is3-adaptive"]
    aligned = np.asarray(slow.bilinear(m.tolist(), 224, True))
    cut = np.sort(aligned.ravel())[224 * 224 - int(truth.sum())]
    found = predict(normalise(upsample(m, chosen.upsampling), chosen.normalisation), truth, chosen)
    assert (found == (aligned > cut)).mean() > 0.9999
    other = PROTOCOLS["ssl-align-adaptive"]
    assert (predict(upsample(m, other.upsampling), truth, other) != found).any()


def test_min_max_changes_no_prediction_of_a_rule_that_ranks() -> None:
    m = np.random.default_rng(1).standard_normal((20, 20))
    for name in ("ez-vsl", "slavc", "lvs"):
        chosen = PROTOCOLS[name]
        plain = dataclasses.replace(chosen, normalisation="none")
        assert (predict(normalise(m, chosen.normalisation), m, chosen) == predict(m, m, plain)).mean() > 0.99


def test_the_fixed_threshold_of_slavc_is_a_cosine_of_zero() -> None:
    fixed = PROTOCOLS["slavc-fixed"]
    m = normalise(np.array([[-0.01, 0.0, 0.01]]), fixed.normalisation)
    assert predict(m, m, fixed).tolist() == [[False, True, True]]


PUBLISHED = {  # name: picture, seconds from where, upsampling, normalisation, rule, strict, bars
    "lvs": ("centre-crop", 10.0, "start", "bilinear", "negated-min-max", "half-strict", False, "0.05*j"),
    "ez-vsl": ("squash", 3.0, "middle", "bilinear-corners", "min-max", "half", False, "0.05*j"),
    "slavc": ("squash", 3.0, "middle", "bicubic-corners", "min-max", "half", False, "0.05*j"),
    "slavc-fixed": ("squash", 3.0, "middle", "bicubic-corners", "slavc", "absolute", False, "0.05*j"),
    "negatives": ("squash", 3.0, "middle", "bilinear", "none", "absolute", True, "j/20"),
    "ssl-align": ("squash", 3.0, "middle", "bilinear", "none", "half-strict", False, "0.05*j"),
    "acl": ("squash", 10.0, "start", "bicubic", "none", "best-absolute", False, "0.05*j"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_evaluators_are_as_their_code_has_them(name: str) -> None:
    p = protocol(name)
    found = (p.picture, p.sound_seconds, p.sound_from, p.upsampling, p.normalisation, p.rule, p.strict, p.bars)
    assert found == PUBLISHED[name]
    assert p.metrics == (f"ciou/{name}", f"auc/{name}") and p.threshold == 0.5 and not p.extended
    bars = [j / 20 for j in range(21)]
    if p.bars == "j/20":
        assert p.levels.tolist() == bars
    else:
        assert p.levels.tolist() != bars and p.levels == pytest.approx(bars)


def test_a_threshold_of_acl_is_one_of_nineteen() -> None:
    assert pytest.approx([0.05 * j for j in range(1, 20)]) == ACL_BARS


def test_negated_min_max_is_min_max_seen_from_above() -> None:
    m = np.array([[-2.0, 0.0, 2.0]])
    assert normalise(m, "negated-min-max").tolist() == [[0, 0.5, 1]]
    assert normalise(m, "min-max").tolist() == [[0, 0.5, 1]]
    assert normalise(m, "none") is m
    constant = np.full((2, 2), 3.0)
    assert normalise(constant, "negated-min-max").tolist() == [[4, 4], [4, 4]]
    assert normalise(constant, "min-max").tolist() == [[3, 3], [3, 3]]
    # (s + 1/τ)·τ/2 with τ = 0.03: a cosine of 0 is at one half, one of 1 at 0.515.
    assert normalise(np.array([[0.0, 1.0]]), "slavc") == pytest.approx(np.array([[0.5, 0.515]]))


def test_ours_predict_exactly_as_many_pixels_as_they_say() -> None:
    m, truth = np.random.default_rng(0).integers(0, 4, (5, 7)).astype(float), np.zeros((5, 7))
    truth[1:3, 2:6] = 0.5
    assert predict(m, truth, protocol("topk-half")).sum() == 17
    assert predict(m, truth, protocol("topk-truth")).sum() == 8
    with pytest.raises(ValueError, match="'peak' gives no prediction of one picture"):
        predict(m, truth, protocol("pointing"))


def test_a_map_of_the_right_size_is_left_as_it_is_and_another_is_enlarged() -> None:
    m = np.random.default_rng(0).random((6, 6)).astype(np.float32)
    assert np.array_equal(upsample(m, "bicubic", 6), m) and upsample(m, "bicubic", 6).dtype == np.float64
    for how in ("bicubic", "bicubic-corners"):
        grown = upsample(m, how, 18)
        assert grown.shape == (18, 18)
        kept = bool(abs(grown[0, 0] - m[0, 0]) < 1e-6)
        assert kept is (how == "bicubic-corners"), "aligned corners keep their values"
    assert not np.allclose(upsample(m, "bicubic", 18), upsample(m, "bilinear", 18), atol=1e-3)
    assert upsample(m, "bilinear").shape == (224, 224)
