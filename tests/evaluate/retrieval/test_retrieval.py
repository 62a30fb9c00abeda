"""Retrieval metrics by hand; ties have no luck; the page holds everything it shows."""

from __future__ import annotations

import base64
import io
import re
import wave
from dataclasses import replace

import numpy as np
import pytest
import torch
from browser import PHONE, opened
from toy_media import RATE, ToyVideos

from avssl.errors import UserError
from avssl.evaluate.core.rows import Context
from avssl.evaluate.retrieval.metrics import expected_rank, ndcg, ndcg_chance, recall_chance
from avssl.evaluate.retrieval.protocol import Embedded, Pairs, _permuted, embed_pairs, find_pairs, retrieval_rows
from avssl.networks.fusion import FUSIONS
from avssl.report.embedded import wav


def test_ndcg_by_hand():
    # Relevances 3, 2, 0, 1 in this order: (3 + 2/1.58496 + 1/2.32193) / (3 + 2/1.58496 + 1/2) = 0.9854.
    assert ndcg([[4, 3, 2, 1]], [[3, 2, 0, 1]])[0] == pytest.approx(0.9854, abs=5e-5)
    # Relevances 0, 1, 1: (1/1.58496 + 1/2) / (1 + 1/1.58496) = 0.6934.
    assert ndcg([[3, 2, 1]], [[0, 1, 1]])[0] == pytest.approx(0.6934, abs=5e-5)


def test_ndcg_looks_at_the_first_places_and_compares_with_the_whole_gallery():
    # The one relevant item is third: nothing at depth 2, 1 / log2(4) at depth 3.
    assert ndcg([[3, 2, 1]], [[0, 0, 1]], 2)[0] == 0
    assert ndcg([[3, 2, 1]], [[0, 0, 1]], 3)[0] == 0.5
    assert ndcg([[3, 2, 1]], [[1, 0, 0]], 1)[0] == 1


def test_what_is_not_in_the_gallery_does_not_count():
    allowed = [[False, True, True]]
    assert ndcg([[9, 1, 2]], [[1, 1, 0]], allowed=allowed)[0] == pytest.approx(1 / np.log2(3))
    assert np.isnan(ndcg([[9, 1, 2]], [[1, 0, 0]], allowed=allowed)[0])


def test_the_chance_of_ndcg_is_the_mean_over_all_orders():
    rng = np.random.default_rng(0)
    relevance = np.array([[1, 0, 0, 1, 0, 0]])
    drawn = np.mean([ndcg(rng.random((1, 6)), relevance, 3)[0] for _ in range(4000)])
    assert ndcg_chance(relevance, 3) == pytest.approx(drawn, abs=0.015)


@pytest.mark.parametrize(
    ("scores", "partner", "rank"),
    [
        ((0.9, 0.5, 0.1), (1, 0, 0), 1),
        ((0.9, 0.5, 0.1), (0, 0, 1), 3),
        ((0.9, 0.5, 0.1), (0, 1, 1), 2),  # the better of two partners
        ((0.5, 0.5, 0.5), (0, 1, 0), 2),  # (N + 1) / 2, not 1
        ((0.5, 0.5, 0.5), (0, 1, 1), 4 / 3),  # the first of two among three, expected
        ((0.9, 0.5, 0.5), (0, 1, 0), 2.5),
    ],
)
def test_ranks_by_hand(scores, partner, rank):
    assert expected_rank([scores], [partner])[0] == pytest.approx(rank)


def test_the_chance_of_recall():
    assert recall_chance([1, 1], 26, 5) == pytest.approx(5 / 26)
    assert recall_chance([2], 4, 1) == 0.5
    assert recall_chance([3], 4, 2) == 1


def _pairs(count: int = 40, kinds: int = 4) -> Pairs:
    return Pairs(
        range(count),
        [1.0] * count,
        [f"clip{i // 2}" for i in range(count)],
        [frozenset({f"kind{i // 2 % kinds}"}) for i in range(count)],
    )


