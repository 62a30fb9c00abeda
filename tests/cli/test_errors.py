"""What a user can cause ends in one line on stderr and exit status 2: no traceback, nothing lost."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from PIL import Image
from small_runs import TINY, Result, write_clip

from avssl import __version__
from avssl.cli.index import SHORT_LIST
from avssl.cli.main import main

Call = Callable[..., Result]
TRAIN = ("train", "av-correspondence")


def one_line(result: Result) -> str:
    """The line, if that is how it ended."""
    assert result.status == 2
    assert "Traceback" not in result.out + result.err
    lines = [line for line in result.err.splitlines() if line.startswith("avssl: ")]
    assert len(lines) == 1, result.err
    assert result.err.strip().endswith(lines[0])
    return lines[0]


def test_a_missing_folder_is_named(avssl: Call, tmp_path: Path):
    for command in (("index",), (*TRAIN, "--out", tmp_path / "run", "--steps", "1", "--data")):
        assert one_line(avssl(*command, tmp_path / "nowhere")).endswith("nowhere: no such file or folder")


def test_an_empty_folder_is_named(avssl: Call, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    line = one_line(avssl(*TRAIN, "--data", tmp_path / "empty", "--out", tmp_path / "run", "--steps", "1"))
    assert "empty: the folder is empty" in line


def test_a_folder_of_junk_is_reported_with_reasons_why_none_of_it_can_be_used(avssl: Call, tmp_path: Path):
    junk = tmp_path / "junk"
    junk.mkdir()
    (junk / "a.mp4").write_bytes(b"no video at all" * 100)
    (junk / "b.mp4").write_bytes(b"")
    (junk / "c.txt").write_text("hello")
    for command in (("index", junk), (*TRAIN, "--data", junk, "--out", tmp_path / "run", "--steps", "1")):
        line = one_line(avssl(*command))
        assert "none of its 3 files can be used" in line
        assert "not media" in line


@pytest.mark.parametrize("more", [(), ("--all",)])
def test_where_nothing_can_be_used_the_index_names_every_file_with_its_reason(
    avssl: Call, tmp_path: Path, more: tuple[str, ...]
):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.mp4").write_bytes(b"")
    for number in range(SHORT_LIST):
        (tmp_path / f"{number}.txt").write_text("hello")
    result = avssl("index", tmp_path, "--workers", "0", *more)
    assert f"none of its {SHORT_LIST + 1} files can be used" in one_line(result)
    named = dict(
        line.split(maxsplit=1) for line in result.out.splitlines() if line.split()[:1] and "." in line.split()[0]
    )
    assert {name: reason.strip() for name, reason in named.items()} == {
        "deep/a.mp4": "empty file",
        **{f"{number}.txt": "not media" for number in range(SHORT_LIST)},
    }


def test_a_place_where_no_folder_can_be_made_is_one_line(avssl: Call, tmp_path: Path):
    if not Path("/proc/self").exists():
        pytest.skip("no /proc, where folders cannot be made")
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    for flags in (("--to", "/proc/x"), ("--json", "/proc/x/y.json")):
        line = one_line(avssl("index", tmp_path, "--workers", "0", *flags))
        assert "cannot make the folder /proc/x: nothing can be made there" in line


def test_videos_without_sound_are_refused_by_a_task_that_needs_it(avssl: Call, tmp_path: Path):
    for number in range(3):
        write_clip(tmp_path / "silent" / f"{number}.mp4", number, sound=False)
    line = one_line(avssl(*TRAIN, "--data", tmp_path / "silent", "--out", tmp_path / "run", "--steps", "1"))
    assert "av-correspondence can use none of the 3 items" in line
    assert "no sound" in line


def test_nothing_is_prepared_unless_all_data_are_of_use(avssl: Call, tmp_path: Path):
    for number in range(6):
        write_clip(tmp_path / "clips" / f"{number}.mp4", number)
        write_clip(tmp_path / "silent" / f"{number}.mp4", number, sound=False)
    clips, silent, out = tmp_path / "clips", tmp_path / "silent", ("--out", tmp_path / "run", "--steps", "1")
    several = ("train", "multi-task", "--tasks", "rotation,av-correspondence", "--rotation.data", silent)
    for words, found in (
        ((*TRAIN, "--data", clips, "--test", silent), "can use none of the 6 items"),
        ((*TRAIN, "--data", clips, "--test", tmp_path / "nowhere"), "no such file or folder"),
        ((*several, "--av-correspondence.data", silent), "av-correspondence can use none of the 6 items"),
    ):
        result = avssl(*words, *out)
        assert found in one_line(result) and "prepar" not in result.out


def test_a_damaged_config_or_a_checkpoint_of_another_network_is_one_line(avssl: Call, finished: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    again = (*TRAIN, "--config", finished / "config.yaml", "--out", run)
    config = yaml.safe_load((run / "config.yaml").read_text())
    for damaged in ("", "- a\n", "{a: ["):
        (run / "config.yaml").write_text(damaged)
        assert "config.yaml is damaged" in one_line(avssl(*again))
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "width": 2 * config["width"], "steps": 3}))
    line = one_line(avssl(*again, "--width", str(2 * config["width"]), "--steps", "3"))
    assert "is of another network than these options build: " in line and " there and " in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "no command is called 'trian'; did you mean 'train'?"),
        (["av-correspondence"], "did you mean 'avssl train av-correspondence'"),
        (["train", "av-corespondence"], "no task is called 'av-corespondence'; did you mean 'av-correspondence'?"),
        (["show", "sorting"], "no task is called 'sorting'; there are:"),
        (["train", "--steps", "3"], "avssl train needs the name of a task first"),
        (["evaluate", "av-corespondence"], "no protocol is called 'av-corespondence'; did you mean"),
        (["evaluate", "av-correspondence"], "needs --run RUN"),
        (["embed", "a.mp4"], "needs --run RUN"),
        (["embed"], "needs FILES"),
        (["index"], "avssl index needs DATA"),
        (["index", "a", "b"], "does not know what to do with 'b'"),
        (["world"], "avssl world needs OUT"),
        (["world", "out", "--train", "-1"], "a world cannot have fewer than 0 clips"),
        (["world", "out", "--workers", "-3"], "--workers (-3) must not be negative"),
        (["world", "out", "--preset", "nice"], "no preset is called 'nice'"),
        (["prepare", "data"], "avssl prepare needs OUT"),
        (["prepare", "data", "out", "--side", "-5"], "--side (-5) must be at least 1"),
        (["prepare", "data", "out", "--fps", "-1"], "--fps (-1) must be more than 0"),
        (["prepare", "data", "out", "--rate", "0"], "--rate (0) must be at least 1"),
        (["prepare", "data", "out", "--jpeg-quality", "101"], "--jpeg-quality (101) must lie between 1 and 100"),
        (["prepare", "data", "out", "--shard-size", "0"], "--shard-size (0) must be at least 1"),
        (["prepare", "data", "out", "--workers", "-3"], "--workers (-3) must not be negative"),
        (["index", "data", "--workers", "-3"], "--workers (-3) must not be negative"),
        (["doctor", "--fix"], "avssl doctor has no option --fix"),
        ([*TRAIN, "--step", "3"], "has no option --step; did you mean '--steps'?"),
        ([*TRAIN, "--steps", "few"], "--steps needs a whole number, not 'few'"),
        ([*TRAIN, "--steps", "0"], "--steps (0) must be more than 0"),
        ([*TRAIN, "--steps", "3", "--minutes", "1"], "give one of --steps and --minutes, not both"),
        ([*TRAIN, "--fusion", "l4"], "--fusion needs one of l3, ave, avol, not 'l4'"),
        ([*TRAIN, "--device", "gpu", "--steps", "1", "--out", "OUT", "--data", "CLIPS"], "--device gpu: "),
        ([*TRAIN, "--test-share", "1.5", "--out", "OUT"], "--test-share (1.5) must be more than 0 and less than 1"),
        ([*TRAIN, "--control-puzzles", "0"], "--control-puzzles (0) must be at least 1"),
        ([*TRAIN, "--config", "nowhere.yaml"], "no such file: nowhere.yaml"),
        (["show", "av-correspondence", "--count", "0"], "--count (0) must be at least 1"),
        (["show", "jigsaw", "--permutations", "362881"], "--permutations (362881) must lie between 1 and 362880"),
        (["train", "jigsaw", "--permutations", "1", "--out", "OUT"], "--permutations (1) must be at least 2"),
    ],
)
def test_a_wrong_word_is_reported_with_the_way_out(
    avssl: Call, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
):
    monkeypatch.chdir(tmp_path)
    places = {"OUT": str(tmp_path / "run"), "CLIPS": str(clips)}
    assert message in one_line(avssl(*[places.get(word, word) for word in words]))


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("step: 3\n", "no option is called 'step'; did you mean 'steps'?"),
        ("steps: few\n", "steps needs a whole number or null, not 'few'"),
        ("task: rotation\n", "is of the task rotation, not of av-correspondence"),
        ("data: !!python/object/apply:os.system [ls]\n", "is refused: options are plain values"),
    ],
)
def test_a_wrong_config_is_reported_with_its_name(avssl: Call, tmp_path: Path, yaml: str, message: str):
    config = tmp_path / "wrong.yaml"
    config.write_text(yaml)
    line = one_line(avssl(*TRAIN, "--config", config, "--out", tmp_path / "run"))
    assert "wrong.yaml" in line
    assert message in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("command", "yaml", "message"),
    [
        (("evaluate", "av-correspondence"), "run: r\npuzzles: 0\n", "own.yaml: puzzles (0) must be at least 1"),
        (("evaluate", "linear"), "rum: r\n", "own.yaml: no option is called 'rum'; did you mean 'run'?"),
        (("evaluate", "linear"), "run: r\ndata: nowhere\n", "nowhere: no such file or folder"),
        (("audit",), "data: clips\ntask: rotaton\n", "no task is called 'rotaton'; did you mean 'rotation'?"),
        (("audit",), "data: clips\ntask: rotation\nsides: 3\n", "no option is called 'sides'; did you mean 'side'?"),
        (("embed",), "files: [a.mp4]\nrun: r\n", "needs -o OUT"),
        (("index",), "data: nowhere\n", "nowhere: no such file or folder"),
    ],
)
def test_every_command_reads_its_options_from_a_file_too(
    avssl: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], yaml: str, message: str
):
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text(yaml)
    assert message in one_line(avssl(*command, "--config", "own.yaml"))


@pytest.mark.parametrize(
    "command", [("show", "av-correspondence"), ("evaluate", "av-correspondence"), ("embed", "a.mp4")]
)
def test_a_run_that_is_none_is_refused_as_such(
    avssl: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
):
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").touch()
    (tmp_path / "folder").mkdir()
    output = ("-o", tmp_path / "out.npz") if command[0] == "embed" else ()
    assert "nowhere is" in one_line(avssl(*command, *output, "--run", tmp_path / "nowhere"))
    assert "holds no" in one_line(avssl(*command, *output, "--run", tmp_path / "folder"))


def test_data_that_changed_since_the_run_began_are_refused(avssl: Call, tmp_path: Path):
    for number in range(5):
        write_clip(tmp_path / "clips" / f"{number}.mp4", number)
    command = (*TRAIN, "--data", tmp_path / "clips", "--out", tmp_path / "run", "--steps", "1", "--no-controls", *TINY)
    assert avssl(*command).status == 0
    write_clip(tmp_path / "clips" / "5.mp4", 5)
    assert "the train data have changed" in one_line(avssl(*command))


def test_a_run_of_a_version_that_read_files_otherwise_goes_on_and_says_so(avssl: Call, finished: Path, tmp_path: Path):
    """As many items, another fingerprint, and no word of how files were looked at: as an earlier version wrote it."""
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    found = json.loads((run / "data.json").read_text())
    for part in found.values():
        part.pop("look", None)
        part["fingerprint"] = "0" * 32
    (run / "data.json").write_text(json.dumps(found))
    clips = yaml.safe_load((run / "config.yaml").read_text())["data"]
    result = avssl(*TRAIN, "--data", clips, "--out", run, "--steps", "2", *TINY)
    assert result.status == 0, result.err
    assert "read these files slightly differently" in result.out
    assert json.loads((run / "data.json").read_text())["train"]["fingerprint"] != "0" * 32


def test_one_source_cannot_be_divided(avssl: Call, tmp_path: Path):
    write_clip(tmp_path / "clips" / "0.mp4")
    line = one_line(avssl(*TRAIN, "--data", tmp_path / "clips", "--out", tmp_path / "run", "--steps", "1", *TINY))
    assert "1 item of 1 source: too few" in line
    assert "--test" in line


def test_a_run_that_could_not_begin_leaves_its_folder_free(avssl: Call, clips: Path, tmp_path: Path):
    command = (*TRAIN, "--out", tmp_path / "run", "--steps", "1", "--no-controls", *TINY)
    one_line(avssl(*command, "--data", tmp_path / "nowhere"))
    assert not (tmp_path / "run").exists()
    assert "multiple of 3" in one_line(avssl(*command, "--data", clips, "--accumulate", "3"))
    assert avssl(*command, "--data", clips).status == 0


@pytest.mark.parametrize(
    "words",
    [
        *("--seconds 0", "--seconds -1", "--seconds 0.001", "--side 0", "--side 4", "--width 0", "--first-stride 0"),
        *("--rate 0", "--rate 10", "--bands 0", "--crop-low 0", "--crop-low 2", "--crop-low .9 --crop-high .5"),
        *("--masking 2", "--frames 0", "--convs 0", "--contrastive -1", "--gain 3", "--brightness 9"),
        *("--hard-negatives 2", "--hard-negatives .5", "--silent-rows 2", "--vision-pools 9", "--min-loudness-db 20"),
        *("--prepare-gb -1", "--prepare-side 0", "--temperature 0"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_before_the_data_are_opened(avssl: Call, tmp_path: Path, words: str):
    line = one_line(avssl(*TRAIN, "--data", tmp_path / "nowhere", "--out", tmp_path / "run", *words.split()))
    assert line.startswith(f"avssl: {words.split(maxsplit=1)[0]}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--vision alexnett", "did you mean 'alexnet'?"),
        ("--vision timn:vit_tiny", "give timm:NAME or torchvision:NAME"),
        ("--device tpu", "no such device"),
        ("--precision fp16 --device cpu", "use bf16 or fp32"),
        ("--init nowhere", "nowhere: no such file or folder"),
    ],
)
def test_a_network_or_device_that_is_not_there_is_refused_before_the_data_are_opened(
    avssl: Call, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, message: str
):
    monkeypatch.setattr("avssl.experiment.training.opened", None)  # whoever calls it fails
    places = ("--data", clips, "--out", tmp_path / "run")
    line = one_line(avssl("train", "rotation", *places, "--steps", "1", *words.split()))
    assert message in line
    assert not (tmp_path / "run").exists()


def test_a_batch_without_a_negative_and_a_single_source_are_refused_as_such(avssl: Call, clips: Path, tmp_path: Path):
    command = (*TRAIN, "--out", tmp_path / "run", "--steps", "1", "--no-controls", *TINY)
    assert "give a --batch-size of two or more" in one_line(avssl(*command, "--data", clips, "--batch-size", "1"))
    write_clip(tmp_path / "one" / "0.mp4")
    assert "two sources at least" in one_line(avssl(*command, "--data", tmp_path / "one"))


def test_a_fault_of_the_program_before_the_first_step_leaves_the_folder_free(
    avssl: Call, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    command = (*TRAIN, "--data", clips, "--out", tmp_path / "run", "--steps", "1", "--no-controls", *TINY)
    with monkeypatch.context() as broke:
        broke.setattr("avssl.tasks.av_correspondence.task.AVCorrespondence.loss", broken)
        assert avssl(*command).status == 1
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_names_with_dollars_or_stray_bytes_are_trained_on_and_drawn(avssl: Call, tmp_path: Path):
    for number, name in enumerate((b"a$x^{1_$ b.mp4", b"bad\xff.mp4")):
        write_clip(tmp_path / "clip.mp4", number)
        (tmp_path / "clips").mkdir(exist_ok=True)
        (tmp_path / "clip.mp4").rename(tmp_path / "clips" / os.fsdecode(name))
    command = (*TRAIN, "--data", tmp_path / "clips", "--out", tmp_path / "run", "--steps", "1", "--no-controls", *TINY)
    result = avssl(*command)
    assert result.status == 0, result.err
    assert (tmp_path / "run" / "sheet.png").exists()


@contextmanager
def disk_full_after(size: int) -> Iterator[None]:
    """No file may grow beyond ``size`` bytes: the system says so as it does of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_while_saving_ends_in_one_line_and_the_rerun_continues(avssl: Call, clips: Path, tmp_path: Path):
    command = (*TRAIN, "--data", clips, "--out", tmp_path / "run", "--steps", "2", *TINY)
    with disk_full_after(20_000):
        line = one_line(avssl(*command))
    assert "cannot write" in line
    assert not list((tmp_path / "run" / "checkpoints").glob("step-*.pt"))
    result = avssl(*command)
    assert result.status == 0
    assert (tmp_path / "run" / "results" / "controls.json").exists()


