"""A named map for a browser: an instance of it, whoever may see it, and where its data is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import psycopg

from carto_like.server.accounts import Account
from carto_like.server.errors import Problem
from carto_like.server.maps.layersql import Source, with_tokens
from carto_like.server.platform import Platform
from carto_like.server.services.mapplans import LayerPlan
from carto_like.server.services.maps import Made, Maps
from carto_like.server.services.mapsession import rows_of
from carto_like.server.services.mapviews import Viewer
from carto_like.server.services.preview import Bounds, within_world
from carto_like.server.services.unattended import session_of
from carto_like.server.sqlapi.guard import Stopped

_MISSING = "There is no map '{name}'."
_PATIENCE = 5.0
_EXTENT = """
SELECT ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box) FROM (
    SELECT ST_Transform(ST_SetSRID(ST_Extent({geometry})::geometry, 3857), 4326) AS box FROM (
{query}
) AS cdbq) AS extent
"""


@dataclass(frozen=True)
class ListedMap:
    """A map in the list of all."""

    name: str
    url: str
    audience: str


class NamedMaps:
    """The named maps of all accounts, as pages show them."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._maps = Maps(platform)

    async def listed(self, account: Account, root: str) -> list[ListedMap]:
        """The account's maps, by name."""
        found = []
        for name in await self._maps.store.names(account):
            template = await self._maps.store.template(account, name, _MISSING)
            is_open = template.content["auth"]["method"] == "open"
            audience = "everybody" if is_open else "those who have a token"
            found.append(ListedMap(name, f"{root}/map/{quote(name, safe='')}", audience))
        return found

    async def config(
        self, account: Account, path: str, name: str, tokens: tuple[str, ...], *, is_owner: bool
    ) -> dict[str, Any]:
        """What the page's script needs to draw a map as its data is now.

        Args:
            account: whose map it is.
            path: of the account's own address.
            name: of the template.
            tokens: that the viewer shows.
            is_owner: whether he needs none.

        Raises:
            Problem: 404, there is no such map; 403, it asks for a token; and whatever its layers meet.
        """
        template = await self._maps.store.template(account, name, _MISSING)
        if is_owner:
            tokens = (*tokens, *template.content["auth"].get("valid_tokens", ())[:1])
        viewer = Viewer(account, account.public_role, False, tokens)
        made = await self._maps.instantiate(viewer, template.name, {})
        query = f"?{urlencode([('auth_token', token) for token in tokens])}" if tokens else ""
        map_path = f"{path}/api/v1/map/{quote(str(made.token), safe='@:')}"
        return {
            "vector": f"{map_path}/{{z}}/{{x}}/{{y}}.mvt{query}",
            "raster": _picture(made, map_path, query),
            "layers": [layer.id for layer in made.view.config.mapnik],
            "bounds": await self._bounds(account, made),
        }

    async def _bounds(self, account: Account, made: Made) -> Bounds | None:
        """Where the rows of all layers are; None when nowhere, or when it takes too long to find out."""
        boxes = []
        for plan in made.view.plan.layers.values():
            try:
                boxes += [box for box in await self._extent(account, plan) if None not in box]
            except (Stopped, psycopg.Error, Problem):
                # The map itself says what is wrong with a layer; here it only is not looked at.
                continue
        if not boxes:
            return None
        west, south, east, north = zip(*boxes, strict=True)
        return within_world((min(west), min(south), max(east), max(north)))

    async def _extent(self, account: Account, plan: LayerPlan) -> list[tuple[Any, ...]]:
        database = self._platform.database
        async with session_of(database, account, seconds=_PATIENCE, role=plan.role) as session:
            await session.execute("BEGIN READ ONLY")
            found = await rows_of(session, _extent_query(plan.source))
            await session.execute("ROLLBACK")
            return found


def _picture(made: Made, map_path: str, query: str) -> str | None:
    """Address of the map's pictures; None for a map without a style."""
    config = made.view.config
    if not any(layer.is_styled for layer in config.mapnik) and len(config.layers) == len(config.mapnik):
        return None
    # Sharper ones there are of the database's layers only, and not of others below them.
    others = len(config.layers) > len(config.mapnik)
    return map_path + ("/all/{z}/{x}/{y}.png" if others else "/{z}/{x}/{y}{sharp}.png") + query


def _extent_query(source: Source) -> str:
    return _EXTENT.format(geometry=source.geometry, query=with_tokens(source.sql))


def tokens_of(values: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The tokens among the parameters of a request, once or repeated."""
    return tuple(value for name, value in values if name in ("auth_token", "auth_token[]") and value)
