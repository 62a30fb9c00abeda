"""Rows of results as a list that also gives a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.errors import UserError
from avssl.evaluate.core.rows import ResultRow, read_rows
from avssl.installation import install_hint
from avssl.report.notebook import rows_html
from avssl.report.tables import rows_text

if TYPE_CHECKING:
    import pandas


class Results(list[ResultRow]):
    """Result rows, each with the name of its file.

    Args:
        rows: the rows.
        files: of each row the name of the file that it is from, without ``.json``; "" where there is none.
    """

    def __init__(self, rows: Iterable[ResultRow] = (), files: Sequence[str] = ()) -> None:
        super().__init__(rows)
        self.files = list(files) or [""] * len(self)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Results:
        """The rows of these files. Beside rows lie files of other facts, which are passed over.

        Raises:
            UserError: a file of rows is damaged.
        """
        found = cls()
        for path in paths:
            rows = read_rows(path) if _holds_rows(path) else []
            found.extend(rows)
            found.files += [path.stem] * len(rows)
        return found

    def of(self, file: str) -> Results:
        """The rows of one file: ``run.results.of("controls")``."""
        chosen = [row for row, name in zip(self, self.files, strict=True) if name == file]
        return Results(chosen, [file] * len(chosen))

    def __repr__(self) -> str:
        """A table, as wide as the terminal."""
        return rows_text(self) if self else "no rows"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return rows_html(self, self.files)

    def frame(self) -> pandas.DataFrame:
        """The same as a pandas frame: a row a result, a column a field, and the file first.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise UserError(f"a frame needs pandas: {install_hint('pandas')}") from None
        return pandas.DataFrame([{"file": file, **asdict(row)} for row, file in zip(self, self.files, strict=True)])


def _holds_rows(path: Path) -> bool:
    """Whether it is meant to: it lists objects with a metric, or cannot be read at all."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return isinstance(entries, list) and any(isinstance(entry, dict) and "metric" in entry for entry in entries)