def test_a_full_disk_in_the_system_s_own_words_is_one_line_too(
    avssl: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "out"))

    monkeypatch.setattr("avssl.cli.doctor.run", full)
    assert one_line(avssl("doctor")).endswith("the disk is full; free some space and run the same command again")


def test_a_fault_of_the_program_shows_its_traceback_and_names_itself(avssl: Call, monkeypatch: pytest.MonkeyPatch):
    def broken(_: object) -> None:
        raise ZeroDivisionError("of nothing")

    monkeypatch.setattr("avssl.cli.doctor.run", broken)
    result = avssl("doctor")
    assert result.status == 1
    assert result.err.startswith("Traceback")
    assert f"internal error of avssl {__version__}: ZeroDivisionError: of nothing;" in result.err.splitlines()[-1]
    monkeypatch.setenv("AVSSL_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


def in_a_process(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "avssl", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_a_process_of_its_own_ends_with_status_2_and_one_line(tmp_path: Path):
    ended = in_a_process("index", str(tmp_path / "nowhere"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"avssl: {tmp_path / 'nowhere'}: no such file or folder\n"


def test_the_traceback_is_shown_on_request(tmp_path: Path):
    ended = in_a_process("index", str(tmp_path / "nowhere"), AVSSL_TRACEBACK="1")
    assert ended.returncode != 0
    assert "Traceback" in ended.stderr


def test_a_reader_of_the_list_that_has_gone_is_no_error(tmp_path: Path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    reader, writer = os.pipe()
    os.close(reader)  # as head does after ten lines
    words = [sys.executable, "-m", "avssl", "index", str(tmp_path), "--workers", "0"]
    ended = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_without_torch_a_command_that_needs_it_says_so_in_one_line(monkeypatch, capsys):
    def missing(argv):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("avssl.cli.train.run", missing)
    assert main(["train", "rotation"]) == 2
    assert capsys.readouterr().err == (
        "avssl: the package torch is not installed, which this command needs; pip install torch\n"
    )
