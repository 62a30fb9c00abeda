"""What only Unix has is done without where it is not there."""

from __future__ import annotations

import subprocess
import sys
import textwrap

AS_ON_WINDOWS = textwrap.dedent("""
    import importlib, os, pkgutil, signal, sys

    def import_all():
        import avssl
        for module in pkgutil.walk_packages(avssl.__path__, "avssl."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)

    import_all()  # with the libraries, which know what their system lacks
    for name in [name for name in sys.modules if name.partition(".")[0] == "avssl"]:
        del sys.modules[name]
    for name in ("fcntl", "resource", "grp", "pwd", "termios", "pty"):
        sys.modules[name] = None  # an import of it fails
    for module, names in (
        (os, "sched_getaffinity statvfs fork getuid geteuid sysconf killpg setsid EX_OK O_DIRECTORY"),
        (signal, "SIGKILL SIGBUS SIGALRM SIGHUP SIGUSR1 SIGCHLD SIGPIPE alarm setitimer"),
    ):
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    import_all()
""")


def test_every_module_is_imported_without_what_windows_lacks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_ON_WINDOWS], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
