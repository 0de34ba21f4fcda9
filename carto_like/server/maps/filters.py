"""Which layers of a map an address asks for."""

from __future__ import annotations

import re

from .config import Layer, MapConfig
from .problems import MapProblem, bad

_NUMBER = re.compile(r"[0-9]{1,9}")
_TYPES = ("mapnik", "http", "plain", "torque")


def chosen(config: MapConfig, wanted: str | None, *, vector: bool) -> list[Layer]:
    """The layers that ``wanted`` names, in the order of the map.

    Args:
        config: the map.
        wanted: numbers, ids, a type or ``all``; None for the layers read from the database.
        vector: whether a vector tile is made of them.

    Raises:
        Problem: 400 for layers that the map does not have.
    """
    if wanted is None:
        if not config.mapnik:
            raise bad("no mapnik layer in mapConfig" if vector else "No 'mapnik' layers in MapConfig", "tile")
        return config.mapnik
    if wanted == "all":
        return list(config.layers)
    by_id = {layer.id: layer for layer in config.layers}
    if wanted in _TYPES and wanted not in by_id:
        return [layer for layer in config.layers if layer.type == wanted]
    parts = wanted.split(",")
    numbers = [part for part in parts if _NUMBER.fullmatch(part)]
    if len(numbers) == len(parts):
        if any(int(part) >= len(config.layers) for part in numbers):
            text = (
                f"Layer '{wanted}' not found in layergroup" if len(parts) == 1 else "Invalid layer filtering"
            )
            raise bad(text, "layer")
        return [config.layers[index] for index in sorted({int(part) for part in numbers})]
    if numbers or any(part not in by_id for part in parts):
        raise bad("Invalid layer filtering", "layer")
    return sorted({by_id[part].index: by_id[part] for part in parts}.values(), key=lambda layer: layer.index)


def address_of(config: MapConfig, layer: Layer) -> str:
    """How addresses name a layer: by its id, or by its number when the id would lead elsewhere."""
    if layer.id in (".", "..") or "/" in layer.id:
        return str(layer.index)
    try:
        found = chosen(config, layer.id, vector=False)
    except MapProblem:
        found = []
    return layer.id if found == [layer] else str(layer.index)
