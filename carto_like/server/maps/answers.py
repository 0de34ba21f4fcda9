"""Answers about maps: JSON, JSONP, refusals, and what caches are told."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

import orjson
import psycopg
from starlette.requests import Request
from starlette.responses import Response

from carto_like.server.authentication import account_of
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.ratelimit import limit
from carto_like.server.services.analysis import (
    FALLBACK_PERIOD,
    YEAR,
    Table,
    quoted_name,
    surrogate_key,
)
from carto_like.server.sqlapi.family import is_callback
from carto_like.server.sqlapi.guard import Stopped
from carto_like.server.sqlapi.headers import header_text

from .problems import RATE_LIMITED, MapProblem, body_of, told
from .tokens import moment_of

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": (
        "X-Requested-With, X-Prototype-Version, X-CSRF-Token, Authorization, Carto-Event, "
        "Carto-Event-Source, Carto-Event-Group-Id"
    ),
}
JSON = "application/json; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"

Handler = Callable[[Request], Awaitable[Response]]


def answering(platform: Platform, group: str, handler: Handler) -> Handler:
    """The handler with what all endpoints of maps share: rate limits, refusals, ``callback``, headers.

    Args:
        platform: who knows the limits.
        group: the rate limits that count.
        handler: of requests that keep to them.
    """

    async def endpoint(request: Request) -> Response:
        standing: dict[str, str] = {}
        try:
            standing = await _standing(platform, request, group)
            response = await handler(request)
        except (Problem, psycopg.Error, Stopped) as error:
            problem = told(error)
            if problem.status >= 500:
                raise problem from error
            request.scope["state"]["facts"]["error"] = problem.message
            response = json_answer(body_of(problem), problem.status)
            response.headers.update(problem.headers)
        account = account_of(request)
        response.headers.update({**standing, **CORS})
        response.headers["Vary"] = "Authorization"
        response.headers["Carto-User"] = account.name
        client = request.query_params.get("client")
        if client:
            response.headers["Carto-Client"] = header_text(client)
        callback = request.query_params.get("callback")
        return _padded(response, callback) if callback and is_callback(callback) else response

    return endpoint


async def _standing(platform: Platform, request: Request, group: str) -> dict[str, str]:
    """The headers that tell a limited account where it stands; raises the 429 in the words of maps."""
    try:
        return await limit(platform, account_of(request), group)
    except Problem as problem:
        if problem.status != 429:
            raise
        more = {"subtype": "rate-limit"}
        raise MapProblem(429, RATE_LIMITED, kind="limit", more=more, headers=problem.headers) from problem


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(orjson.dumps(value), status, dict(headers or {}), JSON)


def _padded(response: Response, callback: str) -> Response:
    if not response.headers.get("content-type", "").startswith("application/json"):
        return response
    name = callback.encode()
    body = b"/**/ typeof %b === 'function' && %b(%b);" % (name, name, bytes(response.body))
    of_body = ("content-length", "content-type")
    headers = {name: value for name, value in response.headers.items() if name not in of_body}
    headers["X-Content-Type-Options"] = "nosniff"
    return Response(body, 200, headers, _SCRIPT)


def cache_headers(
    database: str,
    tables: Iterable[Table],
    updates: Mapping[Table, datetime],
    buster: int,
    *,
    named: tuple[str, str] | None = None,
    must_revalidate: bool = False,
) -> dict[str, str]:
    """What caches may do with an answer.

    Args:
        database: its name.
        tables: what was read.
        updates: when those that are tracked last changed.
        buster: the version of the data; 0 for unknown.
        named: user and name of the template.
        must_revalidate: for the making of a map, which a client repeats to see new data.
    """
    names = sorted(f"{quoted_name(schema)}.{quoted_name(name)}" for schema, name in tables)
    tracked = len(updates) == len(names)
    if must_revalidate:
        control = f"public,max-age={YEAR if tracked else 86400},must-revalidate"
    else:
        seconds = YEAR if tracked else FALLBACK_PERIOD - int(time.time()) % FALLBACK_PERIOD
        control = f"public,max-age={seconds}"
    headers = {"Cache-Control": control, "Last-Modified": _http_date(moment_of(buster))}
    if names:
        headers["X-Cache-Channel"] = header_text(f"{database}:{','.join(names)}")
    keys = sorted(surrogate_key(database, name) for name in names)
    if named:
        digest = hashlib.sha256(":".join(named).encode()).digest()
        keys.append("n:" + base64.b64encode(digest).decode()[:6])
    if keys:
        headers["Surrogate-Key"] = " ".join(keys)
    return headers


def _http_date(milliseconds: int) -> str:
    try:
        when = datetime.fromtimestamp(milliseconds / 1000, timezone.utc) if milliseconds else None
    except (OverflowError, ValueError, OSError):
        # The client's own invention.
        when = None
    return format_datetime(when or datetime.now(timezone.utc), usegmt=True)


def is_known(request: Request, etag: str) -> bool:
    """Whether the client has this already."""
    given = [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
    return "*" in given or etag in given or f"W/{etag}" in given
