"""Silence, noise and off-screen sound at one threshold for all pictures (vssl_eval 2024).

The threshold is universal and comes from elsewhere than the test set: here the run's own, fitted on validation clips.
pIA is the share of the picture that is predicted though nothing in it sounds, lower is better. AUC_N is the area under
the share of negatives with pIA ≤ τ. F_LOC is the harmonic mean of the mean cIoU of positives and of 1 − pIA averaged
over the three kinds of negative; F_AUC that of AUC and of AUC_N averaged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avssl.evaluate.localization import metrics
from avssl.evaluate.localization.datasets import ModelMaps, Sound, TestMedia
from avssl.evaluate.localization.protocols import PROTOCOLS, upsample
from avssl.evaluate.localization.scoring import Company, row, score_maps
from avssl.evaluate.localization.world import MapMaker
from avssl.evaluate.rows import ResultRow

KINDS: tuple[tuple[Sound, str], ...] = (("silence", "silence"), ("noise", "noise"), ("swap", "off-screen"))


def negative_rows(test: TestMedia, model: MapMaker, threshold: float, company: Company) -> list[ResultRow]:
    """Rows of positives and of the three kinds of negative, all pictures at one threshold.

    Args:
        threshold: logit above which a pixel is predicted, fitted elsewhere.
    """
    protocol = replace(PROTOCOLS["negatives"], threshold=threshold)
    note = f"pixels above {threshold:.2f}, fitted on validation clips"
    scores = score_maps(test.items, ModelMaps(model, test), [protocol])
    cious = np.asarray(scores.cious[protocol.name])[:, 0]
    clusters = [item.cluster for item in scores.items]
    name = protocol.name
    rows = [
        row("trained", f"iou/{name}", cious, clusters, company, protocol=name, note=note),
        row("trained", f"auc/{name}", metrics.auc_terms(cious), clusters, company, protocol=name, note=note),
    ]
    kept, areas_n = [], []
    for kind, called in KINDS:
        maps = ModelMaps(model, test, kind)
        found = [(maps(item, protocol), item.cluster) for item in scores.items]
        known = [(upsample(m, protocol.upsampling), cluster) for m, cluster in found if m is not None]
        areas = [metrics.predicted_area(m, threshold) for m, _ in known]
        owners = [cluster for _, cluster in known]
        rows.append(row(called, f"pia/{name}", areas, owners, company, protocol=name, note=note))
        # AUC_N of one picture: the area under the step at its pIA.
        terms = [metrics.auc_of_areas([area]) for area in areas]
        rows.append(row(called, f"auc-n/{name}", terms, owners, company, protocol=name, note=note))
        kept.append(1 - float(np.mean(areas)))
        areas_n.append(float(np.mean(terms)))
    f_loc = metrics.harmonic_mean(float(cious.mean()), float(np.mean(kept)))
    f_auc = metrics.harmonic_mean(metrics.auc(cious), float(np.mean(areas_n)))
    for metric, value in (("f-loc", f_loc), ("f-auc", f_auc)):
        plain = replace(rows[0], metric=f"{metric}/{name}", value=value, low=value, high=value)
        rows.append(replace(plain, method="none"))
    return rows
