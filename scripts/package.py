"""Builds the sdist and the wheel and checks what is in them.   python scripts/package.py OUT

Both are built from a copy of the files that git knows or would add: what earlier builds left in ``build/`` and
``*.egg-info`` cannot get in, and nothing is written beside the sources. The wheel is built from the sdist, as an
installer would, and has to equal the one that is built from the sources.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
OF_THE_WHEEL = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt")
OF_THE_SDIST = (
    *("LICENSE", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg"),
    *("avssl.egg-info/PKG-INFO", "avssl.egg-info/SOURCES.txt", "avssl.egg-info/dependency_links.txt"),
    *("avssl.egg-info/entry_points.txt", "avssl.egg-info/requires.txt", "avssl.egg-info/top_level.txt"),
)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the sdist and the wheel and check what is in them.")
    parser.add_argument("out", type=Path, help="folder for them; those of earlier builds there are removed")
    asked = parser.parse_args(words)
    sources = known_files(ROOT)
    sdist, wheel, direct = build(sources, asked.out)
    faults = check(sdist, wheel, sources, version_of(ROOT)) + differences(wheel, direct)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if not faults:
        modules = sum(name.endswith(".py") for name in wheel_files(wheel))
        for built in (sdist, wheel):
            print(f"{built}: {built.stat().st_size / 1e3:.0f} kB")
        print(f"{modules} modules; the sdist and the sources make the same wheel")
    return 1 if faults else 0


def known_files(root: Path) -> list[str]:
    """Paths in ``root`` that git tracks or would add, and are there; of no clone those of the package."""
    if not (root / ".git").exists():
        package = (path for path in (root / "avssl").rglob("*") if "__pycache__" not in path.parts)
        found = [*package, *(root / name for name in ("LICENSE", "README.md", "pyproject.toml"))]
        return sorted(path.relative_to(root).as_posix() for path in found if path.is_file())
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(name for name in set(listed.split("\0")) if name and (root / name).is_file())


def version_of(root: Path) -> str:
    return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def build(sources: Iterable[str], out: Path) -> tuple[Path, Path, Path]:
    """The sdist and the wheel made from it, both in ``out``; and the wheel made from the sources."""
    out.mkdir(parents=True, exist_ok=True)
    for old in [*out.glob("avssl-*.tar.gz"), *out.glob("avssl-*.whl")]:
        old.unlink()
    direct = Path("build/package")
    shutil.rmtree(direct, ignore_errors=True)
    direct.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as copy, tempfile.TemporaryDirectory() as unpacked:
        for name in sources:
            (Path(copy) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, Path(copy) / name)
        _call_backend("build_sdist", copy, out)
        with tarfile.open(next(out.glob("avssl-*.tar.gz"))) as sdist:
            sdist.extractall(unpacked, filter="data")
        _call_backend("build_wheel", next(Path(unpacked).iterdir()), out)
        _call_backend("build_wheel", copy, direct)
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl")), next(direct.glob("*.whl"))


def _call_backend(what: str, folder: str | Path, out: Path) -> None:
    """As a builder calls it (PEP 517), with the setuptools that is here: nothing is fetched."""
    code = "import sys, setuptools.build_meta as backend; getattr(backend, sys.argv[1])(sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, what, str(out.absolute())], cwd=folder, check=True, capture_output=True)


def check(sdist: Path, wheel: Path, sources: Iterable[str], version: str) -> list[str]:
    """What is wrong with the names in both: of the package every file that git knows, and nothing else."""
    package = {name for name in sources if name.startswith("avssl/")}
    with tarfile.open(sdist) as archive:
        in_sdist = {member.name for member in archive if not member.isdir()}
    return [
        *compare(sdist.name, in_sdist, {f"avssl-{version}/{name}" for name in {*package, *OF_THE_SDIST}}),
        *compare(wheel.name, wheel_files(wheel), package | {f"avssl-{version}.dist-info/{n}" for n in OF_THE_WHEEL}),
    ]


def compare(where: str, found: Iterable[str], wanted: Iterable[str]) -> list[str]:
    found, wanted = set(found), set(wanted)
    return [
        *(f"{where} lacks {name}; name it under tool.setuptools.package-data" for name in sorted(wanted - found)),
        *(f"{where} holds {name}, which does not belong there" for name in sorted(found - wanted)),
    ]


def differences(one: Path, other: Path) -> list[str]:
    """Files that two wheels do not have alike; times of files do not count."""
    ours, theirs = wheel_files(one), wheel_files(other)
    return [
        f"{name} of {one} and of {other} differ"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]


def wheel_files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


if __name__ == "__main__":
    sys.exit(main())
