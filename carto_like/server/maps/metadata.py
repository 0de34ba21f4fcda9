"""What a client is told of a map that was made."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

from carto_like.server.services.mapplans import LayerPlan
from carto_like.server.services.mapramps import RULES
from carto_like.server.services.mapviews import View

from .config import Layer
from .layersql import DATE_TYPES

_NUMBERS = frozenset({20, 21, 23, 700, 701, 1700})
_STRINGS = frozenset({18, 25, 705, 1042, 1043})
_BOOLEAN = 16


def description(view: View, token: str, root: str, api_key: str | None) -> dict[str, Any]:
    """The body of the answer to making a map.

    Args:
        view: the map.
        token: by which it can be looked at.
        root: the account's address.
        api_key: the key that the client showed in the query, to be part of the addresses.
    """
    made = _Addresses(f"{root}/api/v1/map/{quote(token, safe='@:')}", api_key)
    version = view.plan.version
    when = datetime.fromtimestamp(version / 1000, timezone.utc) if version else datetime.now(timezone.utc)
    metadata: dict[str, Any] = {
        "layers": [_layer(view, layer, made) for layer in view.config.layers],
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


def _layer(view: View, layer: Layer, made: _Addresses) -> dict[str, Any]:
    plan = view.plan.layers.get(layer.index)
    found: dict[str, Any] = {"type": layer.type, "id": layer.id, "meta": {"stats": {}}}
    tilejson: dict[str, Any] = {}
    if plan is None:
        tilejson["raster"] = made.tilejson(layer.id, "png")
        return {**found, "tilejson": tilejson}
    found["meta"] = _meta(plan)
    tilejson["vector"] = made.tilejson(layer.id, "mvt")
    if plan.style is not None:
        tilejson["raster"] = made.tilejson(layer.id, "png")
        if layer.interactivity:
            tilejson["raster"]["grids"] = [made.tile(layer.id, "grid.json")]
    return {**found, "tilejson": tilejson}


def _meta(plan: LayerPlan) -> dict[str, Any]:
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
    if isinstance(wanted, dict) and wanted.get("columns"):
        meta["stats"]["columns"] = {name: {"type": _kind(oid)} for name, oid in plan.source.columns}
    return meta


def _kind(oid: int) -> str:
    if oid in _NUMBERS:
        return "number"
    if oid in _STRINGS:
        return "string"
    if oid in DATE_TYPES:
        return "date"
    return "boolean" if oid == _BOOLEAN else "geometry"
