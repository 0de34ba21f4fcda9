"""``OPTIONS``: what browsers ask before they ask; the answer is the same whether or not the path exists."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.maps.answers import CORS as MAPS_CORS
from carto_like.server.sqlapi.family import CORS
from carto_like.server.vizapi.answers import OPEN_TO_ALL


def routes() -> list[Route]:
    """The routes, relative to a user's root; they look nobody up and run nothing."""
    return [
        Route("/api/{version}/sql{rest:path}", _sql, methods=["OPTIONS"]),
        Route("/api/{version}/map{rest:path}", _maps, methods=["OPTIONS"]),
        *(
            Route(f"/api/{version}/{{rest:path}}", _others, methods=["OPTIONS"])
            for version in ("v1", "v3", "v4")
        ),
    ]


async def _sql(_: Request) -> Response:
    return Response(status_code=200, headers=CORS)


async def _maps(_: Request) -> Response:
    allowed = f"{MAPS_CORS['Access-Control-Allow-Headers']}, Content-Type"
    return Response(status_code=200, headers={**MAPS_CORS, "Access-Control-Allow-Headers": allowed})


async def _others(_: Request) -> Response:
    return Response(status_code=200, headers=OPEN_TO_ALL)
