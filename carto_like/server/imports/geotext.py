"""Columns that hold places: how they are called, and how geometries are written in text."""

from __future__ import annotations

import re

LATITUDES = (
    *("latitude", "lat", "latitudedecimal", "latitud", "lati", "decimallatitude", "decimallat"),
    "point_latitude",
)
LONGITUDES = (
    *("longitude", "lon", "lng", "longitudedecimal", "longitud", "long", "decimallongitude", "decimallong"),
    "point_longitude",
)
GEOMETRY_NAMES = ("the_geom", "geometry", "wkb_geometry", "geom", "geojson", "wkt")

_WELL_KNOWN = re.compile(
    r"\s*(SRID=\d+;)?\s*(MULTI)?(POINT|LINESTRING|POLYGON)|\s*(SRID=\d+;)?\s*GEOMETRYC", re.I
)
_MARKUP = re.compile(r"\s*<(Point|Line|Polygon|Multi)", re.IGNORECASE)
_HEX = re.compile(r"\s*0[01][0-9A-F]{16,}\s*", re.IGNORECASE)


def kind_of_geometry(text: str) -> str | None:
    """``wkt``, ``kml``, ``geojson`` or ``hex``; ``empty`` for nothing at all, None for other text."""
    if not text:
        return "empty"
    if _WELL_KNOWN.match(text):
        return "wkt"
    if _MARKUP.match(text):
        return "kml"
    if text.lstrip().startswith("{") and '"type"' in text and '"coordinates"' in text:
        return "geojson"
    return "hex" if _HEX.fullmatch(text) else None
