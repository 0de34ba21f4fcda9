"""One JSON line per request, and the same facts as metrics; never a query string, key or body."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
from starlette.requests import Request
from starlette.types import Message, Scope, Send

if TYPE_CHECKING:
    from .metrics import Metrics

logger = logging.getLogger("carto_like.server.request")

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_LONGEST_PATH = 300


def note(request: Request, **facts: Any) -> None:
    """Add facts to the request's log line, such as ``rows``; values must be fit for JSON, and no secrets."""
    request.scope["state"]["facts"].update(facts)


class Exchange:
    """One request and its answer: gives it an id, watches what is sent, and reports at the end."""

    def __init__(self, scope: Scope, send: Send, given_id: str | None) -> None:
        self.id = given_id if given_id and _ID.fullmatch(given_id) else str(uuid4())
        self.facts: dict[str, Any] = {}
        self.endpoint = "unknown"
        self.status = 0
        self._sent = 0
        self._complete = False
        self._scope = scope
        self._send = send
        self._started = time.perf_counter()

    @property
    def answering(self) -> bool:
        """Whether the head of an answer went out, so that another can no longer be given."""
        return self.status != 0

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self.id.encode("ascii"))]
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body":
            self._sent += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        await self._send(message)

    def finish(self, metrics: Metrics, user: str | None) -> None:
        """Report the request; an answer that never came, or broke off, has status 499."""
        seconds = time.perf_counter() - self._started
        status = self.status if self._complete else 499
        method = self._scope["method"]
        metrics.observe(self.endpoint, method, status, seconds, self._sent)
        if not logger.isEnabledFor(logging.INFO):
            return
        line = {
            "id": self.id,
            "user": user,
            "method": method,
            "path": self._scope["path"][:_LONGEST_PATH],
            "status": status,
            "ms": round(seconds * 1000, 3),
            "bytes": self._sent,
            **self.facts,
        }
        logger.info("%s", orjson.dumps(line, default=str).decode())
