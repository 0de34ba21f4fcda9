"""Pictures of maps by Mapnik, drawn from rows that the caller fetched.

Importing this package needs nothing; ``Renderer()`` needs the extra ``[maps]`` and says so with
``RasterUnavailable`` when it is absent. Bounds are ``(west, south, east, north)`` in EPSG:3857.

``await renderer.render_tile(style, rows, bounds, size=256, scale=1.0, buffer=64, png="png8:m=h")``
gives PNG bytes; ``await renderer.render_image(layers, bounds, width, height)`` draws several
``(style, rows)`` over each other. ``rows`` are ``Row(wkb, attributes)``.
"""

from .renderer import RasterUnavailable, Renderer, RenderError, Row

__all__ = ["RasterUnavailable", "RenderError", "Renderer", "Row"]
