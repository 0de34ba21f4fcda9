"""HTTP servers of a few lines on real sockets, for what mocks cannot show."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

Handler = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One request on one connection; the handler reads as much of it as it likes, and answers."""

    connection: socket.socket
    file: BinaryIO
    connection_number: int
    method: str
    target: str
    headers: dict[str, str]
    chunks: list[bytes] = field(default_factory=list)

    def read_chunk(self) -> bytes | None:
        """The next chunk; b"" at the proper end, None when the client went away."""
        try:
            line = self.file.readline()
            data = self.file.read(int(line or b"0", 16))
            end = self.file.readline()
        except OSError:
            return None
        if not end:
            return None
        if data:
            self.chunks.append(data)
        return data

    def read_body(self) -> bytes:
        if "content-length" in self.headers:
            return self.file.read(int(self.headers["content-length"]))
        if "transfer-encoding" in self.headers:
            while self.read_chunk():
                pass
        return b"".join(self.chunks)

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection, with whatever was not read still in it."""
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.file.close()
        self.connection.close()

    def answer(self, status: str, body: bytes, *headers: str) -> None:
        head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""))
        self.connection.sendall(head.encode() + body)


class RawServer:
    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self._handler = handler
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/"
        self.exchanges: list[Exchange] = []
        self.errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        number = len(self._connections)
        if self._tls is not None:
            try:
                connection = self._tls.wrap_socket(connection, server_side=True)
            except OSError:
                connection.close()
                return
        with connection, connection.makefile("rb") as file:
            try:
                while line := file.readline():
                    method, target, _ = line.decode().split(" ", 2)
                    headers = dict(_headers(file))
                    exchange = Exchange(connection, file, number, method, target, headers)
                    self.exchanges.append(exchange)
                    self._handler(exchange)
                    if file.closed:
                        return
            except OSError:
                return
            except (AssertionError, ValueError) as error:
                self.errors.append(error)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(5)


def _headers(file: BinaryIO) -> Iterator[tuple[str, str]]:
    while (line := file.readline().strip()) != b"":
        name, value = line.decode("latin-1").split(":", 1)
        yield name.lower(), value.strip()


@contextmanager
def raw_server(handler: Handler, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    server = RawServer(handler, tls)
    try:
        yield server
    finally:
        server.close()
    assert not server.errors, server.errors
