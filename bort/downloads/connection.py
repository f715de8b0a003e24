"""Connections that end: addresses, proxies and redirects are checked, and slow servers are left.

A server has `HEADER_SECONDS` to send the headers of its answer. After that, it has to send at least
`SLOWEST_BYTES_PER_SECOND`, measured over windows of `WINDOW_SECONDS`. Without such a floor, a
server that sends a byte now and then would hold a download for ever, because every byte resets a
timeout.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Callable, Dict, Iterator, List, Optional, Type

from bort.errors import InputError, WorkError

TIMEOUT_SECONDS = 30.0
HEADER_SECONDS = 60.0
WINDOW_SECONDS = 60.0
SLOWEST_BYTES_PER_SECOND = 1024

BROKEN = (http.client.HTTPException, ConnectionError, socket.timeout, ssl.SSLError)
"""Errors of a connection that another attempt may not meet."""

_BLOCK = 1 << 16


class TooSlowError(ConnectionError):
    """A server sends less than `SLOWEST_BYTES_PER_SECOND`."""


def open_address(
    request: urllib.request.Request, redirects: urllib.request.BaseHandler, *, use_proxies: bool
) -> Any:
    """Send a request, and return the response when its headers have arrived.

    Args:
        request: the request.
        redirects: handler of redirects.
        use_proxies: whether to use the proxies of the environment.

    Raises:
        InputError: a proxy variable of the environment is malformed.
        WorkError: the address, or one that the server redirects to, is malformed.
        OSError, http.client.HTTPException: as `urllib.request` raises them.
    """
    if use_proxies:
        _check_proxies()
    handlers: List[urllib.request.BaseHandler] = [redirects, _HTTPHandler(), _HTTPSHandler()]
    if not use_proxies:
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    try:
        return opener.open(request, timeout=TIMEOUT_SECONDS)
    except (ValueError, OverflowError, http.client.InvalidURL) as error:
        raise WorkError(
            f"{request.full_url}: this address, or one that the server leads to, is malformed: "
            f"{error}"
        ) from error


def received_blocks(
    response: Any, expected: Optional[int] = None, now: Callable[[], float] = time.monotonic
) -> Iterator[bytes]:
    """Yield the body of a response as it arrives.

    Args:
        response: response of `open_address`.
        expected: number of bytes after which to stop; None reads until the server ends.
        now: returns seconds.

    Raises:
        TooSlowError: the server sends less than `SLOWEST_BYTES_PER_SECOND`.
        OSError, http.client.HTTPException: the connection breaks.
    """
    read = getattr(response, "read1", response.read)  # `read` waits until a block is full
    began, received = now(), 0
    while expected is None or expected > 0:
        block = read(_BLOCK if expected is None else min(_BLOCK, expected))
        if not block:
            return
        received += len(block)
        if expected is not None:
            expected -= len(block)
        yield block
        passed = now() - began
        if passed < WINDOW_SECONDS:
            continue
        if received < SLOWEST_BYTES_PER_SECOND * passed:
            raise TooSlowError(
                f"{received} bytes came in {passed:.0f} seconds, allowed are at least "
                f"{SLOWEST_BYTES_PER_SECOND} a second"
            )
        began, received = now(), 0


def _check_proxies() -> None:
    for scheme, address in urllib.request.getproxies().items():
        if scheme not in ("http", "https"):
            continue
        try:
            parts = urllib.parse.urlsplit(address if "://" in address else f"http://{address}")
            is_usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            is_usable = False
        if not is_usable or not address.isascii() or not address.isprintable():
            raise InputError(
                f"{scheme}_proxy is {address!r}, allowed is an address such as http://host:3128"
            )


def _with_deadline(kind: Type[http.client.HTTPConnection]) -> Any:
    """Return a class of connections that break if the headers take too long."""

    class Bounded(kind):  # type: ignore[valid-type, misc]
        _timer: Optional[threading.Timer] = None
        _is_late = False

        def connect(self) -> None:
            self._timer = threading.Timer(HEADER_SECONDS, self._break)
            self._timer.daemon = True
            self._timer.start()
            try:
                super().connect()
            except BaseException:
                self._timer.cancel()
                raise

        def getresponse(self) -> Any:
            try:
                response = super().getresponse()
            finally:
                if self._timer is not None:
                    self._timer.cancel()
            if self._is_late:  # the end of the connection ends headers too
                raise TooSlowError(f"no answer came in {HEADER_SECONDS:.0f} seconds")
            return response

        def _break(self) -> None:
            self._is_late = True
            if self.sock is not None:
                try:
                    # The method of the base class ends the reading of TLS in another thread too.
                    socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
                except OSError:
                    pass  # it ended by itself

    return Bounded


class _HTTPHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_with_deadline(http.client.HTTPConnection), req)


class _HTTPSHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        options: Dict[str, Any] = {"context": ssl.create_default_context()}
        return self.do_open(_with_deadline(http.client.HTTPSConnection), req, **options)
