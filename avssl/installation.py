"""Installed packages against what pyproject.toml allows: install hints, and versions outside the tested range."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement


def install_hint(extra: str) -> str:
    """The command that installs what an extra needs, wherever avssl itself came from: "pip install 'onnx>=1.18' …".

    The packages are named, not the extra: avssl may lie in a clone, which ``pip install 'avssl[export]'`` cannot find.
    """
    wanted = [each for each in _requirements(extra) if not _is_satisfied(each)] or _requirements(extra)
    return "pip install " + " ".join(f"'{each.name}{each.specifier}'" for each in wanted)


def outside_tested_range(package: str) -> str | None:
    """The range that avssl asks for, where the installed version of a package is not in it; None where it is."""
    for each in _requirements():
        if each.name.lower() == package.lower() and (found := installed_version(package)) is not None:
            return None if each.specifier.contains(found, prereleases=True) else str(each.specifier)
    return None


def needed_packages() -> list[str]:
    """Names of the packages without which avssl does not work."""
    return [each.name for each in _requirements()]


def extra_packages() -> list[tuple[str, str]]:
    """(package, extra) for each package that an extra names."""
    extras = dict.fromkeys(name for line in _requirement_lines() for name in _EXTRA.findall(line))
    return [(each.name, extra) for extra in extras for each in _requirements(extra)]


def installed_version(package: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _requirements(extra: str = "") -> list[Requirement]:
    """What avssl asks for: always (no extra), or for this extra alone."""
    found = [Requirement(line) for line in _requirement_lines()]
    if not extra:
        return [each for each in found if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [each for each in found if each.marker is not None and each.marker.evaluate({"extra": extra})
            and not each.marker.evaluate({"extra": ""})]  # fmt: skip


# As the metadata of a package write that a requirement is an extra's.
_EXTRA = re.compile(r"""extra == ["'](.+?)["']""")


def _requirement_lines() -> list[str]:
    """What avssl asks for, as its metadata say; of a clone that is not installed, as its pyproject.toml says."""
    try:
        return importlib.metadata.requires("avssl") or []
    except importlib.metadata.PackageNotFoundError:
        project = Path(__file__).parent.parent / "pyproject.toml"
        if not project.is_file():
            return []
        project_table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        extras = project_table["optional-dependencies"].items()
        return [
            *project_table["dependencies"],
            *(f"{line}; extra == '{name}'" for name, lines in extras for line in lines),
        ]


def _is_satisfied(requirement: Requirement) -> bool:
    found = installed_version(requirement.name)
    # Nightly builds of torch are pre-releases, and are what their users want.
    return found is not None and requirement.specifier.contains(found, prereleases=True)
