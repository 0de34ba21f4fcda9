"""``/api/v1/connectors``: which databases imports can read, and a look into one."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.authentication import account_of
from carto_like.server.errors import Problem
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.connector import POSTGRES, PROVIDERS, SSL_MODES, Access, access_of
from carto_like.server.platform import Platform
from carto_like.server.services.remotes import check_access, tables_of
from carto_like.server.vizapi.access import require_master
from carto_like.server.vizapi.answers import answering, json_answer, typed

_OF_ACCESS = ("server", "port", "database", "username", "password", "sslmode")
_PARAMETERS = {
    "connection": {
        "server": {"required": True},
        "port": {"required": False, "default": 5432},
        "database": {"required": True},
        "username": {"required": True},
        "password": {"required": False},
        "sslmode": {"required": False, "default": "prefer", "options": list(SSL_MODES)},
    },
    "schema": {"required": False, "default": "public"},
    "table": {"required": False},
    "sql_query": {"required": False},
    "import_as": {"required": False},
}


def routes(platform: Platform) -> list[Route]:
    """The routes, relative to a user's root."""
    found = _ConnectorRoutes(platform)
    path, methods = "/api/v1/connectors", ["GET", "OPTIONS"]
    return [
        Route(path, answering(found.list, typed), methods=methods),
        Route(path + "/{provider}", answering(found.show, typed), methods=methods),
        Route(path + "/{provider}/tables", answering(found.tables, typed), methods=methods),
        Route(path + "/{provider}/connect", answering(found.connect, typed), methods=methods),
    ]


class _ConnectorRoutes:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._reach = platform.settings.import_addresses

    async def list(self, request: Request) -> Response:
        await require_master(self._platform, request, account_of(request))
        return json_answer({name: _described(name) for name in PROVIDERS})

    async def show(self, request: Request) -> Response:
        provider = await self._provider(request)
        parameters = _PARAMETERS if provider == POSTGRES else {}
        return json_answer({**_described(provider), "parameters": parameters})

    async def tables(self, request: Request) -> Response:
        access = await self._access(request)
        try:
            return json_answer(await tables_of(access, self._reach))
        except ImportFailure as failure:
            raise Problem(400, failure.reason) from None

    async def connect(self, request: Request) -> Response:
        access = await self._access(request)
        try:
            await check_access(access, self._reach)
        except ImportFailure as failure:
            return json_answer({"connected": False, "errors": failure.reason})
        return json_answer({"connected": True})

    async def _provider(self, request: Request) -> str:
        await require_master(self._platform, request, account_of(request))
        provider: str = request.path_params["provider"].lower()
        if provider not in PROVIDERS:
            raise Problem(422, f"'{provider[:63]}' is none of {', '.join(PROVIDERS)}")
        return provider

    async def _access(self, request: Request) -> Access:
        provider = await self._provider(request)
        if provider != POSTGRES:
            raise Problem(422, f"'{provider}' cannot be read here")
        params = request.query_params
        given: Any = params.get("connection") or {key: params[key] for key in _OF_ACCESS if key in params}
        try:
            return access_of(given)
        except ValueError as error:
            raise Problem(400, str(error)) from None


def _described(provider: str) -> dict[str, Any]:
    return {"name": PROVIDERS[provider], "enabled": provider == POSTGRES, "description": None}
