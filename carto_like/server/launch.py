"""Running the platform: the database first, then the servers, and everything down again in reverse order."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from .app import Application, create_app
from .deployment import Home, platform_dsn, prepare, running_database
from .errors import StartError
from .http import ServerConfig
from .postgres import PrivatePostgres
from .settings import Limits, Settings
from .supervision import Running, announced, state_kept, watched

logger = logging.getLogger(__name__)

_DRAIN_SECONDS = 20


@dataclass(frozen=True)
class Options:
    """How a server is to be run; see ``carto-like serve --help``."""

    home: Home
    host: str = "127.0.0.1"
    port: int = 8080
    user: str = "me"
    api_key: str | None = field(default=None, repr=False)
    workers: int = 1
    limits: Limits = field(default_factory=Limits)
    settings: Mapping[str, Any] = field(default_factory=dict)
    worker: bool = True


def serve(options: Options, announce: Callable[[Running], None]) -> None:
    """Run the platform until SIGINT or SIGTERM; afterwards nothing of it runs.

    Args:
        options: what to run, and where.
        announce: called once, from another thread, when the server answers.

    Raises:
        StartError: it cannot start; the message says why.
    """
    configure_logging()
    with ExitStack() as stack:
        stack.enter_context(interruptible())
        listener = stack.enter_context(_listen(options.host, options.port))
        database = stack.enter_context(
            running_database(options.home, workers=options.workers, limits=options.limits)
        )
        settings = Settings(
            dsn=platform_dsn(database),
            secret=options.home.read_secret(),
            data_dir=options.home.data_dir,
            default_user=options.user,
            # Who can reach a server on the loopback can reach what else is there, too.
            import_addresses="loopback" if is_loopback(options.host) else "public",
            worker=options.worker,
            limits=options.limits,
        )
        settings = replace(settings, **options.settings)
        key = asyncio.run(prepare(settings, options.api_key))
        running = Running(_base_url(options.host, listener, options.user), options.user, key, os.getpid())
        if isinstance(database, PrivatePostgres):
            stack.enter_context(watched(database))
        if options.home.data_dir is not None:
            stack.enter_context(state_kept(options.home.data_dir, running))
        stack.enter_context(announced(running, listener, announce))
        _run(settings, options.workers, listener, stack)


def _run(settings: Settings, workers: int, listener: socket.socket, stack: ExitStack) -> None:
    if workers == 1:
        config = ServerConfig(create_app(settings), settings.limits, timeout_graceful_shutdown=_DRAIN_SECONDS)
        server = uvicorn.Server(config)
        server.run([listener])
        if not server.started:
            raise StartError("The server did not start; its log says why.")
        return
    # Each worker counts in files here, and whichever is asked for metrics adds them up.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = stack.enter_context(_metrics_folder(settings.data_dir))
    config = ServerConfig(
        partial(worker_app, settings),
        settings.limits,
        factory=True,
        workers=workers,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    supervisor = Multiprocess(config, [listener])
    supervisor.run()
    if not supervisor.signal_queue and any(
        process.exitcode not in (0, -signal.SIGTERM) for process in supervisor.processes
    ):
        raise StartError("A worker did not start; its log says why.")


@contextmanager
def _metrics_folder(data_dir: Path | None) -> Iterator[str]:
    """An empty folder; in the data directory, where a killed server's is found again and emptied."""
    if data_dir is None:
        with tempfile.TemporaryDirectory(prefix="carto-like-metrics-") as name:
            yield name
        return
    folder = data_dir / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def worker_app(settings: Settings) -> Application:
    """The application in a worker process, which ends when its parent is gone."""
    configure_logging()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()
    return create_app(settings)


def _follow(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def configure_logging() -> None:
    """Log to stderr: requests as the JSON lines they are, everything else with time and level."""
    plain = logging.StreamHandler(sys.stderr)
    plain.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[plain])
    requests = logging.getLogger("carto_like.server.request")
    if not requests.handlers:
        lines = logging.StreamHandler(sys.stderr)
        lines.setFormatter(logging.Formatter("%(message)s"))
        requests.addHandler(lines)
        requests.setLevel(logging.INFO)
        requests.propagate = False


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into leaving the block, however far it got; ignore them while it cleans up."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def leave(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    handlers = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise StartError(
            f"Cannot listen on {host} port {port}: {error.strerror}. Choose another with --port; 0 takes any."
        ) from None
    with listener:
        yield listener


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _base_url(host: str, listener: socket.socket, user: str) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{listener.getsockname()[1]}/user/{user}/"
