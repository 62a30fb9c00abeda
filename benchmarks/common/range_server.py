"""A server on loopback that sends files and parts of files at a bounded speed: ``python range_server.py FOLDER BYTES``.

Prints its URL, and serves until its standard input is closed.
"""

from __future__ import annotations

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_BLOCK = 1 << 16


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path
    bytes_a_second: float
    lock = threading.Lock()
    free_at = 0.0

    def do_GET(self) -> None:
        path = self.folder / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        size, asked = path.stat().st_size, self.headers.get("Range", "bytes=0-")
        first, _, last = asked.removeprefix("bytes=").partition("-")
        end = min(int(last) + 1, size) if last else size
        with path.open("rb") as file:
            file.seek(int(first))
            body = file.read(end - int(first))
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for begin in range(0, len(body), _BLOCK):
            piece = body[begin : begin + _BLOCK]
            self._wait(len(piece))
            self.wfile.write(piece)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def _wait(self, size: int) -> None:
        """All answers share one line."""
        with self.lock:
            _Handler.free_at = max(_Handler.free_at, time.monotonic()) + size / self.bytes_a_second
        time.sleep(max(_Handler.free_at - time.monotonic(), 0))


if __name__ == "__main__":
    _Handler.folder, _Handler.bytes_a_second = Path(sys.argv[1]), float(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    sys.stdin.read()
