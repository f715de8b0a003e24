"""A web server on this machine with faults that a test chooses."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from bort.downloads import connection
from tests.patience import HANG_SECONDS


class Site:
    """The files, the faults and the requests of the server.

    Attributes:
        address: prefix of its addresses.
        files: path → content.
        cut: number of bytes after which each response breaks off; None for never.
        ranges: whether it supports range requests.
        redirect: path → target of a redirect.
        requests: (path, Range header or "") of every request.
        tag: its ETag.
    """

    def __init__(self) -> None:
        self.address = ""
        self.files: Dict[str, bytes] = {}
        self.cut: Any = None
        self.ranges = True
        self.redirect: Dict[str, str] = {}
        self.requests: List[Tuple[str, str]] = []
        self.tag = '"one"'


def _handler(site: Site) -> Any:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            site.requests.append((self.path, asked))
            if self.path in site.redirect:
                self.send_response(302)
                self.send_header("Location", site.redirect[self.path])
                self.end_headers()
                return
            content = site.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            begin = 0
            same = self.headers.get("If-Range", site.tag) == site.tag
            if asked and site.ranges and same:
                begin = int(asked[len("bytes=") : -1])
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {begin}-{len(content)}/{len(content)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(content) - begin))
            self.send_header("ETag", site.tag)
            self.end_headers()
            end = len(content) if site.cut is None else begin + site.cut
            self.wfile.write(content[begin:end])

        def log_message(self, *arguments: Any) -> None:
            pass

    return Handler


@contextmanager
def serve() -> Iterator[Site]:
    """Serve a `Site` until the block ends. It is never too slow, whatever this machine does."""
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for limit in ("TIMEOUT_SECONDS", "HEADER_SECONDS", "WINDOW_SECONDS"):
                patch.setattr(connection, limit, HANG_SECONDS)
            yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
