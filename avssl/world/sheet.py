"""A contact sheet of a world: frames, the sound below them, and the ground truth."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from avssl.errors import UserError
from avssl.system.files import write_whole
from avssl.world.settings import SCENES
from avssl.world.truth import boxes, read_truth

_FRAMES, _SIDE, _GAP, _COLUMNS = 6, 96, 4, 2
_HEADER, _WAVE, _STRIP, _MARGIN = 22, 22, 64, 14
_WIDTH = _FRAMES * _SIDE + (_FRAMES - 1) * _GAP
_HEIGHT = _HEADER + _SIDE + _GAP + _WAVE + _STRIP
_PAGE, _TEXT, _FAINT = (250, 249, 246), (40, 40, 48), (130, 128, 136)
_SOUNDING, _SILENT = (255, 196, 0), (225, 225, 225)


@dataclass(frozen=True)
class _Clip:
    frames: NDArray[np.uint8]
    samples: NDArray[np.float32]
    rate: int
    truth: dict[str, Any]

    @property
    def seconds(self) -> float:
        return float(self.truth["frames"] / self.truth["fps"])


def contact_sheet(folder: Path, out: Path, clips: int = 10) -> None:
    """Draw a PNG sheet of at most ``clips`` varied clips of a split (``OUT/train``), or of a world's training clips.

    Raises:
        UserError: there are no clips with ground truth.
    """
    folder = Path(folder)
    inside = folder / "train" if (folder / "train").is_dir() else folder
    truths = {
        path: read_truth(path) for path in sorted(inside.glob("clip_*.mp4")) if path.with_suffix(".json").exists()
    }
    if not truths:
        raise UserError(f"{inside}: no generated clips with ground truth here; avssl world OUT makes some")
    paths = _varied(truths, clips)
    rows = -(-len(paths) // _COLUMNS)
    width = _COLUMNS * _WIDTH + (_COLUMNS + 1) * _MARGIN
    sheet = Image.new("RGB", (width, rows * (_HEIGHT + _MARGIN) + _MARGIN), _PAGE)
    for number, path in enumerate(paths):
        row, column = divmod(number, _COLUMNS)
        place = (_MARGIN + column * (_WIDTH + _MARGIN), _MARGIN + row * (_HEIGHT + _MARGIN))
        sheet.paste(_card(_read(path)), place)
    packed = io.BytesIO()
    # A palette keeps the file small; with this many colours the difference is invisible.
    sheet.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3).save(packed, "PNG", optimize=True)
    write_whole(Path(out), packed.getvalue())


def _varied(truths: dict[Path, dict[str, Any]], count: int) -> list[Path]:
    """``count`` clips that together show as much as possible, in the order of ``SCENES``."""
    seen: Counter[str] = Counter()
    chosen: list[Path] = []
    wanted = _scenes_to_show(Counter(truth["scene"] for truth in truths.values()), count)
    for scene in wanted:
        # A trait seen n times is worth 1 / (n + 1); of clips of equal worth the earlier one is taken.
        worth = {
            path: sum(1.0 / (1 + seen[trait]) for trait in _traits(truth))
            for path, truth in truths.items()
            if truth["scene"] == scene and path not in chosen
        }
        chosen.append(max(worth, key=lambda path: worth[path]))
        seen.update(_traits(truths[chosen[-1]]))
    return chosen


def _scenes_to_show(there: Counter[str], count: int) -> list[str]:
    """The scenes of the clips of a sheet: each once, then in proportion to their numbers."""
    shown: Counter[str] = Counter()
    scenes = [scene for scene in SCENES if there[scene]]
    for _ in range(min(count, there.total())):
        left = [scene for scene in scenes if shown[scene] < there[scene]]
        shown[max(left, key=lambda scene: (not shown[scene], there[scene] / (shown[scene] + 0.5)))] += 1
    return [scene for scene in scenes for _ in range(shown[scene])]


def _traits(truth: dict[str, Any]) -> list[str]:
    kinds = [f"{what} {kind}" for kind in truth["kinds_sounding"] for what in ("sounding", "heard")]
    return [truth["motion"], truth["background"], *kinds]


def _card(clip: _Clip) -> Image.Image:
    card = Image.new("RGB", (_WIDTH, _HEIGHT), _PAGE)
    draw = ImageDraw.Draw(card)
    _title(draw, clip.truth)
    for number in range(_FRAMES):
        time = (number + 0.5) * clip.seconds / _FRAMES
        card.paste(_framed(clip, time), (number * (_SIDE + _GAP), _HEADER))
    top = _HEADER + _SIDE + _GAP
    _wave(draw, clip, top)
    card.paste(_spectrogram(clip), (0, top + _WAVE))
    for event in clip.truth["events"]:
        if event["heard"]:
            x = event["time_seconds"] / clip.seconds * _WIDTH
            draw.polygon([(x - 3, top), (x + 3, top), (x, top + 5)], fill=(226, 120, 0))
    return card


def _title(draw: ImageDraw.ImageDraw, truth: dict[str, Any]) -> None:
    bold, plain = _font("DejaVuSans-Bold.ttf", 13), _font("DejaVuSans.ttf", 11)
    labels = [(one["kind"] + " ♪" * one["sounding"], one["sounding"]) for one in truth["objects"]]
    labels += [(f"off screen: {one['kind']} ♪", True) for one in truth["offscreen"]]
    x = 0.0
    for label, sounding in labels:
        draw.text((x, 3), label, font=bold, fill=_TEXT if sounding else _FAINT)
        x += draw.textlength(label, font=bold) + 14
    note = f"{truth['scene']} · {truth['motion']}"
    draw.text((_WIDTH - draw.textlength(note, font=plain), 5), note, font=plain, fill=_FAINT)


@lru_cache(maxsize=4)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font of matplotlib: it has the sign ♪, and is the same everywhere."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _framed(clip: _Clip, time: float) -> Image.Image:
    """The frame shown at ``time`` with the boxes of its objects."""
    number = min(int(time * clip.truth["fps"]), len(clip.frames) - 1)
    picture = Image.fromarray(clip.frames[number]).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    for _, sounding, (left, top, right, bottom) in boxes(clip.truth, time):
        corners = [left * _SIDE - 1, top * _SIDE - 1, right * _SIDE, bottom * _SIDE]
        draw.rectangle(corners, outline=_SOUNDING if sounding else _SILENT)
    return picture


def _wave(draw: ImageDraw.ImageDraw, clip: _Clip, top: int) -> None:
    edges = np.linspace(0, len(clip.samples), _WIDTH + 1).astype(int)
    peaks = np.maximum.reduceat(np.abs(clip.samples), edges[:-1])
    # Near-silent clips are not blown up to look loud.
    peaks = peaks / max(float(peaks.max()), 0.05)
    middle = top + _WAVE / 2 + 2
    for x, peak in enumerate(peaks):
        half = max(0.5, float(peak) * (_WAVE / 2 - 3))
        draw.line([(x, middle - half), (x, middle + half)], fill=(98, 104, 140))


def _spectrogram(clip: _Clip) -> Image.Image:
    import librosa
    import matplotlib

    mel = librosa.feature.melspectrogram(
        y=clip.samples, sr=clip.rate, n_fft=512, hop_length=clip.rate // 100, n_mels=_STRIP
    )
    level = 10 * np.log10(mel + 1e-7)
    # From a little over the room's noise to the loudest moment; a silent clip stays dark.
    bright = ((level - max(float(level.max()), -5.0) + 62.0) / 62.0).clip(0.0, 1.0)
    colors = (255 * matplotlib.colormaps["magma"](bright[::-1])[..., :3]).astype(np.uint8)
    return Image.fromarray(colors).resize((_WIDTH, _STRIP), Image.Resampling.BILINEAR)


def _read(path: Path) -> _Clip:
    with av.open(str(path)) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    return _Clip(frames.astype(np.uint8), samples.astype(np.float32), rate, read_truth(path))
