"""Tries an installed avssl: its version, every reader, an index of generated clips, the files of its pages.

    VENV/bin/python -I scripts/installed.py

It has to be the one in the environment of the Python that runs this, not that of a source tree.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import avssl

# Of the environment alone: a PYTHONPATH would be searched first.
ALONE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def main() -> None:
    package = Path(avssl.__file__).parent
    assert package.is_relative_to(sys.prefix), f"{package} is not in {sys.prefix}"
    assert (package / "py.typed").is_file(), "the package does not say that it has types"
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        assert command(here, "--version").split() == ["avssl", version("avssl")]
        assert str(package) in command(here, "doctor"), "avssl doctor looks at another avssl"
        command(here, "world", "clips", "--train", "3", "--validation", "1", "--test", "1", "--workers", "1")
        command(here, "index", "clips/train", "--json", "index.json", "--workers", "1")
        summary = json.loads((here / "index.json").read_text(encoding="utf-8"))
        assert summary["usable"] == 3, summary
    print(
        f"avssl {version('avssl')} in {package}: every reader works, 3 of 3 clips are usable, {pages()} files of pages"
    )


def command(here: Path, *words: str) -> str:
    avssl_of_this_python = Path(sys.executable).parent / "avssl"
    done = subprocess.run(
        [avssl_of_this_python, *words], cwd=here, env=ALONE, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def pages() -> int:
    """How many files the explorer's page and the reports have; those the page names, and all templates, are opened."""
    from avssl.report.page import environment

    page, html = files("avssl.explore") / "page", files("avssl.report") / "html"
    index = (page / "index.html").read_text(encoding="utf-8")
    named = re.findall(r"(?:src|href)=\"/?page/([^\"]+)\"", index)
    assert named, "the explorer's page names no file"
    for name in named:
        assert (page / name).read_bytes(), name
    templates = [entry.name for entry in html.iterdir() if entry.name.endswith(".html")]
    for name in templates:
        environment().get_template(name)
    assert "report.html" in templates, templates
    return len(list(page.iterdir())) + len(list(html.iterdir()))


if __name__ == "__main__":
    main()
