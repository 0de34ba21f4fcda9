"""``/map``: making maps, and templates of named maps."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.maps.answers import Handler, answering, cache_headers, json_answer
from carto_like.server.maps.metadata import description
from carto_like.server.maps.problems import bad
from carto_like.server.maps.requests import parsed, read_body, require_master, viewer_of
from carto_like.server.maps.templates import read_template
from carto_like.server.platform import Platform
from carto_like.server.routes import maptiles
from carto_like.server.services.maps import Made, Maps
from carto_like.server.services.mapstats import stats_of
from carto_like.server.sqlapi.family import is_callback
from carto_like.server.sqlapi.headers import header_text
from carto_like.server.vizapi.access import root_of

_ROOT = "/api/{version}/map"


def routes(platform: Platform) -> list[Route]:
    """The routes, relative to a user's root; those of named maps come before those of tokens."""
    maps = Maps(platform)
    making, templates = _Making(platform, maps), _Templates(platform, maps)
    named = f"{_ROOT}/named"

    def create(handler: Handler) -> Handler:
        return answering(platform, "map_create", handler)

    def template(handler: Handler) -> Handler:
        return answering(platform, "map_template", handler)

    return [
        Route(_ROOT, create(making.post), methods=["POST"]),
        Route(_ROOT, create(making.get), methods=["GET"]),
        Route(named, template(templates.create), methods=["POST"]),
        Route(named, template(templates.names), methods=["GET"]),
        Route(f"{named}/{{template}}", create(making.instantiate), methods=["POST"]),
        Route(f"{named}/{{template}}", template(templates.show), methods=["GET"]),
        Route(f"{named}/{{template}}", template(templates.update), methods=["PUT"]),
        Route(f"{named}/{{template}}", template(templates.delete), methods=["DELETE"]),
        Route(f"{named}/{{template}}/jsonp", create(making.jsonp), methods=["GET"]),
        *maptiles.routes(platform, maps),
    ]


class _Making:
    """Makes maps of configurations and of templates."""

    def __init__(self, platform: Platform, maps: Maps) -> None:
        self._platform = platform
        self._maps = maps

    async def post(self, request: Request) -> Response:
        config = await read_body(request, "POST data must be of type application/json")
        return await self._create(request, config)

    async def get(self, request: Request) -> Response:
        given = request.query_params.get("config")
        if given is None:
            raise bad('layergroup GET needs a "config" parameter')
        return await self._create(request, parsed(given, "SyntaxError: "), cached=True)

    async def _create(self, request: Request, config: dict[str, Any], *, cached: bool = False) -> Response:
        viewer = await viewer_of(self._platform, request, config)
        given = request.query_params.get("aggregation", "true")
        if given not in ("true", "false"):
            text = f"Invalid value for 'aggregation' query param: {given}. Valid ones are 'true' or 'false'"
            raise bad(text)
        made = await self._maps.create(viewer, config, aggregate=given == "true")
        return await self._told(request, made, cached=cached)

    async def instantiate(self, request: Request) -> Response:
        parameters = await read_body(request, "POST data must be of type application/json", empty=True)
        return await self._instantiate(request, parameters)

    async def jsonp(self, request: Request) -> Response:
        query = request.query_params
        if not is_callback(query.get("callback", "")):
            raise bad("callback parameter should be present and be a function name")
        try:
            parameters = parsed(query.get("config") or "{}", "")
        except Exception as error:
            raise bad("Invalid config parameter, should be a valid JSON") from error
        return await self._instantiate(request, parameters, cached=True)

    async def _instantiate(
        self, request: Request, parameters: dict[str, Any], *, cached: bool = False
    ) -> Response:
        viewer = await viewer_of(self._platform, request, parameters)
        made = await self._maps.instantiate(viewer, request.path_params["template"], parameters)
        return await self._told(request, made, cached=cached)

    async def _told(self, request: Request, made: Made, *, cached: bool) -> Response:
        view, token = made.view, str(made.token)
        root = root_of(self._platform, request, view.account)
        stats = await stats_of(self._platform, view)
        body = description(view, token, root, request.query_params.get("api_key"), stats)
        headers = {"X-Layergroup-Id": token}
        if view.config.stat_tag:
            headers["Carto-Stat-Tag"] = header_text(view.config.stat_tag)
        if cached:
            named = view.instance.template
            headers |= cache_headers(
                view.plan.database,
                view.plan.tables,
                view.plan.updates,
                view.plan.version,
                named=(view.account.name, named["name"]) if named else None,
                must_revalidate=True,
            )
        return json_answer(body, 200, headers)


class _Templates:
    """Templates, for whoever holds the master key."""

    def __init__(self, platform: Platform, maps: Maps) -> None:
        self._platform = platform
        self._store = maps.store

    async def names(self, request: Request) -> Response:
        account = await require_master(self._platform, request, "list")
        return json_answer({"template_ids": await self._store.names(account)})

    async def create(self, request: Request) -> Response:
        body = await read_body(request, "POST template data must be of type application/json")
        account = await require_master(self._platform, request, "create", body)
        template = read_template(body)
        left = await self._store.create(account, template)
        answer = {"template_id": template["name"]}
        if left is not None:
            answer["limit_message"] = f"User {account.name} reaching the named maps limit"
        return json_answer(answer)

    async def show(self, request: Request) -> Response:
        account = await require_master(self._platform, request, "get")
        missing = "Cannot find template '{name}' of user '{user}'"
        found = await self._store.template(account, request.path_params["template"], missing)
        return json_answer({"template": found.content})

    async def update(self, request: Request) -> Response:
        body = await read_body(request, "PUT template data must be of type application/json")
        account = await require_master(self._platform, request, "update", body)
        template = read_template(body)
        await self._store.replace(account, request.path_params["template"], template)
        return json_answer({"template_id": template["name"]})

    async def delete(self, request: Request) -> Response:
        account = await require_master(self._platform, request, "delete")
        await self._store.delete(account, request.path_params["template"])
        return Response(status_code=204)
