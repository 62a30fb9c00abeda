"""Adds the page of all commands to the documentation: a hook of mkdocs, which writes it from the commands' own help."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from avssl.cli.reference import reference


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by mkdocs once it has listed the pages."""
    files.append(File.generated(config, "reference/commands.md", content=reference()))
    return files
