"""Claims: a file says what is trained and compared; the answer follows from intervals over seeds and items together."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from probe_media import write_pictures

import avssl
from avssl.cli.main import main
from avssl.errors import UserError
from avssl.evaluate.core.rows import read_rows
from avssl.experiment.claims import doing
from avssl.experiment.claims.apart import all_apart
from avssl.experiment.claims.files import claim_files, read_claim
from avssl.experiment.claims.steps import Step, check_all, steps_of
from avssl.experiment.claims.verdict import answer_of, answered, difference, size_needed

SMALL = {
    "task": "rotation",
    "data": "{root}/pictures",
    **{"vision": "small", "width": 4, "side": 32, "steps": 2, "batch_size": 4, "workers": 0},
    **{"prepare": False, "validation_puzzles": 4},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_pictures(folder / "pictures", each=8)
    return folder


def write_claim(path: Path, **scale: object) -> Path:
    own = {
        "minutes": 1,
        "data": ["pictures"],
        "trainings": {"rotation": SMALL},
        "evaluations": {"near": {"protocol": "knn", "run": "rotation", "data": "{root}/pictures", "stages": ["conv2"]}},
        "questions": [
            {
                "ask": "trained stands above random",
                "better": ["near", "trained/conv2", "accuracy"],
                "worse": ["near", "random/conv2", "accuracy"],
            }
        ],
    }
    texts = {"published": "much", "source": "A paper 2020", "verified": "read.", "compared": "two."}
    path.write_text(yaml.safe_dump({"claim": "turning teaches", **texts, "scales": {"cpu": own | scale}}))
    return path


def test_several_seeds_far_above_the_margin_show_and_one_seed_never_does():
    high = [(0.20, 0.15, 0.25), (0.22, 0.17, 0.27), (0.21, 0.16, 0.26)]
    assert answered("", "accuracy", high, margin=0.05).answer == "shown"
    assert answered("", "accuracy", high, margin=0.18).answer == "not shown"
    assert answered("", "accuracy", high[:1]).answer == "not shown"
    low = [(-value, -b, -a) for value, a, b in high]
    assert answered("", "accuracy", low).answer == "against"


def test_the_interval_is_never_narrower_than_the_items_alone_however_many_seeds_agree():
    one = answered("", "accuracy", [(0.1, 0.02, 0.18)] * 50)
    assert (one.low, one.high) == pytest.approx((0.02, 0.18))
    apart = answered("", "accuracy", [(0.0, -0.02, 0.02), (0.2, 0.18, 0.22)])
    assert apart.low < -1 < 1 < apart.high, "two seeds that disagree say nothing: t of one degree of freedom is 12.7"


def test_a_difference_turns_the_ends_of_what_is_subtracted():
    value, low, high = difference((0.5, 0.4, 0.7), (0.3, 0.25, 0.45))
    assert value == pytest.approx(0.2)
    assert low == pytest.approx(0.2 - math.hypot(0.1, 0.15)) and high == pytest.approx(0.2 + math.hypot(0.2, 0.05))
    assert difference((0.1, 0.0, 0.2), None) == (0.1, 0.0, 0.2)


def test_a_claim_is_shown_only_if_all_of_its_questions_are():
    shown = answered("", "accuracy", [(0.2, 0.1, 0.3)] * 2)
    unclear = answered("", "accuracy", [(0.2, -0.1, 0.5)] * 2)
    against = answered("", "accuracy", [(-0.2, -0.3, -0.1)] * 2)
    assert answer_of([shown, shown]) == "shown"
    assert answer_of([shown, unclear]) == "not shown"
    assert answer_of([shown, unclear, against]) == "against"


def test_the_size_needed_follows_the_line_over_the_logarithm_of_the_size():
    points = [(100, 0.01), (200, 0.02), (400, 0.03)]
    assert size_needed(points, half_width=0.04, margin=0.0) == pytest.approx(800)
    assert size_needed([(100, 0.03), (200, 0.02), (400, 0.01)], 0.04, 0.0) is None, "it does not grow"
    assert size_needed(points[:2], 0.04, 0.0) is None


@pytest.mark.slow
def test_a_claim_is_trained_evaluated_answered_and_written(tmp_path: Path, root: Path, capfd):
    claim = write_claim(
        tmp_path / "turning.yaml", sizes={"option": "steps", "trainings": ["rotation"], "values": [1, 3]}
    )
    command = ["reproduce", str(claim), "--data-root", str(root), "--seeds", "2", "-o", str(tmp_path / "out")]
    assert main(command) == 0
    folder = tmp_path / "out" / "turning"
    answer = json.loads((folder / "answer.json").read_text())
    by_hand = [
        {row.name: row for row in read_rows(folder / "cpu" / f"seed{seed}" / "rows" / "near" / "knn.json")}
        for seed in (0, 1)
    ]
    differences = [rows["trained/conv2"].value - rows["random/conv2"].value for rows in by_hand]
    (question,) = answer["questions"]
    assert [value for value, _, _ in question["seeds"]] == pytest.approx(differences)
    assert question["value"] == pytest.approx(sum(differences) / 2)
    assert answer["answer"] == "not shown" and answer["line"] in capfd.readouterr().out
    assert {row["size"] for row in json.loads((folder / "rows.json").read_text())} == {None, 1, 3}
    page = (folder / "page.md").read_text()
    assert page.startswith("# Turning teaches: not shown") and "A paper 2020" in page
    assert (folder / "figure.png").stat().st_size > 5000


def test_what_is_done_is_not_done_again_and_what_was_stopped_goes_on(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
):
    claim, out = write_claim(tmp_path / "turning.yaml"), tmp_path / "out"
    done: list[str] = []
    real = doing.do_step

    def stops_at_the_third(step: Step) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(step.label)
        real(step)

    monkeypatch.setattr(doing, "do_step", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        avssl.reproduce(claim, data_root=root, seeds=2, out=out)
    monkeypatch.setattr(doing, "do_step", lambda step: (done.append(step.label), real(step)))
    avssl.reproduce(claim, data_root=root, seeds=2, out=out)
    assert done == ["rotation, seed 0", "near, seed 0", "rotation, seed 1", "near, seed 1"]
    assert (out / "turning" / "page.md").read_text().startswith("# Turning teaches: ")
    write_claim(claim, trainings={"rotation": SMALL | {"steps": 3}})
    with pytest.raises(UserError, match="made with other options than the claim has now"):
        avssl.reproduce(claim, data_root=root, seeds=2, out=out)


def test_a_step_in_a_process_of_its_own_is_done_whole_and_its_error_is_a_line(tmp_path: Path):
    def world(name: str, **options: object) -> Step:
        return Step("generate", name, 0, None, tmp_path / name, {"train": 1, "validation": 0, "test": 0, **options})

    few = [world("one", frames=4, size=32), world("other", frames=4, size=32)]
    assert {step.name for step, _ in all_apart(few, doing.do_step, 2)} == {"one", "other"}
    assert all((step.folder / "asked.json").exists() and (step.folder / "world.json").exists() for step in few)
    with pytest.raises(UserError, match=r"third: .*preset.*'moving'") as error:
        list(all_apart([world("third", preset="moving")], doing.do_step, 2))
    assert "\n" not in str(error.value) and not (tmp_path / "third" / "asked.json").exists()


def test_a_step_in_a_process_of_its_own_ends_with_the_command_that_was_killed(tmp_path: Path):
    (tmp_path / "sleeping.py").write_text(
        "import os, time\n"
        "def sleep(step):\n"
        "    step.folder.with_suffix('.pid').write_text(str(os.getpid()))\n"
        "    time.sleep(300)\n"
    )
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from sleeping import sleep\n"
        "from avssl.experiment.claims.apart import all_apart; from avssl.experiment.claims.steps import Step\n"
        "list(all_apart([Step('train', 'one', 0, None, Path(sys.argv[1]) / 'one', {})], sleep, 2))"
    )
    command = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    try:
        wait_for(lambda: (tmp_path / "one.pid").exists() and (tmp_path / "one.pid").read_text())
    finally:
        command.kill()
        command.wait()
    step = int((tmp_path / "one.pid").read_text())
    wait_for(lambda: not Path(f"/proc/{step}").exists() or "Z" in Path(f"/proc/{step}/stat").read_text().split()[2])


def wait_for(done: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until, "nothing happened for a minute"
        time.sleep(0.05)


@pytest.mark.slow
def test_two_at_a_time_answer_as_one_by_one_and_are_continued_by_it(tmp_path: Path, root: Path):
    claim = write_claim(tmp_path / "turning.yaml")
    both = [avssl.reproduce(claim, data_root=root, seeds=2, jobs=jobs, out=tmp_path / f"{jobs}") for jobs in (1, 2)]
    assert [one.questions[0].value for one in both] == pytest.approx([both[0].questions[0].value] * 2)
    assert (tmp_path / "2" / "turning" / "cpu" / "seed1" / "runs" / "rotation.log").read_text()
    rows = tmp_path / "2" / "turning" / "cpu" / "seed1" / "rows"
    (rows / "near" / "asked.json").unlink()
    assert avssl.reproduce(claim, data_root=root, seeds=2, out=tmp_path / "2").questions == both[1].questions


def test_the_supervised_baseline_trains_on_labels_and_its_encoder_stands_beside(tmp_path: Path, root: Path):
    trainings = {"rotation": SMALL, "labels": SMALL | {"task": "supervised"}}
    near = {
        "protocol": "knn",
        "run": "rotation",
        "data": "{root}/pictures",
        "stages": ["conv2"],
        "beside": ["{labels}"],
    }
    figures = {"better": ["near", "labels/conv2", "accuracy"], "worse": ["near", "trained/conv2", "accuracy"]}
    claim = write_claim(
        tmp_path / "c.yaml",
        trainings=trainings,
        evaluations={"near": near},
        questions=[{"ask": "labels are better"} | figures],
    )
    made = avssl.reproduce(claim, data_root=root, seeds=1, out=tmp_path / "out")
    assert made.answer == "not shown" and "one seed" in made.line()
    history = avssl.Run(tmp_path / "out" / "c" / "cpu" / "seed0" / "runs" / "labels").history
    assert {line["task"] for line in history} == {"supervised"}


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ({"data": ["elsewhere"]}, "needs elsewhere in"),
        ({"trainings": {"rotation": {}}}, "rotation needs 'task'"),
        ({"evaluations": {"near": {"protocol": "knn", "run": "other"}}}, "'other', which is not trained"),
        ({"questions": []}, "asks no question"),
        ({"questions": [{"ask": "x", "better": ["near", "a", "b"]}]}, "needs 'better' and 'worse', or 'difference'"),
        ({"questions": [{"ask": "x", "difference": ["far", "a", "b"]}]}, "'far', which is not evaluated"),
        ({"minuets": 3}, "unknown key 'minuets'"),
        ({"trainings": {"rotation": SMALL | {"sied": 32}}}, "sied"),
        ({"evaluations": {"near": {"protocol": "knn", "run": "rotation", "neighbors": 3}}}, "neighbors"),
        ({"worlds": {"clips": {"preset": "moving"}}}, "preset"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_in_a_line(tmp_path: Path, root: Path, scale, message: str):
    claim = write_claim(tmp_path / "turning.yaml", **scale)
    with pytest.raises(UserError, match=message):
        avssl.reproduce(claim, data_root=root, out=tmp_path / "out")
    assert not (tmp_path / "out" / "turning" / "cpu" / "seed0").exists()


def test_every_claim_of_the_repository_can_be_read_and_is_listed(tmp_path: Path, capfd):
    assert claim_files()
    for name in claim_files():
        claim = read_claim(name)
        for scale in claim.scales.values():  # every option of every training and evaluation is one
            check_all(steps_of(scale, [0, 1], tmp_path, tmp_path))
        assert claim.at("cpu").minutes <= 40 and claim.at("gpu").minutes <= 15, name
    assert main(["reproduce", "--list", "-o", str(tmp_path), "--json", str(tmp_path / "list.json")]) == 0
    listed = json.loads((tmp_path / "list.json").read_text())["claims"]
    assert {one["name"] for one in listed} == set(claim_files()) and {one["answer"] for one in listed} == {""}
    assert "not run yet" in capfd.readouterr().out


def test_a_name_that_is_none_is_refused_with_a_near_miss(capfd):
    name = next(iter(claim_files()))
    assert main(["reproduce", name[:-1]]) == 2
    assert f"did you mean {name!r}" in capfd.readouterr().err
    assert main(["reproduce"]) == 2
    assert "needs the name of a claim, or --list" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", claim_files())
def test_every_published_claim_runs_to_its_page_in_small(name: str, tmp_path: Path):
    """Whatever a claim compares is what its evaluations give: rows of these names, of each of them."""
    values = yaml.safe_load(claim_files()[name].read_text())
    small = values["scales"]["cpu"]
    most = 80 if name == "sample-efficiency" else 12  # which asks for 64 a class
    for part, each, seed in (("train", most, 0), ("test", 4, 1)):
        write_pictures(tmp_path / "caltech" / part, each=each, seed=seed)
        (tmp_path / "cifar10").mkdir(exist_ok=True)
        with tarfile.open(tmp_path / "cifar10" / f"{part}.tar", "w") as tar:
            tar.add(tmp_path / "caltech" / part, arcname=".")
    for world in small.get("worlds", {}).values():
        world |= {"train": 14, "validation": 6, "test": 12, "frames": 50}
    for training in small["trainings"].values():
        training |= {"steps": 2, "batch_size": 8, "validate_every": 2, "validation_puzzles": 4, "workers": 0}
    for evaluation in small["evaluations"].values():
        if evaluation.get("protocol") == "low-shot":
            evaluation |= {"samples": 2}
    small["sizes"] = None
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(values | {"scales": {"cpu": small}}))
    made = avssl.reproduce(path, data_root=tmp_path, seeds=2, out=tmp_path / "out")
    assert made.answer in ("shown", "not shown", "against")
    assert len(made.questions) == len(small["questions"])