def _embedded(pairs: Pairs, noise: float) -> Embedded:
    rng = np.random.default_rng(0)
    kinds = np.array([int(next(iter(kind))[-1]) for kind in pairs.kinds])
    centre = np.eye(16)[kinds] + np.eye(16)[4 + np.arange(len(kinds)) // 2 % 12]
    halves = [centre + noise * rng.normal(size=centre.shape) for _ in range(2)]
    image, sound = (half / np.linalg.norm(half, axis=1, keepdims=True) for half in halves)
    return Embedded(image, sound, image @ sound.T)


def test_what_belongs_together_is_found_and_shuffled_pairs_are_at_chance():
    pairs = _pairs()
    rows = retrieval_rows(
        {"trained": _embedded(pairs, 0.05), "random": _embedded(pairs, 50)}, pairs, Context("test", draws=200)
    )
    found = {(row.name, row.metric): row for row in rows}
    for way in ("image-to-sound", "sound-to-image"):
        ours = found[(f"trained/{way}", "recall@1")]
        assert ours.value > 0.6
        assert ours.chance == pytest.approx(2 / 40)
        assert ours.clusters == 20
        assert found[(f"trained/{way}", "median-rank")].value < 2
        assert found[(f"trained/{way}", "ndcg@30")].low > found[(f"trained/{way}", "ndcg@30")].chance
        lucky = found[(f"random/{way}", "recall@5")]
        assert lucky.value == pytest.approx(lucky.chance, abs=0.2)
        assert found[(f"shuffled-pairs/{way}", "recall@1")].value < 0.2
    assert ("trained/image-to-image", "ndcg@30") in found


def test_a_constant_embedding_has_no_luck():
    pairs = _pairs()
    same = np.ones((40, 4)) / 2
    rows = retrieval_rows({"constant": Embedded(same, same, same @ same.T)}, pairs, Context("test", draws=50))
    found = {(row.name, row.metric): row for row in rows}
    rank = found[("constant/image-to-sound", "median-rank")]
    assert rank.value == pytest.approx(41 / 3)  # the first of two partners among forty
    assert rank.chance == pytest.approx(41 / 3)
    assert found[("constant/image-to-sound", "recall@1")].value == 0
    ndcg_row = found[("constant/image-to-sound", "ndcg@30")]
    assert ndcg_row.value == pytest.approx(ndcg_row.chance)


def test_a_sound_of_the_page_can_be_opened():
    samples = np.sin(np.arange(1600) / 10).astype(np.float32)
    with wave.open(io.BytesIO(wav(samples, 16000))) as file:
        assert (file.getnframes(), file.getframerate(), file.getnchannels()) == (1600, 16000, 1)
        read = np.frombuffer(file.readframes(1600), "<i2") / 32767
    np.testing.assert_allclose(read, samples, atol=1e-4)


def test_the_page_needs_nothing_from_elsewhere(page):
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert not re.search(r"https?:", re.sub(r"base64,[A-Za-z0-9+/=]*", "", page))
    sounds = re.search(r"const sounds = (\{.*\});", page)
    assert sounds is not None
    wanted = set(re.findall(r'data-sound="(\d+)"', page))
    assert wanted == set(re.findall(r'"(\d+)": "data:audio/wav', sounds[1]))
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert all(base64.b64decode(picture)[:2] == b"\xff\xd8" for picture in pictures)


def test_the_page_opens_in_a_browser_and_its_sound_plays(page, tmp_path):
    (tmp_path / "page.html").write_text(page)
    with opened(tmp_path / "page.html") as shown:
        widths = shown.picture_widths()
        button = shown.tab.locator("button[data-sound]").first
        button.click()
        assert shown.becomes("player.currentTime > 0.1 && player.duration > 1 && !player.paused")
        assert "playing" in button.get_attribute("class")
        button.click()
        assert shown.tab.evaluate("player.paused")
        shown.tab.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert shown.overhang() == 0
    assert len(widths) > 4
    assert min(widths) > 0
    assert shown.faults == []


def test_a_fault_of_a_page_is_seen(tmp_path):
    (tmp_path / "bad.html").write_text(
        "<link rel=icon href=data:,><img src='data:image/png;base64,AAAA'>"
        "<script src='https://example.invalid/x.js'></script><script>console.error('told'); nothing()</script>"
    )
    with opened(tmp_path / "bad.html") as shown:
        assert shown.picture_widths() == [0]
    faults = " ".join(shown.faults)
    assert all(word in faults for word in ("console: told", "nothing is not defined", "asked for: https://example"))


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """Of three clips whose name would be markup, with embeddings made up."""
    from small_runs import write_clip

    import avssl
    from avssl.evaluate.retrieval.protocol import find_pairs
    from avssl.report.retrieval_page import retrieval_page

    folder = tmp_path_factory.mktemp("clips")
    for number in range(3):
        write_clip(folder / f"a&b{number}.mp4", number)
    media = avssl.open(folder, workers=0)
    pairs = find_pairs(media)
    unit = np.eye(3)
    rows = retrieval_rows({"trained": Embedded(unit, unit, unit)}, pairs, Context("test", draws=20))
    text = retrieval_page(media, pairs, Embedded(unit, unit, unit), rows, "<title>", queries=2, found=3)
    assert "&lt;title&gt;" in text
    assert "a&amp;b0.mp4" in text
    return text


def test_pairs_lie_in_the_middle_of_their_shares_of_each_clip_with_sound():
    class Mixed(ToyVideos):
        def facts(self, i):
            facts = super().facts(i)
            return replace(facts, audio_rate=0, audio_channels=0) if i == 1 else facts

    pairs = find_pairs(Mixed(4, seconds=3.0), 3)
    assert list(pairs.items) == [0, 0, 0, 2, 2, 2, 3, 3, 3]
    assert pairs.seconds == pytest.approx([0.5, 1.5, 2.5] * 3)
    assert list(pairs.sources) == ["source0"] * 3 + ["source2"] * 3 + ["source3"] * 3
    assert list(pairs.kinds) == [frozenset({"kind0"})] * 6 + [frozenset({"kind1"})] * 3
    assert [len(find_pairs(ToyVideos(2), n).items) for n in (1, 2)] == [2, 4]
    with pytest.raises(UserError, match="at least two sources, not 1"):
        find_pairs(ToyVideos(4, sources=1))


def test_what_is_relevant_shares_a_kind_or_the_source():
    kinds = [frozenset("ab"), frozenset("b"), frozenset("c"), frozenset()]
    pairs = Pairs(range(4), [0.0] * 4, ["x", "y", "y", "z"], kinds)
    assert pairs.same_source.astype(int).tolist() == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    assert pairs.relevant.astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]


