"""The evaluation on a generated world, against a model that knows the truth and one that knows nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from avssl.cli.main import main
from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.localization.protocols import DEFAULT, protocol
from avssl.evaluate.localization.scoring import localization_context
from avssl.evaluate.localization.silences import silence
from avssl.evaluate.localization.synthetic import World, draw_segments, evaluate_world
from avssl.evaluate.localization.threshold import fit_threshold
from avssl.media.opening import open_media
from avssl.media.selection import Subset
from avssl.world.build import generate

CONTEXT = localization_context(draws=50)

OURS = [protocol(name) for name in DEFAULT]
RATE = 16000


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world of few clips with several objects each."""
    folder = tmp_path_factory.mktemp("world")
    scenes = {"several": 1.0}
    generate(folder, train=1, validation=2, test=14, size=32, frames=45, scenes=scenes, workers=1, seed=3)
    return folder


class Oracle:
    """Knows the place of every kind in every frame of the world, and which kind a sound is; answers as a map."""

    seconds, rate = 1.0, RATE

    def __init__(self, world: World) -> None:
        self._boxes = {f.tobytes(): m.boxes for m, f in zip(world.segments, world._frames, strict=True)}
        self._kinds = {s.tobytes(): m.kind for m, s in zip(world.segments, world._sounds, strict=True)}

    def maps(self, frames, waveforms, picture="whole"):  # type: ignore[no-untyped-def]
        found = []
        for frame, wave in zip(frames, waveforms, strict=True):
            m = np.full((28, 28), -5.0, np.float32)
            box = self._boxes[frame.tobytes()].get(self._kinds.get(wave.tobytes(), ""))
            if box is not None:
                left, top, right, bottom = (round(v * 28) for v in box)
                m[top : max(bottom, top + 1), left : max(right, left + 1)] = 5.0
            found.append(m)
        return np.stack(found)


class Deaf:
    """The same smooth map for everything."""

    seconds, rate = 1.0, RATE

    def maps(self, frames, waveforms, picture="whole"):  # type: ignore[no-untyped-def]
        return np.random.default_rng(0).random((1, 7, 7)).repeat(len(frames), 0).astype(np.float32)


def rows_by_name(rows: list[ResultRow]) -> dict[tuple[str, str], ResultRow]:
    return {(row.name, row.metric): row for row in rows}


def test_a_model_that_knows_the_truth_has_full_marks_and_a_deaf_one_none(clips: Path) -> None:
    media = open_media(clips, split="test", progress=False)
    oracle = Oracle(World(media, Deaf(), 0))
    rows = rows_by_name(evaluate_world(media, {"trained": oracle, "untrained": Deaf()}, OURS, CONTEXT, 0.0))
    assert rows["trained", "pointing"].value > 0.9
    assert rows["trained", "iou-adaptive"].value > 0.7
    assert rows["swap", "pointing"].value > 0.9
    assert rows["untrained", "pointing"].value < 0.5
    assert rows["trained", "false-silence"].value == 0
    assert rows["silence", "rejected"].value == 1
    assert rows["off-screen", "auc-roc"].value == 1
    names = {name for name, _ in rows}
    assert {"trained", "untrained", "swap", "silence", "ceiling", "blind/centre-disc", "blind/random"} <= names
    metrics = {metric for name, metric in rows if name == "trained"}
    assert {"pointing", "iou-adaptive", "ciou-adaptive", "ciou-half", "auc-half"} <= metrics
    assert all(row.unit == "video" and row.clusters <= len(media) for row in rows.values())


def test_moments_are_the_same_in_any_order_of_asking_and_only_one_kind_is_heard(clips: Path) -> None:
    media = open_media(clips, split="test", progress=False)
    moments = draw_segments(media, 1.0, seed=0, per_clip=2)
    assert moments == draw_segments(media, 1.0, seed=0, per_clip=2)
    part = Subset(media, np.arange(3))
    assert draw_segments(part, 1.0, seed=0, per_clip=2) == [m for m in moments if m.clip < 3]
    assert all(moment.kind in moment.boxes for moment in moments)


@pytest.mark.parametrize("what", ["floor", "hum", "room"])
def test_quiet_stretches_are_quiet(what: str) -> None:
    wave = silence(what, np.random.default_rng(0), RATE, RATE)  # type: ignore[arg-type]
    level = 10 * np.log10(np.mean(np.square(wave)))
    assert -70 < level < -30


def test_the_threshold_lies_between_what_sounds_and_what_does_not() -> None:
    sounding, silent = list(np.linspace(2, 9, 100)), list(np.linspace(-9, -2, 100))
    assert -2 < fit_threshold(sounding, silent) < 2.3
    overlapping = fit_threshold(sounding, list(np.linspace(0, 8, 100)))
    assert np.mean(np.array(sounding) < overlapping) <= 0.05, "never more than 4 % of what sounds are missed"


def test_the_command_needs_boxes_for_maps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "localization", "--maps", "m.npz"]) == 2
    assert "--annotations" in capsys.readouterr().err


