"""The ASGI application: finds account and route, keeps limits, and answers for whatever goes wrong.

Plain ASGI, without middleware classes: a short query is answered in less time than a stack of them takes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from html import escape

import psycopg
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from .errors import UNREACHABLE, Problem
from .iotile.mount import IOTile
from .pages import assets
from .platform import Platform
from .requestlog import Exchange
from .routes import (
    api_keys,
    connectors,
    copy,
    exports,
    health,
    imports,
    jobs,
    maps,
    organizations,
    pages,
    preflight,
    sql,
    synchronizations,
    tables,
    users,
    viz,
)
from .routing import Routes
from .settings import Settings
from .sqlapi.family import Exchange as SqlExchange

logger = logging.getLogger(__name__)

_FAMILIES: tuple[Callable[[Platform], list[Route]], ...] = (
    sql.routes,
    copy.routes,
    jobs.routes,
    viz.routes,
    tables.routes,
    users.routes,
    organizations.routes,
    api_keys.routes,
    imports.routes,
    connectors.routes,
    exports.routes,
    synchronizations.routes,
    maps.routes,
    pages.routes,
)

# Their bodies are streams of any length, with limits of their own. All of the path counts: those of datasets
# end in names, which may be anything.
_STREAMED = re.compile(r"/api/[^/]+/(sql/copyfrom|imports)")
_SQL_FAMILY = re.compile(r"/api/[^/]+/sql(/.*)?", re.S)


def create_app(settings: Settings) -> Application:
    """The server as an ASGI application; it connects to the database when its lifespan starts."""
    return Application(settings)


class Application:
    """Every request comes in here.

    Attributes:
        platform: the parts that requests share; open between the lifespan's start and end.
    """

    def __init__(self, settings: Settings) -> None:
        self.platform = Platform.create(settings)
        self._settings = settings
        self._open_routes = Routes(
            [*health.routes(self.platform), *jobs.open_routes(self.platform), *assets.routes()]
        )
        self._preflights = Routes(preflight.routes())
        self._routes = Routes([route for family in _FAMILIES for route in family(self.platform)])
        self.iotile = IOTile(self.platform)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.platform.open()
        except (psycopg.Error, Problem) as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        if self._settings.worker:
            self.platform.start_worker()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.platform.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        given_id, length, has_body = _read_head(scope)
        exchange = Exchange(scope, send, given_id)
        user, path = split_user(scope["path"])
        inner = {**scope, "path": path, "root_path": ""}
        state = inner["state"] = {
            "platform": self.platform,
            "request_id": exchange.id,
            "facts": exchange.facts,
            "full_path": scope["path"],
            "user": self._settings.default_user if user is None else user,
        }
        try:
            most = self._settings.limits.body_max_bytes if has_body else 0
            if self.iotile.owns(scope["path"]):
                whole = {**inner, "path": scope["path"]}
                await self.iotile.serve(whole, lambda: capped(receive, most, length), receive, exchange)
                return
            if not _STREAMED.fullmatch(path):
                receive = capped(receive, most, length)
            await self._answer(inner, receive, exchange)
        except Exception as error:
            await self._explain(error, inner, receive, exchange)
        finally:
            exchange.finish(self.platform.metrics, state["user"] if "account" in state else None)

    async def _answer(self, scope: Scope, receive: Receive, exchange: Exchange) -> None:
        # A preflight request asks about the address, whoever it belongs to.
        for_all = self._preflights if scope["method"] == "OPTIONS" else self._open_routes
        route = for_all.find(scope)
        if route is None:
            route = self._routes.find(scope)
            if route is None:
                page = not_found_page(scope["method"], scope["state"]["full_path"])
                await page(scope, receive, exchange.send)
                return
            await self._find_account(scope)
        exchange.endpoint = route.path
        await route.handle(scope, receive, exchange.send)

    async def _find_account(self, scope: Scope) -> None:
        name = scope["state"]["user"]
        account = await self.platform.users.get(name)
        if account is None:
            raise Problem(
                404,
                f"Sorry, we can't find CARTO user '{name}'. Please check that you have entered the correct "
                "domain.",
            )
        scope["state"]["account"] = account

    async def _explain(self, error: Exception, scope: Scope, receive: Receive, exchange: Exchange) -> None:
        """Answer for an exception, as far as an answer can still be given."""
        if isinstance(error, ClientDisconnect):
            return
        problem = _as_problem(error)
        if problem.status >= 500:
            unexpected = None if isinstance(error, Problem) else error
            logger.error("request %s: %s", exchange.id, problem.message, exc_info=unexpected)
        if exchange.answering:
            # The head is out: all that is left is to break off, and the server closes the connection.
            return
        if _SQL_FAMILY.fullmatch(scope["path"]):
            await SqlExchange(scope, receive, exchange.send).refuse(problem)
        else:
            await fallback_response(problem, exchange.id)(scope, receive, exchange.send)


def split_user(path: str) -> tuple[str | None, str]:
    """``(user, rest)`` of a path: None without ``/user/NAME`` or ``/u/NAME``; the rest ends in no slash."""
    user = None
    for prefix in ("/user/", "/u/"):
        if path.startswith(prefix):
            user, _, rest = path[len(prefix) :].partition("/")
            path = f"/{rest}"
            break
    if len(path) > 1 and path.endswith("/"):
        path = path[:-1]
    return user, path


def capped(receive: Receive, limit: int, declared: int) -> Receive:
    """A ``receive`` that refuses a body of more than ``limit`` bytes, as declared and as it comes.

    Raises:
        Problem: 413, at once when the declared length is too large.
    """
    if not limit:
        return receive
    problem = Problem(413, f"The request's body is larger than the {limit} bytes that are allowed.")
    if declared > limit:
        raise problem
    received = 0

    async def receive_capped() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise problem
        return message

    return receive_capped


def fallback_response(problem: Problem, request_id: str) -> Response:
    """The answer to a problem that no family of routes has put into its own words."""
    if problem.message is None:
        return Response(status_code=problem.status, headers=problem.headers)
    body = {"errors": problem.message}
    if problem.status >= 500:
        body["request_id"] = request_id
    return JSONResponse(body, problem.status, problem.headers)


def not_found_page(method: str, path: str) -> Response:
    """The answer to a path, or a method of it, that does not exist."""
    page = f"<!DOCTYPE html>\n<title>Error</title>\n<pre>Cannot {escape(method)} {escape(path)}</pre>\n"
    return HTMLResponse(page, 404, {"X-Content-Type-Options": "nosniff"})


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, psycopg.OperationalError):
        return Problem(500, UNREACHABLE)
    return Problem(500, "Unexpected error")


def _read_head(scope: Scope) -> tuple[str | None, int, bool]:
    """``(X-Request-Id, declared length, whether a body may follow)`` of a request."""
    given_id, length, has_body = None, 0, False
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given_id = value.decode("latin-1")
        elif name == b"content-length":
            # The parser has refused what is no number.
            length, has_body = int(value), True
        elif name == b"transfer-encoding":
            has_body = True
    return given_id, length, has_body
