"""The demo: a video with heat where its sound comes from, a JSON file and a strip of frames."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avssl.errors import UserError
from avssl.localization.analysis import Analysis, analyse
from avssl.localization.drawing import TraceStrip, frames_strip, heat_over, key_frames
from avssl.localization.localizer import Localizer
from avssl.localization.movie import movie
from avssl.localization.scenes import Scene
from avssl.system.console import Progress, progress
from avssl.system.files import whole_file, write_whole

# Pixels of the output's longer side: small pictures are enlarged, large ones reduced
SMALLEST, LARGEST = 320, 960
# Height of the curve below the picture, as a share of the picture's width or half its height
STRIP_SHARE = 0.16
KEY_FRAMES = 6
# If something is heard for a smaller share of the time than this, the verdict is that nothing is
MOST_OF_NOTHING = 0.05


@dataclass(frozen=True)
class DemoFiles:
    """What was written, and its verdict in one line."""

    scene: str
    video: Path
    facts: Path
    moments: Path
    verdict: str


def show_scene(scene: Scene, localizer: Localizer, out: Path, *, per_second: float = 8.0, run: str = "") -> DemoFiles:
    """Write the video (``.mp4``), and beside it ``.json``, with the name of the run, and ``.png``; so many maps a
    second.

    Raises:
        UserError: the disk is full or not writable; then no partial file is left.
    """
    with progress("listening", "map") as on_progress:
        analysis = analyse(scene, localizer, per_second, on_progress)
    size = output_size(scene.width, scene.height)
    strip = TraceStrip(analysis, scene.seconds, size[0], strip_height(size))
    with progress("drawing", "frame") as on_progress:
        _write(scene, analysis, size, strip, out, on_progress)
    facts, moments = out.with_suffix(".json"), out.with_suffix(".png")
    with whole_file(facts, "w") as file:
        # JSON knows no NaN; browsers refuse a file with one.
        json.dump(as_json(scene, analysis, run), file, indent=1, allow_nan=False)
    _write_key_frames(scene, analysis, size, moments)
    return DemoFiles(scene.name, out, facts, moments, verdict(analysis))


def verdict(analysis: Analysis) -> str:
    """One line: how often something in the picture is heard, or that nothing is."""
    share = float(analysis.heard.mean())
    if not np.isfinite(analysis.levels_db).any():
        return "the sound is silent throughout: nothing is heard"
    if share < MOST_OF_NOTHING:
        return "nothing audible is in the picture: no place answers to the sound"
    return f"something in the picture is heard {share:.0%} of the time"


def as_json(scene: Scene, analysis: Analysis, run: str) -> dict[str, Any]:
    """Peaks and scores of all maps: places in shares of the picture, from its left upper corner."""
    probabilities = analysis.probabilities()
    moments = []
    for number, seconds in enumerate(analysis.seconds):
        x, y = analysis.peak(number)
        level = float(analysis.levels_db[number])
        heard = bool(analysis.heard[number])
        moments.append(
            {
                "seconds": round(float(seconds), 4),
                "heard": heard,
                "score": round(float(analysis.scores[number]), 4),
                "probability": round(float(probabilities[number]), 4),
                "peak": [round(x, 4), round(y, 4)] if heard else None,
                "level_db": round(level, 1) if np.isfinite(level) else None,
            }
        )
    return {
        "file": scene.name,
        "run": run,
        "verdict": verdict(analysis),
        "heard_share": round(float(analysis.heard.mean()), 4),
        "threshold": analysis.threshold,
        "map_size": list(analysis.maps.shape[1:]),
        "seconds": round(scene.seconds, 4),
        "moments": moments,
    }


def output_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) of the picture in the output: even, aspect kept to a pixel, its longer side within bounds.

    Raises:
        UserError: a picture so narrow that nothing of it would be left.
    """
    longer = max(width, height)
    scale = max(1.0, SMALLEST / longer) if longer < SMALLEST else min(1.0, LARGEST / longer)
    across, down = (max(round(v * scale / 2) * 2, 2) for v in (width, height))
    if min(across, down) < 16:
        raise UserError(f"a picture of {width}×{height} pixels is too narrow to show anything")
    return across, down


def strip_height(size: tuple[int, int]) -> int:
    """Pixels of the trace beneath the picture: even."""
    return max(round(max(size[0], size[1] / 2) * STRIP_SHARE / 2) * 2, 48)


def _write(
    scene: Scene, analysis: Analysis, size: tuple[int, int], strip: TraceStrip, out: Path, on_progress: Progress
) -> None:
    times = scene.times
    # The last frame lasts to the end of the scene, a millisecond at least.
    ends = np.append(times[1:], max(scene.seconds, times[-1] + 1e-3))
    # The mean rate, for the encoder's rate control alone: frames keep their own times
    fps = len(times) / max(scene.seconds, 1e-3)
    whole = size[0], size[1] + strip.height
    with movie(out, whole, fps, scene.seconds, scene.sound, scene.audio_rate) as writer:
        for number, picture in scene.frames(range(len(times)), size):
            seconds = float(times[number])
            region, score, heard = analysis.at(seconds)
            shown = heat_over(picture, region, score - analysis.threshold, heard)
            writer.show(np.concatenate([shown, strip.at(seconds, heard)]), seconds, float(ends[number]))
            on_progress(number + 1, len(times))


def _write_key_frames(scene: Scene, analysis: Analysis, size: tuple[int, int], path: Path) -> None:
    chosen = key_frames(analysis, KEY_FRAMES)
    numbers = [int(np.searchsorted(scene.times, analysis.seconds[number] - 1e-9)) for number in chosen]
    scale = min(1.0, 320 / max(size))
    small = max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
    pictures = []
    for number, (_, picture) in zip(chosen, scene.frames(numbers, small), strict=False):
        heard, margin = bool(analysis.heard[number]), float(analysis.scores[number]) - analysis.threshold
        shown = heat_over(picture, analysis.region(number), margin, heard)
        pictures.append((shown, float(analysis.seconds[number]), heard))
    buffer = io.BytesIO()
    frames_strip(pictures).save(buffer, "PNG")
    write_whole(path, buffer.getvalue())
