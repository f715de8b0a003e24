"""Connections end: malformed addresses and proxies are refused, and slow servers are left."""

from __future__ import annotations

import socket
import threading
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from bort.downloads import connection
from bort.downloads.connection import TooSlowError, open_address, received_blocks
from bort.downloads.https import RemoteFile, fetch
from bort.errors import InputError, WorkError
from tests.downloads.local_server import serve
from tests.patience import HANG_SECONDS

REDIRECTS = urllib.request.HTTPRedirectHandler()


@contextmanager
def dripping(head: bytes, drops: bytes, pause: float) -> Iterator[str]:
    """Serve connections that send `head` at once, then `drops` one byte at a time for ever."""
    server = socket.create_server(("127.0.0.1", 0))
    ended, patch = threading.Event(), pytest.MonkeyPatch()

    def answer(client: socket.socket) -> None:
        with client:
            try:
                client.recv(65536)
                client.sendall(head)
                while not ended.wait(pause):
                    for drop in drops:
                        client.sendall(bytes([drop]))
            except OSError:
                pass

    def accept() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        # A read that times out when this process was stopped is not what these servers are for.
        patch.setattr(connection, "TIMEOUT_SECONDS", HANG_SECONDS)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        patch.undo()
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


class Body:
    """A response whose blocks arrive at given seconds."""

    def __init__(self, clock: List[float], arrivals: List[Any]) -> None:
        self.clock = clock
        self.arrivals = arrivals

    def read(self, size: int) -> bytes:
        raise AssertionError("waits until a block is full")

    def read1(self, size: int) -> bytes:
        if not self.arrivals:
            return b""
        seconds, count = self.arrivals.pop(0)
        self.clock[0] += seconds
        return bytes(min(count, size))


def read(arrivals: List[Any], expected: Any = None) -> int:
    clock = [0.0]
    body = Body(clock, arrivals)
    return sum(map(len, received_blocks(body, expected, now=lambda: clock[0])))


def test_a_server_above_the_floor_may_take_its_time() -> None:
    assert read([(10, 10_240)] * 100) == 1_024_000
    assert read([(59, 1)] + [(1, 61_440)] * 3) == 1 + 3 * 61_440
    assert read([(5, 10)] * 3) == 30


@pytest.mark.parametrize(
    ("arrivals", "taken"),
    [
        ([(10, 1)] * 1000, 6),
        ([(0, 60_000)] + [(20, 1)] * 1000, 4),
        ([(0, 65_000)] + [(20, 1)] * 1000, 7),
        ([(61, 1)], 1),
    ],
)
def test_a_server_below_the_floor_is_left_after_a_window(arrivals: List[Any], taken: int) -> None:
    total = len(arrivals)
    with pytest.raises(TooSlowError, match="allowed are at least 1024 a second"):
        read(arrivals)
    assert total - len(arrivals) == taken


def test_reading_stops_after_the_announced_length() -> None:
    assert read([(0, 100)] * 9, expected=250) == 250
    assert read([(0, 100)], expected=250) == 100
    assert read([(0, 100)], expected=0) == 0


def test_dripped_headers_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.3)
    for head in (b"", b"HTTP/1.1 200 OK\r\nX: "):
        with dripping(head, b"x", 0.02) as address, pytest.raises(connection.BROKEN):
            open_address(urllib.request.Request(address), REDIRECTS, use_proxies=False)


def test_a_dripped_body_ends_and_the_part_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(connection, "WINDOW_SECONDS", 0.2)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nx"
    message = "allowed are at least 1024 a second.*is kept, run"
    with dripping(head, b"x", 0.02) as address, pytest.raises(WorkError, match=message):
        fetch(RemoteFile("https://data.example/a"), tmp_path, local_server=address)
    assert (tmp_path / "a.part").stat().st_size > 0


