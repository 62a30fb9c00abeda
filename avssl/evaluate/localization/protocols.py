"""The published evaluators as frozen records with every choice explicit, and our own.

Presets reproduce the published behaviour, ties and faults included; ours, ``topk-half`` and ``topk-truth``, cut ties by
a rule and are recommended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError, did_you_mean
from avssl.evaluate.localization import metrics
from avssl.evaluate.localization.metrics import BARS, CODE_BARS, Floats, Map, Mask
from avssl.evaluate.localization.upsampling import Upsampling

Picture = Literal["squash", "centre-crop", "whole"]
Normalisation = Literal["none", "min-max", "negated-min-max", "slavc"]
Rule = Literal[
    "half", "half-strict", "adaptive", "absolute", "best-absolute", "topk-half", "topk-truth", "peak", "inside"
]

# Pixels of the grid on which all published evaluators compare
SIDE = 224

# The 19 thresholds that ACL's evaluator tries
ACL_BARS: tuple[float, ...] = tuple(j / 20 for j in range(1, 20))
# SLAVC's similarities are cosines divided by τ: its fixed normalisation brings −1/τ … 1/τ to 0 … 1
SLAVC_TAU = 0.03


@dataclass(frozen=True)
class Protocol:
    """How a map becomes a prediction, and a prediction a figure."""

    name: str  # as ``--protocol`` takes it
    summary: str  # one line, with whose evaluator it is
    metrics: tuple[str, ...]  # names of the rows it gives
    # How a frame is brought to the network: "squash" to a square, the "centre-crop" of it, or "whole", the aspect kept
    # and the map as wide as the picture
    picture: Picture = "squash"
    # How much sound, from the "start" or the "middle" of the clip
    sound_seconds: float = 3.0
    sound_from: Literal["start", "middle"] = "middle"
    # Of the raw map to 224×224. "bilinear" has half-pixel centres (cv2.INTER_LINEAR, torch with align_corners=False),
    # "-corners" aligns the corners' centres.
    upsampling: Upsampling = "bilinear-corners"
    # Of the upsampled map. It changes no rule that compares with the map's own values.
    normalisation: Normalisation = "none"
    rule: Rule = "half"  # which pixels are predicted
    threshold: float = 0.5  # of the rule "absolute"
    strict: bool = False  # whether "absolute" needs more than the threshold (vssl_eval) or as much (ACL, SLAVC)
    bars: Literal["j/20", "0.05*j"] = "0.05*j"  # of the area under the success curve
    extended: bool = False  # negatives count too: AP, max-F1, LocAcc
    # What IIoU and IAUC take together: the entries of one "picture", or those of one "clip" where the annotations are
    # of its frames (SSL-Align, whose code groups by names without their last part)
    groups: Literal["picture", "clip"] = "picture"

    @property
    def levels(self) -> Floats:
        """The 21 bars."""
        return BARS if self.bars == "j/20" else CODE_BARS


def _published(name: str, summary: str, rule: Rule, upsampling: Upsampling, **more: object) -> Protocol:
    rows = (f"ciou/{name}", f"auc/{name}")
    return Protocol(name, summary, rows, rule=rule, upsampling=upsampling, **more)  # type: ignore[arg-type]


# Presets by name. Groups: :data:`DEFAULT` and all others.
PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        Protocol(
            # Of ours, bars are j/20 exactly: the published 0.05 · j lies above the decimal for seven of the bars, and
            # an overlap of exactly 0.15 fails there
            "topk-half",
            "ours: the larger half of the pixels, exactly n/2, ties in row-major order",
            ("ciou-half", "auc-half"),
            picture="whole",
            upsampling="bilinear",
            rule="topk-half",
            bars="j/20",
        ),
        Protocol(
            "topk-truth",
            "ours: as many pixels as the truth has, exactly; an upper bound on choosing a threshold",
            ("iou-adaptive", "ciou-adaptive", "auc-adaptive"),
            picture="whole",
            upsampling="bilinear",
            rule="topk-truth",
            bars="j/20",
        ),
        Protocol(
            # AVOL-Net has no public code; where ties are broken is ours to say
            "pointing",
            "AVOL-Net 2018: whether the centre of the map's first largest cell lies in the truth",
            ("pointing",),
            picture="whole",
            rule="peak",
            bars="j/20",
        ),
        Protocol(
            "inside",
            "ours: whether the mean heat is greater inside the truth than outside (for two halves: the sounding side)",
            ("inside",),
            picture="whole",
            upsampling="bilinear",
            rule="inside",
        ),
        _published(
            # test.py of LVS. Its boxes are shares of the whole frame though the frame is cropped: of frames that are
            # not square the two do not match
            "lvs",
            "LVS 2021: 14×14 cosines, cv2 linear, 1 − min-max of the negated map, > sorted[n/2]",
            "half-strict",
            "bilinear",
            picture="centre-crop",
            sound_seconds=10.0,
            sound_from="start",
            normalisation="negated-min-max",
        ),
        _published(
            # test.py of EZ-VSL, and the same in FNAC: the truth is taken for the whole batch, so it is right with a
            # batch size of 1 alone
            "ez-vsl",
            "EZ-VSL 2022 and FNAC 2023: bilinear, corners aligned, min-max, ≥ sorted[n/2]",
            "half",
            "bilinear-corners",
            normalisation="min-max",
        ),
        _published(
            # test.py of SLAVC: its README has --relative_prediction, its scripts do not; hence two presets
            "slavc",
            "SLAVC 2022 with --relative_prediction: bicubic, corners aligned, min-max, ≥ sorted[n/2]",
            "half",
            "bicubic-corners",
            normalisation="min-max",
        ),
        _published(
            "slavc-fixed",
            "SLAVC 2022 as its scripts run it: bicubic, corners aligned, (s + 1/τ)·τ/2 with τ = 0.03, ≥ 0.5",
            "absolute",
            "bicubic-corners",
            normalisation="slavc",
        ),
        Protocol(
            # EvaluatorFull in SLAVC's utils.py, whose recall leaves out positives in a wrong place
            "slavc-extended",
            "SLAVC 2022, extended sets: as slavc; AP, max-F1 and LocAcc over positives and negatives",
            ("ap/slavc-extended", "max-f1/slavc-extended", "locacc/slavc-extended"),
            upsampling="bicubic-corners",
            rule="half",
            extended=True,
        ),
        _published(
            # eval.py of vssl_eval; its own thresholds are constants in the code, on what data they were fitted is not
            # said
            "negatives",
            "vssl_eval 2024: one threshold for all pictures (>), from validation clips; silence, noise, off-screen",
            "absolute",
            "bilinear",
            strict=True,
            bars="j/20",
        ),
        _published(
            # test.py of SSL-Align, which enlarges maps of VGG-SS by cv2 and those of other sets by torch
            "ssl-align",
            "SSL-Align 2023, VGG-SS: cv2 linear, > sorted[n/2]",
            "half-strict",
            "bilinear",
            groups="clip",
        ),
        _published(
            "ssl-align-adaptive",
            "SSL-Align 2025, VGG-SS, adaptive: as ssl-align, > sorted[n − |G|]",
            "adaptive",
            "bilinear",
            groups="clip",
        ),
        _published(
            "ssl-align-is3",
            "SSL-Align 2025 on all sets but VGG-SS (IS3, VPO, AVSBench): bilinear, corners aligned, > sorted[n/2]",
            "half-strict",
            "bilinear-corners",
            groups="clip",
        ),
        _published(
            "ssl-align-is3-adaptive",
            "SSL-Align 2025 on those sets, adaptive: bilinear, corners aligned, > sorted[n − |G|]",
            "adaptive",
            "bilinear-corners",
            groups="clip",
        ),
        _published(
            # Eval.py of ACL, which keeps the best of 19 thresholds and not half of the pixels: it is not bound by the
            # half's ceiling
            "acl",
            "ACL 2024: soft mask in 0..1, bicubic, ≥ the best of 0.05 … 0.95 ON THE TEST SET (by AUC)",
            "best-absolute",
            "bicubic",
            sound_seconds=10.0,
            sound_from="start",
        ),
    )
}

# What is computed where no protocol is asked for
DEFAULT: tuple[str, ...] = ("pointing", "topk-truth", "topk-half", "inside")


def protocol(name: str) -> Protocol:
    """A preset by its name.

    Raises:
        UserError: there is none of this name.
    """
    if name not in PROTOCOLS:
        near = did_you_mean(name, ["all", *PROTOCOLS])
        raise UserError(f"no protocol of localization is called {name!r}{near}")
    return PROTOCOLS[name]


def upsample(m: Map, how: Upsampling, side: int = SIDE) -> Floats:
    """A raw map (h, w) on the grid (side, side), by a named rule; a map of that size is left as it is.

    A constant map stays one to the last bit: interpolation would leave rounding errors, which rules that compare with
    the map's own values would take for a ranking, and min-max would blow up to a picture.
    """
    if m.shape == (side, side):
        return m.astype(np.float64)
    if metrics.is_constant(m):
        return np.full((side, side), float(m.flat[0]))
    import torch  # heavy: not for the names of protocols

    # By torch, as the published evaluators: figures stay theirs to the last bit (metrics.upsample agrees to 1e-12).
    mode, _, corners = how.partition("-")
    tensor = torch.from_numpy(np.ascontiguousarray(m, dtype=np.float64))[None, None]
    out = torch.nn.functional.interpolate(tensor, size=(side, side), mode=mode, align_corners=corners == "corners")
    found: Floats = out[0, 0].numpy()
    return found


def normalise(m: Floats, how: Normalisation) -> Floats:
    """The upsampled map as the evaluator scales it; a constant map stays as LVS leaves it, 1 + c."""
    if how == "none":
        return m
    if how == "slavc":
        return (m + 1 / SLAVC_TAU) * SLAVC_TAU / 2
    low, high = float(m.min()), float(m.max())
    if how == "negated-min-max":
        return m + 1 if high == low else 1 - (high - m) / (high - low)
    return m if high == low else (m - low) / (high - low)


def predict(m: Floats, truth: NDArray[np.floating], chosen: Protocol) -> Mask:
    """The predicted pixels of a map that is on the truth's grid, for the rules that need no other pictures.

    Raises:
        ValueError: NaN or infinity in the map, or a rule that is not of one picture.
    """
    match chosen.rule:
        case "half":
            return metrics.half(m)
        case "half-strict":
            return _lvs(m) if chosen.normalisation == "negated-min-max" else metrics.half_strict(m)
        case "adaptive":
            return metrics.adaptive(m, truth)
        case "absolute":
            return metrics.absolute(m, chosen.threshold, strict=chosen.strict)
        case "topk-half":
            return metrics.topk_exact(m, m.size // 2)
        case "topk-truth":
            return metrics.topk_exact(m, metrics.area(truth))
        case other:
            raise ValueError(f"the rule {other!r} gives no prediction of one picture")


def _lvs(m: Floats) -> Mask:
    """LVS's two steps: the median of 1 − min-max(−m), and the constant map that its code does not normalise.

    A constant map c reaches the threshold as 1 + c and is compared with the median of the *unshifted* map, c ≥ 0: all
    pixels are predicted, c < 0: none.
    """
    if not metrics.is_constant(m):
        return metrics.half_strict(m)
    return np.full(m.shape, bool(m.flat[0] >= 1))  # normalise() made it 1 + c
