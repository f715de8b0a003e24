"""An imitation of the Hugging Face hub on this machine, with the answers that a download needs."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import threading
import urllib.parse
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from tests.patience import HANG_SECONDS

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BIG = ".safetensors"


class Hub:
    """The files, the faults and the requests of the server.

    Attributes:
        address: prefix of its addresses.
        models: name → file → content.
        revisions: names of the revisions, the same for every model.
        stated: file → SHA-256 that it states instead of the true one.
        cut: file → number of bytes after which its responses break off.
        status: file → status of its responses.
        requests: (method, path) of every request.
    """

    def __init__(self) -> None:
        self.address = ""
        self.models: Dict[str, Dict[str, bytes]] = {}
        self.revisions = ["main", "v1", COMMIT]
        self.stated: Dict[str, str] = {}
        self.cut: Dict[str, int] = {}
        self.status: Dict[str, int] = {}
        self.requests: List[Tuple[str, str]] = []

    def fetched(self) -> List[str]:
        """Names of the files whose content was requested."""
        paths = [path for method, path in self.requests if method == "GET" and "/resolve/" in path]
        return sorted({path.rsplit("/", 1)[1] for path in paths})

    def sha256(self, name: str, content: bytes) -> str:
        return self.stated.get(name, hashlib.sha256(content).hexdigest())


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        hub = self.hub
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        hub.requests.append((self.command, path))
        kind = "api/models/" if path.startswith("/api/models/") else ""
        rest = path[1 + len(kind) :]
        name = next((n for n in hub.models if rest == n or rest.startswith(f"{n}/")), None)
        if name is None:
            self._refuse(404, "RepoNotFound")
            return
        files, action = hub.models[name], rest[len(name) :].strip("/").split("/")
        if len(action) > 1 and action[1] not in hub.revisions:
            self._refuse(404, "RevisionNotFound")
        elif kind:
            self._json(self._tree(files) if action[0] == "tree" else self._info(name, files))
        elif action[0] == "resolve" and action[2] in files:
            self._file(action[2], files[action[2]], with_body)
        else:
            self._refuse(404, "EntryNotFound")

    def _info(self, name: str, files: Dict[str, bytes]) -> Any:
        siblings = []
        for path, content in files.items():
            entry: Dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": "0" * 40}
            if path.endswith(BIG):
                sha256 = self.hub.sha256(path, content)
                entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        return {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "tags": []}

    def _tree(self, files: Dict[str, bytes]) -> Any:
        entries = []
        for path, content in files.items():
            oid = hashlib.sha1(content).hexdigest()
            entry: Dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": oid}
            if path.endswith(BIG):
                sha256 = self.hub.sha256(path, content)
                entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
            entries.append(entry)
        return entries

    def _json(self, value: Any) -> None:
        content = json.dumps(value).encode("utf-8")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _file(self, name: str, content: bytes, with_body: bool) -> None:
        if name in self.hub.status and with_body:
            self._refuse(self.hub.status[name], "")
            return
        big = name.endswith(BIG)
        etag = self.hub.sha256(name, content) if big else hashlib.sha1(content).hexdigest()
        begin = 0
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            begin = int(asked[len("bytes=") :].split("-")[0])
        self.send_response(206 if begin else 200)
        if begin:
            end = len(content)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{end}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if big:
            self.send_header("X-Linked-Etag", f'"{etag}"')
            self.send_header("X-Linked-Size", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content[begin : begin + self.hub.cut.get(name, len(content))])

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def serve() -> Iterator[Hub]:
    """Serve a `Hub` until the block ends. It is never too slow, whatever this machine does."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for limit in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
                patch.setenv(limit, str(int(HANG_SECONDS)))
                if importlib.util.find_spec("huggingface_hub") is not None:
                    patch.setattr(f"huggingface_hub.constants.{limit}", int(HANG_SECONDS))
            yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
