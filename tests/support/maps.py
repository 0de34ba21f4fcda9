"""Maps for tests: configurations, templates, and what is in a vector tile."""

from __future__ import annotations

from typing import Any

import requests

from tests.support.api import Api

MAP = "api/v1/map"
NAMED = f"{MAP}/named"
SQL = "select * from t"
STYLE = "#l{marker-width:4}"


def vector_layer(sql: str = SQL, **options: Any) -> dict[str, Any]:
    return {"type": "cartodb", "options": {"sql": sql, **options}}


def styled_layer(sql: str = SQL, cartocss: str = STYLE, **options: Any) -> dict[str, Any]:
    return vector_layer(sql, cartocss=cartocss, cartocss_version="2.3.0", **options)


def config(*layers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": "1.8.0", "layers": list(layers), **more}


S = config(styled_layer())
V = config(vector_layer())


def template(name: str = "world", **more: Any) -> dict[str, Any]:
    """A template with a placeholder of each type."""
    return {
        "version": "0.0.1",
        "name": name,
        "placeholders": {
            "color": {"type": "css_color", "default": "red"},
            "id": {"type": "number", "default": 1},
            "text": {"type": "sql_literal", "default": "a"},
            "column": {"type": "sql_ident", "default": "name"},
        },
        "layergroup": config(
            styled_layer(
                "select *, '<%= text %>'::text as said, \"<%= column %>\" as chosen from t "
                "where cartodb_id >= <%= id %>",
                "#l{marker-fill:<%= color %>}",
            )
        ),
        **more,
    }


def make_points(
    api: Api, name: str, place: str = "10 * i, 10", *, columns: str = "name text", values: str = "'n' || i"
) -> None:
    """Make a dataset of five points: ids ``i`` from 1 on, at ``place`` (longitude and latitude, in SQL)."""
    names = ", ".join(column.split()[0] for column in columns.split(", "))
    made = api.sql(
        f"CREATE TABLE {name} ({columns}, the_geom geometry(Point, 4326));"
        f"SELECT CDB_CartodbfyTable('{name}');"
        f"INSERT INTO {name} ({names}, the_geom) SELECT {values}, ST_SetSRID(ST_MakePoint({place}), 4326) "
        "FROM generate_series(1, 5) i"
    )
    assert made.status_code == 200, made.text


def make(api: Api, given: dict[str, Any], **params: Any) -> requests.Response:
    """Ask for an anonymous map."""
    return api.post(MAP, json=given, params=params)


def token_of(response: requests.Response) -> str:
    assert response.status_code == 200, response.text
    token: str = response.json()["layergroupid"]
    return token


def message(response: requests.Response) -> tuple[int, str]:
    """Status and text of a refusal, whose shape is checked."""
    body = response.json()
    assert set(body) == {"errors", "errors_with_context"}, body
    assert [each["message"] for each in body["errors_with_context"]] == body["errors"]
    assert all(each["type"] for each in body["errors_with_context"])
    return response.status_code, body["errors"][0]


def tile(api: Api, token: str, rest: str, **params: Any) -> requests.Response:
    return api.get(f"{MAP}/{token}/{rest}", params=params)


class TileLayer:
    """One layer of a vector tile."""

    def __init__(self) -> None:
        self.name = ""
        self.extent = 0
        self.features: list[dict[str, Any]] = []


def read_tile(body: bytes) -> dict[str, TileLayer]:
    """The layers of a vector tile, by name; features as their attributes."""
    found = {}
    for field, value in _fields(body):
        assert field == 3
        layer = _layer(value)
        found[layer.name] = layer
    return found


def _layer(body: bytes) -> TileLayer:
    import struct

    layer = TileLayer()
    keys: list[str] = []
    values: list[Any] = []
    tags: list[list[int]] = []
    for field, value in _fields(body):
        if field == 1:
            layer.name = value.decode()
        elif field == 2:
            tags.append(next((_varints(v) for f, v in _fields(value) if f == 2), []))
        elif field == 3:
            keys.append(value.decode())
        elif field == 4:
            ((kind, held),) = _fields(value)
            formats = {2: "<f", 3: "<d"}
            if kind == 1:
                held = held.decode()
            elif kind in formats:
                (held,) = struct.unpack(formats[kind], held)
            elif kind == 6:
                held = (held >> 1) ^ -(held & 1)
            elif kind == 7:
                held = bool(held)
            values.append(held)
        elif field == 5:
            layer.extent = value
    for numbers in tags:
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        layer.features.append({keys[key]: values[value] for key, value in pairs})
    return layer


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (body[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not body[at - 1] & 0x80:
            return value, at


def _varints(body: bytes) -> list[int]:
    found, at = [], 0
    while at < len(body):
        value, at = _varint(body, at)
        found.append(value)
    return found


def _fields(body: bytes) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(body):
        key, at = _varint(body, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(body, at)
            found.append((key >> 3, value))
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            size, at = _varint(body, at)
        found.append((key >> 3, body[at : at + size]))
        at += size
    return found
