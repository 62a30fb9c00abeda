"""One whole clip: plan, motion, pictures, sound and ground truth. A pure function of (settings, split, index)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.world.physics import Hit, Motion, simulate
from avssl.world.picture import Box, Painter
from avssl.world.plan import ClipPlan, ObjectPlan, plan_clip
from avssl.world.settings import VERSION, Settings
from avssl.world.sound import Mix, Source, mix


@dataclass(frozen=True)
class Clip:
    frames: NDArray[np.uint8]  # RGB, uint8 (n, size, size, 3)
    samples: NDArray[np.float32]  # sound, float32 (n,), full scale ±1
    truth: dict[str, Any]  # see avssl.world.truth


def make_clip(settings: Settings, split: str, index: int) -> Clip:
    plan = plan_clip(settings, split, index)
    motion = simulate(plan, plan.objects, settings.frames, settings.fps)
    # An object off screen moves as if it were alone in its own picture.
    alone = [(plan.offscreen[i : i + 1], f"offscreen {i}") for i in range(len(plan.offscreen))]
    offscreen = [simulate(plan, one, settings.frames, settings.fps, name).hits for one, name in alone]
    sounding = [number for number, one in enumerate(plan.objects) if one.sounding]
    sources = [Source(plan.objects[i], [hit for hit in motion.hits if hit.object == i]) for i in sounding]
    sources += [Source(one, hits) for one, hits in zip(plan.offscreen, offscreen, strict=True)]
    sound = mix(plan, sources, settings.seconds, settings.rate)
    painter = Painter(plan, motion, settings.size, settings.fps)
    frames = np.empty((settings.frames, settings.size, settings.size, 3), dtype=np.uint8)
    boxes: list[list[Box | None]] = []
    for number, frame in enumerate(painter.frames()):
        frames[number] = np.asarray(frame.image)
        boxes.append(frame.boxes)
    truth = _truth(settings, plan, painter.theme, boxes, _events(settings, plan, motion, offscreen), sound)
    return Clip(frames, sound.samples, truth)


def rounded_boxes(boxes: Sequence[Box | None]) -> list[list[float] | None]:
    """Boxes of an object as its truth has them."""
    return [box and [round(edge, 4) for edge in box] for box in boxes]


def _events(settings: Settings, plan: ClipPlan, motion: Motion, offscreen: list[list[Hit]]) -> list[dict[str, Any]]:
    """All hits within the clip, silent ones too, in order of time."""
    found = [
        _event(hit, hit.object, plan.objects[hit.object], plan.objects[hit.object].sounding) for hit in motion.hits
    ]
    for number, (one, hits) in enumerate(zip(plan.offscreen, offscreen, strict=True)):
        found += [_event(hit, len(plan.objects) + number, one, True) for hit in hits]
    inside = [event for event in found if 0.0 <= event["time_seconds"] < settings.seconds]
    return sorted(inside, key=lambda event: (event["time_seconds"], event["object"]))


def _event(hit: Hit, number: int, one: ObjectPlan, heard: bool) -> dict[str, Any]:
    return {
        "time_seconds": round(hit.seconds, 4),
        "object": number,
        "kind": one.kind,
        "cause": hit.cause,
        "impulse": round(hit.strength, 3),
        "heard": heard,
    }


def _truth(
    settings: Settings,
    plan: ClipPlan,
    theme: str,
    boxes: list[list[Box | None]],
    events: list[dict[str, Any]],
    sound: Mix,
) -> dict[str, Any]:
    heard = iter(sound.heard)
    objects = [
        {
            "kind": one.kind,
            "color": list(one.colors[0]),
            "size": round(one.size, 4),
            "pitch_hz": round(one.pitch_hz, 2),
            "sounding": one.sounding,
            "boxes": rounded_boxes([frame[number] for frame in boxes]),
            "heard": [list(segment) for segment in next(heard)] if one.sounding else [],
        }
        for number, one in enumerate(plan.objects)
    ]
    offscreen = [
        {"kind": one.kind, "pitch_hz": round(one.pitch_hz, 2), "heard": [list(segment) for segment in next(heard)]}
        for one in plan.offscreen
    ]
    return {
        "version": VERSION,
        "seed": plan.seed,
        "split": plan.split,
        "index": plan.index,
        "scene": plan.scene,
        "motion": plan.motion,
        "background": theme,
        "fps": settings.fps,
        "rate": settings.rate,
        "size": settings.size,
        "frames": settings.frames,
        "kinds_visible": sorted({one.kind for one in plan.objects}),
        "kinds_sounding": sorted({one.kind for one in (*plan.objects, *plan.offscreen) if one.sounding}),
        "objects": objects,
        "offscreen": offscreen,
        "events": events,
        "level_db": round(plan.level_db, 2),
        "noise_db": round(plan.noise_db, 2),
    }
