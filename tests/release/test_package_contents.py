"""``scripts/package.py``, of ``make package``, sees what is missing from an sdist or a wheel, and what is too much."""

from __future__ import annotations

import tarfile
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = spec_from_file_location("package_script", ROOT / "scripts/package.py")
assert SPEC is not None and SPEC.loader is not None
script = module_from_spec(SPEC)
SPEC.loader.exec_module(script)

SOURCES = ["avssl/__init__.py", "avssl/py.typed", "avssl/explore/page/app.js", "tests/test_one.py", "pyproject.toml"]
PACKAGE = SOURCES[:3]


def archives(folder: Path, package: list[str], stray: tuple[str, ...] = ()) -> tuple[Path, Path]:
    """An sdist and a wheel of empty files: those of the package and what building adds."""
    sdist, wheel, empty = folder / "avssl-1.tar.gz", folder / "avssl-1-py3-none-any.whl", folder / "empty"
    empty.touch()
    with tarfile.open(sdist, "w:gz") as archive:
        for name in [*package, *script.OF_THE_SDIST, *stray]:
            archive.add(empty, f"avssl-1/{name}")
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in [*package, *(f"avssl-1.dist-info/{name}" for name in script.OF_THE_WHEEL), *stray]:
            archive.writestr(name, b"")
    return sdist, wheel


def test_archives_of_the_package_alone_pass(tmp_path: Path) -> None:
    assert script.check(*archives(tmp_path, PACKAGE), SOURCES, "1") == []


@pytest.mark.parametrize("name", PACKAGE)
def test_each_file_of_the_package_is_missed_in_both(tmp_path: Path, name: str) -> None:
    faults = script.check(*archives(tmp_path, [one for one in PACKAGE if one != name]), SOURCES, "1")
    assert [fault.split(";")[0] for fault in faults] == [
        f"avssl-1.tar.gz lacks avssl-1/{name}",
        f"avssl-1-py3-none-any.whl lacks {name}",
    ]


@pytest.mark.parametrize("name", ["tests/test_one.py", "runs/quickstart/config.yaml", "avssl/gone.py"])
def test_what_is_not_of_the_package_is_seen_in_both(tmp_path: Path, name: str) -> None:
    faults = script.check(*archives(tmp_path, PACKAGE, (name,)), SOURCES, "1")
    assert len(faults) == 2 and all(f"{name}, which does not belong there" in fault for fault in faults)


def test_wheels_differ_by_content_and_not_by_the_time_of_their_making(tmp_path: Path) -> None:
    wheels = [tmp_path / name for name in ("one.whl", "later.whl", "other.whl")]
    for wheel, year, text in zip(wheels, (1990, 1991, 1990), ("x = 1", "x = 1", "x = 2"), strict=True):
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(zipfile.ZipInfo("avssl/a.py", (year, 1, 1, 0, 0, 0)), text)
    assert script.differences(wheels[0], wheels[1]) == []
    assert script.differences(wheels[0], wheels[2]) == [f"avssl/a.py of {wheels[0]} and of {wheels[2]} differ"]


def test_known_files_are_those_of_the_working_tree_without_what_git_ignores() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: git knows no files here")
    known = script.known_files(ROOT)
    assert {"pyproject.toml", "avssl/py.typed", "avssl/explore/page/index.html"} <= set(known)
    assert not [name for name in known if "__pycache__" in name or name.startswith(("runs/", "build/", "dist/"))]
