"""The session that clients make for themselves: live connections, early answers, safe redirects."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import connection, connectionpool
from urllib3.poolmanager import PoolManager
from urllib3.util.wait import wait_for_read

from carto_like.core.redirects import same_origin, strip_credentials

__all__ = ["Adapter", "Session"]

_POOL_SIZE = 32
# A peer that vanished without a word is noticed after about two minutes of silence.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


def _socket_options() -> list[tuple[int, int, int]]:
    options = [*connection.HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


class _EarlyAnswer:
    """Stops sending a streamed body as soon as the server has answered, and reads that answer.

    A server that refuses an upload replies at once and often closes. Whoever goes on sending meets a broken
    pipe and never learns the reason.
    """

    sock: Any
    _body: Any = None
    _sending = False
    _cut_short = False

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        self._cut_short = False
        self._body = body if hasattr(body, "patience") else None
        try:
            super().request(method, url, body=body, headers=headers, **options)  # type: ignore[misc]
        finally:
            self._sending = False
            self._body = None

    def endheaders(self, *args: Any, **options: Any) -> None:
        super().endheaders(*args, **options)  # type: ignore[misc]
        if self._body is not None:
            # urllib3 sends under the connect timeout, but a busy database may stop reading for longer.
            self.sock.settimeout(self._body.patience)
            self._sending = True

    def send(self, data: Any) -> None:
        if not self._sending:
            super().send(data)  # type: ignore[misc]
            return
        if self._has_answered():
            self._cut_short = True
            raise BrokenPipeError(errno.EPIPE, "the server answered before the body was complete")
        try:
            super().send(data)  # type: ignore[misc]
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            self._cut_short = True
            # urllib3 goes on to read the answer after this class only.
            raise BrokenPipeError(errno.EPIPE, str(error)) from error

    def _has_answered(self) -> bool:
        # TLS sockets also become readable for session tickets, which say nothing.
        if isinstance(self.sock, ssl.SSLSocket) or not isinstance(self.sock, socket.socket):
            return False
        if not wait_for_read(self.sock, timeout=0.0):
            return False
        start = self.sock.recv(10, socket.MSG_PEEK)
        return start[9:10] != b"1"

    def getresponse(self, *args: Any, **options: Any) -> HTTPResponse:
        response: HTTPResponse = super().getresponse(*args, **options)  # type: ignore[misc]
        if self._cut_short and self.sock is not None:
            # The rest of the body is missing, so no second request may follow on this connection. The
            # response keeps its own hold on the socket until it has been read.
            self.sock.close()
            self.sock = None
        return response


class HTTPConnection(_EarlyAnswer, connection.HTTPConnection):  # type: ignore[misc]
    pass


class HTTPSConnection(_EarlyAnswer, connection.HTTPSConnection):  # type: ignore[misc]
    pass


# Errors show the names of these four, which people know from urllib3.
class HTTPConnectionPool(connectionpool.HTTPConnectionPool):
    ConnectionCls = HTTPConnection  # type: ignore[assignment]


class HTTPSConnectionPool(connectionpool.HTTPSConnectionPool):
    ConnectionCls = HTTPSConnection  # type: ignore[assignment]

    def _validate_conn(self, conn: Any) -> None:
        # urllib3 warns here on each request without verification; the client said so once, when it was made.
        if conn.sock is None:
            conn.connect()


class Adapter(HTTPAdapter):
    """requests' adapter over connections that keep alive and listen while they send."""

    def __init__(self) -> None:
        super().__init__(pool_connections=_POOL_SIZE, pool_maxsize=_POOL_SIZE)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        """Make the pools, with our kind of connection in them."""
        options.setdefault("socket_options", _socket_options())
        super().init_poolmanager(connections, maxsize, block, **options)
        _use_our_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """The same through a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        _use_our_pools(manager)
        return manager


def _use_our_pools(manager: PoolManager) -> None:
    # SOCKS proxies bring connections of their own, which ours must not replace.
    if type(manager).__module__.startswith("urllib3.poolmanager"):
        manager.pool_classes_by_scheme = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}


class Session(requests.Session):
    """A session that hands no credentials to another server, and no connections to a forked process."""

    _process: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self._process = os.getpid()
        for scheme in ("http://", "https://"):
            self.mount(scheme, Adapter())

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send over connections of this process: two of them on one would read each other's answers."""
        if self._process != os.getpid():
            self._process = os.getpid()
            for prefix, adapter in list(self.adapters.items()):
                if isinstance(adapter, Adapter):
                    self.mount(prefix, Adapter())
        return super().send(request, **options)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Keep credentials on the same server, drop all of them on any other."""
        if not same_origin(str(response.request.url), str(prepared_request.url)):
            strip_credentials(prepared_request)
