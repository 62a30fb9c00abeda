"""Nothing but the kind ties picture and sound: shown on many plans, which cost no rendering."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency, f_oneway

from avssl.errors import UserError
from avssl.world.physics import simulate
from avssl.world.plan import ClipPlan, ObjectPlan, plan_clip
from avssl.world.settings import KINDS, MOTIONS, PRESETS, SCENES, Settings

MANY = 2400


@pytest.fixture(scope="module")
def plans() -> list[ClipPlan]:
    return [plan_clip(Settings(), "train", index) for index in range(MANY)]


def objects_of(plans: list[ClipPlan]) -> list[tuple[ClipPlan, ObjectPlan]]:
    return [(plan, one) for plan in plans for one in (*plan.objects, *plan.offscreen)]


def hue_sixth(one: ObjectPlan) -> int:
    red, green, blue = one.colors[0]
    order = np.argsort([red, green, blue])
    return int(order[2] * 2 + (order[0] > order[1]))


def test_names_are_as_frequent_as_their_shares_say(plans: list[ClipPlan]) -> None:
    for name, share in Settings().scene_shares().items():
        assert np.mean([plan.scene == name for plan in plans]) == pytest.approx(share, abs=0.002)
    # Not only in the whole: any hundred clips hold them in nearly those shares.
    expected = 100 * Settings().scene_shares()["single"]
    assert abs(sum(plan.scene == "single" for plan in plans[700:800]) - expected) <= 3


def test_every_kind_is_as_frequent_as_any_other(plans: list[ClipPlan]) -> None:
    first = [plan.objects[0].kind for plan in plans if plan.scene == "single"]
    counts = np.array([first.count(kind) for kind in KINDS])
    assert counts.min() > 0.85 * counts.mean()


@pytest.mark.parametrize("what", ["hue", "mirrored", "motion", "sounding", "company"])
def test_the_kind_says_nothing_of_classes(plans: list[ClipPlan], what: str) -> None:
    table = np.zeros((len(KINDS), 6))
    for plan, one in objects_of(plans):
        place = {
            "hue": hue_sixth(one),
            "mirrored": int(one.mirrored),
            "motion": list(MOTIONS).index(plan.motion),
            "sounding": int(one.sounding),
            "company": len(plan.objects),
        }[what]
        table[KINDS.index(one.kind), place] += 1
    table = table[:, table.sum(axis=0) > 0]
    assert chi2_contingency(table).pvalue > 0.001


@pytest.mark.parametrize("what", ["pitch_hz", "size", "stretch", "level_db", "noise_db", "floor", "gravity", "echo"])
def test_the_kind_says_nothing_of_numbers(plans: list[ClipPlan], what: str) -> None:
    single = [(plan, plan.objects[0]) for plan in plans if plan.scene == "single"]
    groups = [
        [float(getattr(one, what, None) or getattr(plan, what, 0.0)) for plan, one in single if one.kind == kind]
        for kind in KINDS
    ]
    assert f_oneway(*groups).pvalue > 0.001


def test_the_kind_says_little_of_place_and_of_what_happens() -> None:
    # Shapes differ, so they touch a little earlier or later; no more than that.
    places: dict[str, list[float]] = {kind: [] for kind in KINDS}
    events: dict[str, list[float]] = {kind: [] for kind in KINDS}
    settings = Settings(preset="single")
    for index in range(160):
        plan = plan_clip(settings, "train", index)
        moved = simulate(plan, plan.objects, 50, 25)
        places[plan.objects[0].kind].append(float(moved.poses[:, 0, 0].mean()))
        events[plan.objects[0].kind].append(float(len(moved.hits)))
    assert f_oneway(*places.values()).pvalue > 0.001
    everything = np.concatenate(list(events.values()))
    means = np.array([np.mean(one) for one in events.values()])
    assert means.std() < 0.5 * everything.std()


def test_splits_and_seeds_are_apart() -> None:
    plans = {
        repr((plan.objects, plan.floor))
        for settings in (Settings(), Settings(seed=1))
        for split in ("train", "validation", "test")
        for plan in (plan_clip(settings, split, index) for index in range(50))
    }
    assert len(plans) == 300


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_gives_the_scenes_and_motions_it_names(preset: str) -> None:
    settings = Settings(preset=preset)
    drawn = [plan_clip(settings, "train", index) for index in range(300)]
    assert {plan.scene for plan in drawn} == {name for name, share in settings.scene_shares().items() if share > 0}
    assert {plan.motion for plan in drawn} == {name for name, share in settings.motion_shares().items() if share > 0}


def test_the_localization_preset_has_twice_as_many_clips_of_several_objects() -> None:
    drawn = [plan_clip(Settings(preset="localization"), "train", index).scene for index in range(1200)]
    assert drawn.count("single") == pytest.approx(400, abs=2) and drawn.count("several") == pytest.approx(800, abs=2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preset": "nothing"}, "preset"),
        ({"size": 33}, "size"),
        ({"fps": 0}, "fps"),
        ({"rate": 8000}, "rate"),
        ({"frames": 0}, "frames"),
        ({"train": -1}, "fewer than 0"),
        ({"scenes": {"crowd": 1.0}}, "crowd"),
        ({"scenes": {"single": 0.0}}, "more than 0"),
        ({"motions": {"bounce": -1.0, "fall": 2.0}}, "0 or more"),
    ],
)
def test_settings_that_make_no_world_are_refused_in_a_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Settings(**values)  # type: ignore[arg-type]


def test_shares_need_not_sum_to_one() -> None:
    assert Settings(scenes={"single": 3.0, "silent": 1.0}).scene_shares() == {
        **dict.fromkeys(SCENES, 0.0),
        "single": 0.75,
        "silent": 0.25,
    }