def test_a_server_that_keeps_the_connection_open_is_not_waited_for(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
    with dripping(head, b"", 0.02) as address:
        path = fetch(RemoteFile("https://data.example/a"), tmp_path, local_server=address)
    assert path.read_bytes() == b"abc"


@pytest.mark.parametrize(
    "target",
    [
        "https://[bad/T.zip",
        "https://host:port/",
        "https://host:99999999/",
        "https://" + "a" * 70 + "/",
        "https://a..b/",
        "https://a\x7fb/",
        "http://",
        "//",
        "file:///etc/passwd",
        "ftp://data.example/a",
        "gopher://data.example/a",
        "",
    ],
)
def test_a_redirect_that_leads_nowhere_is_one_line(tmp_path: Path, target: str) -> None:
    with serve() as site:
        site.redirect["/a"] = target
        with pytest.raises(WorkError, match="https?://"):
            fetch(RemoteFile("https://data.example/a"), tmp_path, local_server=site.address)
    assert not (tmp_path / "a").exists()


def test_a_loop_of_redirects_ends(tmp_path: Path) -> None:
    with serve() as site:
        site.redirect["/a"] = site.address + "/b"
        site.redirect["/b"] = site.address + "/a"
        with pytest.raises(WorkError, match="the server answers 302"):
            fetch(RemoteFile("https://data.example/a"), tmp_path, local_server=site.address)
    assert len(site.requests) < 50


@pytest.mark.parametrize(
    "value", ["http://[bad", "http://host:port", "http://host:0", "http://", "ho st\x1b:1", ":"]
)
def test_a_malformed_proxy_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", value)
    with pytest.raises(InputError, match="^https_proxy is .*, allowed is an address such as http"):
        open_address(urllib.request.Request("https://data.example"), REDIRECTS, use_proxies=True)


def test_a_usable_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as site:
        site.files["http://data.example/a"] = b"abc"
        monkeypatch.setenv("http_proxy", site.address)
        monkeypatch.delenv("no_proxy", raising=False)
        request = urllib.request.Request("http://data.example/a")
        with open_address(request, REDIRECTS, use_proxies=True) as response:
            assert b"".join(received_blocks(response)) == b"abc"


def test_a_host_that_does_not_resolve_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*arguments: Any, **options: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(WorkError, match="cannot be reached .*Name or service not known"):
        fetch(RemoteFile("https://data.example/a"), tmp_path)


def test_an_announced_length_beyond_the_limit_is_refused_at_once(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999\r\n\r\nabc"
    message = "is longer than .* bytes, the server announces 9999"
    with dripping(head, b"", 0.02) as address, pytest.raises(WorkError, match=message):
        fetch(RemoteFile("https://data.example/a"), tmp_path, local_server=address)


@pytest.mark.parametrize("state", ["[" * 100_000, "[]", '{"validator": "a\\r\\nX: y"}', "\xff"])
def test_a_damaged_state_of_a_part_starts_anew(tmp_path: Path, state: str) -> None:
    (tmp_path / "a.part").write_bytes(b"old")
    (tmp_path / "a.part.json").write_text(state, encoding="latin-1")
    with serve() as site:
        site.files["/a"] = b"abc"
        path = fetch(RemoteFile("https://data.example/a"), tmp_path, local_server=site.address)
    assert path.read_bytes() == b"abc"
    assert site.requests == [("/a", "")]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("[]", r"it is \[\], allowed is an object"),
        ('{"https://data.example/a": 3}', "https://data.example/a is 3, allowed is an object"),
        ('{"u": {"sha256": false}}', "u.sha256 is False, allowed is a text"),
        ("[" * 100_000, "is not valid JSON: it is nested too deeply"),
    ],
)
def test_a_damaged_record_of_downloads_is_named(tmp_path: Path, record: str, message: str) -> None:
    (tmp_path / "downloads.json").write_text(record)
    with serve() as site:
        site.files["/a"] = b"abc"
        with pytest.raises(InputError, match=f"downloads.json: {message}"):
            fetch(RemoteFile("https://data.example/a"), tmp_path, local_server=site.address)
