"""An epoch that goes by shards: pure, complete, a shard at a time, and no shortcut."""

from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from toy_media import RATE, ToyVideos

import avssl
from avssl.errors import UserError
from avssl.media.facts import Media
from avssl.media.prepared.read import Prepared
from avssl.media.prepared.write import prepare
from avssl.samplers import order
from avssl.samplers.correspondence import PairRule, draw_pair
from avssl.samplers.keys import Key, generator
from avssl.samplers.order import ByShards, item_of, other_index, stored_in
from avssl.samplers.whole_pictures import other_item

RULE = PairRule(rate=RATE)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Forty pictures, four in a shard."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(40):
        Image.new("RGB", (16, 16), (6 * number, 0, 0)).save(folder / f"{number:02d}.png")
    raw = avssl.open(folder, progress=False, workers=0)
    return prepare(raw, folder / "set", side=None, shard_size=4, workers=0, progress=False)


class Listening(Prepared):
    """Notes what is announced."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.announced: list[tuple[list[int], list[int]]] = []

    def expect(self, now: Sequence[int], later: Sequence[int]) -> None:
        self.announced.append((list(now), list(later)))


class _Stored:
    def must_hold(self, count: int, shards: Sequence[int]) -> None: ...
    def expect(self, now: Sequence[int], later: Sequence[int]) -> None: ...


def in_shards(media: Media, numbers: Sequence[int], window: int, monkeypatch: pytest.MonkeyPatch) -> ByShards:
    """Any media, as if its items lay in these shards."""
    found: tuple[_Stored, NDArray[np.int32]] = (_Stored(), np.array(numbers, np.int32))
    monkeypatch.setattr(order, "stored_in", lambda _: found)
    return ByShards(media, window)


def epoch_of(media: Media, epoch: int, seed: int = 0) -> list[int]:
    return [item_of(media, Key(seed, epoch, index)) for index in range(len(media))]


def test_shards_of_items_are_known_without_reading_each(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stored_in(prepared.subset(range(3, 40, 2)))
    assert found is not None
    assert found[1].tolist() == [i // 4 for i in range(3, 40, 2)]


def test_each_item_is_there_once_an_epoch_and_each_epoch_has_another_order(prepared: Prepared) -> None:
    media = ByShards(prepared, 3)
    epochs = [epoch_of(media, epoch) for epoch in range(4)] + [epoch_of(media, 0, seed=1)]
    assert all(sorted(found) == list(range(40)) for found in epochs)
    assert len(set(map(tuple, epochs))) == 5


def test_the_order_is_a_pure_function_of_the_key(prepared: Prepared) -> None:
    media, again = ByShards(prepared, 3), pickle.loads(pickle.dumps(ByShards(prepared, 3)))
    keys = [Key(2, epoch, index) for epoch in range(3) for index in range(40)]
    shuffled = generator("keys").permutation(len(keys)).tolist()
    forwards = [item_of(media, key) for key in keys]
    anyhow = {place: item_of(again, keys[place]) for place in shuffled}
    assert forwards == [anyhow[place] for place in range(len(keys))]


@pytest.mark.parametrize("window", [1, 3, 100])
def test_a_shard_is_needed_in_one_window_of_an_epoch_only(prepared: Prepared, window: int) -> None:
    media = ByShards(prepared.subset(range(1, 40)), window)
    shards = [(item + 1) // 4 for item in epoch_of(media, 0)]
    seen = {shard: (shards.index(shard), len(shards) - 1 - shards[::-1].index(shard)) for shard in range(10)}
    for first, last in seen.values():
        assert len(set(shards[first : last + 1])) <= window
    windows = [shards[begin : begin + 4 * window] for begin in range(0, 40, 4 * window)] if window > 1 else []
    if window == 3:
        assert max(len(set(found)) for found in windows) >= 3  # the items of a window are mixed


def test_windows_hold_other_shards_in_each_epoch_so_that_any_two_items_meet(prepared: Prepared) -> None:
    media = ByShards(prepared, 2)
    met = Counter(
        int(other)
        for epoch in range(120)
        for index in range(40)
        if item_of(media, key := Key(0, epoch, index)) == 0
        for other in media.companions(key).items
    )
    assert set(met) == set(range(40))


def test_what_comes_next_is_announced_in_time_and_never_more_than_two_windows(prepared: Prepared) -> None:
    listening = Listening(prepared.folder)
    media = ByShards(listening, 3)
    needed = [item // 4 for item in epoch_of(media, 0) + epoch_of(media, 1)]
    first = listening.announced[0]
    assert needed[0] in first[0]
    assert len(first[1]) == 1
    known: set[int] = set()
    for now, later in listening.announced:
        assert len(now) <= 3
        assert len(later) <= 3
        assert not known or set(now) <= known  # all that is read now was announced as later before
        known = set(now) | set(later) | (known if set(now) & known else set())


def test_keys_that_jump_about_announce_nothing(prepared: Prepared) -> None:
    listening = Listening(prepared.folder)
    media = ByShards(listening, 1)
    for index in (21, 2, 33, 14, 37, 9):
        item_of(media, Key(0, 0, index))
    assert len(listening.announced) == 2  # where it began, and the first window of the epoch


def test_a_puzzle_that_replaces_a_bad_one_is_of_the_same_window(prepared: Prepared) -> None:
    media = ByShards(prepared.subset(range(39)), 3)
    key = Key(0, 0, 17)
    near = set(media.companions(key).items)
    drawn = {item_of(media, Key(0, 0, other_index(media, key, 39, generator(n)))) for n in range(200)}
    assert drawn == near


def test_longer_epochs_go_through_all_items_again_by_shards(prepared: Prepared) -> None:
    listening = Listening(prepared.folder)
    media = ByShards(listening, 5, length=80)
    first, second = ([item_of(media, Key(0, 0, index)) for index in part] for part in (range(40), range(40, 80)))
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second
    following = {item // 4 for item in second[:20]}
    assert any(set(later) == following for now, later in listening.announced if following != set(now))


def test_data_that_are_not_prepared_have_no_shards() -> None:
    with pytest.raises(UserError, match=r"--order shards is for prepared sets.*avssl prepare"):
        ByShards(ToyVideos(), 2)


# --- what it does to puzzles ------------------------------------------------------------------------------


def test_a_negative_comes_from_the_same_window_and_from_another_source(monkeypatch: pytest.MonkeyPatch) -> None:
    media = in_shards(ToyVideos(48, sources=16), [i // 4 for i in range(48)], 3, monkeypatch)
    for index in range(200):
        key = Key(0, index // 48, index % 48)
        pair = draw_pair(media, key, RULE)
        near = media.companions(key)
        assert near.items[near.at] == pair.frame.item
        assert pair.sound.item in near.items
        if not pair.label:
            assert media.facts(pair.sound.item).source != media.facts(pair.frame.item).source


def test_where_a_window_is_of_one_source_the_negative_is_of_the_whole_set(monkeypatch: pytest.MonkeyPatch) -> None:
    shards = [i % 4 for i in range(24)]  # as the sources of the toys: each shard is of one
    media = in_shards(ToyVideos(24, sources=4), shards, 1, monkeypatch)
    negatives = [pair for index in range(24) if not (pair := draw_pair(media, Key(0, 0, index), RULE)).label]
    assert negatives
    assert all(pair.frame.item % 4 != pair.sound.item % 4 for pair in negatives)


def test_labels_and_the_use_of_each_frame_and_sound_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Neighbours of one kind lie in one shard, as files of one folder do; the last window is a small one.
    count, epochs = 40, 60
    media = in_shards(ToyVideos(count), [i // 4 for i in range(count)], 3, monkeypatch)
    labels: list[int] = []
    sounds: dict[int, Counter[int]] = defaultdict(Counter)
    windows: dict[int, list[int]] = defaultdict(list)
    for epoch in range(epochs):
        for index in range(count):
            pair = draw_pair(media, Key(0, epoch, index), RULE)
            labels.append(pair.label)
            sounds[pair.label][pair.sound.item] += 1
            windows[index // 12].append(pair.label)
    assert abs(np.mean(labels) - 0.5) < 4 * 0.5 / np.sqrt(len(labels))
    assert all(abs(np.mean(of) - 0.5) < 4 * 0.5 / np.sqrt(len(of)) for of in windows.values())
    # A sound is as often a negative's as a positive's, each item as often as any other: about half of the epochs.
    for used in sounds.values():
        assert all(abs(used[item] - epochs / 2) < 4.5 * np.sqrt(epochs / 2) for item in range(count))


def test_pictures_that_stand_in_for_others_come_from_the_window_too(prepared: Prepared) -> None:
    media = ByShards(prepared, 2)
    for index in range(40):
        key = Key(0, 0, index)
        item = item_of(media, key)
        others = {other_item(media, item, generator(index, n), key) for n in range(60)}
        assert others == set(media.companions(key).items.tolist()) - {item}  # type: ignore[union-attr]
