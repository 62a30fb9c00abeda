"""``avssl completion``: what the scripts complete, asked of the shells themselves."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from avssl.cli.completion_script import Shell, completion_script
from avssl.cli.main import COMMANDS, main
from avssl.experiment.protocols import PROTOCOLS
from avssl.tasks.registry import BUILT_IN

BASH = """source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_avssl
printf '%s\\n' "${COMPREPLY[@]}"
"""

# Outside of a widget zsh has neither compadd nor compset: these do what they do, and print.
ZSH = """compdef() { registered=$2 }
compadd() { shift; print -l -- ${(M)@:#$current*} }
compset() { : }
_files() { print FILES }
source "$1"; shift
[[ $registered == avssl ]] || exit 3
words=("$@"); CURRENT=$#
_avssl
"""

# What is typed, the last word as far as it goes → words that are offered
OFFERED = {
    "avssl tr": {"train"},
    "avssl train rot": {"rotation"},
    "avssl train mul": {"multi-task"},
    "avssl show in": {"inpainting", "instance-contrast"},
    "avssl evaluate re": {"retrieval", "relative-position"},
    "avssl train rotation --opti": {"--optimizer"},
    "avssl train rotation --optimizer ": {"adamw", "sgd"},
    "avssl train rotation --steps 30 --optimizer ad": {"adamw"},
    "avssl train rotation --no-ni": set(),
    "avssl train multi-task --rotation.vie": {"--rotation.views"},
    "avssl train multi-task --rotation.views ": {"four", "one"},
    "avssl search --by ": {"image", "audio"},
    "avssl completion ": {"bash", "zsh", "fish"},
    "avssl train --he": {"--help"},
    "avssl export -": {"-o"},
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[Shell, Path]:
    folder = tmp_path_factory.mktemp("scripts")
    shells: tuple[Shell, ...] = ("bash", "zsh", "fish")
    for shell in shells:
        (folder / shell).write_text(completion_script(shell))
    return {shell: folder / shell for shell in shells}


def program(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed: its script is not tried")
    return found


def offered(shell: Shell, script: Path, typed: str) -> list[str]:
    """What the shell offers after what is typed."""
    if shell == "fish":
        words = [program("fish"), "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"', str(script), typed]
    elif shell == "zsh":
        words = [program("zsh"), "-fc", ZSH, "zsh", str(script), *typed.split(" ")]
    else:
        words = [program("bash"), "--norc", "-c", BASH, "bash", str(script), *typed.split(" ")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=script.parent)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_offers_commands_tasks_protocols_flags_and_their_values(shell: Shell, scripts: dict[Shell, Path]):
    for typed, expected in OFFERED.items():
        found = offered(shell, scripts[shell], typed)
        assert expected <= set(found), typed
        if not typed.endswith(" -") and expected:
            assert all(word.startswith(typed.rpartition(" ")[2]) for word in found), typed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_nothing_known_is_left_out(shell: Shell, scripts: dict[Shell, Path]):
    assert COMMANDS.keys() <= set(offered(shell, scripts[shell], "avssl "))
    assert BUILT_IN.keys() <= set(offered(shell, scripts[shell], "avssl train "))
    assert PROTOCOLS.keys() <= set(offered(shell, scripts[shell], "avssl evaluate "))


def test_elsewhere_files_are_completed(scripts: dict[Shell, Path]):
    for typed in ("avssl index ", "avssl train rotation --data "):
        assert offered("bash", scripts["bash"], typed) == []  # and then bash itself completes, as -o default says
    assert "complete -o default -F _avssl avssl" in scripts["bash"].read_text()


@pytest.mark.parametrize(("shell", "answer"), [("zsh", "FILES"), ("fish", "zsh")])
def test_elsewhere_zsh_and_fish_complete_files_as_well(shell: Shell, answer: str, scripts: dict[Shell, Path]):
    for typed in ("avssl index ", "avssl train rotation --data "):
        assert answer in offered(shell, scripts[shell], typed)


def test_bash_completes_a_value_behind_an_equals_sign(scripts: dict[Shell, Path]):
    # Bash splits words at the sign, see COMP_WORDBREAKS.
    assert offered("bash", scripts["bash"], "avssl train rotation --optimizer = sg") == ["sgd"]
    assert "adamw" in offered("bash", scripts["bash"], "avssl train rotation --optimizer =")


def test_fish_completes_a_value_behind_an_equals_sign(scripts: dict[Shell, Path]):
    assert offered("fish", scripts["fish"], "avssl train rotation --optimizer=sg") == ["--optimizer=sgd"]


def test_tab_starts_no_avssl(scripts: dict[Shell, Path]):
    """With an empty PATH no program can be started: the script has to know everything."""
    words = [program("bash"), "--norc", "-c", f"PATH=\n{BASH}", "bash", str(scripts["bash"]), "avssl", "train", "rot"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("rotation\n", "")


def test_the_command_prints_the_script(capsys: pytest.CaptureFixture[str]):
    assert main(["completion", "bash"]) == 0
    assert capsys.readouterr().out == completion_script("bash")
    assert main(["completion", "tcsh"]) == 2
    assert "shell needs one of bash, zsh, fish" in capsys.readouterr().err
