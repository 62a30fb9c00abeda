"""Result rows: their defaults, when they are at chance, and their files."""

from __future__ import annotations

import pytest

from avssl.evaluate.core.rows import ResultRow, read_rows, write_rows


def test_a_row_has_no_more_company_than_it_was_given_and_may_be_written_again(tmp_path):
    row = ResultRow("x", "accuracy", 0.9, 0.8, 0.95, 100, 0.5, "test", 0)
    defaults = (row.note, row.command, row.protocol, row.unit, row.clusters, row.method)
    assert defaults == ("", "", "", "", 0, "none")
    assert (row.n_listed, row.n_used, row.empty_truth, row.ties) == (0, 0, 0, 0.0)
    path = tmp_path / "a" / "b" / "rows.json"
    for rows in ([row], [row, row]):
        write_rows(rows, path)
        assert read_rows(path) == rows
    assert [file.name for file in path.parent.iterdir()] == ["rows.json"], "nothing half-written is left"
    whole = path.read_text().replace('"ties"', '"of_another_version"')
    path.write_text(whole)
    assert read_rows(path)[0].ties == 0.0


@pytest.mark.parametrize(
    ("low", "high", "chance", "holds"),
    [
        (0.4, 0.6, 0.5, True),
        (0.5, 0.6, 0.5, True),
        (0.4, 0.5, 0.5, True),
        (0.51, 0.6, 0.5, False),
        (0.3, 0.4, 0.5, False),
        (0.4, 0.6, None, False),
        (float("nan"), 0.6, 0.5, True),
        (0.6, float("nan"), 0.5, True),
    ],
)
def test_a_row_is_at_chance_if_its_interval_holds_it_or_if_there_is_none(low, high, chance, holds):
    assert ResultRow("x", "accuracy", 0.5, low, high, 9, chance, "test", 0).holds_chance is holds
