"""Routes for operators and the curious: is it well, how busy is it, what is it."""

from __future__ import annotations

import time

from psycopg import OperationalError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from carto_like.server.errors import UNREACHABLE, Problem
from carto_like.server.metrics import CONTENT_TYPE
from carto_like.server.platform import Platform

# The SQL API that answers are compatible with: clients compare it, not the package's version.
SQL_API_VERSION = "6.0.0"


def routes(platform: Platform) -> list[Route]:
    """The routes that need neither an account nor a key."""

    async def health(_: Request) -> Response:
        """Whether the database answers: 200, or 503 with the reason in ``err``."""
        started = time.perf_counter()
        reason = None
        try:
            async with platform.database.metadata() as connection:
                await connection.execute("SELECT 1")
        except Problem as problem:
            reason = problem.message
        except OperationalError:
            reason = UNREACHABLE
        answer = {
            "enabled": True,
            "ok": reason is None,
            "elapsed": round((time.perf_counter() - started) * 1000),
        }
        if reason is not None:
            return JSONResponse({**answer, "err": reason}, 503)
        return JSONResponse(answer)

    async def version(_: Request) -> Response:
        return JSONResponse({"cartodb_sql_api": SQL_API_VERSION})

    async def metrics(_: Request) -> Response:
        return Response(platform.metrics.render(), media_type=CONTENT_TYPE)

    return [
        Route("/health", health, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/api/{version}/health", health, methods=["GET"]),
        Route("/api/{version}/version", version, methods=["GET"]),
    ]
