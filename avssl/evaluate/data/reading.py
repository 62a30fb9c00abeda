"""Reading lists, JSON, XML and arrays of others; what cannot be read is a one-line error with the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from avssl.errors import UserError
from avssl.installation import install_hint


def read_text(file: str | Path, what: str) -> str:
    """The text of a file that should be "a list of names" or the like, for the message.

    Raises:
        UserError: it is not there, cannot be read, or is not text.
    """
    try:
        # utf-8-sig: spreadsheets begin a CSV with a byte order mark.
        return Path(file).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{file} cannot be read as {what}: no such file") from None
    except UnicodeDecodeError:
        raise UserError(f"{file} cannot be read as {what}: it is not text") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read as {what} ({error.strerror or error})") from None


def read_lines(file: str | Path, what: str = "a list") -> list[str]:
    """The lines of a list that are not empty, see :func:`read_text`."""
    return [line.strip() for line in read_text(file, what).splitlines() if line.strip()]


def read_json_of(file: str | Path, what: str) -> Any:
    """The value of a JSON file.

    Raises:
        UserError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(read_text(file, what))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read as {what} ({error})") from None


def read_xml(file: str | Path, what: str) -> ElementTree.Element:
    """The root of an XML file.

    Raises:
        UserError: it cannot be read, or is no XML.
    """
    try:
        return ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise UserError(f"{file} cannot be read as {what} ({error})") from None


def read_array(file: str | Path) -> Any:
    """What an ``.npy`` or ``.npz`` holds; objects are refused, since what is loaded must not run code.

    Raises:
        UserError: it cannot be read as that.
    """
    try:
        return np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{file} cannot be read as a numeric array ({error})") from None


def read_variables(file: Path, extra: str) -> Mapping[str, Any]:
    """The arrays of an ``.npz``, ``.mat`` or ``.h5`` by name; of HDF5, which MATLAB 7.3 writes, read only when asked.

    Raises:
        UserError: it cannot be read as that, or h5py is missing, which ``extra`` installs.
    """
    if file.suffix.lower() == ".npz":
        archive = read_array(file)
        return {name: archive[name] for name in archive.files}
    if not _is_hdf5(file):
        from scipy.io import loadmat  # slow to import
        from scipy.io.matlab import MatReadError

        try:
            return {name: one for name, one in loadmat(file).items() if not name.startswith("__")}
        except (OSError, ValueError, TypeError, IndexError, MatReadError) as error:
            raise UserError(f"{file} cannot be read as MATLAB's ({error})") from None
    h5py = import_h5py(file, extra)
    opened = h5py.File(file, "r")
    return {name: one for name, one in opened.items() if isinstance(one, h5py.Dataset)}


def import_h5py(file: Path, extra: str) -> Any:
    """The module, which not everybody needs.

    Raises:
        UserError: it is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise UserError(f"{file} is HDF5 (as of MATLAB 7.3), which needs h5py: {install_hint(extra)}") from None
    return h5py


def _is_hdf5(file: Path) -> bool:
    """By the signature, which MATLAB puts after a header of 512 bytes."""
    try:
        with file.open("rb") as opened:
            start = opened.read(520)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from None
    # MATLAB writes its own header first; other writers begin with the signature.
    return any(start[k : k + 8] == b"\x89HDF\r\n\x1a\n" for k in (0, 512))
