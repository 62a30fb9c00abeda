"""What the documentation site takes from the code at build time: tables of files, and the help of every command."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from avssl.cli.reference import reference

ROOT = Path(__file__).parent.parent


def on_files(files: Files, config: Any) -> Files:
    """``reference/commands.md``, from the parsers."""
    files.append(File.generated(config, "reference/commands.md", content=reference()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A line ``{{ files avssl/media/decoding }}`` becomes a table: each file, and the first line of its docstring."""
    return re.sub(r"^\{\{ files (\S+) \}\}$", lambda found: _table(ROOT / found[1]), markdown, flags=re.MULTILINE)


def _table(folder: Path) -> str:
    rows = ["| file | content |", "|---|---|"]
    for path in sorted(folder.glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if path.name != "__init__.py" and text is not None:
            line = text.partition("\n\n")[0].replace("\n", " ").replace("``", "`").replace("|", "\\|")
            plain = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", line)
            rows.append(f"| `{path.name}` | {plain} |")
    if len(rows) == 2:
        raise ValueError(f"{folder} has no files to list")
    return "\n".join(rows)
