"""From --data and --test to what is trained on, validated on and evaluated on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small_runs import write_clip
from toy_media import ToyVideos

from avssl.errors import UserError
from avssl.experiment.data import DataOptions, divide, usable
from avssl.experiment.places import open_source
from avssl.media.facts import Facts, Media
from avssl.media.selection import Subset
from avssl.samplers.pictures import Cropping
from avssl.tasks.av_correspondence.puzzle import CorrespondenceOptions
from avssl.tasks.av_correspondence.task import AVCorrespondence
from avssl.tasks.jigsaw.puzzle import JigsawOptions
from avssl.tasks.jigsaw.task import Jigsaw

OPTIONS = DataOptions()


class Videos(ToyVideos):
    """Toy videos whose items have the splits, and paths of the folder, that they are given."""

    def __init__(self, splits: list[str | None], folder: str = "toy", sources: int | None = None) -> None:
        super().__init__(len(splits), sources=sources)
        self.splits, self.folder = splits, folder

    def facts(self, i: int) -> Facts:
        facts = super().facts(i)
        path = facts.path.replace("toy", self.folder, 1)
        source = facts.source if self.sources != self.count else path
        return replace(facts, split=self.splits[i], path=path, source=source)


def whole(media: Media) -> Subset:
    return Subset(media, np.arange(len(media)))


def paths(part: Media | None) -> set[str]:
    assert part is not None
    return {part.facts(i).path for i in range(len(part))}


def sources(part: Media | None) -> set[str]:
    assert part is not None
    return {part.facts(i).source for i in range(len(part))}


def test_the_data_s_own_splits_are_taken():
    media = whole(Videos(["train"] * 6 + ["validation"] * 2 + ["test"] * 3))
    parts = divide(media, None, OPTIONS, 0)
    assert [len(part) for part in (parts.train, parts.validation, parts.test) if part] == [6, 2, 3]


def test_without_splits_parts_are_held_out_by_source():
    media = whole(Videos([None] * 60, sources=20))
    parts = divide(media, None, OPTIONS, 0)
    assert parts.validation is not None
    assert parts.test is not None
    assert len(parts.train) + len(parts.validation) + len(parts.test) == 60
    assert len(parts.test) == 12
    held = [sources(part) for part in (parts.train, parts.validation, parts.test)]
    assert not (held[0] & held[1] or held[0] & held[2] or held[1] & held[2])


def test_another_seed_holds_out_another_part():
    media = whole(Videos([None] * 40))
    assert paths(divide(media, None, OPTIONS, 0).test) != paths(divide(media, None, OPTIONS, 1).test)
    assert paths(divide(media, None, OPTIONS, 0).test) == paths(divide(media, None, OPTIONS, 0).test)


def test_a_test_split_without_a_train_split_leaves_the_rest_for_training():
    media = whole(Videos([None] * 8 + ["test"] * 2))
    parts = divide(media, None, OPTIONS, 0)
    assert parts.test is not None
    assert len(parts.test) == 2
    assert not paths(parts.train) & paths(parts.test)


def test_data_that_name_no_train_split_are_refused():
    with pytest.raises(UserError, match="none of them is 'train'"):
        divide(whole(Videos(["test"] * 4)), None, OPTIONS, 0)


def test_named_test_data_are_taken_and_nothing_is_held_out_beside():
    parts = divide(whole(Videos([None] * 10)), whole(Videos([None] * 4, "other")), OPTIONS, 0)
    assert parts.validation is not None
    assert len(parts.train) + len(parts.validation) == 10
    assert paths(parts.test) == {f"other/{i:03d}.mp4" for i in range(4)}


def test_a_file_in_both_is_not_trained_on():
    test = whole(Videos([None] * 3))
    parts = divide(whole(Videos([None] * 10)), test, OPTIONS, 0)
    assert not paths(parts.train) & paths(test)
    with pytest.raises(UserError, match="--test holds all of --data"):
        divide(whole(Videos([None] * 3)), test, OPTIONS, 0)


def test_without_controls_nothing_is_held_out_for_them():
    parts = divide(whole(Videos([None] * 10)), None, OPTIONS, 0, need_test=False)
    assert parts.test is None
    assert parts.validation is not None
    assert len(parts.train) + len(parts.validation) == 10


def test_every_part_has_two_sources_at_least():
    for count in range(6, 30):
        parts = divide(whole(Videos([None] * count)), None, OPTIONS, 0)
        assert all(len(sources(part)) >= 2 for part in (parts.train, parts.validation, parts.test))


def test_too_few_sources_to_validate_on_are_all_trained_on():
    parts = divide(whole(Videos([None] * 5)), None, OPTIONS, 0)
    assert parts.validation is None
    assert parts.test is not None
    assert (len(parts.train), len(parts.test)) == (3, 2)


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_sources_are_refused_with_the_way_out(count: int):
    with pytest.raises(UserError, match=r"sources?: too few .* with --test, or --no-controls"):
        divide(whole(Videos([None] * 12, sources=count)), None, OPTIONS, 0)


def test_items_that_the_task_cannot_use_are_dropped_and_counted(caplog: pytest.LogCaptureFixture):
    task = SimpleNamespace(name="toy", unusable=lambda facts: "odd" if facts.path.endswith("1.mp4") else None)
    kept = usable(Videos([None] * 12), task, "videos/")  # type: ignore[arg-type]
    assert len(kept) == 10
    assert caplog.messages == ["toy leaves out 2 of 12 items in videos/: 2 × odd"]


def test_data_of_which_the_task_can_use_nothing_are_refused():
    task = SimpleNamespace(name="toy", unusable=lambda facts: "no sound")
    with pytest.raises(UserError, match="toy can use none of the 3 items in videos/: 3 × no sound"):
        usable(Videos([None] * 3), task, "videos/")  # type: ignore[arg-type]


def test_stored_pictures_are_large_enough_for_a_crop_of_middling_size():
    assert Cropping(112, 0.75, 1.0).stored_side() == 144
    assert Cropping(224, 0.875, 0.875).stored_side() == 256
    assert Cropping(64).stored_side() == 64
    assert Jigsaw(JigsawOptions()).stored_side() is None, "tiles are cut from the whole picture"
    task = AVCorrespondence(CorrespondenceOptions(side=112, rate=8000))
    assert (task.stored_side(), task.sound_rate()) == (144, 8000)


def test_a_table_beside_the_files_is_offered_and_not_called_unusable(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    write_clip(tmp_path / "a.mp4")
    (tmp_path / "labels.csv").write_text("path,label\na.mp4,bell\n")
    (tmp_path / "notes.mp4").write_text("no video")
    assert len(open_source(str(tmp_path))) == 1
    assert caplog.messages[0].startswith(f"{tmp_path}/labels.csv lists 1 of its 2 files")
    assert [line for line in caplog.messages if "not usable" in line] == [
        f"not usable: {tmp_path}/notes.mp4: not media"
    ]
