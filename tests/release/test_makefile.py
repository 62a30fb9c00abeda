"""``make`` says what is wrong with the Python that it is given."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# As the shim of pyenv, where the version is installed but not active.
INACTIVE = """
echo "pyenv: python3.13: command not found" >&2
exit 127
"""
OLD = f"""
case "$1" in
-c) exec {sys.executable} -c 'import sys; sys.version_info = (3, 10, 13); exec(sys.argv[1])' "$2" ;;
*) echo "Python 3.10.13" ;;
esac
"""


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    ("script", "said", "not_said"),
    [
        (INACTIVE, "python3.13 does not start, see above", "3.11 or later"),
        (OLD, "avssl needs Python 3.11 or later; {python} is Python 3.10.13", "does not start"),
    ],
    ids=["inactive", "old"],
)
def test_a_python_that_does_not_start_is_not_called_old_and_an_old_one_is(
    tmp_path: Path, script: str, said: str, not_said: str
) -> None:
    python = tmp_path / "python3.13"
    python.write_text(f"#!/bin/sh{script}")
    python.chmod(0o755)
    wanted = tmp_path / "venv/bin/python"
    made = subprocess.run(
        ["make", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}", str(wanted)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 2 and not wanted.exists()
    assert said.format(python=python) in made.stderr and not_said not in made.stderr