def _rows(noise: float = 0.5, **more):
    pairs = _pairs(24, 3)
    embedded = {"trained": _embedded(pairs, noise), "random": _embedded(pairs, 5.0)}
    rows = retrieval_rows(embedded, pairs, Context("p", seed=4, command="c", draws=50), **more)
    return pairs, embedded, {(row.name, row.metric): row for row in rows}


def test_each_direction_is_ranked_along_its_own_side_by_cosine_and_by_the_networks_own_score():
    pairs, embedded, rows = _rows()
    one = embedded["trained"]
    own = np.random.default_rng(1).random((24, 24))
    embedded["trained"] = Embedded(one.image, one.sound, own)
    rows = {(r.name, r.metric): r for r in retrieval_rows(embedded, pairs, Context("p", draws=20))}
    cosine = one.image @ one.sound.T
    ways = {
        "image-to-sound": cosine,
        "sound-to-image": cosine.T,
        "image-to-sound, own score": own,
        "sound-to-image, own score": own.T,
    }
    for name, scores in ways.items():
        ranks = expected_rank(scores, pairs.same_source)
        for k in (1, 5, 10):
            assert rows[f"trained/{name}", f"recall@{k}"].value == pytest.approx(np.mean(ranks <= k))
        assert rows[f"trained/{name}", "median-rank"].value == pytest.approx(np.median(ranks))
        assert rows[f"trained/{name}", "ndcg@30"].value == pytest.approx(np.mean(ndcg(scores, pairs.relevant)))


def test_within_a_modality_the_querys_own_source_is_left_out_of_the_gallery():
    pairs, embedded, rows = _rows()
    for name, vectors in (("image-to-image", embedded["trained"].image), ("sound-to-sound", embedded["trained"].sound)):
        likeness, values = vectors @ vectors.T, []
        for q in range(24):
            others = [i for i in range(24) if pairs.sources[i] != pairs.sources[q]]
            order = sorted(others, key=lambda i: -likeness[q, i])
            gains = [float(pairs.relevant[q, i]) for i in order][:30]
            ideal = sorted((float(pairs.relevant[q, i]) for i in others), reverse=True)[:30]
            values.append(
                sum(g / np.log2(k + 2) for k, g in enumerate(gains))
                / sum(g / np.log2(k + 2) for k, g in enumerate(ideal))
            )
        assert rows[f"trained/{name}", "ndcg@30"].value == pytest.approx(np.mean(values))
        assert rows[f"trained/{name}", "ndcg@30"].chance < 1


