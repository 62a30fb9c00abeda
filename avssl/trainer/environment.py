"""The environment of a run: versions, machine, git revision, command line."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from avssl.installation import installed_version
from avssl.system.process_pool import spare_cores
from avssl.system.ranks import processes

PACKAGES = ("avssl", "torch", "torchvision", "torchaudio", "av", "librosa", "soxr", "numpy", "pillow", "safetensors")


def describe_environment() -> dict[str, Any]:
    """Versions, machine, git revision of this package's checkout (None if it has none) and command line."""
    cpu = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": shlex.join(sys.argv),
        "git": _git_revision(),
        "versions": {"python": platform.python_version(), **{name: installed_version(name) for name in PACKAGES}},
        "machine": {
            "system": platform.platform(),
            "processor": cpu.get("cpu_name", platform.processor()),
            "cores": spare_cores(),
            "torch_threads": torch.get_num_threads(),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        },
        "processes": processes(),
    }


def _git_revision() -> str | None:
    """ "1234abc…", with "+changes" where files differ from it."""
    root, revision = _git("rev-parse", "--show-toplevel"), _git("rev-parse", "HEAD")
    if not root or not revision or Path(root).resolve() != Path(__file__).resolve().parents[2]:
        return None  # no checkout, or that of another project in which this package is installed
    return f"{revision}+changes" if _git("status", "--porcelain", "--untracked-files=no") else revision


def _git(*arguments: str) -> str | None:
    try:
        here = Path(__file__).parent
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
