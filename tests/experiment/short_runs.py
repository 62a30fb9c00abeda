"""One short training of every task, and what it comes to: losses, rows of the controls, a checksum of each weight.

``short_runs.json`` beside this file holds these figures as they were when it was recorded. Record them anew only
where a change is meant to change figures, and say so in CHANGELOG.md; all runs, or those that are named::

    OMP_NUM_THREADS=1 PYTHONPATH=. .venv/bin/python tests/experiment/short_runs.py [NAME …]

Figures of another version are recorded by this very file if ``PYTHONPATH`` names a checkout of that version.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as pillow
from safetensors.torch import load_file

from avssl.cli.main import main

RECORD = Path(__file__).with_name("short_runs.json")
ROW = ("name", "metric", "value", "low", "high", "n", "chance", "split", "seed")
"""What a row must keep: its note may be put better."""

SIDE, FPS, RATE, SECONDS = 72, 10, 8000, 2.4
CLIPS, PICTURES = 18, 30

COMMON = (
    *("--workers", "0", "--device", "cpu", "--precision", "fp32", "--batch-size", "6", "--warmup-steps", "2"),
    *("--log-every", "1", "--validate-every", "3", "--validation-puzzles", "6", "--checkpoint-every", "3"),
    *("--control-puzzles", "12", "--control-steps", "2", "--seed", "3"),
)
SMALL = ("--width", "4", "--blocks", "3", "--vision", "small", "--features", "16", "--hidden", "16", "--dropout", "0.2")
SOUND = ("--width", "4", "--side", "48", "--rate", "8000", "--bands", "24", "--masking", "0.2", "--transpose", "0.1")
# Defaults of the version that the runs were recorded with.
BEFORE = ("--vision-pools", "3", "--mosaic", "0", "--silent-rows", "0", "--min-loudness-db", "null")

RUNS: dict[str, tuple[str, ...]] = {
    "av-correspondence-l3": (
        *("av-correspondence", "--data", "clips", "--steps", "6", *SOUND, *BEFORE, "--fusion", "l3", "--grey", "0.3"),
        *("--negatives", "drawn", "--hard-negatives", "0.3", "--contrastive", "0", "--no-prepare"),
    ),
    "av-correspondence-ave": (
        *(
            "av-correspondence",
            "--data",
            "clips",
            "--steps",
            "6",
            *SOUND,
            *BEFORE,
            "--fusion",
            "ave",
            "--front-end",
            "ave",
        ),
        *("--silent-rows", "0.2", "--min-loudness-db", "-60", "--keep", "best", "--alignment", "overlap"),
    ),
    "av-correspondence-avol": (
        *("av-correspondence", "--data", "clips", "--steps", "6", *SOUND, *BEFORE, "--fusion", "avol", "--frames", "2"),
        *("--norm", "group", "--accumulate", "2", "--no-prepare"),
    ),
    "av-instance": (
        *("av-instance", "--data", "clips", "--steps", "8", *SOUND, "--negatives", "16", "--agreement", "consensus"),
        *("--agreement-epoch", "1", "--agreed", "3", "--no-prepare"),
    ),
    "av-sync": (
        *("av-sync", "--data", "clips", "--steps", "6", "--side", "32", "--width", "4", "--audio-width", "4"),
        *("--rate", "8000", "--bands", "24", "--features", "8", "--steps-a-clip", "6", "--easy-epochs", "1"),
        *("--hard", "0.3", "--super-hard", "0.3", "--least-shift", "0.2", "--no-prepare"),
    ),
    "shuffle-learn": (
        *("shuffle-learn", "--data", "clips", "--steps", "6", "--side", "48", "--width", "4", "--features", "8"),
        *("--hidden", "8", "--grid", "2", "--gap-min", "0.1", "--tau-min", "0.1", "--motion", "--differences"),
        "--no-prepare",
    ),
    "video-colorization": (
        *("video-colorization", "--data", "clips", "--steps", "6", "--side", "32", "--width", "4", "--head-width", "8"),
        *("--dimensions", "8", "--colours", "4", "--interval", "0.1", "--no-prepare"),
    ),
    "relative-position": (
        *("relative-position", "--data", "pictures", "--steps", "6", *SMALL, "--patch", "16", "--gap", "4"),
        *("--jitter", "2", "--colour", "project", "--coarsen", "0.5", "--pixels-low", "4000", "--pixels-high", "6000"),
    ),
    "rotation": (
        *("rotation", "--data", "pictures", "--steps", "6", "--vision", "small", "--width", "4", "--blocks", "3"),
        *("--side", "32", "--pad", "3", "--optimizer", "sgd", "--learning-rate", "0.05", "--schedule", "step"),
    ),
    "jigsaw": (
        *("jigsaw", "--data", "pictures", "--steps", "6", *SMALL, "--permutations", "8", "--cell", "18"),
        *("--tile", "14", "--puzzles", "2", "--channel-jitter", "1", "--grey", "0.3"),
    ),
    "colorization-classification": (
        *("colorization", "--data", "pictures", "--steps", "6", "--target", "classification", "--side", "32"),
        *("--width", "4", "--head-width", "8", "--contrast", "0.2", "--dropout", "0.1"),
    ),
    "colorization-regression": (
        *("colorization", "--data", "clips", "--steps", "6", "--target", "regression", "--side", "32"),
        *("--width", "4", "--head-width", "8"),
    ),
    "colorization-both": (
        *("colorization", "--data", "pictures", "--steps", "6", "--target", "both", "--side", "32", "--width", "4"),
        *("--bins", "equal", "--colours", "16", "--no-rebalance", "--sigma", "3", "--head-width", "8"),
    ),
    "inpainting": (
        *("inpainting", "--data", "pictures", "--steps", "6", "--side", "32", "--width", "4", "--decoder-width", "4"),
        *("--adversarial", "0.1", "--hole", "region", "--keep", "best", "--best-by", "loss"),
    ),
    "instance-contrast-simclr": (
        *("instance-contrast", "--data", "pictures", "--steps", "6", "--side", "32", "--width", "4", "--norm", "batch"),
        *("--dimensions", "16"),
    ),
    "instance-contrast-moco": (
        *("instance-contrast", "--data", "clips", "--steps", "6", "--method", "moco", "--side", "24", "--width", "4"),
        *("--queue", "16", "--shuffle", "2", "--dimensions", "16", "--no-prepare"),
    ),
    "instance-contrast-pirl": (
        *(
            "instance-contrast",
            "--data",
            "pictures",
            "--steps",
            "6",
            "--method",
            "pirl",
            "--side",
            "24",
            "--width",
            "4",
        ),
        *("--bank-negatives", "8", "--dimensions", "16", "--accumulate", "2"),
    ),
    "frame-filling": (
        *("frame-filling", "--data", "clips", "--steps", "6", "--side", "32", "--width", "4", "--head-width", "8"),
        "--no-prepare",
    ),
    "frame-filling-tubes": (
        *("frame-filling", "--data", "clips", "--steps", "6", "--hide", "tubes", "--side", "32", "--width", "4"),
        *("--head-width", "8", "--frames", "4", "--spacing-min", "0.1", "--spacing-max", "0.1", "--no-prepare"),
    ),
    "multi-task-alternating": (
        *("multi-task", "--tasks", "shuffle-learn,av-correspondence", "--data", "clips", "--steps", "6"),
        *("--shuffle-learn.side", "48", "--shuffle-learn.features", "8", "--shuffle-learn.hidden", "8"),
        *("--shuffle-learn.gap-min", "0.1", "--shuffle-learn.tau-min", "0.1", "--shuffle-learn.width", "4"),
        *("--av-correspondence.side", "48", "--av-correspondence.bands", "24", "--av-correspondence.fusion", "ave"),
        *("--av-correspondence.vision-pools", "3", "--av-correspondence.silent-rows", "0"),
        *("--av-correspondence.min-loudness-db", "null", "--av-correspondence.mosaic", "0", "--no-prepare"),
    ),
    "multi-task-joint": (
        *("multi-task", "--tasks", "rotation,colorization,jigsaw,inpainting", "--data", "pictures", "--mix", "joint"),
        *("--steps", "5", "--weights", "1,0.5,1,2", "--statistics", "shared", "--all-grey"),
        *("--rotation.width", "4", "--rotation.side", "32", "--colorization.side", "32"),
        *("--colorization.head-width", "8", "--jigsaw.permutations", "8", "--jigsaw.cell", "18", "--jigsaw.tile", "14"),
        *(
            "--jigsaw.features",
            "8",
            "--jigsaw.hidden",
            "8",
            "--inpainting.side",
            "32",
            "--inpainting.decoder-width",
            "4",
        ),
    ),
}
"""Name → words after ``avssl train``: every task, and variants that compute in other ways."""


def machine() -> dict[str, Any]:
    """What decides whether figures are equal to the bit: the libraries, and how this CPU adds up."""
    return {
        "torch": torch.__version__,
        "av": av.__version__,
        "numpy": np.__version__,
        "pillow": version("pillow"),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "arithmetic": _arithmetic(),
    }


def make_data(folder: Path) -> str:
    """Write ``clips/`` and ``pictures/`` without loss; returns a digest of what is decoded from them again."""
    found = hashlib.sha256()
    for number in range(CLIPS):
        path = folder / "clips" / f"{number:02d}.mkv"
        _write_clip(path, number)
        for array in _decoded(path):
            found.update(array.tobytes())
    for number in range(PICTURES):
        path = folder / "pictures" / f"{number:02d}.png"
        path.parent.mkdir(exist_ok=True)
        rng = np.random.default_rng((7, number))
        pillow.fromarray(np.stack([_texture(rng, 88, 104, 20, 235) for _ in "rgb"], axis=-1)).save(path)
        found.update(np.asarray(pillow.open(path)).tobytes())
    return found.hexdigest()[:16]


def train(name: str, data: Path, out: Path) -> dict[str, Any]:
    """Train the run ``name`` by the command; returns its figures.

    Returns:
        ``lines`` of metrics.jsonl but for times, ``rows`` of the controls, figures alone, and ``weights``: digests of
        all tensors by file and name.
    """
    words = [str(data / word) if word in ("clips", "pictures") else word for word in RUNS[name]]
    status = main(["train", *words, *COMMON, "--out", str(out)])
    if status:
        raise RuntimeError(f"{name}: avssl train ended with status {status}")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rows = json.loads((out / "results" / "controls.json").read_text())
    weights = {
        path.stem: {tensor: _digest(value.numpy().tobytes()) for tensor, value in sorted(load_file(path).items())}
        for path in sorted((out / "encoders").glob("*.safetensors"))
    }
    return {
        "lines": [{k: v for k, v in line.items() if k not in ("seconds", "data_wait")} for line in lines],
        # Rows of an extra depend on whether it is installed.
        "rows": [{k: row[k] for k in ROW} for row in rows if not row["name"].endswith("optical-flow")],
        "weights": weights,
    }


# --- how ------------------------------------------------------------------------------------------------


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def _arithmetic() -> str:
    """A digest of sums whose order is the CPU's and its libraries' choice: the same capability may have other ones."""
    rng = np.random.default_rng(0)
    maps, kernels = (torch.from_numpy(rng.normal(size=s).astype(np.float32)) for s in ((4, 32, 24, 24), (48, 32, 3, 3)))
    maps.requires_grad_()
    found = torch.nn.functional.conv2d(maps.to(memory_format=torch.channels_last), kernels, padding=1)
    flat = torch.nn.functional.batch_norm(found, None, None, training=True).flatten(1)
    products, spectrum = flat @ flat.T, torch.fft.rfft(flat).abs().log1p()
    small = torch.nn.functional.interpolate(found, (31, 17), mode="bilinear", antialias=True)
    total = products.softmax(1).sum() + spectrum.mean() + small.square().mean() + flat.exp().std()
    (gradient,) = torch.autograd.grad(total, maps)
    return _digest(b"".join(value.detach().numpy().tobytes() for value in (products, spectrum, small, gradient)))


def _texture(rng: np.random.Generator, height: int, width: int, low: int, high: int) -> NDArray[np.uint8]:
    """Patches of grey that run into each other (height, width), another picture from each state of ``rng``."""
    rough = rng.integers(low, high, (height // 8 + 2, width // 8 + 2))
    y, x = np.arange(height), np.arange(width)
    dy, dx = (y % 8)[:, None], x % 8
    corner = [rough[(y // 8 + i)[:, None], x // 8 + j] for i in (0, 1) for j in (0, 1)]
    top, bottom = corner[0] * (8 - dx) + corner[1] * dx, corner[2] * (8 - dx) + corner[3] * dx
    return ((top * (8 - dy) + bottom * dy) // 64).astype(np.uint8)


def _write_clip(path: Path, number: int) -> None:
    """A disc crosses a coloured texture, and a tone of its own swells as it goes: FFV1 and PCM, so nothing is lost."""
    rng = np.random.default_rng((5, number))
    planes = [
        _texture(rng, SIDE, SIDE, 40, 200),
        *(_texture(rng, SIDE // 2, SIDE // 2, 70, 186) for _ in "uv"),
    ]
    start, speed, colour = rng.integers(10, SIDE - 10, 2), rng.integers(-4, 5, 2), rng.integers(30, 226, 3)
    y, x = np.mgrid[:SIDE, :SIDE]
    t = np.arange(round(SECONDS * RATE))
    swell = 2000 + 9000 * ((t * (1 + number % 4) // (RATE // 4)) % 3)
    tone = swell * np.sin(2 * np.pi * (250 + 90 * number) / RATE * t) + rng.integers(-300, 301, len(t))
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w", format="matroska") as container:
        video = container.add_stream("ffv1", rate=FPS)
        video.width, video.height, video.pix_fmt = SIDE, SIDE, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for k in range(round(SECONDS * FPS)):
            centre = (start + k * speed) % SIDE
            disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 120
            seen = [np.where(disc[:: 1 + (c > 0), :: 1 + (c > 0)], colour[c], plane) for c, plane in enumerate(planes)]
            content = np.concatenate([plane.astype(np.uint8).ravel() for plane in seen]).reshape(-1, SIDE)
            frame = av.VideoFrame.from_ndarray(content, format="yuv420p")
            frame.pts, frame.time_base = k, Fraction(1, FPS)
            container.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray(np.rint(tone).astype(np.int16)[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = RATE, 0, Fraction(1, RATE)
        container.mux([*audio.encode(sound), *audio.encode(None), *video.encode(None)])


def _decoded(path: Path) -> list[NDArray[Any]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0, audio=0)]


def record(names: list[str]) -> None:
    """Train these runs and write their figures; the figures of others stay."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AVSSL_CACHE"] = f"{folder}/cache"
        data = Path(folder) / "data"
        data.mkdir()
        found: dict[str, Any] = {"data": make_data(data), "machine": machine()}
        if names:
            before = json.loads(RECORD.read_text(encoding="utf-8"))
            if found != {key: before[key] for key in found}:
                raise SystemExit(f"the others were recorded with {before['machine']}: record all")
            found = before
        for name in names or RUNS:
            found[name] = train(name, data, Path(folder) / name)
    RECORD.write_text(_text(found), encoding="utf-8")


def _text(found: dict[str, Any]) -> str:
    """JSON with a line for each kind of figure of each run, so that a diff says which has changed."""
    entries = []
    for key, value in found.items():
        content = json.dumps(value, separators=(",", ":"))
        if key in RUNS:
            parts = (f'"{kind}":{json.dumps(part, separators=(",", ":"))}' for kind, part in value.items())
            content = "{\n " + ",\n ".join(parts) + "}"
        entries.append(f'"{key}":{content}')
    return "{\n" + ",\n".join(entries) + "\n}\n"


if __name__ == "__main__":
    record(sys.argv[1:])
