"""``/api/v1/tables/:id``: the table of a dataset, shown and described."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.accounts import Account
from carto_like.server.authentication import account_of
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.routes.viz import reference_of
from carto_like.server.services import changes, tables
from carto_like.server.services.datasets import Datasets
from carto_like.server.services.figures import Figures, figures_of
from carto_like.server.services.registry import Dataset
from carto_like.server.services.syncs import Syncs
from carto_like.server.vizapi.access import require_master, teller_of
from carto_like.server.vizapi.answers import answering, json_answer, listed
from carto_like.server.vizapi.bodies import read_body
from carto_like.server.vizapi.edits import table_changes
from carto_like.server.vizapi.shapes import Parts, timestamp
from carto_like.server.vizapi.syncjson import sync_json

_TYPES = {
    "integer": "number",
    "bigint": "number",
    "smallint": "number",
    "numeric": "number",
    "real": "number",
    "double precision": "number",
    "text": "string",
    "character varying": "string",
    "character": "string",
    "timestamp without time zone": "date",
    "timestamp with time zone": "date",
}


def routes(platform: Platform) -> list[Route]:
    """The routes, relative to a user's root."""
    table = _Tables(platform)
    path = "/api/v1/tables/{reference:path}"
    return [
        Route(path, answering(table.show, listed), methods=["GET"]),
        Route(path, answering(table.update, listed), methods=["PUT"]),
    ]


class _Tables:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._datasets = Datasets(platform.database)

    async def show(self, request: Request) -> Response:
        account = account_of(request)
        await require_master(self._platform, request, account)
        return await self._tell(request, account, reference_of(request))

    async def update(self, request: Request) -> Response:
        account = account_of(request)
        body = await read_body(request)
        await require_master(self._platform, request, account, body)
        dataset = await self._find(account, reference_of(request))
        asked = table_changes(body)
        latitude, longitude = body.get("latitude_column"), body.get("longitude_column")
        if isinstance(latitude, str) and isinstance(longitude, str):
            await tables.georeference(self._platform.database, account, dataset, latitude, longitude)
        await changes.change(self._platform.database, account, dataset, asked)
        return await self._tell(request, account, str(dataset.table_id))

    async def _find(self, account: Account, reference: str) -> Dataset:
        dataset = await self._datasets.find_table(account, reference)
        if dataset is None:
            raise Problem(404)
        return dataset

    async def _tell(self, request: Request, account: Account, reference: str) -> Response:
        dataset = await self._find(account, reference)
        found = await figures_of(self._platform.database, account, [dataset])
        figures = found[dataset.table_oid]
        teller = await teller_of(self._platform, request, account, is_owner=True, with_user=True)
        syncs = await Syncs(self._platform.database).of_datasets([dataset.id])
        sync = sync_json(syncs[dataset.id]) if dataset.id in syncs else None
        return json_answer(
            {
                "id": str(dataset.table_id),
                "name": dataset.name,
                "privacy": dataset.privacy.upper(),
                "schema": await self._schema(dataset, figures),
                "updated_at": timestamp(dataset.updated_at),
                "rows_counted": figures.row_count,
                "row_count": figures.row_count,
                "table_size": figures.size,
                "size": figures.size,
                "map_id": None,
                "description": dataset.description,
                "tags": dataset.tags,
                "geometry_types": figures.geometry_types,
                "permission": teller.permission(dataset),
                "table_visualization": teller.visualization(dataset, figures, Parts(permission=True), sync),
                "dependent_visualizations": [],
                "non_dependent_visualizations": [],
                "synchronization": sync,
            }
        )

    async def _schema(self, dataset: Dataset, figures: Figures) -> list[list[Any]]:
        kind = (figures.geometry_types or ["ST_Geometry"])[0].removeprefix("ST_").lower()
        return [
            [name, "geometry", "geometry", kind] if of == "geometry" else [name, _TYPES.get(of, of)]
            for name, of in await tables.columns_of(self._platform.database, dataset)
        ]
