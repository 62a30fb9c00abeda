"""Servers on loopback that misbehave when they are asked to: of a folder, or in front of another server."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


EXPIRED = Answer(
    400,
    {"Content-Type": "application/xml"},
    b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>",
)
INVALID_TOKEN = EXPIRED._replace(
    body=b"<Error><Code>InvalidToken</Code><Message>The provided token is malformed.</Message></Error>"
)
BUSY = Answer(503, {"Content-Type": "text/plain"}, b"slow down")
LATER = Answer(503, {"Content-Type": "text/plain", "Retry-After": "2"}, b"slow down")
TOMORROW = Answer(429, {"Content-Type": "text/plain", "Retry-After": "86400"}, b"enough")
FORBIDDEN = Answer(403, {"Content-Type": "text/plain"}, b"no")


_ANSWERS = {
    "busy": BUSY,
    "later": LATER,
    "tomorrow": TOMORROW,
    "expired": EXPIRED,
    "invalid token": INVALID_TOKEN,
    "forbidden": FORBIDDEN,
}


class Server(ThreadingHTTPServer):
    """Counts what is asked for; ``faults`` are used up by the requests whose path holds their name.

    Faults: "busy" (503), "later" and "tomorrow" (with Retry-After), "cut" (half of the body, then the end), "wrong"
    (other bytes of the same length), "slow",
    "expired", "invalid token", "forbidden", "hang up" (no answer at all).

    Args:
        folder: whose files are served, with ranges.
        upstream: host and port of a server that is asked instead.
        bytes_a_second: of all answers together; None sends as fast as it can.
    """

    daemon_threads = True

    def __init__(
        self, folder: Path | None = None, upstream: tuple[str, int] | None = None, bytes_a_second: float | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.upstream, self.bytes_a_second = folder, upstream, bytes_a_second
        self.asked: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.faults: list[tuple[str, str]] = []
        self.always: list[tuple[str, str]] = []
        self.ranges = True
        self.lock = threading.Lock()
        self.free_at = 0.0

    def place(self, path: str) -> Path | Answer:
        """The file that a request asks for, or what is answered instead."""
        assert self.folder is not None
        return self.folder / path.lstrip("/")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self, path: str) -> str:
        with self.lock:
            for kind, name in self.always:
                if name in path:
                    return kind
            for place, (kind, name) in enumerate(self.faults):
                if name in path:
                    del self.faults[place]
                    return kind
        return ""

    def wait_for(self, size: int) -> None:
        """As long as so many bytes take over the line that all answers share."""
        if self.bytes_a_second is None:
            return
        with self.lock:
            self.free_at = max(self.free_at, time.monotonic()) + size / self.bytes_a_second
            until = self.free_at
        time.sleep(max(until - time.monotonic(), 0))

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no error of ours."""


class Hub(Server):
    """The folder as the data set owner/name of a Hugging Face Hub: what huggingface_hub asks to read files of it."""

    def place(self, path: str) -> Path | Answer:
        api, files = "/api/datasets/owner/name", "/datasets/owner/name/resolve/main"
        if path == api:
            return _as_json({"id": "owner/name", "sha": "0" * 40})
        if path.startswith(f"{api}/tree/main"):
            assert self.folder is not None
            folder = self.folder / path.removeprefix(f"{api}/tree/main").lstrip("/")
            found = sorted(each for each in folder.glob("*") if not each.name.startswith("."))
            return _as_json([self._entry(each) for each in found]) if found else Answer(404, {}, b"")
        return super().place(path.removeprefix(files) if path.startswith(files) else "none")

    def _entry(self, path: Path) -> dict[str, object]:
        assert self.folder is not None
        kind = "file" if path.is_file() else "directory"
        name = path.relative_to(self.folder).as_posix()
        return {"type": kind, "path": name, "size": path.stat().st_size, "oid": "0" * 40}


class ModelHub(Server):
    """A Hugging Face Hub of models: what huggingface_hub asks to make a repository, commit to it and fetch it.

    Attributes:
        commits: of each repository its versions, the oldest first: files by name.
        private: whether each was made private.
        tokens: that may write.
    """

    def __init__(self) -> None:
        super().__init__(Path())
        self.commits: dict[str, list[dict[str, bytes]]] = {}
        self.private: dict[str, bool] = {}
        self.tokens = {"hf_good"}

    def place(self, path: str) -> Answer:
        words = path.strip("/").split("/")
        api = words[:2] == ["api", "models"]
        owner_name = "/".join(words[2:4] if api else words[:2])
        versions = self.commits.get(owner_name, [])
        if not versions:
            return Answer(404, {"X-Error-Code": "RepoNotFound"}, b"")
        rest = words[4:] if api else words[2:]
        revision = rest[1] if len(rest) > 1 else "main"
        known = {f"{number:040x}": files for number, files in enumerate(versions)}
        sha = f"{len(versions) - 1:040x}" if revision == "main" else revision
        if sha not in known:
            return Answer(404, {"X-Error-Code": "RevisionNotFound"}, b"")
        files = known[sha]
        if api and rest[:1] == ["tree"]:
            return _as_json([self._listed(name, data) for name, data in files.items()])
        if api:
            return _as_json({"id": owner_name, "sha": sha, "private": self.private[owner_name], "siblings": []})
        name = "/".join(rest[2:])
        if name not in files:
            return Answer(404, {"X-Error-Code": "EntryNotFound"}, b"")
        data = files[name]
        headers = {"X-Repo-Commit": sha, "ETag": f'"{hashlib.sha1(data).hexdigest()}"', "Accept-Ranges": "bytes"}
        return Answer(200, headers | {"Content-Length": str(len(data))}, data)

    @staticmethod
    def _listed(name: str, data: bytes) -> dict[str, object]:
        return {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}

    def post(self, path: str, token: str, body: bytes) -> Answer:
        words = path.strip("/").split("/")
        if words == ["api", "validate-yaml"]:
            return _as_json({"errors": [], "warnings": []})
        if token not in self.tokens:
            return Answer(401, {}, b"")
        if words == ["api", "repos", "create"]:
            asked = json.loads(body)
            name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
            if name in self.commits:
                return _as_json({"url": f"{self.url}/{name}"})._replace(status=409)
            self.commits[name] = []
            self.private[name] = bool(asked.get("private")) or asked.get("visibility") == "private"
            return _as_json({"url": f"{self.url}/{name}", "id": name})
        name = "/".join(words[2:4])
        if name not in self.commits:
            return Answer(404, {"X-Error-Code": "RepoNotFound"}, b"")
        if words[4] == "preupload":
            modes = [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                     for each in json.loads(body)["files"]]  # fmt: skip
            return _as_json({"files": modes})
        lines = [json.loads(line)["value"] for line in body.splitlines() if json.loads(line)["key"] == "file"]
        new = {each["path"]: base64.b64decode(each["content"]) for each in lines}
        self.commits[name].append({**(self.commits[name] or [{}])[-1], **new})
        sha = f"{len(self.commits[name]) - 1:040x}"
        return _as_json({"commitUrl": f"{self.url}/{name}/commit/{sha}", "commitOid": sha})


