"""The state of an installation: versions, devices, decoders, readers, folders, and missing packages."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import avssl
from avssl.errors import UserError
from avssl.experiment.reader_checks import CHECKS, check_readers
from avssl.installation import (
    extra_packages,
    install_hint,
    installed_version,
    needed_packages,
    outside_tested_range,
)
from avssl.system.console import ShowProgress, counted, folder_size, size
from avssl.system.stages import stages
from avssl.version import __version__

# Package → what it is for; avssl itself does without.
TOOLS = {"pytest": "make test", "ruff": "make lint"}

# Extra of pyproject.toml → what it is for.
EXTRAS = {
    "webdataset": "reading prepared shards with other tools",
    "export": "avssl export FILE.onnx",
    "pandas": "results of a run as a frame",
    "explore": "avssl explore",
    "umap": "the map of avssl explore by UMAP",
    "search": "avssl search in more than 100,000 moments",
    "parquet": "avssl embed -o FILE.parquet",
    "keypoints": "FLIC as prepared in HDF5",
    "normals": "arrays of MATLAB 7.3",
    "timm": "encoders of timm: --vision timm:NAME",
    "detection": "COCO's average precision",
    "flow": "optical flow beside frame-filling and propagation",
    "remote": "prepared sets at s3://, gs://, hf://, https://",
    "hub": "avssl push, runs at hf://ORG/NAME, and hf-dataset:ORG/NAME",
    "datasets": "--data hf-dataset:PATH_OR_NAME, as Hugging Face's datasets",
    "fetch": "avssl fetch",
    "wandb": "--log-to wandb",
    "trackio": "--log-to trackio",
    "mlflow": "--log-to mlflow",
    "ray": "index, prepare and embed on a cluster: --engine ray",
}

# Decoders that data of the field need; FFmpeg knows hundreds more.
VIDEO = ("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8", "vp9", "av1", "theora", "mjpeg", "flv1")
SOUND = ("aac", "mp3", "mp2", "opus", "vorbis", "flac", "pcm_s16le", "ac3")
# Free space below which a prepared set of some hours of video may not fit.
ENOUGH_BYTES = 2_000_000_000

Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes:
        tables: rows by title.
        missing: packages that are not installed, and what they are for.
        outside: packages outside the range that the tests cover.
        broken: readers that do not work here.
    """

    tables: dict[str, Rows]
    missing: Rows
    outside: list[str]
    broken: list[str]

    def check(self) -> None:
        """Raise :class:`UserError` where a package is missing, or a reader does not work."""
        absent = [name for name in needed_packages() if installed_version(name) is None]
        if absent:
            raise UserError(
                f"{', '.join(absent)}: needed and not installed; in the clone: pip install -c constraints.txt -e ."
            )
        if self.broken:
            raise UserError(f"does not work here: {', '.join(self.broken)}{self.ranges or ' (see above)'}")

    @property
    def ranges(self) -> str:
        """What there is to add of packages outside the tested range; nothing where there are none."""
        return f"; outside the tested range: {', '.join(self.outside)}" if self.outside else ""


def examine_installation(shown: ShowProgress = None) -> Examination:
    """Look at everything; a small clip is written to a temporary folder and read back by every reader."""
    parts = {"versions and devices": 2.0, **CHECKS, "the cache and packages": 0.3}
    with stages("doctor", parts, shown) as begin:
        begin("versions and devices")
        versions, outside = _versions()
        devices = _devices()
        readers = check_readers(begin)
        begin("the cache and packages")
        tables = {
            "Versions": versions,
            "Devices": devices,
            "Decoders": _decoders(),
            "Readers, on a test clip": [(name, words) for name, words, _ in readers],
            "Places": _places(),
        }
        return Examination(tables, _missing(), outside, [name for name, _, well in readers if not well])


def _versions() -> tuple[Rows, list[str]]:
    """The rows, and the packages that are outside the range that the tests cover."""
    rows = [
        ("avssl", f"{__version__} in {Path(avssl.__file__).parent}"),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        ("system", platform.platform()),
    ]
    outside = []
    for name in needed_packages():
        allowed = outside_tested_range(name)
        if allowed is not None:
            outside.append(f"{name} {installed_version(name)} ({allowed})")
        note = f"  outside the tested range {allowed}" if allowed is not None else ""
        rows.append((name, (installed_version(name) or "not installed") + note))
    return rows, outside


def _devices() -> Rows:
    import torch

    from avssl.system.process_pool import spare_cores
    from avssl.trainer.devices import computes_bf16

    cpu = torch.device("cpu")
    cores = spare_cores()
    threads = counted(torch.get_num_threads(), "torch thread")
    rows = [("cpu", f"{counted(cores, 'core')}, {threads}, --precision auto is {_auto(cpu)}")]
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        device = torch.device("cuda", number)
        numbers = "bf16, fp16, fp32" if computes_bf16(device) else "fp16, fp32"
        rows.append((f"cuda:{number}", f"{facts.name}, {size(facts.total_memory)}, computes {numbers}"))
    if torch.backends.mps.is_available():
        rows.append(("mps", "Metal, fp32"))
    if len(rows) == 1:  # neither CUDA nor Metal
        rows.append(("gpu", f"none that this torch ({torch.__version__}) can use; training runs on the CPU"))
    return rows


def _auto(device: object) -> str:
    from avssl.trainer.devices import choose_precision

    return choose_precision("auto", device).name  # type: ignore[arg-type]


def _decoders() -> Rows:
    import av
    from av.codec.codec import UnknownCodecError

    # What PyAV's own FFmpeg was built with; one that the system has does not matter.
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
    from avssl.system.files import cache_folder

    cache = cache_folder()
    moved = "AVSSL_CACHE" if os.environ.get("AVSSL_CACHE") else "AVSSL_CACHE moves it"
    rows = [("cache", f"{cache} ({moved}): {size(folder_size(cache)) if cache.exists() else 'nothing there yet'}")]
    for name, place in (("free at the cache", cache), ("free here", Path.cwd())):
        free = shutil.disk_usage(_existing(place)).free
        rows.append((name, size(free) + ("" if free > ENOUGH_BYTES else ": little; prepared data may not fit")))
    return rows


# The cache need not be there yet: its disk is that of the nearest folder above.
def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _missing() -> Rows:
    rows = []
    for extra, what in EXTRAS.items():
        lacking = [name for name, of in extra_packages() if of == extra and installed_version(name) is None]
        if lacking:
            rows.append((", ".join(lacking), f"{what}: {install_hint(extra)}"))
    return rows + [(name, what) for name, what in TOOLS.items() if installed_version(name) is None]
