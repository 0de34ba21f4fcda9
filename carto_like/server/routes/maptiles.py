"""``/map/TOKEN/...`` and static pictures: looking at maps that were made."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.authentication import account_of
from carto_like.server.maps.answers import Handler, answering, cache_headers, is_known
from carto_like.server.maps.config import Layer
from carto_like.server.maps.coordinates import read_tile
from carto_like.server.maps.filters import chosen
from carto_like.server.maps.problems import MapProblem, bad
from carto_like.server.maps.requests import parsed, viewer_of
from carto_like.server.maps.statics import (
    box_frame,
    center_frame,
    extent_frame,
    preview_frame,
    preview_layers,
)
from carto_like.server.maps.tokens import map_id, read_token
from carto_like.server.platform import Platform
from carto_like.server.services.mapdrawing import Content, Frame
from carto_like.server.services.mapextents import Extents
from carto_like.server.services.maps import Maps
from carto_like.server.services.maptiles import FORMATS, Tiles, Wanted
from carto_like.server.services.mapviews import View

_ROOT = "/api/{version}/map"
_LAST = re.compile(r"([^.@/]*)(?:@([^.@/]*)x)?\.(.+)", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,9}")
_SCALES = {None: 1, "1": 1, "2": 2}
_PICTURES = {"png": False, "jpg": True}


def routes(platform: Platform, maps: Maps) -> list[Route]:
    """The routes, relative to a user's root."""
    looking = _Looking(platform, maps)
    named, static = f"{_ROOT}/named/{{template}}", f"{_ROOT}/static"
    size = "{width}/{height}"

    def tile(handler: Handler) -> Handler:
        return answering(platform, "map_tile", handler)

    def picture(handler: Handler) -> Handler:
        return answering(platform, "map_static", handler)

    attributes = answering(platform, "map_attributes", looking.attributes)
    return [
        Route(f"{named}/{{layer}}/{{z}}/{{x}}/{{last}}", tile(looking.named_tile), methods=["GET"]),
        Route(f"{static}/center/{{token}}/{{z}}/{{lat}}/{{lng}}/{size}", picture(looking.center)),
        Route(f"{static}/bbox/{{token}}/{{box}}/{size}", picture(looking.box)),
        Route(f"{static}/named/{{template}}/{size}", picture(looking.preview)),
        Route(f"{_ROOT}/{{token}}/{{layer}}/attributes/{{feature}}", attributes),
        Route(f"{_ROOT}/{{token}}/{{z}}/{{x}}/{{last}}", tile(looking.tile)),
        Route(f"{_ROOT}/{{token}}/{{layer}}/{{z}}/{{x}}/{{last}}", tile(looking.tile)),
    ]


