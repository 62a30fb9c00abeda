"""The notebooks of docs/notebooks, run from top to bottom on tiny budgets."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

nbclient = pytest.importorskip("nbclient", reason="pip install nbclient nbformat ipykernel")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_says(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in (("CLIPS", 24), ("STEPS", 6), ("PICTURES", 12)):
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pages = [output.data["text/html"] for output in shown if "text/html" in output.get("data", {})]
    assert pages, "media, runs or results are shown as more than text"
    assert all("<script" not in page for page in pages)


def test_there_are_three_and_none_keeps_what_it_printed():
    notebooks = [nbformat.read(path, as_version=4) for path in NOTEBOOKS.glob("*.ipynb")]
    assert len(notebooks) >= 3
    assert not any(cell.get("outputs") for notebook in notebooks for cell in notebook.cells)