def test_maps_and_boxes_on_the_command_line_give_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [{"file": f"{c * 11}_000001", "class": "dog", "bbox": [[0.1, 0.1, 0.5, 0.6]]} for c in "abcd"]
    (tmp_path / "vggss.json").write_text(json.dumps(records))
    m = np.zeros((14, 14))
    m[2:8, 2:7] = 1
    np.savez(tmp_path / "maps.npz", **{r["file"]: m + 0.01 * k for k, r in enumerate(records[:3])})  # type: ignore[arg-type]
    words = ["--maps", str(tmp_path / "maps.npz"), "--annotations", str(tmp_path / "vggss.json"), "--draws", "20"]
    assert main(["evaluate", "localization", *words, "--protocol", "all", "-o", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "1 item without a map, left out: ddddddddddd_000001" in out
    rows = {(row["name"], row["metric"]): row for row in json.loads((tmp_path / "localization.json").read_text())}
    assert rows["maps", "pointing"]["value"] == 1.0
    assert (rows["maps", "ciou-half"]["n_listed"], rows["maps", "ciou-half"]["n_used"]) == (4, 3)
    assert ("maps", "ciou/ez-vsl") in rows
    assert ("blind/centre-disc", "auc/lvs") in rows
    assert "--annotations" in rows["maps", "pointing"]["command"]
    # Blind rows stand on the items that have a map, and every missing one is named in a file.
    for (name, metric), found in rows.items():
        assert (found["n_used"], found["n_listed"]) == (3, 4), (name, metric)
    assert "on 3 of 4 items" in out
    assert (tmp_path / "localization-missing.txt").read_text() == "ddddddddddd_000001\tno map\n"


def test_the_recipe_of_the_default_model_is_quickstart_s_config(request: pytest.FixtureRequest) -> None:
    import yaml

    from avssl.experiment.default_localizer import RECIPE
    from avssl.options import options_of
    from avssl.tasks.av_correspondence.puzzle import CorrespondenceOptions
    from avssl.trainer.options import TrainOptions

    config = yaml.safe_load((request.config.rootpath / "configs/small/av-correspondence-world.yaml").read_text())
    defaults = {
        option.name: option.default for cls in (CorrespondenceOptions, TrainOptions) for option in options_of(cls)
    }
    own = {name: value for name, value in config.items() if defaults.get(name, ...) != value}
    assert {name: config[name] for name in RECIPE} == RECIPE
    assert own.keys() - RECIPE.keys() == {"control_steps"}, "the rest is as it is by default"


def test_a_supervised_network_gives_rows_of_its_own_where_its_weights_are_given(tmp_path: Path) -> None:
    import torch
    import torchvision

    from avssl.errors import UserError
    from avssl.localization.localizer import Localizer
    from avssl.localization.saliency import Mixture, Saliency
    from avssl.networks.audio import AudioConfig, AudioEncoder
    from avssl.networks.config import VisionConfig
    from avssl.networks.fusion import FUSIONS
    from avssl.networks.model import Model
    from avssl.networks.vision import VisionEncoder

    small = Model(
        VisionEncoder(VisionConfig(width=4, convs=1, side=32)),
        AudioEncoder(AudioConfig(width=4, convs=1)),
        FUSIONS["avol"](32, 32),
    )
    localizer = Localizer(small)
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "weights.pt")
    frames = np.random.default_rng(0).integers(0, 255, (2, 3, 64, 96), dtype=np.uint8)
    waves = np.random.default_rng(0).standard_normal((2, 40000)).astype(np.float32)
    saliency = Saliency(tmp_path / "weights.pt", "resnet18", localizer)
    assert saliency.maps(frames, waves).shape == (2, 7, 7)
    assert np.array_equal(saliency.maps(frames, waves), saliency.maps(frames, 0 * waves)), "it hears nothing"
    assert Mixture(localizer, saliency).maps(frames, waves).shape == (2, 28, 28)
    with pytest.raises(UserError, match="no weights of torchvision's resnet34"):
        Saliency(tmp_path / "weights.pt", "resnet34", localizer)


def test_the_whole_frame_is_seen_however_wide(tmp_path: Path) -> None:
    from avssl.localization.localizer import Localizer
    from avssl.networks.audio import AudioConfig, AudioEncoder
    from avssl.networks.config import VisionConfig
    from avssl.networks.fusion import FUSIONS
    from avssl.networks.model import Model
    from avssl.networks.vision import VisionEncoder

    small = Model(
        VisionEncoder(VisionConfig(width=4, convs=1, side=64)),
        AudioEncoder(AudioConfig(width=4, convs=1)),
        FUSIONS["avol"](32, 32),
    )
    localizer = Localizer(small)
    frames = np.zeros((1, 3, 100, 200), np.uint8)
    waves = np.random.default_rng(0).standard_normal((1, 48000)).astype(np.float32)
    shapes = {p: localizer.maps(frames, waves, p).shape[1:] for p in ("whole", "squash", "centre-crop")}  # type: ignore[arg-type]
    assert shapes == {"whole": (4, 8), "squash": (4, 4), "centre-crop": (4, 4)}
    # Longer sound is heard in windows that overlap by half, and their maps are averaged.
    parts = [localizer.maps(frames, waves[:, s : s + 16000]) for s in (0, 8000, 16000, 24000, 32000)]
    np.testing.assert_allclose(localizer.maps(frames, waves), np.mean(parts, axis=0), atol=1e-5)
