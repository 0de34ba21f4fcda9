"""Geometries of any reference system on a map in metres of EPSG:3857: the SQL that finds and moves them."""

from __future__ import annotations

import math

from .coordinates import WORLD, Bounds

MERCATOR, DEGREES = 3857, 4326
# Of what lies nearer to a pole a web map shows nothing; datasets are cut there, too.
_NORTH = 89.0
# No reference system has larger coordinates, whatever its unit.
_ANYWHERE: Bounds = (-1e9, -1e9, 1e9, 1e9)
# Rounding must not lose what lies on the edge of a box.
_SLACK = 1e-9


def envelope(bounds: Bounds, srid: int = MERCATOR) -> str:
    """A box as a polygon in SQL."""
    return f"ST_MakeEnvelope({', '.join(map(repr, bounds))}, {srid})"


def in_mercator(column: str, srid: int, *, bare: bool = False) -> str:
    """A column's geometries in EPSG:3857, cut at the edges of the world, as SQL.

    Args:
        column: its name, quoted.
        srid: its reference system.
        bare: whether the geometries themselves do not say so.
    """
    if srid == MERCATOR:
        return column
    shape = f"ST_SetSRID({column}, {srid})" if bare else column
    return f"cartodb.CDB_TransformToWebmercator({shape})"


def near(column: str, srid: int, bounds: Bounds, *, bare: bool = False, box: Bounds | None = None) -> str:
    """The condition, in SQL, for rows whose geometries touch a box.

    Args:
        column: its name, quoted.
        srid: its reference system.
        bounds: the box, in metres of EPSG:3857; it may reach beyond the world.
        bare: as for :func:`in_mercator`.
        box: a box of the reference system that holds all that is in ``bounds``. Without it each row is moved
            to find out, unless the system is one in which the box is known.
    """
    if srid == MERCATOR:
        return f"{column} && {envelope(bounds)}"
    if srid == DEGREES:
        return f"{column} && {envelope(in_degrees(bounds), DEGREES)}"
    if box is not None:
        return f"{column} && {envelope(box, srid)}"
    # What has no end, or is no number, cannot be moved; PostgreSQL looks at what costs less first.
    anywhere = envelope(_ANYWHERE, srid)
    somewhere = f"{column} && {anywhere} AND {column} @ {anywhere}"
    return f"{somewhere} AND {in_mercator(column, srid, bare=bare)} && {envelope(bounds)}"


def in_degrees(bounds: Bounds) -> Bounds:
    """A box in longitude and latitude, without what lies beyond the world."""
    west, south, east, north = to_degrees(bounds)
    return (
        max(min(west - _SLACK, 180.0), -180.0),
        max(min(south - _SLACK, _NORTH), -_NORTH),
        max(min(east + _SLACK, 180.0), -180.0),
        max(min(north + _SLACK, _NORTH), -_NORTH),
    )


def to_degrees(bounds: Bounds) -> Bounds:
    """Longitudes and latitudes of a box."""
    west, south, east, north = bounds
    return _longitude(west), _latitude(south), _longitude(east), _latitude(north)


def within_world(bounds: Bounds) -> Bounds:
    """The part of a box that is on the map."""
    west, south, east, north = (max(min(side, WORLD), -WORLD) for side in bounds)
    return west, south, east, north


def _longitude(x: float) -> float:
    return x / WORLD * 180.0


def _latitude(y: float) -> float:
    # Beyond this there is no difference from the pole, and the exponential has no end.
    turns = max(min(y / WORLD * math.pi, 30.0), -30.0)
    return math.degrees(2 * math.atan(math.exp(turns)) - math.pi / 2)
