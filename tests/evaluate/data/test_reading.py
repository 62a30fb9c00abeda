"""What others have written is read, or refused in one line that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avssl.errors import UserError
from avssl.evaluate.data.reading import read_array, read_json_of, read_lines, read_variables, read_xml
from avssl.evaluate.transfer.normals.sets import open_normals

READERS: dict[str, Callable[[Path], Any]] = {
    "list.txt": read_lines,
    "list.json": lambda file: read_json_of(file, "a list"),
    "one.xml": lambda file: read_xml(file, "an annotation"),
    "one.npy": read_array,
    "many.npz": lambda file: read_variables(file, "normals"),
    "many.mat": lambda file: read_variables(file, "normals"),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00<{[", b""])
def test_a_file_that_is_missing_or_damaged_is_one_line_with_its_name(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    if name == "list.txt" and content == b"":
        assert read_lines(file) == []
        return
    with pytest.raises(UserError, match=name) as caught:
        READERS[name](file)
    assert "\n" not in str(caught.value)


def test_lists_are_read_without_a_byte_order_mark_and_without_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("\ufeffone\r\n\n two \n".encode())
    assert read_lines(tmp_path / "list.txt") == ["one", "two"]


def test_a_list_of_normals_that_is_no_text_is_refused_in_one_line(tmp_path: Path) -> None:
    for word in ("train", "test"):
        (tmp_path / f"{word}.txt").write_bytes(b"\xff\xfe\x00")
    np.savez(tmp_path / "all.npz", images=np.zeros((2, 4, 4, 3), np.uint8), normals=np.ones((2, 4, 4, 3), np.float32))
    with pytest.raises(UserError, match=r"t(rain|est)\.txt cannot be read as a list: it is not text"):
        open_normals(tmp_path / "all.npz")
