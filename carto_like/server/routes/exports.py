"""``/api/v3/visualization_exports``: maps as files; datasets are exported by the SQL API instead."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.authentication import account_of
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.services.datasets import Datasets
from carto_like.server.vizapi.access import principal_of
from carto_like.server.vizapi.answers import answering
from carto_like.server.vizapi.bodies import read_body

_NOT_AN_ID = "{} is not an id"
_NO_MAP = "Only maps can be exported. Download a dataset by the SQL API: format=gpkg, parquet, csv or another"


def routes(platform: Platform) -> list[Route]:
    """The routes, relative to a user's root."""
    exports = _Exports(platform)
    root = "/api/v3/visualization_exports"
    return [
        Route(root, answering(exports.create), methods=["POST"]),
        Route(f"{root}/{{id}}", answering(exports.show), methods=["GET"]),
        Route(f"{root}/{{id}}/download", answering(exports.show), methods=["GET"]),
    ]


class _Exports:
    """Refuses what can be asked for: this platform has datasets, of which no such file is made."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._datasets = Datasets(platform.database)

    async def create(self, request: Request) -> Response:
        account = account_of(request)
        body = await read_body(request)
        principal = await principal_of(self._platform, request, account, body)
        given = request.query_params.get("visualization_id", body.get("visualization_id"))
        dataset = await self._datasets.find(account, _checked(given, "visualization_id"))
        if dataset is None:
            raise Problem(404, "Visualization not found")
        if not principal.is_master and dataset.privacy == "private":
            raise Problem(403, "Visualization not viewable")
        raise Problem(422, _NO_MAP)

    async def show(self, request: Request) -> Response:
        await principal_of(self._platform, request, account_of(request))
        _checked(request.path_params["id"], "The export's id")
        raise Problem(404, "Export not found")


def _checked(given: object, name: str) -> str:
    """An id as text; raises the 400 for what is none."""
    try:
        return str(UUID(given if isinstance(given, str) else ""))
    except ValueError:
        raise Problem(400, _NOT_AN_ID.format(name)) from None
