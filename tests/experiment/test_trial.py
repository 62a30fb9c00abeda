"""A leak that is planted for a control is caught; a control that sees nothing of it is called blind."""

from __future__ import annotations

import numpy as np
import pytest
from made_pictures import Textures
from toy_media import RATE, Gliding, ToyVideos

from avssl.evaluate.pretext import shortcuts
from avssl.experiment.audit.copied import copies_found
from avssl.experiment.audit.marks import Leak, mark
from avssl.experiment.audit.planted import Drawn, caught
from avssl.experiment.audit.trial import shortcut_finding
from avssl.media.selection import Subset
from avssl.tasks.registry import BUILT_IN, get

SMALL = {
    "av-correspondence": {"side": 32, "width": 8, "rate": RATE, "bands": 32},
    "shuffle-learn": {"side": 32, "width": 8, "motion": False, "look_alike": 0.0},
    "rotation": {"width": 8},
    "colorization": {"side": 32, "width": 8},
    "inpainting": {"side": 32, "width": 8},
    "video-colorization": {"side": 32, "width": 8, "motion": False},
    "frame-filling": {"side": 32, "width": 8, "motion": False},
    "instance-contrast": {"width": 8, "area_low": 0.3, "blur": 0.0},
    "av-instance": {"side": 32, "width": 8, "rate": RATE, "bands": 32},
    "av-sync": {"side": 32, "width": 8, "rate": RATE, "bands": 32},
    "relative-position": {"patch": 24, "width": 8, "pixels_low": 11520, "pixels_high": 11520},
    "jigsaw": {"permutations": 10, "cell": 30, "tile": 24, "width": 8},
}


class Tinted(Textures):
    """Textures, each of a colour of its own that its lightness does not tell."""

    def frames(self, i, times):
        tint = np.random.default_rng(1000 + i).uniform(-60, 60, 3)
        tint -= tint @ [0.3, 0.6, 0.1]
        return (super().frames(i, times) + tint[None, :, None, None]).clip(0, 255).astype(np.uint8)


def made(name: str, **options):
    kind = get(name)
    return kind(kind.Options(**(SMALL.get(name, {}) | options)))


def drawn_of(task, media) -> Drawn:
    test = np.arange(len(media)) % 4 == 0
    train, held = Subset(media, np.flatnonzero(~test)), Subset(media, np.flatnonzero(test))
    task.fit_statistics(train, 0)
    return Drawn(task.held_out(), train, held, 0)


VIDEO_CONTROLS = [
    ("av-correspondence", "vision-only"),
    ("av-correspondence", "audio-only"),
    ("av-correspondence", "shuffled-labels"),
    pytest.param("av-instance", "vision-only", marks=pytest.mark.slow),
    pytest.param("av-instance", "audio-only", marks=pytest.mark.slow),
    ("av-instance", "shuffled-labels"),
    pytest.param("av-sync", "vision-only", marks=pytest.mark.slow),
    ("av-sync", "audio-only"),
    pytest.param("av-sync", "shuffled-labels", marks=pytest.mark.slow),
    ("shuffle-learn", "single-frame"),
    ("shuffle-learn", "outer-frames"),
    ("shuffle-learn", "shuffled-labels"),
]


@pytest.mark.parametrize(("name", "control"), VIDEO_CONTROLS)
def test_each_control_of_videos_catches_the_leak_that_is_planted_for_it(name, control):
    task = made(name)
    drawn = drawn_of(task, ToyVideos(32))  # first: a memory bank is as large as the data
    found = caught(control, task.controls()[control], drawn)
    assert (found.verdict, found.name) == ("caught", f"{name}: {control}")
    assert found.low > found.chance


@pytest.mark.parametrize("name", ["rotation", "relative-position", "jigsaw"])
def test_shuffled_labels_of_pictures_that_are_not_shuffled_are_caught(name):
    task = made(name)
    control = task.controls()["shuffled-labels"]
    assert caught("shuffled-labels", control, drawn_of(task, Textures(60))).verdict == "caught"


TAUGHT = {"colorization": 0.5, "inpainting": 0.5, "instance-contrast": 1 / 30}
TAUGHT_OF_VIDEOS = [
    ("frame-filling", "shuffled-labels"),
    ("frame-filling", "one-neighbour"),
    ("video-colorization", "shuffled-labels"),
]


@pytest.mark.parametrize(
    "name", ["colorization", "inpainting", pytest.param("instance-contrast", marks=pytest.mark.slow)]
)
def test_what_is_taught_is_caught_where_it_is_seen_and_without_that_shuffled_answers_teach_nothing(name):
    check_that_the_leak_is_caught_and_nothing_else(name, "shuffled-labels", Tinted(120), TAUGHT[name])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "control"), TAUGHT_OF_VIDEOS)
def test_what_is_taught_of_videos_is_caught_where_it_is_seen_and_nothing_without_that(name, control):
    check_that_the_leak_is_caught_and_nothing_else(name, control, Gliding(32), 0.5)


def check_that_the_leak_is_caught_and_nothing_else(name, control, media, chance):
    task = made(name)
    drawn = drawn_of(task, media)
    found = caught(control, task.controls()[control], drawn)
    assert (found.verdict, found.chance) == ("caught", chance)
    assert caught(control, task.controls()[control], drawn, leak=Leak(lambda batch: None, "nothing")).verdict == "blind"


def test_a_control_that_sees_nothing_of_the_leak_is_blind():
    # A mark in the picture is invisible to a control that only hears.
    task = made("av-correspondence")
    drawn = drawn_of(task, ToyVideos(32))
    found = caught("audio-only", task.controls()["audio-only"], drawn, leak=Leak(mark, "a mark"))
    assert found.verdict == "blind"
    assert found.low <= 0.5


def test_of_three_test_sources_no_control_can_rise_above_chance_and_that_is_reported():
    task = made("rotation")
    found = caught("shuffled-labels", task.controls()["shuffled-labels"], drawn_of(task, Textures(12)))
    assert found.value > 0.8
    assert found.verdict == ("caught" if found.low > found.chance else "too few")


def test_the_same_leak_is_planted_again():
    task = made("rotation")
    control = task.controls()["shuffled-labels"]
    assert caught("shuffled-labels", control, drawn_of(task, Textures(40)), steps=5) == caught(
        "shuffled-labels", control, drawn_of(task, Textures(40)), steps=5
    )


def test_a_shortcut_is_shown_with_its_countermeasure_and_without():
    pictures = Textures(400, size=(60, 60))
    turned = shortcuts.known(made("rotation"), pictures)[0]

    def finding(task):
        return shortcut_finding(task, turned, shortcuts.Prober(task, pictures, puzzles=500).tried(turned), asked=1)

    found = finding(made("rotation"))
    assert (found.verdict, found.name) == ("ok", "rotation: borders left by interpolation")
    assert found.unguarded is not None and found.unguarded[1] > 0.9
    off = finding(made("rotation", turn="interpolated"))
    assert (off.verdict, off.note) == ("leak", "its countermeasure is off")


def test_every_task_is_known_by_as_many_shortcuts_as_are_announced():
    for name in BUILT_IN:
        assert len(shortcuts.known(made(name), ToyVideos(4))) == shortcuts.known_count(made(name))


def test_copies_of_test_items_that_are_smaller_darker_and_quieter_are_found_again():
    found = copies_found(Textures(20, grain=3), np.arange(12), 0)
    assert found is not None
    assert (found.verdict, found.n) == ("caught", 12)
