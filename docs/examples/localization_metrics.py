"""Localization maps against boxes: cIoU, success rate and the area under it, with an interval over videos."""

import numpy as np

from avssl import metrics

rng = np.random.default_rng(0)
boxes = rng.uniform(0.1, 0.5, (60, 2))  # left and top of boxes 0.4 of the frame wide and high
videos = [f"video{k // 2}" for k in range(60)]  # two pictures of each
rows, columns = np.mgrid[0:224, 0:224] / 224
overlaps = []
for left, top in boxes:
    truth = metrics.union([metrics.rasterise((left, top, left + 0.4, top + 0.4), 224)], 224)
    heat = -np.hypot(columns - left - rng.normal(0.2, 0.1), rows - top - rng.normal(0.2, 0.1))
    overlaps.append(metrics.ciou(metrics.topk_exact(heat, int(truth.sum())), truth))
low, high = metrics.bootstrap_interval(np.array(overlaps) >= 0.5, videos, bounds=(0, 1))
print(f"success at 0.5: {metrics.success(overlaps):.3f} ({low:.3f} to {high:.3f})")
print(f"area under success: {metrics.success_auc(overlaps):.3f}")
