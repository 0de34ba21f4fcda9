"""Shared borders are found, and every geometry can be put together again."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from carto_like.pure.topology import CELLS, topology


def arcs_of(document: dict[str, Any]) -> list[list[tuple[int, int]]]:
    found = []
    for arc in document["arcs"]:
        x = y = 0
        line = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            line.append((x, y))
        found.append(line)
    return found


def joined(document: dict[str, Any], numbers: list[int]) -> list[tuple[int, int]]:
    arcs = arcs_of(document)
    points: list[tuple[int, int]] = []
    for number in numbers:
        arc = arcs[number] if number >= 0 else arcs[~number][::-1]
        assert not points or points[-1] == arc[0]
        points += arc if not points else arc[1:]
    return points


def lines(*parts: list[list[float]]) -> dict[str, Any]:
    return topology([({"type": "LineString", "coordinates": part}, {}) for part in parts])


def test_lines_are_cut_where_they_part() -> None:
    document = lines([[0, 0], [1, 0], [2, 0], [3, 1]], [[0, 0], [1, 0], [2, 0], [3, -1]])
    assert len(document["arcs"]) == 3
    assert [item["arcs"] for item in document["objects"].values()] == [[0, 1], [0, 2]]


def test_a_line_the_other_way_round_is_the_complement() -> None:
    document = lines([[0, 0], [1, 1], [5, 2]], [[5, 2], [1, 1], [0, 0]])
    assert [item["arcs"] for item in document["objects"].values()] == [[0], [-1]]


def test_equal_rings_are_one_arc_wherever_they_begin() -> None:
    ring = [[0, 0], [10, 0], [10, 10], [0, 10]]
    polygons = [
        {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        {"type": "Polygon", "coordinates": [[*ring[2:], *ring[:2], ring[2]]]},
        {"type": "Polygon", "coordinates": [[*ring, ring[0]][::-1]]},
    ]
    document = topology((polygon, {}) for polygon in polygons)
    assert len(document["arcs"]) == 1
    assert [item["arcs"] for item in document["objects"].values()] == [[[0]], [[0]], [[-1]]]


def test_collections_and_empty_geometries() -> None:
    collection = {
        "type": "GeometryCollection",
        "geometries": [
            {"type": "Point", "coordinates": [0, 10]},
            {"type": "LineString", "coordinates": [[0, 0], [10, 10]]},
            {"type": "Polygon", "coordinates": []},
        ],
    }
    empty = {"type": "Point", "coordinates": []}
    document = topology([(collection, {"a": 1}), (empty, {})])
    assert document["objects"]["0"] == {
        "type": "GeometryCollection",
        "geometries": [
            {"type": "Point", "coordinates": (0, CELLS)},
            {"type": "LineString", "arcs": [0]},
            {"type": "Polygon", "arcs": []},
        ],
        "properties": {"a": 1},
    }
    assert document["objects"]["1"]["coordinates"] == []


def test_what_is_smaller_than_a_cell_keeps_enough_points() -> None:
    tiny = {"type": "Polygon", "coordinates": [[[0, 0], [1e-9, 0], [0, 1e-9], [0, 0]]]}
    far = {"type": "Point", "coordinates": [1000, 1000]}
    document = topology([(tiny, {}), (far, {})])
    assert joined(document, document["objects"]["0"]["arcs"][0]) == [(0, 0)] * 4


coordinate = st.integers(0, 6).map(lambda number: number * (CELLS // 10))
ring_points = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=8, unique=True)
CORNERS = {"type": "MultiPoint", "coordinates": [[0, 0], [CELLS, CELLS]]}


@given(st.lists(ring_points, max_size=5))
def test_rings_come_back(rings: list[list[tuple[int, int]]]) -> None:
    """With a grid of whole numbers nothing is rounded, and each ring is the same up to where it begins."""
    polygons: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, {}) for ring in rings
    ]
    document = topology([(CORNERS, {}), *polygons])
    assert document["transform"] == {"scale": [1, 1], "translate": [0, 0]}
    for number, ring in enumerate(rings, 1):
        found = joined(document, document["objects"][str(number)]["arcs"][0])
        assert found[0] == found[-1]
        start = found.index(ring[0])
        assert [*found[start:-1], *found[:start]] == ring
    arcs = {tuple(arc) for arc in arcs_of(document)}
    assert len(arcs) == len(document["arcs"])
    assert not [arc for arc in arcs if arc[::-1] in arcs and arc[::-1] != arc]


@given(st.lists(st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=8, unique=True), max_size=5))
def test_lines_come_back(parts: list[list[tuple[int, int]]]) -> None:
    objects: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"type": "LineString", "coordinates": part}, {}) for part in parts
    ]
    document = topology([(CORNERS, {}), *objects])
    for number, part in enumerate(parts, 1):
        assert joined(document, document["objects"][str(number)]["arcs"]) == part
