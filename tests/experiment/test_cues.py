"""Cheap cues match pictures with sounds where there is a rule between them, and nothing where there is none."""

from __future__ import annotations

import numpy as np

from avssl.experiment.audit.cues import matching, naming, neighbours, part, telling
from avssl.experiment.audit.features import Cues


def cues(picture, sound, sources=None, folders=None) -> Cues:
    def scaled(x):
        x = np.asarray(x, float).reshape(len(x), -1)
        return (x - x.mean(0)) / np.sqrt(((x - x.mean(0)) ** 2).sum(1).mean())

    names = [f"s{k}" for k in range(len(picture))] if sources is None else sources
    return Cues(
        np.arange(len(picture)),
        names,
        {"border": scaled(picture)},
        {"hum": scaled(sound)},
        ["mp4"] * len(picture),
        ["here"] * len(picture) if folders is None else folders,
    )


def verdicts(findings) -> set[str]:
    return {row.verdict for row in findings}


def test_two_kinds_of_cameras_with_two_kinds_of_microphones_match_on_new_sources():
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=60)
    found = matching(cues(kind + 0.1 * rng.normal(size=60), kind + 0.1 * rng.normal(size=60)))
    assert verdicts(found) == {"warning"}
    # Of a clip and one of the other kind the own is chosen, among its own kind half of the time.
    assert all(0.65 < row.value < 0.85 for row in found)


def test_a_border_and_a_hum_that_every_source_has_for_itself_match_nothing_on_new_sources():
    rng = np.random.default_rng(1)
    source = np.repeat(np.arange(40), 2)
    own = cues(rng.normal(size=(40, 3))[source], rng.normal(size=(40, 3))[source], [f"s{k}" for k in source])
    assert "warning" not in verdicts(matching(own))
    # The very same files, each taken for a source of its own: now the other clip of the source gives them away.
    assert verdicts(matching(cues(own.picture["border"], own.sound["hum"]))) == {"warning"}


def test_what_chance_leaves_is_rarely_called_a_leak():
    leaks = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        leaks += "warning" in verdicts(matching(cues(rng.normal(size=(30, 3)), rng.normal(size=(30, 3)))))
    assert leaks <= 2


def test_few_sources_are_too_few_to_decide():
    rng = np.random.default_rng(2)
    assert verdicts(matching(cues(rng.normal(size=(6, 3)), rng.normal(size=(6, 3))))) == {"too few"}


def test_test_clips_whose_picture_and_sound_name_one_training_source_are_recognised():
    rng = np.random.default_rng(3)
    looks, hums = rng.normal(size=(20, 4)), rng.normal(size=(20, 4))

    def named(test_looks, test_hums):
        both = cues(np.vstack([looks, test_looks]), np.vstack([hums, test_hums]))
        test = np.arange(len(both.items)) >= 20
        return naming(part(both, ~test), part(both, test))[0]

    again = named(looks + 0.01 * rng.normal(size=looks.shape), hums + 0.01 * rng.normal(size=hums.shape))
    assert (again.name, again.verdict, again.value) == ("border and hum name one training source", "leak", 1.0)
    assert named(rng.normal(size=(20, 4)), rng.normal(size=(20, 4))).verdict != "leak"


def test_files_that_were_cut_one_after_the_other_are_seen_in_their_order():
    rng = np.random.default_rng(4)
    walk = np.cumsum(rng.normal(size=(60, 2)), axis=0)
    found = neighbours(cues(walk, rng.normal(size=(60, 2))))[0]
    assert (found.verdict, "border" in found.note) == ("warning", True)
    assert neighbours(cues(rng.permutation(walk), rng.normal(size=(60, 2))))[0].verdict == "ok"


def test_files_of_one_folder_are_compared_with_files_of_that_folder():
    rng = np.random.default_rng(5)
    folder = np.repeat([0, 1], 30)
    alike = folder[:, None] * 5 + rng.normal(size=(60, 2))  # a class a folder, in order: no more than classes
    found = neighbours(cues(alike, rng.normal(size=(60, 2)), folders=[str(k) for k in folder]))
    assert found[0].verdict == "ok"


def test_a_cue_that_identifies_sources_is_a_leak_only_where_a_source_is_in_two_parts():
    rng = np.random.default_rng(6)
    source = np.repeat(np.arange(30), 2)
    found = cues(rng.normal(size=(30, 3))[source], rng.normal(size=(60, 3)), [f"s{k}" for k in source])
    assert {row.name: row.verdict for row in telling(found, shared=True)} == {
        "border → own source": "leak",
        "hum → own source": "ok",
    }
    assert verdicts(telling(found, shared=False)) == {"ok"}
