"""A server on a real socket in a thread of this process, for tests."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

import uvicorn

from .app import Application, create_app
from .errors import StartError
from .http import ServerConfig
from .settings import Settings

_START_SECONDS = 30
_DRAIN_SECONDS = 5

T = TypeVar("T")


class BackgroundServer(uvicorn.Server):
    """Serves from construction until :meth:`stop`, on a free port of this machine.

    Attributes:
        base_url: scheme, host and port, and a final slash.
        app: the application, whose platform may be used through :meth:`on_server`.

    Raises:
        StartError: it did not start; its log says why.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app: Application = create_app(settings)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        super().__init__(ServerConfig(self.app, settings.limits, timeout_graceful_shutdown=_DRAIN_SECONDS))
        self._thread = threading.Thread(target=self._run_in_thread, name="carto-like-server")
        self._thread.start()
        if not self._ready.wait(_START_SECONDS) or not self.started:
            self.stop()
            raise StartError("The server did not start; its log says why.")

    def __enter__(self) -> BackgroundServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

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
