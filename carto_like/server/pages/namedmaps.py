"""A named map for a browser: an instance of it, whoever may see it, and where its data is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from carto_like.server.accounts import Account
from carto_like.server.platform import Platform
from carto_like.server.services.mapextents import Extents
from carto_like.server.services.maps import Made, Maps
from carto_like.server.services.mapviews import Viewer

_MISSING = "There is no map '{name}'."


@dataclass(frozen=True)
class ListedMap:
    """A map in the list of all."""

    name: str
    url: str
    audience: str


class NamedMaps:
    """The named maps of all accounts, as pages show them."""

    def __init__(self, platform: Platform) -> None:
        self._maps = Maps(platform)
        self._extents = Extents(platform)

    async def listed(self, account: Account, root: str) -> list[ListedMap]:
        """The account's maps, by name."""
        found = []
        for template in await self._maps.store.templates(account):
            is_open = template.content["auth"]["method"] == "open"
            audience = "everybody" if is_open else "those who have a token"
            address = f"{root}/map/{quote(template.name, safe='')}"
            found.append(ListedMap(template.name, address, audience))
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
            "layers": list(dict.fromkeys(layer.id for layer in made.view.config.mapnik)),
            "bounds": await self._extents.of(made.view, made.view.config.mapnik),
        }


def _picture(made: Made, map_path: str, query: str) -> str | None:
    """Address of the map's pictures; None for a map without a style."""
    config = made.view.config
    if not any(layer.is_styled for layer in config.mapnik) and len(config.layers) == len(config.mapnik):
        return None
    # Sharper ones there are of the database's layers only, and not of others below them.
    others = len(config.layers) > len(config.mapnik)
    return map_path + ("/all/{z}/{x}/{y}.png" if others else "/{z}/{x}/{y}{sharp}.png") + query


def tokens_of(values: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The tokens among the parameters of a request, once or repeated."""
    return tuple(value for name, value in values if name in ("auth_token", "auth_token[]") and value)
