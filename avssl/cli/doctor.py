"""``avssl doctor``: what this installation has, and what is missing for what."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from avssl import __version__
from avssl.cli.options import Command
from avssl.cli.screen import folder_size, size
from avssl.report.tables import console, plain_table

PACKAGES = (
    "torch",
    "torchvision",
    "torchaudio",
    "av",
    "librosa",
    "soxr",
    "numpy",
    "pillow",
    "safetensors",
    "matplotlib",
    "tensorboard",
    "pymunk",
)
OPTIONAL = {
    "webdataset": "reading prepared shards with other tools",
    "onnxscript": "avssl export FILE.onnx: pip install 'avssl[export]'",
    "onnxruntime": "avssl export FILE.onnx: pip install 'avssl[export]'",
    "pyarrow": "avssl embed -o FILE.parquet: pip install 'avssl[parquet]'",
    "pytest": "make test",
    "ruff": "make lint",
}
"""Package → what it is for; avssl itself does without."""

VIDEO = ("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8", "vp9", "av1", "theora", "mjpeg", "flv1")
SOUND = ("aac", "mp3", "mp2", "opus", "vorbis", "flac", "pcm_s16le", "ac3")
ENOUGH_BYTES = 2_000_000_000
"""Free space below which a prepared set of some hours of video may not fit."""


def run(argv: Sequence[str]) -> None:
    """Print the tables; exit status 0 whatever is missing."""
    command = Command(
        "avssl doctor",
        "Say what this installation has: versions, devices, precision, decoders, the cache and its size,\n"
        "free disk space, and what is missing for what. Changes nothing.",
        "avssl doctor",
    )
    command.parse(argv)
    screen = console()
    for title, rows in (
        ("Versions", _versions()),
        ("Devices", _devices()),
        ("Decoders", _decoders()),
        ("Places", _places()),
    ):
        screen.print(plain_table(["", ""], rows, title))
    missing = _missing()
    screen.print(plain_table(["", "what for"], missing, "Missing") if missing else "Nothing is missing.")


Rows = list[tuple[str, str]]


def _versions() -> Rows:
    rows = [("avssl", f"{__version__} in {Path(__file__).parent.parent}")]
    rows.append(("python", f"{platform.python_version()} ({sys.executable})"))
    rows.append(("system", platform.platform()))
    return rows + [(name, _version(name) or "not installed") for name in PACKAGES]


def _devices() -> Rows:
    import torch

    from avssl.trainer.devices import computes_bf16

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpu = torch.device("cpu")
    rows = [("cpu", f"{cores} cores, {torch.get_num_threads()} torch threads, --precision auto is {_auto(cpu)}")]
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        device = torch.device("cuda", number)
        numbers = "bf16, fp16, fp32" if computes_bf16(device) else "fp16, fp32"
        rows.append((f"cuda:{number}", f"{facts.name}, {size(facts.total_memory)}, computes {numbers}"))
    if torch.backends.mps.is_available():
        rows.append(("mps", "Metal, fp32"))
    if len(rows) == 1:
        rows.append(("gpu", f"none that this torch ({torch.__version__}) can use; training runs on the CPU"))
    return rows


def _auto(device: object) -> str:
    from avssl.trainer.devices import choose_precision

    return choose_precision("auto", device).name  # type: ignore[arg-type]


def _decoders() -> Rows:
    import av
    from av.codec.codec import UnknownCodecError

    def has(name: str) -> bool:
        try:
            return av.codec.Codec(name, "r") is not None
        except UnknownCodecError:
            return False

    libraries = ", ".join(f"{name} {'.'.join(map(str, version))}" for name, version in av.library_versions.items())
    rows = [("FFmpeg", f"inside PyAV {av.__version__}: {libraries}")]
    for kind, names in (("video", VIDEO), ("sound", SOUND)):
        lacking = [name for name in names if not has(name)]
        there = ", ".join(name for name in names if name not in lacking)
        rows.append((kind, there + (f"; not: {', '.join(lacking)}" if lacking else "")))
    return rows


def _places() -> Rows:
    from avssl.media.cache import cache_folder

    cache = cache_folder()
    told = "AVSSL_CACHE" if os.environ.get("AVSSL_CACHE") else "AVSSL_CACHE moves it"
    rows = [("cache", f"{cache} ({told}): {size(folder_size(cache)) if cache.exists() else 'nothing there yet'}")]
    for name, place in (("free at the cache", cache), ("free here", Path.cwd())):
        free = shutil.disk_usage(_existing(place)).free
        rows.append((name, size(free) + ("" if free > ENOUGH_BYTES else ": little; prepared data may not fit")))
    return rows


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _missing() -> Rows:
    rows = [(name, "needed: pip install -c constraints.txt -e .") for name in PACKAGES if _version(name) is None]
    return rows + [(name, what) for name, what in OPTIONAL.items() if importlib.util.find_spec(name) is None]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
