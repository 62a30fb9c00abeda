"""Jobs in processes of their own. Jobs are Python expressions, so that some can kill the process they run in."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from avssl.errors import UserError
from avssl.system.process_pool import Lost, _Process, each

CRASH = "__import__('os').abort()"
HANG = "__import__('time').sleep(60)"
NOISE = "__import__('os').write(1, b'a native library prints') and 5"


def test_every_job_is_answered_with_its_place() -> None:
    jobs = [f"{n} * {n}" for n in range(20)]
    assert dict(each(eval, jobs, workers=2)) == {n: n * n for n in range(20)}


def test_a_crash_costs_its_own_job_only() -> None:
    answers = dict(each(eval, ["1", CRASH, "3", "4"], workers=1))
    assert answers == {0: 1, 1: Lost("the decoder crashed (signal 6)"), 2: 3, 3: 4}


def test_a_hang_is_given_up_after_its_time() -> None:
    began = time.monotonic()
    answers = dict(each(eval, ["1", HANG, "3"], workers=1, seconds=lambda job: 1.0 if job == HANG else 60.0))
    assert answers == {0: 1, 1: Lost("not done after 1 s", passing=True), 2: 3}
    assert time.monotonic() - began < 20


def test_what_a_library_prints_does_not_disturb_the_answers() -> None:
    assert dict(each(eval, [NOISE, "2"], workers=1)) == {0: 5, 1: 2}


def test_what_a_job_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        dict(each(eval, ["1 / 0"], workers=1))


def test_without_processes_the_answers_are_the_same() -> None:
    assert list(each(eval, ["1 + 1", "2 + 2"], workers=0)) == [(0, 2), (1, 4)]


def test_fewer_than_no_processes_are_refused_instead_of_waited_for() -> None:
    with pytest.raises(UserError, match=r"^workers \(-3\) must not be negative$"):
        next(each(eval, ["1"], workers=-3))


def test_a_process_that_died_before_it_read_its_job_is_closed_without_a_word() -> None:
    process = _Process(eval)
    process.kill()
    process._popen.wait()
    assert process.ask("1", 60.0) == Lost("the decoder crashed (signal 9)", passing=True)
    process.close()


@pytest.mark.skipif(not Path("/proc").exists(), reason="no /proc to see processes in")
def test_leaving_early_ends_the_processes() -> None:
    answers = each(eval, ["__import__('os').getpid()", *[HANG] * 3], workers=1)
    _, process = next(answers)
    answers.close()
    for _ in range(100):
        if not Path(f"/proc/{process}").exists():
            break
        time.sleep(0.05)
    assert not Path(f"/proc/{process}").exists()


def test_a_plain_script_without_a_main_guard_works(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        from avssl.system.process_pool import each
        print("once", sorted(each(eval, ["1", "2"], workers=2)))
        """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "once [(0, 1), (1, 2)]\n"
