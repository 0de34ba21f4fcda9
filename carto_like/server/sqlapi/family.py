"""What all answers of the SQL API have in common: headers, the wording of errors, JSONP."""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable, Mapping

import orjson
import psycopg
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from carto_like.server.accounts import Account, Principal
from carto_like.server.authentication import account_of, authenticate, require_api
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.ratelimit import limit
from carto_like.server.sqlapi.guard import Stopped
from carto_like.server.sqlapi.headers import header_text
from carto_like.server.sqlapi.problems import body_of, problem_of
from carto_like.server.sqlapi.types import Types

JSON = "application/json; charset=utf-8"
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Expose-Headers": "*",
}
_CALLBACK = re.compile(r"[A-Za-z0-9_$.\[\]]{1,200}")
_HOST = socket.gethostname()

Headers = dict[str, str]


class Family:
    """One server's SQL API as its routes share it.

    Attributes:
        database_host: where the database is, known once :meth:`types` has been called.
    """

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.database_host = "localhost"
        self._types: Types | None = None

    async def types(self) -> Types:
        """The types of the database, read once."""
        if self._types is None:
            async with self.platform.database.metadata() as conn:
                self._types = await Types.load(conn, self.platform.settings.timezone)
                host = conn.pgconn.host.decode()
            # A folder is where the socket of a private database lies: nothing for clients to know.
            if host and not host.startswith(("/", "@")):
                self.database_host = host
        return self._types


class Exchange:
    """One request of the SQL API and its answer.

    Attributes:
        request: the request.
        headers: headers of whatever answer it gets.
        started: whether an answer is on its way.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.request = Request(scope, receive)
        self.receive = receive
        self.started = False
        self._send = send
        self.headers: Headers = {**CORS, "X-Served-By-Host": _HOST}
        account: Account | None = scope["state"].get("account")
        if account is not None:
            self.headers |= {"Carto-User": account.name, "Carto-User-Id": str(account.id)}
        client = self.request.query_params.get("client") if b"client=" in scope["query_string"] else None
        if client:
            self.headers["Carto-Client"] = header_text(client)

    async def admit(
        self, platform: Platform, group: str, body: Mapping[str, object] | None = None
    ) -> Principal:
        """Who asks, after the checks that come before a request is looked at.

        Args:
            platform: who knows keys and limits.
            group: the rate limits that count.
            body: parameters of the body, where it may hold a key.

        Raises:
            Problem: 429, 401 or 403.
        """
        account = account_of(self.request)
        self.headers.update(await limit(platform, account, group))
        principal = await authenticate(platform, self.request, account=account, body=body)
        require_api(principal, "sql")
        self.headers["Vary"] = "Authorization"
        return principal

    async def gone(self) -> None:
        """Return when the client has left; the body must have been read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    def note(self, **facts: object) -> None:
        """Add facts to the request's line in the log."""
        self.request.scope["state"]["facts"].update(facts)

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of the answer."""
        self.started = True
        pairs = {**self.headers, **headers}.items()
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def block(self, body: bytes | bytearray, *, last: bool) -> None:
        """Send a part of the body; waits while the client takes nothing."""
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def answer(
        self, status: int, headers: Mapping[str, str], body: bytes, *, last: bool = True
    ) -> None:
        """Send a whole answer; with ``last`` false it is whole for the client, but stays open here."""
        await self.start(status, {**headers, "Content-Length": str(len(body))})
        await self.block(body, last=last)

    async def refuse(self, problem: Problem, *, last: bool = True) -> None:
        """Send a problem, as a call of the client's function when it wants one."""
        told = body_of(problem)
        if problem.status >= 500:
            told["request_id"] = self.request.scope["state"]["request_id"]
        body = orjson.dumps(told)
        headers = {"Content-Type": JSON, "Content-Disposition": "inline", **problem.headers}
        status = problem.status
        callback = self.request.query_params.get("callback")
        if callback and is_callback(callback):
            status = 200
            body = b"/**/ typeof %b === 'function' && %b(%b);" % (callback.encode(), callback.encode(), body)
            headers |= {"Content-Type": "text/javascript; charset=utf-8", "X-Content-Type-Options": "nosniff"}
        await self.answer(status, headers, body, last=last)


Handler = Callable[[Exchange], Awaitable[None]]


class Endpoint:
    """A handler as an ASGI application that words its problems as the SQL API does."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.__name__ = getattr(handler, "__name__", type(self).__name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = Exchange(scope, receive, send)
        try:
            await self._handler(exchange)
        except (Problem, psycopg.Error, Stopped) as error:
            problem = as_problem(error)
            if problem is None:
                return
            exchange.note(error=problem.message)
            if exchange.started:
                raise
            if problem.status >= 500:
                raise problem from error
            await exchange.refuse(problem)


def as_problem(error: Problem | psycopg.Error | Stopped) -> Problem | None:
    """What to tell the client; None when there is nobody left to be told."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, psycopg.Error):
        return problem_of(error)
    return error.problem


def is_callback(name: str) -> bool:
    """Whether a name can be called in JavaScript without doing anything else."""
    return _CALLBACK.fullmatch(name) is not None
