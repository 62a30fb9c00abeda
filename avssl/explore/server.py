"""``avssl explore``: from options to a page that is served until Ctrl-C."""

from __future__ import annotations

import errno
import importlib.util
import socket
import threading
import webbrowser
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

from avssl.errors import UserError
from avssl.experiment.places import refuse_missing
from avssl.installation import install_hint
from avssl.system.console import log

if TYPE_CHECKING:
    from avssl.explore.guard import Guard
    from avssl.explore.library import Library
    from avssl.explore.options import ExploreOptions

_PORTS_TRIED = 20

WARM_AFTER_SECONDS = 2.0
"""The page comes first: importing torch holds up every thread."""


def explore(options: ExploreOptions) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        UserError: no such run or data, a run that compares no picture with a sound or was trained on since, no free
            port, or what serves pages is not installed.
    """
    lacking = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if lacking:
        raise UserError(f"avssl explore needs {' and '.join(lacking)}: {install_hint('explore')}")
    from avssl.explore.guard import Guard

    listener = listen(options.host, options.port)  # a taken port should not wait for an index
    with closing(listener), closing(open_library(options)) as library:
        guard = Guard.of(options.host, options.token)
        address = address_of(listener, guard.token)
        warming = threading.Timer(WARM_AFTER_SECONDS, library.warm)
        warming.daemon = True
        warming.start()
        log(f"exploring {library.named} with {library.run.path}: {address}  (Ctrl-C ends it)")
        if options.browser:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        serve(library, guard, listener)


def open_library(options: ExploreOptions) -> Library:
    """The index and the run; the index is made first if it is not there.

    Raises:
        UserError: no such run or data, nothing in them that can be embedded, or weights that are not the index's.
    """
    from avssl.experiment.run import Run
    from avssl.experiment.search import open_index
    from avssl.explore.library import Library
    from avssl.search.rows import KINDS

    if options.index is not None and options.data is not None:
        raise UserError("--index and --data are given; leave one out")
    refuse_missing(options.data, options.index, options.run)
    index = open_index(options.index or options.data, options.run, options.every, options.device)
    # A run that was trained on since, and vectors that are not finite, show here, not on the page.
    index.check_weights()
    for kind in KINDS:
        index.vectors(kind)
    return Library(index, Run(index.run))


def serve(library: Library, guard: Guard, listener: socket.socket) -> None:
    """Answer requests at a socket until Ctrl-C."""
    import uvicorn

    from avssl.explore.app import make_app

    # Ctrl-C does not wait for a film that is still being made.
    config = uvicorn.Config(
        make_app(library, guard), log_level="warning", server_header=False, timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run([listener])


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, at the port or the next free one after it.

    Raises:
        UserError: this machine has no such address, or no port is free.
    """
    try:
        family, _, _, _, where = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):  # the latter of a name with an empty or endless part
        raise UserError(f"--host {host} is no address that is known here") from None
    last = port if port == 0 else min(port + _PORTS_TRIED, 65535)
    for one in range(port, last + 1):
        try:
            return _bound(family, str(where[0]), one)
        except PermissionError:
            raise UserError(f"--port {one} needs rights that this user lacks; take one above 1023") from None
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise UserError(f"--host {host} is no address of this machine") from None
    raise UserError(f"ports {port} to {last} are taken; name a free one with --port")


def _bound(family: int, address: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def address_of(listener: socket.socket, token: str | None) -> str:
    """What a browser opens."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    where = f"[{shown}]" if ":" in shown else shown
    return f"http://{where}:{port}/" + (f"?token={quote(token, safe='')}" if token else "")
