"""Display in notebook cells."""

from __future__ import annotations

import sys
from html import escape
from typing import Any


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    get_shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_shell is not None and getattr(get_shell(), "kernel", None) is not None


class NotebookBar:
    """A bar and a line of text below the cell that runs, gone when it is closed.

    rich and tqdm draw theirs with ipywidgets, which few kernels have; this is plain HTML.
    """

    def __init__(self) -> None:
        from IPython import display  # there wherever a notebook is

        show: Any = display.display
        # A display with an id can be changed in place; printing would fill the cell with lines.
        self._handle: Any = show({"text/plain": ""}, raw=True, display_id=True)

    def update(self, share: float | None, text: str) -> None:
        """Show how much is done, from 0 to 1 (None: unknown), and the text."""
        value = "" if share is None else f' value="{share:.4f}"'
        html = f'<progress{value} style="width: 12em"></progress> {escape(text)}'
        self._handle.update({"text/html": html, "text/plain": text}, raw=True)

    def close(self) -> None:
        """Take it away."""
        self._handle.update({"text/plain": ""}, raw=True)
