"""A clip is a pure function of its name; its truth is what is seen and heard in it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from avssl.world.clip import make_clip
from avssl.world.physics import simulate
from avssl.world.picture import Painter
from avssl.world.plan import plan_clip
from avssl.world.settings import KINDS, MOTIONS, SCENES, Settings
from avssl.world.truth import audible, truth_bytes


def settings_of(**values: Any) -> Settings:
    return Settings(**{"size": 64, "frames": 50, **values})


def level_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))


def test_the_same_name_gives_the_same_truth_frames_and_sound() -> None:
    first, again = (make_clip(settings_of(preset="localization"), "train", 2) for _ in range(2))
    assert truth_bytes(first.truth) == truth_bytes(again.truth)
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.samples, again.samples)


def test_another_seed_split_or_index_is_another_clip() -> None:
    names = [(0, "train", 0), (1, "train", 0), (0, "test", 0), (0, "validation", 0), (0, "train", 1)]
    clips = [make_clip(settings_of(seed=seed, frames=2), split, index) for seed, split, index in names]
    for one, other in itertools.combinations(clips, 2):
        assert not np.array_equal(one.frames, other.frames)
        assert not np.array_equal(one.samples, other.samples)


def test_the_size_of_the_picture_changes_nothing_that_happens() -> None:
    small, large = (make_clip(settings_of(size=size), "train", 3).truth for size in (64, 128))
    assert small["events"] == large["events"]
    assert [one["heard"] for one in small["objects"]] == [one["heard"] for one in large["objects"]]


@pytest.mark.parametrize("motion", ["bounce", "struck", "fall"])
@pytest.mark.parametrize("scene", ["single", "several"])
def test_a_box_holds_exactly_the_pixels_that_its_object_changes(motion: str, scene: str) -> None:
    settings = settings_of(size=96, frames=20, scenes={scene: 1.0}, motions={motion: 1.0})
    for index in range(2):
        plan = plan_clip(settings, "test", index)
        moved = simulate(plan, plan.objects, settings.frames, settings.fps)
        everything = frozenset(range(len(plan.objects)))
        for number in everything:
            # Alone before the background and the background alone: nothing else covers it.
            alone = Painter(plan, moved, settings.size, settings.fps, hidden=everything - {number})
            without = Painter(plan, moved, settings.size, settings.fps, hidden=everything)
            for shown, empty in zip(alone.frames(), without.frames(), strict=True):
                changed = np.abs(np.asarray(shown.image, int) - np.asarray(empty.image, int)).max(axis=2) > 24
                rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
                seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
                box = shown.boxes[number]
                assert box is not None
                # The outline is dark: before a dark background its soft edge may differ by a pixel or two.
                assert np.abs(seen - np.array(box) * settings.size).max() <= 2


@pytest.mark.parametrize("motion", MOTIONS)
def test_objects_stay_in_the_picture_and_things_happen_to_them(motion: str) -> None:
    settings = settings_of(size=32, scenes={"single": 1.0}, motions={motion: 1.0})
    events = 0
    for index in range(8):
        plan = plan_clip(settings, "train", index)
        moved = simulate(plan, plan.objects, settings.frames, settings.fps)
        assert (moved.poses[..., :2] > 0.0).all() and (moved.poses[..., :2] < 1.0).all()
        events += sum(0.0 <= hit.seconds < settings.seconds for hit in moved.hits)
    assert events >= 8 * settings.seconds


def test_a_fall_only_loses_energy() -> None:
    settings = settings_of(size=32, frames=88, scenes={"single": 1.0}, motions={"fall": 1.0})
    for index in range(6):
        plan = plan_clip(settings, "train", index)
        hits = simulate(plan, plan.objects, settings.frames, settings.fps).hits
        falls = [hit for hit in hits if hit.direction[1] > 0.9]
        assert all(hit.cause == "impact" for hit in hits)
        assert falls[-1].strength < 0.75 * falls[0].strength


def test_every_event_with_silence_before_it_is_heard_at_its_time() -> None:
    settings = settings_of(size=32, frames=88, scenes={"single": 1.0})
    # Breaths and shakers swell, bells beat; these begin at once.
    found = 0
    for index in range(48):
        if plan_clip(settings, "train", index).objects[0].kind not in ("drum", "xylophone", "guitar"):
            continue
        clip = make_clip(settings, "train", index)
        for before, event in itertools.pairwise([{"time_seconds": 0.0}, *clip.truth["events"]]):
            time = event["time_seconds"]
            if time - before["time_seconds"] > 0.3 and event["impulse"] > 0.5 and time < 3.4:
                assert abs(onset_seconds(clip.samples, time, settings.rate) - time) < 0.010, (index, event)
                found += 1
    assert found >= 20


def onset_seconds(samples: np.ndarray, near: float, rate: int) -> float:
    """When the sound rises most: in steps of 1 ms within 60 ms of ``near``, the greatest rise of its slope's power."""
    start = round((near - 0.06) * rate)
    # Differences favour the high partials of an attack over the low ones of a dying tone.
    stretch = np.diff(samples[start : start + round(0.12 * rate)].astype(np.float64)) ** 2
    power = stretch[: len(stretch) // 16 * 16].reshape(-1, 16).mean(axis=1)
    rise = np.array([power[i : i + 4].mean() - power[i - 4 : i].mean() for i in range(4, len(power) - 4)])
    return start / rate + (int(rise.argmax()) + 4) * 16 / rate


def test_a_harder_hit_is_louder() -> None:
    settings = settings_of(size=32, frames=88, scenes={"single": 1.0})
    loud, soft = [], []
    for index in range(40):
        plan = plan_clip(settings, "train", index)
        if plan.objects[0].kind not in ("drum", "xylophone"):
            continue
        clip = make_clip(settings, "train", index)
        for event in clip.truth["events"]:
            start = round(event["time_seconds"] * settings.rate)
            heard = level_db(clip.samples[start : start + 800]) - plan.level_db
            (loud if event["impulse"] > 0.7 else soft if event["impulse"] < 0.3 else []).append(heard)
    assert len(loud) > 10 and len(soft) > 10
    assert np.median(loud) > np.median(soft) + 6.0


def test_a_silent_scene_holds_the_noise_floor_and_nothing_else() -> None:
    settings = settings_of(size=32, scenes={"silent": 1.0})
    clip = make_clip(settings, "train", 0)
    assert clip.truth["kinds_sounding"] == [] and clip.truth["kinds_visible"]
    assert not audible(clip.truth, 0.0, settings.seconds)
    quarters = [level_db(quarter) for quarter in np.split(clip.samples, 4)]
    assert max(quarters) < clip.truth["noise_db"] + 4.0
    assert min(quarters) > clip.truth["noise_db"] - 3.0, "a room is never digitally silent"


def test_what_is_heard_is_louder_than_the_floor_and_what_is_not_is_not() -> None:
    settings = settings_of(size=32, frames=88, scenes={"single": 1.0}, motions={"struck": 1.0})
    for index in range(16):
        clip = make_clip(settings, "test", index)
        floor = clip.truth["noise_db"]
        stretches = clip.truth["objects"][0]["heard"]
        for start, end in stretches:
            assert level_db(clip.samples[round(start * 16000) : round(end * 16000)]) > floor + 2.0
        for (_, start), (end, _) in itertools.pairwise(stretches):
            if end - start > 0.2:
                # Echoes may linger a little.
                assert level_db(clip.samples[round((start + 0.1) * 16000) : round(end * 16000)]) < floor + 6.0


def test_nearly_every_second_of_a_sounding_clip_is_audible() -> None:
    settings = settings_of(size=32, frames=88)
    windows = []
    for index in range(32):
        clip = make_clip(settings, "train", index)
        if clip.truth["scene"] != "silent":
            windows += [audible(clip.truth, start, start + 1.0) for start in np.arange(0.0, 2.5, 0.25)]
    assert np.mean(windows) > 0.97


@pytest.mark.parametrize("scene", SCENES)
def test_each_scene_is_what_its_name_says(scene: str) -> None:
    settings = settings_of(size=32, frames=4, scenes={scene: 1.0})
    for index in range(6):
        truth = make_clip(settings, "train", index).truth
        objects = truth["objects"]
        sounding = [one["kind"] for one in objects if one["sounding"]]
        kinds = 1 if scene == "alike" else len(objects)
        assert len({one["kind"] for one in objects}) == kinds, "no kind twice: which one sounds must be clear"
        expected = {
            "single": (1, 1, 1, 0),
            "several": (2, 3, 1, 0),
            "duet": (2, 3, 2, 0),
            "offscreen": (1, 2, 0, 1),
            "silent": (1, 3, 0, 0),
            "alike": (2, 3, 0, 0),
        }[scene]
        assert expected[0] <= len(objects) <= expected[1]
        assert (len(sounding), len(truth["offscreen"])) == expected[2:]
        assert not {one["kind"] for one in truth["offscreen"]} & set(truth["kinds_visible"])
        assert set(truth["kinds_sounding"]) == {*sounding, *(one["kind"] for one in truth["offscreen"])}
        assert set(truth["kinds_visible"]) <= set(KINDS)
