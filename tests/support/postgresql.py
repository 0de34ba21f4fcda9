"""Servers that PostgreSQL's clients talk to: a way by TCP to a cluster without a port, and an impostor."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port of this machine, each of whose connections is served in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            threading.Thread(target=guarded, args=(connection,), daemon=True).start()

    def guarded(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def forwarded(target: Path) -> Callable[[socket.socket], None]:
    """What serves a connection by passing all of it to a socket of the file system, and back."""

    def serve(connection: socket.socket) -> None:
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(str(target))
            back = threading.Thread(target=_pass_on, args=(other, connection), daemon=True)
            back.start()
            _pass_on(connection, other)
            back.join(5)

    return serve


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(65536):
            target.sendall(block)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def impostor(passwords: list[str]) -> Callable[[socket.socket], None]:
    """What serves a connection by asking for the password in clear, and telling it in an error."""

    def serve(connection: socket.socket) -> None:
        with connection.makefile("rwb") as file:
            while True:
                (length,) = struct.unpack("!I", file.read(4))
                (code,) = struct.unpack("!I", file.read(length - 4)[:4])
                if code not in (_SSL_REQUEST, _GSS_REQUEST):
                    break
                file.write(b"N")
                file.flush()
            file.write(b"R" + struct.pack("!II", 8, 3))
            file.flush()
            (length,) = struct.unpack("!xI", file.read(5))
            password = file.read(length - 4).rstrip(b"\0")
            passwords.append(password.decode())
            fields = b"SFATAL\0C28P01\0Mno, not " + password + b"\0\0"
            file.write(b"E" + struct.pack("!I", 4 + len(fields)) + fields)
            file.flush()

    return serve


def silence(connection: socket.socket) -> None:
    """Serve a connection by listening to it, as long as it lasts."""
    while connection.recv(65536):
        continue
