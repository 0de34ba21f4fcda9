"""Geometries as a topology (TopoJSON): borders that several of them share are kept once.

Coordinates are rounded to a grid of ten thousand cells each way. Lines and rings are cut where they meet
or part, and every piece, called an arc, gets a number; a piece that was met before, in either direction,
keeps the number it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

__all__ = ["CELLS", "topology"]

CELLS = 10_000

Geometry = dict[str, Any]
Point = tuple[int, int]
Line = list[Point]

# How deep the positions of a geometry lie in its coordinates.
_DEPTHS = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
_CLOSED = frozenset({"Polygon", "MultiPolygon"})


def topology(geometries: Iterable[tuple[Geometry, dict[str, Any]]]) -> dict[str, Any]:
    """A TopoJSON document.

    Args:
        geometries: geometries as GeoJSON has them, each with its properties; they become objects named
            ``"0"``, ``"1"`` and so on.
    """
    pairs = list(geometries)
    grid = _Grid(position for geometry, _ in pairs for position in _positions(geometry))
    lines = [_on_grid(geometry, grid) for geometry, _ in pairs]
    arcs = _Arcs(lines)
    objects = {
        str(number): {**arcs.cut(geometry), "properties": properties}
        for number, (geometry, (_, properties)) in enumerate(zip(lines, pairs, strict=True))
    }
    return {
        "type": "Topology",
        "transform": {"scale": grid.scale, "translate": grid.origin},
        "objects": objects,
        "arcs": [_steps(arc) for arc in arcs.found],
    }


def _positions(geometry: Geometry) -> Iterator[Sequence[float]]:
    """All positions of a geometry."""
    if geometry["type"] == "GeometryCollection":
        for member in geometry["geometries"]:
            yield from _positions(member)
        return
    level: Iterable[Any] = [geometry["coordinates"]]
    for _ in range(_DEPTHS[geometry["type"]]):
        level = (inner for outer in level for inner in outer)
    # An empty point has no coordinates at all.
    yield from filter(None, level)


class _Grid:
    """The cells that cover all positions."""

    def __init__(self, positions: Iterable[Sequence[float]]) -> None:
        west = south = float("inf")
        east = north = float("-inf")
        for x, y, *_ in positions:
            west, east = min(west, x), max(east, x)
            south, north = min(south, y), max(north, y)
        if west > east:
            west = south = east = north = 0
        self.origin = [west, south]
        # All positions in one column or row: any width of a cell will do.
        self.scale = [(east - west) / CELLS or 1, (north - south) / CELLS or 1]

    def point(self, position: Sequence[float]) -> Point:
        """The cell of a position."""
        return (
            round((position[0] - self.origin[0]) / self.scale[0]),
            round((position[1] - self.origin[1]) / self.scale[1]),
        )


def _on_grid(geometry: Geometry, grid: _Grid) -> Geometry:
    """The geometry with cells for positions, and lines without steps that stay in one cell."""
    kind = geometry["type"]
    if kind == "GeometryCollection":
        return {"type": kind, "geometries": [_on_grid(member, grid) for member in geometry["geometries"]]}
    shortest = 4 if kind in _CLOSED else 2

    def convert(value: Any, depth: int) -> Any:
        if depth == 0:
            return grid.point(value) if value else []
        if depth == 1 and kind != "MultiPoint":
            return _line([grid.point(position) for position in value], shortest)
        return [convert(inner, depth - 1) for inner in value]

    return {"type": kind, "coordinates": convert(geometry["coordinates"], _DEPTHS[kind])}


def _line(points: Line, shortest: int) -> Line:
    kept = [point for place, point in enumerate(points) if not place or point != points[place - 1]]
    # What is smaller than a cell stays as a line or ring of no length.
    return kept + kept[-1:] * (shortest - len(kept)) if kept else []


class _Arcs:
    """The pieces of all lines and rings, each of them once."""

    def __init__(self, geometries: Sequence[Geometry]) -> None:
        self.found: list[Line] = []
        self._numbers: dict[tuple[Point, ...], int] = {}
        self._neighbours: dict[Point, tuple[Point, Point]] = {}
        self._junctions: set[Point] = set()
        for geometry in geometries:
            self._look(geometry)

    def _look(self, geometry: Geometry) -> None:
        """Note the points at which lines must be cut."""
        for member in geometry.get("geometries", ()):
            self._look(member)
        for line, closed in _lines(geometry):
            if closed:
                self._meet(line[0], line[-2], line[1])
            else:
                self._junctions.update((line[0], line[-1]))
            for before, point, after in zip(line, line[1:], line[2:], strict=False):
                self._meet(point, before, after)

    def _meet(self, point: Point, one: Point, other: Point) -> None:
        """Two lines part at a point when its neighbours are others on one than on the other."""
        neighbours = (one, other) if one < other else (other, one)
        if self._neighbours.setdefault(point, neighbours) != neighbours:
            self._junctions.add(point)

    def cut(self, geometry: Geometry) -> Geometry:
        """The geometry by numbers of arcs."""
        kind = geometry["type"]
        if kind == "GeometryCollection":
            return {"type": kind, "geometries": [self.cut(member) for member in geometry["geometries"]]}
        if kind in ("Point", "MultiPoint"):
            return geometry

        def numbers(value: Any, depth: int) -> list[Any]:
            if depth == 1:
                return self._line(value, closed=kind in _CLOSED) if value else []
            return [numbers(inner, depth - 1) for inner in value]

        return {"type": kind, "arcs": numbers(geometry["coordinates"], _DEPTHS[kind])}

    def _line(self, line: Line, *, closed: bool) -> list[int]:
        if closed:
            line = self._turned(line)
        pieces: list[Line] = [line[:1]]
        for place, point in enumerate(line[1:], 1):
            pieces[-1].append(point)
            if point in self._junctions and place < len(line) - 1:
                pieces.append([point])
        return [self._number(piece) for piece in pieces]

    def _turned(self, ring: Line) -> Line:
        """The ring from a junction on; without one from its smallest point on, so that equal rings match."""
        points = ring[:-1]
        start = next((place for place, point in enumerate(points) if point in self._junctions), None)
        if start is None:
            start = points.index(min(points))
        return [*points[start:], *points[: start + 1]]

    def _number(self, piece: Line) -> int:
        """The number of a piece; its complement when the piece is known the other way round."""
        known = self._numbers.get(tuple(piece))
        if known is not None:
            return known
        known = self._numbers.get(tuple(reversed(piece)))
        if known is not None:
            return ~known
        number = self._numbers[tuple(piece)] = len(self.found)
        self.found.append(piece)
        return number


def _lines(geometry: Geometry) -> Iterator[tuple[Line, bool]]:
    """The lines of a geometry, and whether each is a ring."""
    kind = geometry["type"]
    if kind in ("Point", "MultiPoint", "GeometryCollection"):
        return
    level: Iterable[Any] = [geometry["coordinates"]]
    for _ in range(_DEPTHS[kind] - 1):
        level = (inner for outer in level for inner in outer)
    for line in level:
        if line:
            yield line, kind in _CLOSED


def _steps(arc: Line) -> list[list[int]]:
    """The arc as its first point and the steps from one to the next."""
    first = list(arc[0])
    return [first, *([x - px, y - py] for (px, py), (x, y) in pairwise(arc))]
