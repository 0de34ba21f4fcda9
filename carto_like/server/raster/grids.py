"""UTFGrids: which feature lies under each four pixels of a tile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import mapnik

from ..cartocss import MapnikStyle
from .drawing import View, _map_of, _source
from .renderer import Row

_RESOLUTION = 4


def draw_grid(style: MapnikStyle, rows: Iterable[Row], view: View, key: str, fields: Sequence[str]) -> Any:
    """The grid of one layer: ``grid``, ``keys`` and, by key, ``data`` with the fields."""
    drawn = _map_of(style)
    layer = drawn.layers[0]
    columns = frozenset({*style.columns, *fields, key})
    layer.datasource = _source(MapnikStyle(style.xml, columns), rows)
    try:
        drawn.resize(view.width, view.height)
        drawn.buffer_size = view.buffer
        drawn.aspect_fix_mode = mapnik.aspect_fix_mode.RESPECT
        drawn.zoom_to_box(mapnik.Box2d(*view.bounds))
        grid = mapnik.Grid(view.width, view.height, key=key)
        mapnik.render_layer(drawn, grid, layer=0, fields=sorted({*fields, key}))
        return grid.encode("utf", resolution=_RESOLUTION)
    finally:
        layer.datasource = None
