"""Making maps: from a configuration, or from a template and its parameters."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carto_like.server.accounts import Account
from carto_like.server.maps.config import read_config
from carto_like.server.maps.placeholders import fill_in
from carto_like.server.maps.problems import MapProblem, bad
from carto_like.server.maps.templates import passes
from carto_like.server.maps.tokens import Token, map_id
from carto_like.server.platform import Platform
from carto_like.server.services.mapramps import expanded
from carto_like.server.services.mapstore import Instance, MapStore, Template
from carto_like.server.services.mapviews import MapViews, View, Viewer

_NOT_FOUND = "Template '{name}' of user '{user}' not found"
_KEYS = ("api_key", "map_key")
_MOST_LAYERS = 200


@dataclass(frozen=True)
class Made:
    """A map that is ready to be looked at, and its token."""

    view: View
    token: Token


class Maps:
    """Makes maps of all accounts."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.store = MapStore(platform)
        self.views = MapViews(platform, self.store)

    async def create(self, viewer: Viewer, given: Mapping[str, Any], *, aggregate: bool = True) -> Made:
        """Store a map that its maker describes, after a look at all that it reads.

        Raises:
            Problem: what is wrong with the configuration, a style or a layer's SQL.
        """
        config = {name: value for name, value in given.items() if name not in _KEYS}
        signed: list[int] = []
        _check_outline(config)
        config = await self._expanded(viewer.account, config, signed)
        if not aggregate:
            config = _unaggregated(config)
        config = await expanded(self._platform, viewer.account, config, viewer.role, signed)
        instance = Instance(config, signed=tuple(signed))
        # Who shows no token for a layer of a template must not arrive at the map of somebody who did.
        source = given if signed else None
        return await self._made(viewer.account, instance, viewer.role, source)

    async def instantiate(self, viewer: Viewer, name: str, parameters: Mapping[str, Any]) -> Made:
        """Store the map that a template gives, to be read with its owner's rights.

        Raises:
            Problem: 404 for an unknown template, 403 when it asks for a token that was not shown, and as
                :meth:`create`.
        """
        account = viewer.account
        template, instance = await self.from_template(viewer, name, parameters)
        made = await self._made(account, instance, account.role)
        return Made(made.view, Token(made.token.map_id, account.name, template.hash, made.token.buster))

    async def from_template(
        self, viewer: Viewer, name: str, parameters: Mapping[str, Any]
    ) -> tuple[Template, Instance]:
        """A template and the map it gives, which is stored nowhere."""
        account = viewer.account
        template = await self.store.template(account, name, _NOT_FOUND)
        auth = template.content["auth"]
        if not passes(auth, list(viewer.tokens)):
            raise MapProblem(403, "Unauthorized template instantiation", kind="auth")
        config = fill_in(template.content, parameters)
        config = await self._expanded(account, config, [])
        config = await expanded(self._platform, account, config, account.role)
        return template, Instance(config, auth, {"name": template.name, "hash": template.hash})

    async def _made(
        self, account: Account, instance: Instance, role: str, source: Mapping[str, Any] | None = None
    ) -> Made:
        record = {**instance.record, **({"source": source} if source else {})}
        found = map_id(record, account.name, role)
        view = await self.views.renew(account, found, instance, role)
        await self.store.keep(account, found, instance)
        return Made(view, Token(found, buster=view.plan.version))

    async def _expanded(
        self,
        account: Account,
        config: dict[str, Any],
        signed: list[int],
    ) -> dict[str, Any]:
        """The configuration with the layers of templates in place of layers that name one."""
        layers: list[Any] = []
        for layer in config["layers"]:
            if layer.get("type") != "named":
                layers.append(layer)
                continue
            named = await self._named(account, layer["options"])
            signed += range(len(layers), len(layers) + len(named))
            layers += named
            if len(layers) > _MOST_LAYERS:
                raise bad(f"A map has at most {_MOST_LAYERS} layers", "layer")
        return {**config, "layers": layers}

    async def _named(self, account: Account, options: Mapping[str, Any]) -> list[Any]:
        name = options.get("name")
        if not isinstance(name, str) or not name:
            raise bad("Missing Named Map `name` in layer options", "layer")
        template = await self.store.template(account, name, _NOT_FOUND)
        tokens = options.get("auth_tokens") or []
        shown = [token for token in tokens if isinstance(token, str)] if isinstance(tokens, list) else []
        if not passes(template.content["auth"], shown):
            raise MapProblem(403, f"Unauthorized '{template.name}' template instantiation", kind="auth")
        parameters = options.get("config")
        filled = fill_in(template.content, parameters if isinstance(parameters, dict) else {})
        if any(layer.get("type") == "named" for layer in filled["layers"]):
            raise bad("Nested named layers are not allowed", "layer")
        return list(filled["layers"])


def _check_outline(config: Mapping[str, Any]) -> None:
    """Check what must be right before layers of templates can be put in place."""
    layers = config.get("layers")
    if isinstance(layers, list):
        if len(layers) > _MOST_LAYERS:
            raise bad(f"A map has at most {_MOST_LAYERS} layers, not {len(layers)}", "layer")
        bare = [
            {**layer, "type": "plain"} if isinstance(layer, dict) and layer.get("type") == "named" else layer
            for layer in layers
        ]
        config = {**config, "layers": bare}
    read_config(config)


def _unaggregated(config: dict[str, Any]) -> dict[str, Any]:
    config = copy.deepcopy(config)
    for layer in config["layers"]:
        layer["options"]["aggregation"] = False
    return config
