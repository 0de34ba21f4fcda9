"""``carto-like serve`` as a process of its own, as users start it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

START_SECONDS = 60.0


class Serving:
    """A running ``carto-like serve --json --port 0``.

    Attributes:
        ready: what it said about itself when it was ready.
    """

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        # An environment of our own: CARTO_LIKE_* of the developer must not decide.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CARTO_")}
        command = [sys.executable, "-m", "carto_like.cli", "serve", "--json", "--port", "0", *arguments]
        # A file: nobody reads along, and a full pipe would stop the server.
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by finish()
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**inherited, "PYTHONUNBUFFERED": "1", **(environment or {})},
            cwd=Path(__file__).parents[2],
        )
        self.ready: dict[str, Any] = {}

    def __enter__(self) -> Serving:
        return self.wait_until_ready()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_until_ready(self) -> Serving:
        """Wait for the ready line."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        line = self.process.stdout.readline() if readable else ""
        if not line:
            self.stop()
            raise RuntimeError(f"serve did not become ready: {self.stderr}")
        self.ready = json.loads(line)
        return self

    @property
    def base_url(self) -> str:
        return str(self.ready["base_url"])

    @property
    def api_key(self) -> str:
        return str(self.ready["api_key"])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and wait; answers the exit code. What it printed is then in stdout and stderr."""
        if self.process.returncode is None:
            self.process.send_signal(number)
            self.finish()
        return self.process.returncode

    def finish(self) -> int:
        """Wait for it to end by itself; answers the exit code."""
        self.stdout, _ = self.process.communicate(timeout=START_SECONDS)
        with self._log as log:
            log.seek(0)
            self.stderr = log.read()
        return self.process.returncode


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
