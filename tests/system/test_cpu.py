"""How threads wait and what memory is kept, as processes of their own see it: both are settled once in a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from avssl.system import cpu

FAULTS = """
import ctypes, resource
from avssl.system.cpu import freed_memory_kept
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def step():
    blocks = [libc.malloc(ctypes.c_size_t(8 << 20)) for _ in range(8)]
    for block in blocks: ctypes.memset(ctypes.c_void_p(block), 1, 8 << 20)
    for block in blocks: libc.free(block)
def faults():
    step(); step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
with freed_memory_kept():
    print(faults())
print(int(open("/proc/self/statm").read().split()[1]))
"""


def printed(code: str, **environment: str) -> str:
    known = {name: value for name, value in os.environ.items() if name not in (*cpu._WAITING, *cpu._MALLOC)}
    root = str(Path(cpu.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=known | {"PYTHONPATH": root} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_threads_sleep_while_they_wait_unless_the_environment_says_otherwise():
    asked = "import avssl, os; print(os.environ.get('OMP_WAIT_POLICY'))"
    assert printed(asked) == "passive"
    assert printed(asked, OMP_WAIT_POLICY="active") == "active"
    assert printed(asked, GOMP_SPINCOUNT="1000") == "None"


def test_what_torch_has_read_already_is_not_changed():
    assert (
        printed("import sys, os; sys.modules['torch'] = sys; import avssl; print('OMP_WAIT_POLICY' in os.environ)")
        == "False"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_memory_that_a_step_frees_is_there_for_the_next():
    pages = 8 * (8 << 20) // os.sysconf("SC_PAGE_SIZE")
    faults, resident_after = map(int, printed(FAULTS).split())
    assert faults < 0.05 * pages
    assert resident_after < pages, "what was kept is given back at the end"
    faults, _ = map(int, printed(FAULTS, MALLOC_TRIM_THRESHOLD_="1000").split())
    assert faults > 0.5 * pages, "the environment says otherwise"
