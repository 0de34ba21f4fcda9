"""``/api/v3/api_keys``: an account's keys, listed and shown."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.authentication import account_of
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.services.keys import ORDERS, TYPES, in_order, visible_keys
from carto_like.server.vizapi.access import principal_of, root_of
from carto_like.server.vizapi.answers import answering, json_answer
from carto_like.server.vizapi.keyjson import key_json
from carto_like.server.vizapi.params import natural

_PATH = "/api/v3/api_keys"


def routes(platform: Platform) -> list[Route]:
    """The routes, relative to a user's root."""
    keys = _Keys(platform)
    return [
        Route(_PATH, answering(keys.index), methods=["GET"]),
        Route(_PATH + "/{name:path}", answering(keys.show), methods=["GET"]),
    ]


class _Keys:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def index(self, request: Request) -> Response:
        account = account_of(request)
        principal = await principal_of(self._platform, request, account, required=True)
        query = request.query_params
        types = _types(query.get("type", ""))
        order = query.get("order") or "type"
        if order not in ORDERS:
            raise Problem(400, f"Wrong 'order' parameter value. Valid values are one of {', '.join(ORDERS)}")
        if query.get("target_user") not in (None, "", account.name):
            raise Problem(403, "Only administrators of an organization can see the keys of others")
        page, per_page = natural(query, "page", 1), natural(query, "per_page", 20)
        keys = await visible_keys(self._platform.database, self._platform.users, principal)
        wanted = in_order([dated for dated in keys if dated.key.type in types], order)
        root = root_of(self._platform, request, account) + _PATH
        shown = wanted[(page - 1) * per_page : page * per_page]
        result = [
            {**key_json(account, dated), "_links": {"self": f"{root}/{quote(dated.key.name, safe='')}"}}
            for dated in shown
        ]
        links = _links(root, dict(query), page, per_page, len(wanted))
        return json_answer({"total": len(wanted), "count": len(result), "result": result, "_links": links})

    async def show(self, request: Request) -> Response:
        account = account_of(request)
        principal = await principal_of(self._platform, request, account, required=True)
        name = request.path_params["name"]
        for dated in await visible_keys(self._platform.database, self._platform.users, principal):
            if dated.key.name == name:
                return json_answer(key_json(account, dated))
        raise Problem(404, "API key not found")


def _types(text: str) -> list[str]:
    types = [part.strip() for part in text.split(",") if part.strip()]
    for wanted in types:
        if wanted not in TYPES:
            raise Problem(400, f"Wrong 'type' parameter value. Valid values are one of {', '.join(TYPES)}")
    return types or list(TYPES)


def _links(root: str, query: dict[str, str], page: int, per_page: int, total: int) -> dict[str, Any]:
    """Addresses of other pages; the key that a query string may hold stays out of them."""
    last = max(1, -(-total // per_page))
    kept = {name: query[name] for name in ("type", "order", "per_page") if query.get(name)}
    pages = {"first": 1, "prev": page - 1, "next": page + 1, "last": last}
    if page == 1:
        del pages["prev"]
    if page >= last:
        del pages["next"]
    return {name: {"href": f"{root}?{urlencode({**kept, 'page': number})}"} for name, number in pages.items()}
