"""The folder of a run written by hand: every part that a report shows, without a training."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from avssl.evaluate.core.rows import ResultRow

MARKUP = "<script>alert(1)</script> & \"more\" 'still'"
"""What would break a page that does not escape."""


def row(name: str, value: float, metric: str = "accuracy", chance: float | None = 0.25, **more: Any) -> ResultRow:
    width = more.pop("width", 0.03)
    command = more.pop("command", "avssl evaluate it --run here")
    return ResultRow(name, metric, value, value - width, value + width, 400, chance, "test", 0, command=command, **more)


def write_rows(path: Path, rows: list[ResultRow]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(each) for each in rows]))


def write_picture(path: Path, size: tuple[int, int] = (300, 200), noise: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255 if noise else 40, (size[1], size[0], 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def write_made_run(folder: Path, accuracy: float = 0.6, **options: Any) -> Path:
    """A run of rotation with every part."""
    folder.mkdir(parents=True)
    config = {"task": "rotation", "data": "photos/", "steps": 300, "seed": 0, "learning_rate": 0.1, "note": MARKUP}
    (folder / "config.yaml").write_text(yaml.safe_dump(config | options, sort_keys=False))
    environment = {"time": "2026-01-02T03:04:05+0000", "git": "abc", "machine": {"gpus": [], "cores": 2}}
    (folder / "environment.json").write_text(json.dumps(environment))
    (folder / "tasks").mkdir()
    (folder / "tasks" / "rotation.json").write_text("{}")
    lines = []
    for step in range(10, 301, 10):
        loss = math.log(4) * math.exp(-step / 200)
        line = {"step": step, "split": "train", "task": "rotation", "loss": loss, "class_loss": loss, "seconds": step}
        lines.append(line | {"accuracy": 0.25 + (accuracy - 0.25) * step / 300})
        if step % 100 == 0:
            lines.append(line | {"split": "val", "loss": loss + 0.1, "class_loss": loss + 0.1, "accuracy": accuracy})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    results = folder / "results"
    controls = [row("trained", accuracy, note=MARKUP), row("untrained", 0.24), row("shuffled-labels", 0.26)]
    write_rows(results / "controls.json", controls)
    stages = [
        row(f"{name}/conv{k}", value + 0.1 * k, chance=0.1)
        for name, value in (("trained", 0.3), ("random", 0.2))
        for k in (1, 2)
    ]
    write_rows(
        results / "linear.json", [*stages, row("pixels", 0.3, chance=0.1), row("gain", 0.1, "accuracy-difference", 0)]
    )
    few = [row(name, 0.1 * k, f"accuracy-{k}-a-class", 0.1) for name in ("trained", "random") for k in (1, 4)]
    write_rows(results / "finetune.json", [*few, row("trained", 0.7, chance=0.1), row("random", 0.6, chance=0.1)])
    write_rows(results / "retrieval.json", [row("trained/image-to-sound", 3, "median-rank", 20.5, width=1)])
    write_rows(results / "own-thing.json", [row("trained", 21.5, "psnr", None, width=0.5)])
    (results / "retrieval.html").write_text("<!doctype html><title>sounds</title>")
    for name in ("neighbors-frames", "linear"):
        write_picture(results / f"{name}.png")
    write_picture(folder / "sheet.png", (900, 200), noise=True)
    write_picture(folder / "curves.png")
    write_picture(folder / "localized.png")
    content = {"file": "/films/bell.mp4", "verdict": "something is heard 80% of the time", "moments": []}
    (folder / "localized.json").write_text(json.dumps(content))
    (folder / "localized.mp4").write_bytes(b"film")
    return folder
