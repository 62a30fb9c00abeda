"""Metrics are to be had as pure functions from ``avssl.metrics``, without PyTorch and without a run."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from avssl import metrics

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "localization_metrics.py"


def test_a_script_of_less_than_twenty_lines_scores_maps_against_boxes(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 20
    found = runpy.run_path(str(EXAMPLE))
    lines = capsys.readouterr().out.splitlines()
    share, low, high = (float(text) for text in re.findall(r"0\.\d{3}", lines[0]))
    assert share == pytest.approx(np.mean(np.array(found["overlaps"]) >= 0.5), abs=5e-4)
    assert 0 < low < share < high < 1
    assert lines[1] == f"area under success: {metrics.success_auc(found['overlaps']):.3f}"


def test_metrics_load_no_pytorch_and_say_what_they_take() -> None:
    code = "import avssl, sys; avssl.metrics.pck; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
    assert all(getattr(metrics, name).__doc__ for name in metrics.__all__)


def test_metrics_of_each_family_by_hand() -> None:
    assert metrics.average_precision([0.9, 0.8, 0.1], [1, 0, 1], "step") == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.roc_auc([0.9, 0.8, 0.1], [1, 0, 1]) == 0.5
    assert metrics.box_iou([[0, 0, 2, 2]], [[1, 0, 3, 2]])[0, 0] == pytest.approx(1 / 3)
    assert metrics.pck(np.array([[0.1, 0.3]]), 0.2) == 0.5
    up, right = np.zeros((3, 1, 1)), np.zeros((3, 1, 1))
    up[1], right[0] = 1, 1
    assert metrics.normal_angles(up, right)[0] == pytest.approx(90)
    assert metrics.ndcg([[0.2, 0.9]], [[1, 0]])[0] == pytest.approx(1 / np.log2(3))
    assert metrics.psnr(np.full((3, 1, 1), 1.0), np.zeros((3, 1, 1)), np.ones((1, 1), bool)) == pytest.approx(
        48.13, abs=0.01
    )
