"""What Python is told in Python's words, and what its functions refuse in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from probe_media import vision_encoder, write_pictures, write_run

import avssl
from avssl import metrics, tasks
from avssl.cli.main import main
from avssl.errors import UserError
from avssl.options.python_names import in_python
from avssl.tasks.one_picture import OnePictureTask


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), each=4)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("avssl evaluate knn needs --data D, labelled media", "avssl evaluate knn needs data=D, labelled media"),
        ("--crop-low (0.9) must be at most --crop-high (0.5)", "crop_low (0.9) must be at most crop_high (0.5)"),
        ("give held-out data with --test, or --no-controls", "give held-out data with test, or controls=False"),
        ("-o heat.avi must end in .mp4", "-o heat.avi must end in .mp4"),
        ("nothing to change here -- as it is", "nothing to change here -- as it is"),
    ],
)
def test_a_message_names_keywords_for_flags(message: str, words: str) -> None:
    assert in_python(message) == words


def test_errors_name_keywords_in_python_and_flags_on_the_command_line(
    pictures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = {"crop_low": 0.9, "crop_high": 0.5}
    with pytest.raises(UserError, match=r"^crop_low \(0.9\) must be at most crop_high"):
        avssl.train("rotation", pictures, tmp_path / "run", steps=1, **options)
    with pytest.raises(UserError, match=r"^crop_low \(0.9\) must be at most crop_high"):
        avssl.task("rotation", **options)
    with pytest.raises(UserError, match="needs data=D, labelled media"):
        avssl.evaluate("knn", vision_encoder())
    words = ["train", "rotation", "--data", str(pictures), "--crop-low", "0.9", "--crop-high", "0.5"]
    assert main(words) == 2
    assert capfd.readouterr().err.startswith("avssl: --crop-low (0.9) must be at most --crop-high")


def test_a_run_that_is_no_path_is_refused() -> None:
    with pytest.raises(UserError, match="needs the folder of a run, such as 'runs/quickstart', not 3"):
        avssl.Run(3)  # type: ignore[arg-type]


def test_an_item_that_is_not_there_is_an_index_error_in_plain_words(pictures: Path) -> None:
    media = avssl.open(pictures)
    for number in (99, -13):
        with pytest.raises(IndexError, match=f"items are numbered 0 to 11, not {number}"):
            media[number]
    assert len(list(iter(media))) == 12


def test_the_options_of_an_evaluation_come_from_a_file(pictures: Path, tmp_path: Path) -> None:
    config = tmp_path / "knn.yaml"
    config.write_text(f"data: {pictures}\nstages: [conv1]\nneighbours: [3]\npool: average\n")
    found = avssl.evaluate("knn", vision_encoder(), config=config, pool="max")
    assert {row.name for row in found} >= {"trained/conv1", "random/conv1"}
    assert "trained/conv2" not in {row.name for row in found}
    assert "max pooling" in found[0].protocol, "what is given here overrides the file"
    config.write_text("neighbors: 3\n")
    with pytest.raises(UserError, match=r"knn\.yaml: no option is called 'neighbors'; did you mean"):
        avssl.evaluate("knn", vision_encoder(), config=config)


def test_a_network_without_weights_is_not_called_trained(pictures: Path, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="the extra [timm] is not installed")
    options = {"neighbours": 2, "device": "cpu", "output": tmp_path}
    names = {row.name.split("/")[0] for row in avssl.evaluate("knn", "timm:test_efficientnet", pictures, **options)}
    assert "untrained" in names and "trained" not in names
    torch.save(timm.create_model("test_efficientnet").state_dict(), tmp_path / "weights.pth")
    named = f"timm:test_efficientnet:{tmp_path / 'weights.pth'}"
    names = {row.name.split("/")[0] for row in avssl.evaluate("knn", named, pictures, **options)}
    assert "trained" in names


def test_a_task_of_ones_own_is_made_of_what_the_room_offers() -> None:
    assert tasks.OnePictureTask is OnePictureTask


def test_boxes_in_pixels_need_the_pixels_of_their_picture() -> None:
    with pytest.raises(ValueError, match=r"the box \(10, 20, 50, 60\) is in pixels; give extent="):
        metrics.rasterise((10, 20, 50, 60), 224)
    assert metrics.rasterise((10, 20, 50, 60), 224, extent=100).sum() == (112 - 22) * (134 - 44)
    assert metrics.rasterise((0.1, 0.2, 1.01, 0.6), 10).sum() == 36, "shares overstep the frame by little"


@pytest.mark.parametrize("how", ["bilinear", "bilinear-corners", "bicubic", "bicubic-corners"])
@pytest.mark.parametrize("shape", [(7, 7), (14, 9), (1, 4), (2, 300)])
def test_maps_are_upsampled_as_torch_does(how: str, shape: tuple[int, int]) -> None:
    heat = np.random.default_rng(0).normal(size=shape)
    mode, _, corners = how.partition("-")
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(heat)[None, None], size=(224, 224), mode=mode, align_corners=corners == "corners"
    )
    np.testing.assert_allclose(metrics.upsample(heat, 224, how), wanted[0, 0].numpy(), atol=1e-12)


def test_a_no_with_a_value_says_what_to_give(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "rotation", "--no-controls=true"]) == 2
    assert capfd.readouterr().err == "avssl: --no-controls takes no value; give --no-controls alone, or --controls\n"


def test_an_audit_counts_no_truth_as_rejected(
    pictures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for file in sorted(pictures.rglob("*.png"))[:6]:
        (folder / f"{file.parent.name}-{file.name}").write_bytes(file.read_bytes())
    (folder / "world.json").write_text("{}")
    assert avssl.audit(folder).summary.rejected == []
    assert main(["audit", str(folder)]) == 0
    printed = capfd.readouterr().out
    assert printed.startswith(f"auditing 6 items of {folder}")
    assert "1 rejected" not in printed


def test_a_run_in_a_sentence(tmp_path: Path) -> None:
    assert avssl.Run(write_run(tmp_path / "run")).tasks
