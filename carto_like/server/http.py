"""The HTTP server: uvicorn on httptools, with limits on what comes before a body.

httptools collects a request line of any length, byte by byte into one string, before anybody sees it. So the
bytes are counted as they arrive, and a head that is too long is answered and never collected.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .settings import Limits

# A client notices the answer only once it has sent its request, so we listen a while longer without keeping
# what we hear: closing at once would reset the connection, and take the answer with it.
_LINGER_SECONDS = 5.0
_IDLE_SECONDS = 120
_UNLIMITED = 2**63
HEAD_SECONDS = 60.0
"""How long a client may take to send a request's head."""


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration for our application, with the limits of a request's head."""

    def __init__(self, app: Any, limits: Limits, **options: Any) -> None:
        self.url_max_bytes = limits.url_max_bytes or _UNLIMITED
        self.header_max_bytes = limits.header_max_bytes or _UNLIMITED
        super().__init__(
            app,
            http=LimitedProtocol,
            loop="uvloop",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            # Nothing here asks who the client is, so nobody has to be believed about it.
            proxy_headers=False,
            # Scripts think between two requests; a connection closed meanwhile fails the next POST.
            timeout_keep_alive=_IDLE_SECONDS,
            **options,
        )


class LimitedProtocol(HttpToolsProtocol):
    """One connection; answers 414 to a long request line and 431 to long headers, then hangs up."""

    config: ServerConfig

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_head = True
        self._head_bytes = 0
        self._refusal: bytes | None = None
        self._head_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A client is there, and has so long to say what it wants."""
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser, a head only as far as the limits go."""
        limit = self.config.url_max_bytes + self.config.header_max_bytes
        while data and self._refusal is None and not self.transport.is_closing():
            piece = data[: limit - self._head_bytes] if self._in_head else data
            if self._in_head:
                self._head_bytes += len(piece)
            super().data_received(piece)
            if self._in_head and self._refusal is None and self.headers is not None:
                self._check_head(self._head_bytes - len(self.url))
            data = data[len(piece) :]

    def _check_head(self, header_bytes: int) -> None:
        if len(self.url) > self.config.url_max_bytes:
            self._refuse(414, f"The request line is over {self.config.url_max_bytes} bytes.")
        elif header_bytes > self.config.header_max_bytes:
            self._refuse(431, f"The headers are over {self.config.header_max_bytes} bytes.")

    def on_message_begin(self) -> None:
        """The first byte of a request is there."""
        self._start_head_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request's head is there: hand it on, unless it is too long."""
        self._check_head(sum(len(name) + len(value) + 4 for name, value in self.headers))
        if self._refusal is None:
            self._in_head = False
            self._stop_head_timer()
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body, which is of no interest when the head was refused."""
        if self._refusal is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is complete; another may follow."""
        if self._refusal is None:
            super().on_message_complete()
            self._in_head, self._head_bytes = True, 0

    def on_response_complete(self) -> None:
        """An answer is sent; a refusal waits for those before it."""
        super().on_response_complete()
        if self._refusal is not None and not self._is_answering():
            self._hang_up(self._refusal)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: int, message: str) -> None:
        self._refusal = STATUS_LINE[status] + (
            "content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
            f"content-length: {len(message)}\r\n\r\n{message}"
        ).encode("ascii")
        if not self._is_answering():
            self._hang_up(self._refusal)

    def _hang_up(self, farewell: bytes) -> None:
        self._unset_keepalive_if_required()
        if self.transport.is_closing():
            return
        self.transport.write(farewell)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)
