"""Tiny labelled pictures and sounds, and the folder of a run that holds encoders of them and nothing else."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from avssl.networks.audio import AudioConfig, AudioEncoder
from avssl.networks.config import VisionConfig
from avssl.networks.front_end import FrontEndConfig
from avssl.networks.saving import save_module
from avssl.networks.vision import VisionEncoder

CLASSES = ("blue", "green", "red")
SIDE = 32


def write_pictures(folder: Path, each: int = 12, seed: int = 0, classes: tuple[str, ...] = CLASSES) -> Path:
    """Noise with a little more of one colour, in a sub-folder a class."""
    rng = np.random.default_rng(seed)
    for k, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            picture = rng.normal(100, 40, (SIDE, SIDE, 3))
            picture[..., 2 - k % 3] += 25
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / name / f"{seed}-{number:03d}.png")
    return folder


def write_sounds(folder: Path, each: int = 4, folds: int = 2, rate: int = 8000) -> Path:
    """Tones of two pitches in noise, 1.5 s each, and a CSV with their label and fold."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    lines = ["file,fold,label"]
    for name, pitch in (("high", 1500), ("low", 300)):
        for number in range(each):
            time = np.arange(round(1.5 * rate)) / rate
            tone = 0.3 * np.sin(2 * np.pi * pitch * time) + 0.02 * rng.normal(size=len(time))
            file = f"{name}{number}.wav"
            with wave.open(str(folder / file), "wb") as out:
                out.setnchannels(1)
                out.setsampwidth(2)
                out.setframerate(rate)
                out.writeframes((tone * 32767).clip(-32767, 32767).astype("<i2").tobytes())
            lines.append(f"{file},{1 + number % folds},{name}")
    (folder / "sounds.csv").write_text("\n".join(lines) + "\n")
    return folder / "sounds.csv"


def vision_encoder(seed: int = 0) -> VisionEncoder:
    """Two stages, small."""
    torch.manual_seed(seed)
    return VisionEncoder(VisionConfig("small", width=4, convs=1, blocks=2, side=SIDE)).eval()


def audio_encoder(seed: int = 0) -> AudioEncoder:
    torch.manual_seed(seed)
    return AudioEncoder(AudioConfig(FrontEndConfig(rate=8000, bands=16, seconds=0.5), width=4, convs=1)).eval()


def write_run(folder: Path, task: str = "rotation", names: tuple[str, ...] = ("vision",)) -> Path:
    """A run folder with encoders under these names, each with weights of its own."""
    (folder / "encoders").mkdir(parents=True)
    several = "tasks: [rotation, jigsaw]\n" if task == "multi-task" else ""
    (folder / "config.yaml").write_text(f"task: {task}\n{several}")
    for seed, name in enumerate(names, start=5):
        made = audio_encoder(seed) if name.startswith("audio") else vision_encoder(seed)
        save_module(made, folder / "encoders" / name)
    return folder
