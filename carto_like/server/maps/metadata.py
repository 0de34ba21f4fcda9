"""What a client is told of a map that was made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

from carto_like.server.services.mapplans import LayerPlan
from carto_like.server.services.mapramps import RULES
from carto_like.server.services.mapviews import View

from .config import Layer
from .filters import address_of
from .layersql import DATE_TYPES, NUMBERS, STRINGS

_BOOLEAN = 16


def description(
    view: View, token: str, root: str, api_key: str | None, stats: Mapping[int, dict[str, Any]]
) -> dict[str, Any]:
    """The body of the answer to making a map.

    Args:
        view: the map.
        token: by which it can be looked at.
        root: the account's address.
        api_key: the key that the client showed in the query, to be part of the addresses.
        stats: what layers want to be told of their rows, by the layers' indices.
    """
    made = _Addresses(f"{root}/api/v1/map/{quote(token, safe='@:')}", api_key)
    updated = view.plan.updated
    when = datetime.fromtimestamp(updated / 1000, timezone.utc) if updated else datetime.now(timezone.utc)
    metadata: dict[str, Any] = {
        "layers": [_layer(view, layer, made, stats.get(layer.index, {})) for layer in view.config.layers],
        "dataviews": {},
        "analyses": [],
    }
    if view.config.mapnik:
        kinds = {"vector": "mvt"} if view.config.is_vector else {"vector": "mvt", "raster": "png"}
        metadata["tilejson"] = {kind: made.tilejson(None, ending) for kind, ending in kinds.items()}
        metadata["url"] = {
            kind: {"urlTemplate": made.tile(None, ending), "subdomains": []} for kind, ending in kinds.items()
        }
    return {
        "layergroupid": token,
        "last_updated": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "metadata": metadata,
    }


class _Addresses:
    def __init__(self, base: str, api_key: str | None) -> None:
        self._base = base
        self._query = f"?{urlencode({'api_key': api_key})}" if api_key else ""

    def tile(self, layer: str | None, ending: str) -> str:
        part = "" if layer is None else f"/{quote(layer, safe='')}"
        return f"{self._base}{part}/{{z}}/{{x}}/{{y}}.{ending}{self._query}"

    def tilejson(self, layer: str | None, ending: str) -> dict[str, Any]:
        return {"tilejson": "2.2.0", "tiles": [self.tile(layer, ending)]}


def _layer(view: View, layer: Layer, made: _Addresses, stats: dict[str, Any]) -> dict[str, Any]:
    plan = view.plan.layers.get(layer.index)
    name = address_of(view.config, layer)
    found: dict[str, Any] = {"type": layer.type, "id": layer.id, "meta": {"stats": {}}}
    tilejson: dict[str, Any] = {}
    if plan is None:
        tilejson["raster"] = made.tilejson(name, "png")
        return {**found, "tilejson": tilejson}
    found["meta"] = _meta(plan, stats)
    tilejson["vector"] = made.tilejson(name, "mvt")
    if plan.style is not None:
        tilejson["raster"] = made.tilejson(name, "png")
        if layer.interactivity:
            tilejson["raster"]["grids"] = [made.tile(name, "grid.json")]
    return {**found, "tilejson": tilejson}


def _meta(plan: LayerPlan, stats: dict[str, Any]) -> dict[str, Any]:
    meta: dict[str, Any] = {"stats": {"estimatedFeatureCount": plan.estimate}}
    if plan.layer.is_styled:
        meta["cartocss"] = plan.layer.options["cartocss"]
        meta["cartocss_meta"] = {"rules": plan.layer.options.get(RULES) or []}
    if plan.considered:
        meta["aggregation"] = {
            "png": plan.how is not None and plan.layer.is_styled,
            "mvt": plan.how is not None,
        }
    if plan.dates:
        meta["dates_as_numbers"] = list(plan.dates)
    wanted = plan.layer.options.get("metadata")
    ranges = stats.get("columnStats", {})
    if isinstance(wanted, dict) and (wanted.get("columns") or "columnStats" in stats):
        meta["stats"]["columns"] = {
            name: {"type": _kind(oid), **ranges.get(name, {})} for name, oid in plan.source.columns
        }
    meta["stats"] |= {name: value for name, value in stats.items() if name != "columnStats"}
    return meta


def _kind(oid: int) -> str:
    if oid in NUMBERS:
        return "number"
    if oid in STRINGS:
        return "string"
    if oid in DATE_TYPES:
        return "date"
    return "boolean" if oid == _BOOLEAN else "geometry"