class _Looking:
    def __init__(self, platform: Platform, maps: Maps) -> None:
        self._platform = platform
        self._maps = maps
        self._tiles = Tiles(platform)
        self._extents = Extents(platform)

    async def tile(self, request: Request) -> Response:
        wanted = _wanted(request, request.path_params.get("layer"))
        view = await self._open(request)
        if wanted is None:
            return self._told(request, view, Content(b"", "application/x-protobuf"))
        content = await self._tiles.tile(view, wanted)
        return self._told(request, view, content)

    async def attributes(self, request: Request) -> Response:
        view = await self._open(request)
        layer = _numbered(view, request.path_params["layer"])
        content = await self._tiles.attributes(view, layer, request.path_params["feature"])
        return self._told(request, view, content)

    async def named_tile(self, request: Request) -> Response:
        wanted = _wanted(request, request.path_params["layer"])
        view = await self._from_template(request, "malformed config parameter, should be a valid JSON")
        empty = Content(b"", "application/x-protobuf")
        content = empty if wanted is None else await self._tiles.tile(view, wanted)
        return self._told(request, view, content, no_content=False)

    async def center(self, request: Request) -> Response:
        view = await self._open(request)
        return await self._picture(request, view, center_frame(request.path_params))

    async def box(self, request: Request) -> Response:
        view = await self._open(request)
        return await self._picture(request, view, box_frame(request.path_params))

    async def preview(self, request: Request) -> Response:
        view = await self._from_template(request, "malformed config parameter, should be a valid JSON")
        template = await self._template(request)
        parts, shown = request.path_params, template.get("view")
        layers = _layers(request, view, preview_layers(shown, view.config))
        frame = preview_frame(parts, request.query_params, shown)
        if frame is None:
            frame = extent_frame(parts, await self._extents.of(view, layers))
        return await self._picture(request, view, frame, layers)

    async def _template(self, request: Request) -> dict[str, object]:
        found = await self._maps.store.template(
            account_of(request), request.path_params["template"], "{name}"
        )
        return found.content

    async def _picture(
        self, request: Request, view: View, frame: Frame, layers: Sequence[Layer] | None = None
    ) -> Response:
        _, _, ending = request.path_params["height"].partition(".")
        jpeg = _PICTURES.get(ending)
        if jpeg is None:
            raise bad(f'Unsupported image format "{ending}"')
        if layers is None:
            layers = _layers(request, view, view.config.layers)
        return self._told(request, view, await self._tiles.picture(view, frame, layers, jpeg=jpeg))

    async def _open(self, request: Request) -> View:
        viewer = await viewer_of(self._platform, request)
        return await self._maps.views.open(viewer, read_token(request.path_params["token"]))

    async def _from_template(self, request: Request, refusal: str) -> View:
        viewer = await viewer_of(self._platform, request)
        try:
            parameters = parsed(request.query_params.get("config") or "{}", "")
        except MapProblem as error:
            raise bad(refusal) from error
        account = viewer.account
        name = request.path_params["template"]
        _, instance = await self._maps.from_template(viewer, name, parameters)
        found = map_id(instance.record, account.name, account.role)
        return await self._maps.views.view(account, found, instance, account.role)

    def _told(self, request: Request, view: View, content: Content, *, no_content: bool = True) -> Response:
        named = view.instance.template
        headers = {
            "ETag": content.etag,
            "Carto-Map-Id": view.map_id,
            "Carto-Cache-Buster": str(view.version),
            **cache_headers(
                view.plan.database,
                view.plan.tables,
                view.plan.updates,
                view.version,
                named=(view.account.name, named["name"]) if named else None,
            ),
        }
        if is_known(request, content.etag):
            return Response(status_code=304, headers=headers)
        if not content.body:
            headers["x-tilelive-contains-data"] = "false"
            if no_content:
                return Response(status_code=204, headers=headers)
        return Response(content.body, 200, headers, content.media_type)


def _wanted(request: Request, layers: str | None) -> Wanted | None:
    """The tile that an address names; None for one that lies deeper than any map."""
    parts = request.path_params
    found = _LAST.fullmatch(parts["last"])
    if found is None:
        raise bad(f"Unsupported format {parts['last'].partition('.')[2]}", "tile")
    y, scale, ending = found.groups()
    if scale not in _SCALES:
        raise MapProblem(404, "Tile with specified resolution not found", kind="tile")
    if ending not in FORMATS:
        raise bad(f"Unsupported format {ending}", "tile")
    tile = read_tile(parts["z"], parts["x"], y, vector=ending == "mvt")
    return None if tile is None else Wanted(tile, ending, layers, _SCALES[scale])


def _layers(request: Request, view: View, otherwise: Sequence[Layer]) -> Sequence[Layer]:
    """The layers that the query asks for, if it does."""
    wanted = request.query_params.get("layer")
    return otherwise if wanted is None else chosen(view.config, wanted, vector=False)


def _numbered(view: View, number: str) -> Layer:
    by_id = {layer.id: layer for layer in view.config.layers}
    if _NUMBER.fullmatch(number) and int(number) < len(view.config.layers):
        return view.config.layers[int(number)]
    if number in by_id:
        return by_id[number]
    raise bad(f"Map {view.map_id} has no layer number {number}")
