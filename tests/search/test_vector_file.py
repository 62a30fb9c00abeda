"""A vector in a file: what any program saves is read, what nobody should have written is one line."""

from __future__ import annotations

import io

import numpy as np
import pytest

from avssl.errors import UserError
from avssl.search.vector_file import vector_of


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def with_header(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"\x3f" * 64


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f8", "<i8", "u1"])
def test_a_vector_of_any_numbers_keeps_its_direction(dtype):
    found = vector_of(saved(np.array([[3, 4, 0]], dtype)), "v.npy")
    assert found.dtype == np.float32 and (found / np.linalg.norm(found)).tolist() == pytest.approx([0.6, 0.8, 0])


@pytest.mark.parametrize("scale", [1e300, 1e-60, 1e-310])
def test_a_vector_of_any_length_keeps_its_direction(scale):
    found = vector_of(saved(np.array([3.0, 4.0]) * scale), "v.npy")
    assert (found[0] / found[1]).item() == pytest.approx(0.75)


def test_the_bits_of_a_float32_vector_are_kept_but_for_its_exponent():
    vector = np.random.default_rng(0).normal(size=50).astype(np.float32)
    found = vector_of(saved(vector), "v.npy")
    assert np.array_equal(np.frexp(found)[0], np.frexp(vector)[0])


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775808,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': ()}",
        "{'descr': 'O', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': 5, 'fortran_order': False, 'shape': (3,)}",
        "{1: 2, 'descr': '<f8', 'shape': (3,)}",
        "{", "[[[", "(" * 3000, "",
    ],
)  # fmt: skip
def test_a_header_that_no_program_writes_is_one_line(header):
    with pytest.raises(UserError, match=r"^v\.npy.*$") as raised:
        vector_of(with_header(header), "v.npy")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("length", [0, 6, 8, 9, 60, 130])
def test_a_file_that_ends_early_is_one_line(length):
    with pytest.raises(UserError, match=r"v\.npy is no array"):
        vector_of(saved(np.ones(5))[:length], "v.npy")
