"""``/api/v1/viz``: datasets as visualizations, listed, shown, changed and deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.accounts import Account
from carto_like.server.authentication import account_of
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.services import changes
from carto_like.server.services.datasets import Datasets, Listing
from carto_like.server.services.figures import figures_of
from carto_like.server.services.registry import Dataset
from carto_like.server.services.syncs import Syncs
from carto_like.server.vizapi import params
from carto_like.server.vizapi.access import principal_of, require_master, teller_of
from carto_like.server.vizapi.answers import answering, json_answer, listed, plain, typed
from carto_like.server.vizapi.bodies import read_body
from carto_like.server.vizapi.edits import viz_changes
from carto_like.server.vizapi.shapes import Parts
from carto_like.server.vizapi.syncjson import sync_json

_UNKNOWN = "Visualization does not exist"


def routes(platform: Platform) -> list[Route]:
    """The routes, relative to a user's root."""
    viz = _Visualizations(platform)
    return [
        Route("/api/v1/viz", answering(viz.index, plain), methods=["GET"]),
        Route("/api/v1/viz/{reference:path}", answering(viz.show), methods=["GET"]),
        Route("/api/v1/viz/{reference:path}", answering(viz.update, _of_update), methods=["PUT"]),
        Route("/api/v1/viz/{reference:path}", answering(viz.delete, _of_update), methods=["DELETE"]),
    ]


def reference_of(request: Request) -> str:
    """The id or name in the path."""
    return str(request.path_params["reference"])


def _of_update(problem: Problem) -> Any:
    return listed(problem) if problem.status == 400 else typed(problem)


class _Visualizations:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._datasets = Datasets(platform.database)

    async def index(self, request: Request) -> Response:
        account = account_of(request)
        is_owner = (await principal_of(self._platform, request, account)).is_master
        query = request.query_params
        search = params.search_of(query, is_owner=is_owner)
        page = params.page_of(query, params.viz_orders)
        parts = params.parts_of_list(query)
        listing = await self._datasets.search(account, search, page)
        told = await self._tell(request, account, listing.datasets, parts, is_owner=is_owner)
        answer: dict[str, Any] = {"visualizations": told}
        if params.flag(query, "load_totals", True):
            answer |= _totals(listing, is_owner=is_owner)
        if params.flag(query, "load_do_totals"):
            answer |= {"total_subscriptions": 0, "total_samples": 0}
        return json_answer(answer)

    async def show(self, request: Request) -> Response:
        account = account_of(request)
        is_owner = (await principal_of(self._platform, request, account)).is_master
        dataset = await self._find(account, reference_of(request))
        if not is_owner and dataset.privacy == "private":
            raise Problem(403, "Visualization not viewable")
        return await self._one(request, account, dataset, is_owner=is_owner)

    async def update(self, request: Request) -> Response:
        account = account_of(request)
        body = await read_body(request)
        await require_master(self._platform, request, account, body)
        dataset = await self._find(account, reference_of(request))
        if str(body.get("id")).lower() != str(dataset.id):
            raise Problem(403, "The body's id must be the visualization's")
        await changes.change(self._platform.database, account, dataset, viz_changes(body))
        changed = await self._find(account, str(dataset.id))
        return await self._one(request, account, changed, is_owner=True)

    async def delete(self, request: Request) -> Response:
        account = account_of(request)
        await require_master(self._platform, request, account)
        dataset = await self._find(account, reference_of(request))
        await changes.drop(self._platform.database, account, dataset)
        return Response(status_code=204)

    async def _find(self, account: Account, reference: str) -> Dataset:
        dataset = await self._datasets.find(account, reference)
        if dataset is None:
            raise Problem(404, _UNKNOWN)
        return dataset

    async def _one(self, request: Request, account: Account, dataset: Dataset, *, is_owner: bool) -> Response:
        parts = params.parts_of_one(request.query_params)
        return json_answer((await self._tell(request, account, [dataset], parts, is_owner=is_owner))[0])

    async def _tell(
        self,
        request: Request,
        account: Account,
        datasets: list[Dataset],
        parts: Parts,
        *,
        is_owner: bool,
    ) -> Any:
        with_user = parts.permission or parts.user
        teller = await teller_of(self._platform, request, account, is_owner=is_owner, with_user=with_user)
        figures = await figures_of(self._platform.database, account, datasets) if parts.table else {}
        syncs = await self._syncs(datasets) if is_owner and parts.synchronization else {}
        return [
            teller.visualization(one, figures.get(one.table_oid), parts, syncs.get(one.id))
            for one in datasets
        ]

    async def _syncs(self, datasets: list[Dataset]) -> dict[UUID, Any]:
        found = await Syncs(self._platform.database).of_datasets(dataset.id for dataset in datasets)
        return {dataset_id: sync_json(sync) for dataset_id, sync in found.items()}


def _totals(listing: Listing, *, is_owner: bool) -> dict[str, int]:
    """What paging needs, for everybody; what else there is, for the owner."""
    if not is_owner:
        return {"total_entries": listing.matches}
    return {
        "total_entries": listing.matches,
        "total_user_entries": listing.total,
        "total_locked": listing.locked,
        "total_likes": 0,
        "total_shared": 0,
    }
