"""Masks of the objects of a clip are part of its truth, painted again from the settings of its world."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from avssl.errors import UserError
from avssl.world import Settings, generate, is_finished, read_masks, read_truth
from avssl.world.plan import plan_clip

SMALL = Settings(train=0, validation=0, test=3, size=64, frames=12, preset="tracking")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("masks") / "world"
    generate(out, SMALL, workers=1)
    return out


def test_the_mask_of_the_object_in_front_fills_its_box_and_the_others_lie_within_theirs(world: Path) -> None:
    for clip in sorted((world / "test").glob("*.mp4")):
        masks, truth = read_masks(clip), read_truth(clip)
        assert masks.shape == (12, 64, 64) and masks.dtype == np.uint8
        assert masks.max() <= len(truth["objects"])
        for number, one in enumerate(truth["objects"], start=1):
            for mask, box in zip(masks == number, one["boxes"], strict=True):
                rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
                left, top, right, bottom = (round(64 * edge) for edge in box)
                if number == len(truth["objects"]):  # painted last: nothing hides it
                    assert (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) == (left, top, right, bottom)
                elif len(rows):
                    assert left <= columns[0] and columns[-1] < right and top <= rows[0] and rows[-1] < bottom


def test_objects_of_the_tracking_preset_hide_each_other_and_half_of_the_clips_hold_things_that_look_alike() -> None:
    plans = [plan_clip(Settings(preset="tracking"), "test", index) for index in range(40)]
    alike = [plan for plan in plans if len({one.kind for one in plan.objects}) == 1]
    assert len(alike) == pytest.approx(20, abs=2) and all(plan.scene == "alike" for plan in alike)
    colors = np.array([[one.colors[0] for one in plan.objects[:2]] for plan in alike], int)
    assert np.abs(colors[:, 0] - colors[:, 1]).max() <= 24
    assert all(len({one.kind for one in plan.objects}) == len(plan.objects) for plan in plans if plan not in alike)


def test_masks_of_a_clip_away_from_its_world_or_of_another_world_are_refused_in_a_line(
    world: Path, tmp_path: Path
) -> None:
    truth = json.loads((world / "test" / "clip_00000.json").read_text())
    lone = tmp_path / "lone" / "test" / "clip_00000.json"
    lone.parent.mkdir(parents=True)
    lone.write_text(json.dumps(truth))
    with pytest.raises(UserError, match="keep clips there"):
        read_masks(lone)
    (lone.parents[1] / "world.json").write_text(json.dumps({**SMALL.as_json(), "seed": 5}))
    with pytest.raises(UserError, match="its boxes are not those"):
        read_masks(lone)
    lone.write_text(json.dumps({**truth, "version": 1}))
    with pytest.raises(UserError, match="version 1"):
        read_masks(lone)


def test_a_world_of_before_there_were_further_scenes_is_still_whole(world: Path) -> None:
    file = world / "world.json"
    found = json.loads(file.read_text())
    # As an older version wrote it: scenes and motions that do not occur are not all named.
    for shares in (found["scenes"], found["motions"]):
        for name in [name for name, share in shares.items() if not share]:
            del shares[name]
    file.write_text(json.dumps(found))
    assert is_finished(world, SMALL)
    generate(world, SMALL)
    assert read_masks(world / "test" / "clip_00001.mp4").any()
