"""The closing sentence claims no more than the sources that it rests on allow."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from PIL import Image
from toy_media import ToyVideos

import avssl
from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.statistics import accuracy_interval
from avssl.evaluate.core.training_overlap import Seen, marked, seen_in, seen_in_part, seen_items
from avssl.evaluate.pretext.controls import verdict


def row(name: str, value: float, reach: float = 0.03, sources: int = 100, unit: str = "source") -> ResultRow:
    return ResultRow(
        name, "accuracy", value, value - reach, value + reach, 1000, 0.5, "test", 0, unit=unit, clusters=sources
    )


CONTROLS = (row("vision-only", 0.51), row("audio-only", 0.49))


def test_it_says_on_how_many_sources_it_rests():
    predicted = verdict([row("trained", 0.8), *CONTROLS])
    assert predicted == (
        "Held-out accuracy 80.0% (77.0% to 83.0%) on 100 sources is above chance (50%). "
        "No control beats chance: neither modality alone gives the answer away."
    )


@pytest.mark.parametrize("sources", [2, 12, 29])
def test_below_thirty_sources_it_hedges_and_says_that_controls_could_not_decide(sources):
    controls = [row("vision-only", 0.51, sources=sources), row("audio-only", 0.49, sources=sources)]
    predicted = verdict([row("trained", 0.8, sources=sources), *controls])
    assert (
        f"on only {sources} sources seems to be above chance (50%): with so few sources a hint, not a proof."
        in predicted
    )
    assert "too few sources to tell whether one modality alone gives the answer away" in predicted
    assert "neither" not in predicted and "is above chance" not in predicted
    nothing = verdict([row("trained", 0.51, sources=sources), *controls])
    assert "is NOT shown to be above chance (50%): so few sources can hide what was learned." in nothing


def test_controls_that_could_hide_half_of_what_was_learned_clear_nothing():
    predicted = verdict([row("trained", 0.64), row("vision-only", 0.51, reach=0.08), row("audio-only", 0.49)])
    assert "No control beats chance, but vision-only by up to 9% might: too few sources to tell" in predicted
    assert "neither" not in predicted
    assert "neither modality" in verdict([row("trained", 0.8), row("vision-only", 0.51, reach=0.08)])


def test_a_leak_is_named_however_few_sources_there_are():
    predicted = verdict([row("trained", 0.8, sources=12), row("vision-only", 0.7, sources=12)])
    assert "Beware: vision-only beat chance, so the puzzle leaks its answer." in predicted


def test_test_sources_that_were_trained_on_come_first():
    rows = marked([row("trained", 0.8), *CONTROLS], Seen(0, 40, 12, 20))
    assert verdict(rows).startswith("12 of the 20 test sources were trained on: this is not a held-out figure")
    assert "Held-out" not in verdict(rows)
    assert all(one.note == "12 of the 20 sources were trained on" and one.split == "test" for one in rows)
    learned = marked([row("trained", 0.8)], Seen(24, 32, 12, 16))[0]
    assert (learned.split, learned.note) == ("train", "trained on 24 of the 32 items")
    assert marked([row("trained", 0.8)], Seen(0, 32, 0, 16)) == [row("trained", 0.8)]


def test_networks_are_no_sources():
    shuffled = dataclasses.replace(row("shuffled-labels", 0.5, sources=4, unit="network"), method="t")
    assert "No control beats chance." in verdict([row("trained", 0.8), shuffled])


def test_all_right_on_few_sources_is_no_certainty():
    low, high = accuracy_interval([1.0] * 1000, [(f"video {i % 6}",) for i in range(1000)])
    assert low == pytest.approx(0.61, abs=0.01) and high == 1.0


def test_a_copy_under_another_name_is_an_item_that_was_learned_from(tmp_path: Path):
    for number in range(4):
        for folder, name in (("train", f"{number}.png"), ("test", f"other{number}.png")):
            (tmp_path / folder).mkdir(exist_ok=True)
            colour = (60 * number, 10, 90) if folder == "train" or number < 3 else (5, 200, 5)
            Image.new("RGB", (40, 30), colour).save(tmp_path / folder / name)
    train, test = avssl.open(tmp_path / "train"), avssl.open(tmp_path / "test")
    assert seen_items(train, test) == [True, True, True, False]
    seen = seen_in(train, test)
    assert (seen.items, seen.of_items, seen.sources, seen.of_sources) == (3, 4, 3, 4)
    assert seen.words == "trained on 3 of the 4 items"


class Others(ToyVideos):
    """Other files of the same sources."""

    def facts(self, i):
        return dataclasses.replace(super().facts(i), path=f"others/{i}.mp4")


def test_two_parts_of_one_collection_share_sources_by_name():
    seen = seen_in_part(ToyVideos(8, sources=4), Others(6, sources=6))
    assert seen == Seen(0, 6, 4, 6)
