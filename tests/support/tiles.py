"""A tile server: every tile in a colour that tells its address."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import mapnik

_TILE = re.compile(r"(?:/any)?/(?P<side>\d+)/(?P<z>\d+)/(?P<x>\d+)/(?P<y>\d+)\.(?P<kind>png|jpg)")

Color = tuple[int, int, int]


def color_of(z: int, x: int, y: int) -> Color:
    """The colour of a tile."""
    return 100 + 20 * z, 40 * x % 256, 40 * y % 256


def painted(color: Color, side: int = 256, kind: str = "png") -> bytes:
    """A square picture of one colour."""
    image = mapnik.Image(side, side)
    image.fill(mapnik.Color(*color))
    return bytes(image.to_string({"png": "png32", "jpg": "jpeg100"}[kind]))


class TileServer(ThreadingHTTPServer):
    """Serves ``/SIDE/Z/X/Y.png`` (or ``.jpg``), and the same below ``/any``, unless told to answer otherwise.

    Attributes:
        asked: the paths that were asked for.
        answers: bodies and statuses of paths that are no tiles, or none that are good.
        hold: paths that are answered when the test is over.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.hold: set[str] = set()
        self.over = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def root(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}/"

    def stop(self) -> None:
        """Answer nobody any more."""
        self.over.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: TileServer

    def do_GET(self) -> None:
        server = self.server
        server.asked.append(self.path)
        if self.path in server.hold:
            server.over.wait()
            return
        found = _TILE.fullmatch(self.path)
        status, body = server.answers.get(self.path, (404, b""))
        if found and self.path not in server.answers:
            color = color_of(*(int(found[name]) for name in "zxy"))
            status, body = 200, painted(color, int(found["side"]), found["kind"])
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", f"{server.root}256/0/0/0.png")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
