"""Pictures of maps by Mapnik, drawn from rows that come by the caller's own connection.

Importing this package needs nothing; ``Renderer()`` needs the extra ``[maps]`` and says so with
``RasterUnavailable`` when it is absent. Bounds are ``(west, south, east, north)`` in EPSG:3857::

    renderer = Renderer(threads=2)                       # one per process; close() at its end
    style = compile_style(cartocss)                      # ..cartocss; style.buffer is its buffer-size
    view = View(bounds, 256, 256, scale=1.0, buffer=64)  # a tile; scale 2 gives 512 pixels
    source = Source(sql, geometry="the_geom_webmercator", srid=3857)
    async with database.login(role, schema) as connection, read_only(connection):
        rows = fetch(connection, source, view, style.columns)
        png = await renderer.picture([Layer(style, rows)], view, png=SMALL_PNG)

``sheet, rules = await without_ramps(connection, sql, cartocss)`` comes first where a style has ``ramp()``.
``Pictures`` of other servers, with the boxes that they fill, go among the layers, and so does a ``Paving``.
Several layers lie over each other, the first at the bottom. A static map is a ``View`` of another size
(``MAX_SIDE`` at most). ``await renderer.grid(Layer(style, rows), view, fields)`` gives the dictionary of a
UTFGrid; its rows need ``style.columns | set(fields)``. What cannot be drawn raises ``RenderError``; what
PostgreSQL refuses stays a ``psycopg.Error``. Rows that are at hand go in as ``Rows(columns, [...])``, or as
``Row(wkb, attributes)`` by ``render_tile``, ``render_image`` and ``render_grid``.
"""

from .breaks import without_ramps
from .query import Source, fetch, read_only, substitute
from .renderer import (
    GOOD_PNG,
    MAX_SIDE,
    SMALL_PNG,
    Drawn,
    Layer,
    Paving,
    Picture,
    Pictures,
    RasterUnavailable,
    Renderer,
    RenderError,
    Row,
    Rows,
    View,
    check_picture,
)

__all__ = [
    "GOOD_PNG",
    "MAX_SIDE",
    "SMALL_PNG",
    "Drawn",
    "Layer",
    "Paving",
    "Picture",
    "Pictures",
    "RasterUnavailable",
    "RenderError",
    "Renderer",
    "Row",
    "Rows",
    "Source",
    "View",
    "check_picture",
    "fetch",
    "read_only",
    "substitute",
    "without_ramps",
]
