"""The frozen protocols: what each does to a map, ties included."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slow_reference as slow

from avssl.errors import UserError
from avssl.evaluate.localization.protocols import PROTOCOLS, normalise, predict, protocol, upsample


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
