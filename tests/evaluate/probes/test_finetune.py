"""Fine-tuning learns, is repeatable, leaves its start unchanged, and is compared with the same network from scratch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from probe_media import audio_encoder, vision_encoder, write_pictures, write_sounds

import avssl
from avssl.evaluate.core.result_charts import draw_labels
from avssl.evaluate.core.rows import Context
from avssl.evaluate.data.encoders import random_twin, weights_digest
from avssl.evaluate.data.labelled import labelled
from avssl.evaluate.data.split_files import column_of
from avssl.evaluate.probes.finetune import FineTuneChoices, fine_tune_rows, fit, predict
from avssl.evaluate.probes.finetune_inputs import Pictures, Sounds
from avssl.samplers.keys import generator

SMALL = FineTuneChoices(steps=40, batch_size=16, rates=(1e-2,))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder / "train", each=12)
    write_pictures(folder / "test", each=6, seed=1)
    return labelled(avssl.open(folder, workers=0))


def test_a_network_learns_the_labels_and_its_start_stays_as_it_was(pictures):
    start = vision_encoder()
    before = weights_digest(start)
    shown = Pictures(pictures, start, 1, 0.6, True)
    (division,) = pictures.divisions
    network = fit(start, pictures, division.train, shown, SMALL, 1e-2, seed=0)
    right = predict(network, division.test, shown, True).argmax(1) == pictures.labels[division.test]
    assert right.mean() > 0.8
    assert weights_digest(start) == before
    assert weights_digest(network.encoder) != before


def test_the_same_seed_gives_the_same_network_whatever_was_drawn_before(pictures):
    start, few = vision_encoder(), FineTuneChoices(steps=3, batch_size=8)
    shown = Pictures(pictures, start, 1, 0.6, True)
    items = pictures.divisions[0].train
    first = fit(start, pictures, items, shown, few, 1e-2, seed=0)
    torch.rand(3)
    again = fit(start, pictures, items, shown, few, 1e-2, seed=0)
    assert torch.equal(first.linear.weight, again.linear.weight)


def test_rows_over_the_number_of_labels_and_seeds(pictures, tmp_path):
    start = vision_encoder()
    choices = FineTuneChoices(steps=4, batch_size=8, labels=(2, 0), seeds=2)
    shown = Pictures(pictures, start, 1, 0.6, True)
    starts = {"trained": start, "random": random_twin(start, 0)}
    rows = fine_tune_rows(starts, pictures, shown, choices, Context("test", draws=50))
    found = {(row.name, row.metric): row for row in rows}
    for metric in ("accuracy", "accuracy-2-a-class"):
        row = found[("trained", metric)]
        assert row.method == "t" and "mean of 2 seeds, range of 2 seeds: " in row.note
        seed = found[("trained/seed0", metric)]
        assert row.low <= row.value - (seed.value - seed.low) / 2 < row.value < row.high
        balanced = found[("trained", metric.replace("accuracy", "balanced-accuracy"))]
        assert balanced.chance == pytest.approx(1 / 3) and balanced.low < balanced.value < balanced.high
        assert row.value == np.mean([found[(f"trained/seed{k}", metric)].value for k in (0, 1)])
        assert ("gain", f"{metric}-difference") in found
    assert found[("majority", "accuracy")].value == pytest.approx(1 / 3)
    assert draw_labels(rows, tmp_path / "labels.png")
    assert (tmp_path / "labels.png").is_file()


def test_a_class_with_too_few_items_is_named(pictures):
    start = vision_encoder()
    with pytest.raises(avssl.UserError, match="'blue' has only 12 items"):
        fine_tune_rows(
            {"trained": start},
            pictures,
            Pictures(pictures, start, 1, 0.6, True),
            FineTuneChoices(labels=(50,)),
            Context("test"),
        )


def test_an_unknown_stage_names_those_there_are(pictures):
    start = vision_encoder()
    with pytest.raises(avssl.UserError, match="it has: conv1, conv2"):
        fit(
            start,
            pictures,
            pictures.divisions[0].train,
            Pictures(pictures, start, 1, 0.6, True),
            FineTuneChoices(stage="conv7"),
            1e-2,
            0,
        )


def test_windows_of_a_kept_sound_are_those_of_its_file(tmp_path):
    table = write_sounds(tmp_path / "s", each=2)
    media = avssl.open(table, workers=0)
    data = labelled(media, folds=column_of(table, media, "fold"))
    shown = Sounds(data, audio_encoder(), 3)
    evaluated = shown.evaluation(0)
    assert evaluated.shape == (3, 4000)
    np.testing.assert_allclose(evaluated[1], media.audio(0, 0.5, 0.5, 8000), atol=1e-3)
    drawn = shown.training(0, generator("a"))
    assert drawn.shape == (4000,)
    assert not np.array_equal(drawn, shown.training(0, generator("b")))


def test_sounds_are_learned_in_folds(tmp_path):
    table = write_sounds(tmp_path / "s", each=4)
    media = avssl.open(table, workers=0)
    data = labelled(media, folds=column_of(table, media, "fold"))
    start = audio_encoder()
    choices = FineTuneChoices(steps=15, batch_size=4, rates=(1e-2,))
    rows = fine_tune_rows({"trained": start}, data, Sounds(data, start, 2), choices, Context("test", draws=50))
    assert rows[0].n == 8
    assert rows[0].value == 1.0