class DataHub(ModelHub):
    """A Hugging Face Hub of data sets.

    Attributes:
        converted: of each repository the files of its branch ``refs/convert/parquet``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.converted: dict[str, dict[str, bytes]] = {}

    def place(self, path: str) -> Answer:
        path = path.replace("/api/datasets/", "/api/models/").removeprefix("/datasets")
        if "/refs/convert/parquet" in path or f"/{'c' * 40}" in path:
            hub = ModelHub()
            hub.commits = {name: [files] for name, files in self.converted.items()}
            hub.private = dict.fromkeys(self.converted, False)
            if not any(f"/{name}/" in path for name in hub.commits):
                return Answer(404, {"X-Error-Code": "RevisionNotFound"}, b"")
            answer = hub.place(path.replace("refs/convert/parquet", "main").replace("c" * 40, "0" * 40))
            hub.server_close()
            headers = {name: value.replace("0" * 40, "c" * 40) for name, value in answer.headers.items()}
            return Answer(answer.status, headers, answer.body.replace(b"0" * 40, b"c" * 40))
        return super().place(path)


def _as_json(value: object) -> Answer:
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(value).encode())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        name = unquote(urlsplit(self.path).path).rsplit("/", 1)[-1]
        with self.server.lock:
            self.server.asked[name] += 1
        fault = self.server.fault(self.path)
        if fault == "hang up":
            self.close_connection = True
            return
        if fault == "slow":
            time.sleep(0.3)
        answer = _ANSWERS.get(fault) or self._right()
        body = bytes(byte ^ 1 for byte in answer.body) if fault == "wrong" else answer.body
        self.send_response(answer.status)
        for header, value in answer.headers.items():
            self.send_header(header, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == "cut":
            body, self.close_connection = body[: len(body) // 2], True
        for begin in range(0, len(body), 1 << 16):
            piece = body[begin : begin + (1 << 16)]
            self.server.wait_for(len(piece))
            self.wfile.write(piece)
            with self.server.lock:
                self.server.sent[name] += len(piece)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        assert isinstance(self.server, ModelHub)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, token = unquote(urlsplit(self.path).path), self.headers.get("Authorization", "").removeprefix("Bearer ")
        answer = _ANSWERS.get(self.server.fault(self.path)) or self.server.post(path, token, body)
        self.send_response(answer.status)
        for header, value in answer.headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""

    def _right(self) -> Answer:
        return self._from_folder() if self.server.folder is not None else self._from_upstream()

    def _from_folder(self) -> Answer:
        path = self.server.place(unquote(urlsplit(self.path).path))
        if isinstance(path, Answer):
            return path
        if not path.is_file():
            return Answer(404, {}, b"")
        size, asked = path.stat().st_size, self.headers.get("Range")
        with path.open("rb") as file:
            if asked is None or not self.server.ranges:
                film = {"Content-Type": "video/mp4"} if path.suffix == ".mp4" else {}
                return Answer(200, {"Accept-Ranges": "bytes", **film}, file.read())
            first, _, last = asked.removeprefix("bytes=").partition("-")
            end = min(int(last) + 1 if last else size, size)
            if int(first) >= size:
                return Answer(416, {"Content-Range": f"bytes */{size}"}, b"")
            file.seek(int(first))
            body = file.read(end - int(first))
        return Answer(206, {"Content-Range": f"bytes {first}-{end - 1}/{size}"}, body)

    def _from_upstream(self) -> Answer:
        assert self.server.upstream is not None
        there = http.client.HTTPConnection(*self.server.upstream)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        there.request(self.command, self.path, headers=headers)
        response = there.getresponse()
        kept = {
            name: value
            for name, value in response.getheaders()
            if name.lower() not in ("connection", "transfer-encoding", "date", "server")
        }
        answer = Answer(response.status, kept, response.read())
        there.close()
        return answer


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server at work in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def s3_store(folder: Path, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Host and port of an S3 server whose bucket holds the files of a folder."""
    import botocore.session
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = botocore.session.get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket=bucket)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            name = f"{prefix}/{path.relative_to(folder).as_posix()}"
            client.put_object(Bucket=bucket, Key=name, Body=path.read_bytes())
    try:
        yield host, port
    finally:
        server.stop()


def s3_environment(url: str) -> dict[str, str]:
    """What a process needs to read from it."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
