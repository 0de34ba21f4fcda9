"""IOTile Cloud as a part of the application: everything below ``/iotile``, with words of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable

import orjson
import psycopg
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope

from carto_like.server.errors import UNREACHABLE, Problem
from carto_like.server.platform import Platform
from carto_like.server.requestlog import Exchange
from carto_like.server.routes.iotile import (
    auth,
    catalogues,
    data,
    devices,
    events,
    fleets,
    frames,
    orgs,
    projects,
    reports,
    streams,
)

from .call import Site, answer, not_allowed
from .problems import body_of, detail, not_found

logger = logging.getLogger(__name__)

PREFIX = "/iotile"
API = "/api/v1"

_FAMILIES: tuple[Callable[[Site], list[Route]], ...] = (
    auth.routes,
    orgs.routes,
    projects.routes,
    data.routes,
    events.routes,
    frames.routes,
    # Before those of streamers, of which none is called "report".
    reports.routes,
    devices.routes,
    streams.routes,
    fleets.routes,
    catalogues.routes,
)


class IOTile:
    """Answers the requests below :data:`PREFIX`.

    Attributes:
        site: what they share.
        routes: relative to the root of the API.
    """

    def __init__(self, platform: Platform) -> None:
        self.site = Site(platform)
        self.routes = [route for family in _FAMILIES for route in family(self.site)]

    @staticmethod
    def owns(path: str) -> bool:
        """Whether a path is below here."""
        return path == PREFIX or path.startswith(f"{PREFIX}/")

    async def serve(
        self, scope: Scope, capped: Callable[[], Receive], receive: Receive, exchange: Exchange
    ) -> None:
        """Answer one request, whatever goes wrong with it.

        Args:
            scope: of the request, with its whole path.
            capped: makes a ``receive`` that refuses bodies which are too long.
            receive: without that limit.
            exchange: where the answer goes.
        """
        inner = {**scope, "path": _inner(scope["path"]), "root_path": ""}
        try:
            receive = capped()
            response = await self._find(inner, exchange, receive)
        except Exception as error:
            response = _explained(error, exchange)
        if response is not None:
            await response(inner, receive, exchange.send)

    async def _find(self, scope: Scope, exchange: Exchange, receive: Receive) -> Response | None:
        """Let the route answer; the answer itself where there is none."""
        allowed: set[str] = set()
        for route in self.routes:
            match, found = route.matches(scope)
            if match is Match.NONE:
                continue
            if match is Match.PARTIAL:
                allowed |= route.methods or set()
                continue
            scope.update(found)
            exchange.endpoint = f"{PREFIX}{API}{route.path}"
            await route.handle(scope, receive, exchange.send)
            return None
        if allowed:
            return not_allowed(scope["method"], sorted(allowed))
        problem = not_found()
        return answer(problem.body, problem.status)


def _inner(path: str) -> str:
    """A path relative to the API's root, without a slash at its end; "" when it is not below it."""
    root = PREFIX + API
    if not path.startswith(root + "/"):
        return ""
    path = path[len(root) :]
    return path[:-1] if path.endswith("/") else path


def _explained(error: Exception, exchange: Exchange) -> Response | None:
    """The answer to an exception, as far as one can still be given."""
    if isinstance(error, ClientDisconnect):
        return None
    problem = _as_problem(error)
    if problem.status >= 500:
        unexpected = None if isinstance(error, Problem) else error
        logger.error("request %s: %s", exchange.id, problem.message, exc_info=unexpected)
    if exchange.answering:
        return None
    body = body_of(problem)
    if problem.status >= 500 and isinstance(body, dict):
        body = {**body, "request_id": exchange.id}
    return Response(orjson.dumps(body), problem.status, problem.headers, "application/json")


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, psycopg.errors.ForeignKeyViolation):
        # Looked at a moment before, and deleted by somebody else since.
        return detail(409, "What this belongs to has just been deleted.")
    if isinstance(error, psycopg.OperationalError):
        return detail(500, UNREACHABLE)
    return detail(500, "Unexpected error")
