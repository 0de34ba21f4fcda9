"""A real server on a real socket, in a thread of the test process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvicorn

from carto_like.server.app import Application, create_app
from carto_like.server.http import ServerConfig
from carto_like.server.settings import Settings

SECRET = b"a secret that only tests should ever use"

T = TypeVar("T")


class RunningServer(uvicorn.Server):
    """Serves from construction until :meth:`stop`.

    Attributes:
        base_url: scheme, host and port, and a final slash.
        app: the application, whose platform tests may use through :meth:`run`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app: Application = create_app(settings)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        super().__init__(ServerConfig(self.app, settings.limits, timeout_graceful_shutdown=5))
        self._thread = threading.Thread(target=self._run_in_thread, name="server")
        self._thread.start()
        if not self._ready.wait(30) or not self.started:
            self.stop()
            raise RuntimeError("the server did not start")

    def _run_in_thread(self) -> None:
        try:
            uvicorn.Server.run(self, [self._socket])
        finally:
            self._ready.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell the constructor."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._ready.set()

    def on_server(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's event loop and wait for its result."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def stop(self) -> None:
        """Stop serving; nothing happens when it has stopped."""
        self.should_exit = True
        self._thread.join(30)
        self._socket.close()