def test_rows_of_retrieval_stand_with_chance_sources_and_gallery():
    _, _, rows = _rows()
    row = rows["trained/image-to-sound", "recall@5"]
    assert row.chance == pytest.approx(recall_chance([2] * 24, 24, 5))
    assert (row.n, row.clusters, row.n_listed, row.n_used, row.unit, row.method) == (24, 12, 24, 24, "source", "wilson")
    assert (row.seed, row.command, row.protocol, row.note) == (4, "c", "p", "gallery of 24 pairs")
    assert rows["trained/image-to-sound", "median-rank"].chance == pytest.approx(25 / 3)
    assert rows["trained/image-to-sound", "median-rank"].method == "bootstrap"
    assert not any(metric == "recall@10" for _, metric in _rows(recalls=(1, 24))[2])
    assert not any(metric == "recall@24" for _, metric in _rows(recalls=(1, 24))[2]), "all of the gallery is no feat"


def test_shuffled_pairs_are_partners_of_another_source_each_once():
    pairs = _pairs(24, 3)
    for seed in range(5):
        permuted = _permuted(pairs, seed)
        assert not (permuted & pairs.same_source).any()
        assert (permuted.sum(0) == 2).all() and (permuted.sum(1) == 2).all()
    assert not np.array_equal(_permuted(pairs, 0), _permuted(pairs, 1))
    _, _, rows = _rows()
    shuffled = rows["shuffled-pairs/image-to-sound", "recall@1"]
    assert shuffled.value < rows["trained/image-to-sound", "recall@1"].value
    assert ("shuffled-pairs/sound-to-image", "recall@1") in rows and (
        "shuffled-pairs/image-to-sound",
        "ndcg@30",
    ) not in rows


class Halves:
    """A model that sees the brightness of a frame and hears the loudness of a second, at three places each."""

    def __init__(self, fusion="ave"):
        torch.manual_seed(0)
        self.fusion = FUSIONS[fusion](1, 1)
        self.vision = lambda frames: frames.float().mean((1, 2, 3)).view(-1, 1, 1, 1) * torch.tensor([1.0, 0.5, 2.0])
        self.audio_encoder = lambda waves: waves.abs().mean(1).view(-1, 1, 1, 1) * torch.tensor([1.0, 0.5, 2.0])
        self.audio_encoder.seconds, self.audio_encoder.rate = 0.6, RATE
        self.sounds = []

    def prepare_frames(self, frames):
        return torch.from_numpy(frames)

    def prepare_waveform(self, sounds, rate):
        assert rate == RATE
        self.sounds += list(sounds)
        return torch.from_numpy(sounds)


@pytest.mark.parametrize("fusion", ["l3", "ave", "avol"])
def test_pairs_are_embedded_with_the_sound_around_them_and_with_the_output_of_the_network_itself(fusion):
    media, result = ToyVideos(35), []
    pairs, model = find_pairs(media, 2), Halves(fusion)
    found = embed_pairs(model, media, pairs, lambda done, total: result.append((done, total)))
    assert result[-1] == (70, 70) and result[0][0] < 70
    assert [len(found.image), len(found.sound), *found.own.shape] == [70] * 4
    for k in (0, 33, 69):
        item, time = pairs.items[k], pairs.seconds[k]
        assert np.array_equal(model.sounds[k], media.audio(item, time - 0.3, 0.6, RATE))
        vision = model.fusion.embed_vision(model.vision(torch.from_numpy(media.frames(item, [time]))))
        audio = model.fusion.embed_audio(model.audio_encoder(torch.from_numpy(model.sounds[k])[None]))
        with torch.no_grad():
            assert found.own[k, k] == pytest.approx(float(model.fusion.pairs(vision, audio)), abs=1e-4)
            vector = model.fusion.vectors(vision)[0]
            assert found.image[k] == pytest.approx((vector / vector.norm()).numpy(), abs=1e-5)
            assert found.sound[k] == pytest.approx((audio[0] / audio[0].norm()).numpy(), abs=1e-5)


@pytest.mark.parametrize("missing", ["vision", "audio_encoder", "fusion"])
def test_a_model_without_both_halves_and_what_joins_them_is_refused(missing):
    model, media = Halves(), ToyVideos(3)
    setattr(model, missing, None)
    with pytest.raises(UserError, match="no space where picture and sound meet"):
        embed_pairs(model, media, find_pairs(media))
