"""The metrics of all protocols as pure functions of arrays: no run, no files, no PyTorch.

    from avssl import metrics

    metrics.ciou(metrics.half(heat), metrics.union([metrics.rasterise(box, 224)], 224))
    metrics.bootstrap_interval(scores, videos)

Each says in its docstring what it takes, in which shape and unit, and whose definition it is.
"""

from __future__ import annotations

from avssl.evaluate.core.average_precision import average_precision, mean_average_precision
from avssl.evaluate.core.average_precision import map_interval as mean_average_precision_interval
from avssl.evaluate.core.statistics import accuracy_interval, mcnemar
from avssl.evaluate.core.statistics import auc as roc_auc
from avssl.evaluate.core.statistics import auc_interval as roc_auc_interval
from avssl.evaluate.core.statistics import cluster_bootstrap as bootstrap_interval
from avssl.evaluate.core.statistics import wilson as wilson_interval
from avssl.evaluate.localization.metrics import (
    absolute,
    adaptive,
    ciou,
    consensus,
    extended_ap,
    extended_max_f1,
    half,
    half_strict,
    pointing,
    rasterise,
    success,
    topk_exact,
    union,
)
from avssl.evaluate.localization.metrics import auc as success_auc
from avssl.evaluate.localization.upsampling import upsample
from avssl.evaluate.pretext.picture_metrics import colorfulness, psnr, ssim
from avssl.evaluate.retrieval.metrics import expected_rank, ndcg, ndcg_chance, recall_chance
from avssl.evaluate.transfer.detection.box_precision import (
    Detections,
    Truth,
    coco_matched,
    coco_precision,
    voc_matched,
    voc_precision,
)
from avssl.evaluate.transfer.detection.box_precision import iou as box_iou
from avssl.evaluate.transfer.keypoints.pck import errors_in_units as keypoint_errors
from avssl.evaluate.transfer.keypoints.pck import head_unit, pck, pck_auc, pck_by_joint, pck_curve
from avssl.evaluate.transfer.normals.angles import angles as normal_angles
from avssl.evaluate.transfer.propagation.points import tracked_pck, tracked_points
from avssl.evaluate.transfer.propagation.regions import box_overlap as mask_box_overlap
from avssl.evaluate.transfer.propagation.regions import contour_accuracy, region_similarity
from avssl.evaluate.transfer.propagation.regions import course as mean_recall_decay
from avssl.networks.feature_health import alignment, effective_rank, feature_std, knn_accuracy, uniformity

__all__ = [
    "Detections",
    "Truth",
    "absolute",
    "accuracy_interval",
    "adaptive",
    "alignment",
    "average_precision",
    "bootstrap_interval",
    "box_iou",
    "ciou",
    "coco_matched",
    "coco_precision",
    "colorfulness",
    "consensus",
    "contour_accuracy",
    "effective_rank",
    "expected_rank",
    "extended_ap",
    "extended_max_f1",
    "feature_std",
    "half",
    "half_strict",
    "head_unit",
    "keypoint_errors",
    "knn_accuracy",
    "mask_box_overlap",
    "mcnemar",
    "mean_average_precision",
    "mean_average_precision_interval",
    "mean_recall_decay",
    "ndcg",
    "ndcg_chance",
    "normal_angles",
    "pck",
    "pck_auc",
    "pck_by_joint",
    "pck_curve",
    "pointing",
    "psnr",
    "rasterise",
    "recall_chance",
    "region_similarity",
    "roc_auc",
    "roc_auc_interval",
    "ssim",
    "success",
    "success_auc",
    "topk_exact",
    "tracked_pck",
    "tracked_points",
    "uniformity",
    "union",
    "upsample",
    "voc_matched",
    "voc_precision",
    "wilson_interval",
]
