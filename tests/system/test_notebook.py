"""What is shown in the cell of a notebook; the kernel is a real one."""

from __future__ import annotations

from typing import Any

import pytest

from avssl.system.notebook import in_notebook


def outputs(*cells: str) -> list[Any]:
    """Run cells in a kernel; what each of them leaves on the page."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


def test_this_process_is_no_notebook() -> None:
    assert not in_notebook()


def test_a_bar_says_how_far_it_is_and_is_gone_at_the_end() -> None:
    update = "from avssl.system.notebook import NotebookBar\nNotebookBar().update(0.25, '1 of 4 <b>')"
    whole = "from avssl.system.console import progress\nwith progress('preparing') as tell:\n    tell(1, 4)"
    shown, gone = outputs(update, whole)
    assert shown[0].data["text/html"] == '<progress value="0.2500" style="width: 12em"></progress> 1 of 4 &lt;b&gt;'
    assert [output.data for output in gone] == [{"text/plain": ""}]
