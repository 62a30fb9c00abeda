"""Drawing: heat over a frame, the curve of confidence below it, the strip of key frames."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from avssl.localization.analysis import Analysis
from avssl.localization.regions import peak_of

Picture = NDArray[np.uint8]

GROUND, GRID, INK = (18, 20, 28), (70, 76, 92), (226, 229, 238)
TRACE, HEARD, PRESENT = (255, 170, 64), (74, 54, 30), (255, 255, 255)
# Largest opacity of the heat: what is beneath it must still be recognised
STRONGEST = 0.62
NOTHING = "nothing in the picture is heard"


def heat_over(picture: Picture, region: NDArray[np.float32], margin: float, heard: bool) -> Picture:
    """The picture with the heat of a region on it, and a ring at its peak; untouched where nothing is heard.

    Args:
        picture: (height, width, 3).
        region: (h, w), over the whole picture.
        margin: by how much the largest logit lies above the threshold; at 0 the heat is half as strong as it can be.
    """
    if not heard:
        return picture
    height, width = picture.shape[:2]
    fine = Image.fromarray(region).resize((width, height), Image.Resampling.BICUBIC)
    share = np.clip(np.asarray(fine) / max(float(region.max()), 1e-6), 0, 1)
    share = share**2 * (3 - 2 * share)  # a soft step: full about the peak, nothing where little is left
    share *= 1 / (1 + np.exp(-np.clip(margin, -30, 30)))
    colours = _LUT[(share * 255).astype(np.uint8)]
    alpha = (STRONGEST * share)[..., None].astype(np.float32)
    mixed = Image.fromarray((picture * (1 - alpha) + colours * alpha).astype(np.uint8))
    across, down = peak_of(region)
    x, y = across * width, down * height
    radius = max(min(width, height) / 28, 4)
    draw = ImageDraw.Draw(mixed)
    line = max(round(radius / 4), 1)
    draw.ellipse(
        (x - radius - line, y - radius - line, x + radius + line, y + radius + line), outline=(0, 0, 0), width=line
    )
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=PRESENT, width=line)
    return np.asarray(mixed)


class TraceStrip:
    """The curve of a scene of so many seconds, drawn once; each frame marks its own time on a copy."""

    def __init__(self, analysis: Analysis, seconds: float, width: int, height: int) -> None:
        self._seconds = max(seconds, 1e-6)
        self.width, self.height = width, height
        self._font = ImageFont.load_default(size=max(height / 5.2, 9))
        self._top, self._bottom = round(height * 0.36), height - max(round(height * 0.08), 2)
        self._ground = self._drawn(analysis)

    def at(self, seconds: float, heard: bool) -> Picture:
        """The strip at a time: (height, width, 3)."""
        image = self._ground.copy()
        draw = ImageDraw.Draw(image)
        x = self._x(seconds)
        draw.line((x, self._top, x, self._bottom), fill=PRESENT, width=max(self.height // 40, 1))
        pad = max(self.height // 14, 2)
        draw.text((pad, pad), "heard here" if heard else NOTHING, font=self._font, fill=TRACE if heard else INK)
        text = f"{seconds:.1f} s"
        draw.text((self.width - pad - draw.textlength(text, font=self._font), pad), text, font=self._font, fill=INK)
        return np.asarray(image)

    def _x(self, seconds: float) -> float:
        return min(max(seconds / self._seconds, 0.0), 1.0) * (self.width - 1)

    def _y(self, share: float) -> float:
        return self._bottom - share * (self._bottom - self._top)

    def _drawn(self, analysis: Analysis) -> Image.Image:
        image = Image.new("RGB", (self.width, self.height), GROUND)
        draw = ImageDraw.Draw(image)
        times = analysis.seconds
        edges = np.concatenate([[0.0], (times[1:] + times[:-1]) / 2, [self._seconds]])
        for number in np.flatnonzero(analysis.heard):
            left, right = self._x(edges[number]), self._x(edges[number + 1])
            draw.rectangle((left, self._top, max(right, left), self._bottom), fill=HEARD)
        draw.line((0, self._y(0.5), self.width, self._y(0.5)), fill=GRID, width=1)
        share = np.where(np.isfinite(analysis.levels_db), analysis.probabilities(), 0.0)
        line = [(self._x(t), self._y(float(p))) for t, p in zip(times, share, strict=True)]
        if len(line) == 1:
            line = [(0.0, line[0][1]), (self.width - 1.0, line[0][1])]
        draw.line(line, fill=TRACE, width=max(self.height // 40, 1))
        return image


def key_frames(analysis: Analysis, count: int) -> list[int]:
    """The most confident map of each of ``count`` equal segments."""
    # A little longer, so that the last segment holds the last map
    edges = np.linspace(analysis.seconds[0], analysis.seconds[-1] + 1e-9, count + 1)
    chosen = []
    for low, high in itertools.pairwise(edges):
        inside = np.flatnonzero((analysis.seconds >= low) & (analysis.seconds < high))
        if len(inside):
            chosen.append(int(inside[np.argmax(analysis.scores[inside])]))
    return chosen or [0]


def frames_strip(pictures: list[tuple[Picture, float, bool]]) -> Image.Image:
    """Key frames side by side, each with its second and whether something is heard."""
    height, width = pictures[0][0].shape[:2]
    label, gap = max(round(height * 0.1), 14), 6
    sheet = Image.new("RGB", (len(pictures) * (width + gap) + gap, height + label + 2 * gap), GROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=label * 0.7)
    for number, (picture, seconds, heard) in enumerate(pictures):
        left = gap + number * (width + gap)
        sheet.paste(Image.fromarray(picture), (left, gap))
        text = f"{seconds:.2f} s" if heard else f"{seconds:.2f} s: nothing"
        draw.text((left, height + 1.5 * gap), text, font=font, fill=TRACE if heard else INK)
    return sheet


def _lut() -> NDArray[np.float32]:
    """256 colours from dark violet over red to yellow, piecewise linear."""
    stops = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    colours = np.array([[20, 8, 60], [110, 20, 120], [210, 50, 70], [250, 140, 30], [255, 245, 120]], np.float32)
    place = np.linspace(0, 1, 256)
    return np.stack([np.interp(place, stops, colours[:, c]) for c in range(3)], axis=1).astype(np.float32)


_LUT = _lut()
