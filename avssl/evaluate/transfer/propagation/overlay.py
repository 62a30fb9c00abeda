"""Carried labels drawn over their frames: a movie of several ways side by side, and a sheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from avssl.evaluate.core.side_by_side import draw_rows, save_png
from avssl.evaluate.transfer.propagation.regions import boundary
from avssl.evaluate.transfer.propagation.videos import Frames, LabelledVideo, Masks, Points
from avssl.tasks.cards import INK, PAPER, fitted, font

Picture = NDArray[np.uint8]
Carried = NDArray[np.uint8] | NDArray[np.float64]
Shown = Sequence[tuple[LabelledVideo, Mapping[str, Carried]]]

# Side by side, where they are there
WAYS = ("truth", "trained", "random", "random/seed0", "blind/colour", "optical-flow")
# Longer side in pixels of a panel of the movie, and of the sheet
PANEL, SHEET = 320, 170
_GAP, _HEAD = 8, 26

# Of objects, easily told apart (Okabe & Ito 2008)
COLOURS = np.array(
    [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)],
    np.uint8,
)


def over(frame: Picture, labels: NDArray[np.uint8]) -> Picture:
    """A frame (h, w, 3) with the objects of a mask (h, w) tinted, and their outlines."""
    mixed, inside = frame.copy(), labels > 0
    tint = COLOURS[(labels.astype(int) - 1) % len(COLOURS)]
    mixed[inside] = (0.5 * frame[inside] + 0.5 * tint[inside]).astype(np.uint8)
    for number in np.unique(labels[inside]):
        mixed[boundary(labels == number)] = COLOURS[(int(number) - 1) % len(COLOURS)]
    return mixed


def dotted(frame: Picture, points: NDArray[np.float64]) -> Picture:
    """A frame (h, w, 3) with a dot at each point (points, 2) that is known."""
    image = Image.fromarray(frame)
    pen, radius = ImageDraw.Draw(image), max(min(image.size) / 60, 2)
    for number, (x, y) in enumerate(points):
        if np.isfinite([x, y]).all():
            colour = tuple(int(value) for value in COLOURS[number % len(COLOURS)])
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline=(0, 0, 0))
    return np.asarray(image)


def panels(frames: Frames, truth: Masks | Points, carried: Mapping[str, Carried], number: int) -> dict[str, Picture]:
    """Frame ``number`` under the labels of each way, (h, w, 3), and under the truth where the frame has one."""
    frame = np.ascontiguousarray(frames[number].transpose(1, 2, 0))
    found: dict[str, Picture] = {}
    if isinstance(truth, Points):
        if number < len(truth.places):
            found["truth"] = dotted(frame, truth.places[number])
        ways = {name: dotted(frame, np.asarray(one[number], np.float64)) for name, one in carried.items()}
    else:
        if truth.known.sum() > 1:
            shown = np.where(truth.labels[number] <= truth.objects, truth.labels[number], 0).astype(np.uint8)
            found["truth"] = over(frame, shown) if truth.known[number] else frame
        ways = {name: over(frame, np.asarray(one[number], np.uint8)) for name, one in carried.items()}
    return found | {name: ways[name] for name in WAYS if name in ways}


def movie_frames(shown: Shown) -> tuple[tuple[int, int], list[Iterator[Picture]]]:
    """Width and height of a movie of all videos, both even, and of each video its pictures (h, w, 3)."""
    sizes, ways = [], 0
    for video, carried in shown:
        frames = video.frames()
        scale = PANEL / max(frames.shape[2:])
        sizes.append((round(frames.shape[3] * scale), round(frames.shape[2] * scale)))
        ways = max(ways, len(panels(frames, video.truth(), carried, 0)))
    panel = max(width for width, _ in sizes), max(height for _, height in sizes)
    size = _even(ways * (panel[0] + _GAP) + _GAP), _even(panel[1] + _HEAD + _GAP)
    return size, [_pictures(video, carried, panel, size) for video, carried in shown]


def _pictures(
    video: LabelledVideo, carried: Mapping[str, Carried], panel: tuple[int, int], size: tuple[int, int]
) -> Iterator[Picture]:
    frames, truth, ground = video.frames(), video.truth(), None
    for number in range(len(frames)):
        found = panels(frames, truth, carried, number)
        if ground is None:
            ground = Image.new("RGB", size, PAPER)
            pen, small = ImageDraw.Draw(ground), font(13)
            for place, name in enumerate(found):
                text = f"{name} · {video.name}" if not place else name
                pen.text((_GAP + place * (panel[0] + _GAP), 5), fitted(text, small, panel[0]), INK, small)
        image = ground.copy()
        for place, picture in enumerate(found.values()):
            image.paste(_scaled(picture, PANEL), (_GAP + place * (panel[0] + _GAP), _HEAD))
        yield np.asarray(image)


def draw_sheet(path: Path, title: str, shown: Shown, scores: Mapping[str, Sequence[NDArray[np.float64]]]) -> bool:
    """Write the middle and the last but one frame of each video beside the first; False where there is no video."""
    rows = []
    for number, (video, carried) in enumerate(shown):
        frames, truth = video.frames(), video.truth()
        for instant in dict.fromkeys((len(frames) // 2, max(len(frames) - 2, 0))):
            found = {"first frame": _first(frames, truth), **panels(frames, truth, carried, instant)}
            lines = [f"{video.name}, frame {instant}" if name == "first frame" else "" for name in found]
            if not isinstance(truth, Points):
                figures = {name: scores[name][number][:, 0] for name in found if name in scores}
                lines = [
                    f"{line}J&F of the video {figures[name].mean():.2f}" if len(figures.get(name, ())) else line
                    for name, line in zip(found, lines, strict=True)
                ]
            rows.append((list(found), [_scaled(picture, SHEET) for picture in found.values()], lines))
    if not rows:
        return False
    headings = rows[0][0]
    note = "Labels of the first frame, carried to the middle and to the last frame but one."
    save_png(draw_rows(title, note, headings, [(pictures, lines) for _, pictures, lines in rows]), path)
    return True


def _first(frames: Frames, truth: Masks | Points) -> Picture:
    """The first frame with the labels that were given."""
    if isinstance(truth, Points):
        return panels(frames, truth, {}, 0)["truth"]
    return panels(frames, replace(truth, known=np.ones(len(frames), bool)), {}, 0)["truth"]


def _scaled(picture: Picture, longer: int) -> Image.Image:
    image = Image.fromarray(picture)
    scale = longer / max(image.size)
    size = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
    return image.resize(size, Image.Resampling.BILINEAR)


def _even(pixels: int) -> int:
    return pixels + pixels % 2
