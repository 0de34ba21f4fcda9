"""GeoJSON by GDAL, of whose drivers only the one for this format is left."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from carto_like.pure.names import column_name
from carto_like.server.imports import codes
from carto_like.server.imports.guessing import BIGINT, BOOLEAN, DATE, DOUBLE, INTEGER, TEXT, TIME, TIMESTAMP
from carto_like.server.imports.rows import (
    NULL,
    Cells,
    Column,
    Layout,
    Unreadable,
    as_text,
    copy_block,
    numbers,
)
from carto_like.server.imports.wkb import HasCollection, as_stored

DRIVERS = frozenset({"GeoJSON"})
_BLOCK = 1 << 20
_BATCH = 4096
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def drivers() -> list[str]:
    """All drivers of this GDAL, less those named in ``GDAL_SKIP`` when it was loaded."""
    import pyogrio

    return sorted(pyogrio.list_drivers())


class GeoJsonFile:
    """One GeoJSON file; reading it may raise :class:`Unreadable`."""

    def __init__(self, path: str, skip: list[str], *, broken: int, max_rows: int) -> None:
        # Before GDAL is loaded: it looks at them then, and the parent did not know which there are.
        os.environ["GDAL_SKIP"] = ",".join(skip)
        self._path, self._broken, self._max_rows = path, broken, max_rows
        _check_complete(path, broken)
        others = set(drivers()) - DRIVERS
        if others:
            raise Unreadable(
                codes.MISSING_TOOL, f"drivers that must not be there: {', '.join(sorted(others))}"
            )
        self._reader: Iterator[Any] = iter(())
        self._srid = 4326

    def layout(self) -> Layout:
        """Names and types of the columns."""
        import pyogrio

        try:
            info = pyogrio.read_info(self._path, layer=0)
        except Exception as error:
            # GDAL's reader has an exception of its own for each kind of damage.
            raise Unreadable(self._broken, _first_line(error)) from None
        self._srid = _srid_of(info["crs"])
        names: dict[str, None] = {"cartodb_id": None, "the_geom": None, "the_geom_webmercator": None}
        columns = []
        for index, (field, kind) in enumerate(zip(info["fields"], info["ogr_types"], strict=True)):
            name = column_name(str(field), names)
            names[name] = None
            columns.append(Column(name, _TYPES.get(str(kind), TEXT), index, as_text))
        columns = [_as_boolean(c, info["ogr_subtypes"][c.index]) for c in columns]
        if len(columns) > 1597:
            raise Unreadable(codes.TOO_MANY_COLUMNS, f"The features have {len(columns)} properties")
        self._fields = columns
        geometry = Column("the_geom", TEXT, -1, _as_hex)
        kind = "wkb" if self._srid == 4326 else "hex"
        return Layout((*columns, geometry), True, None, ("the_geom", kind), self._srid)

    def blocks(self, layout: Layout) -> Iterator[tuple[int, bytes]]:
        """Number of features and their text for COPY, in blocks."""
        count = 0
        for wkb, fields in self._batches():
            size = len(wkb)
            count += size
            if self._max_rows and count > self._max_rows:
                raise Unreadable(codes.TOO_MANY_ROWS, f"More than {self._max_rows} features")
            out: list[Cells] = [list(numbers(count - size + 1, size))]
            out += [column.clean(_as_cells(fields[column.index], column.type)) for column in self._fields]
            out.append(_as_hex(wkb))
            yield size, copy_block(out)

    def _batches(self) -> Iterator[tuple[Any, Any]]:
        from pyogrio.raw import open_arrow

        names = [column.index for column in self._fields]
        try:
            with open_arrow(
                self._path, layer=0, use_pyarrow=True, batch_size=_BATCH, datetime_as_string=True
            ) as (meta, reader):
                wkb_name = meta["geometry_name"] or "wkb_geometry"
                for batch in reader:
                    wkb = batch.column(wkb_name).to_pylist()
                    yield wkb, [batch.column(position).to_pylist() for position in names]
        except Unreadable:
            raise
        except Exception as error:
            raise Unreadable(self._broken, _first_line(error)) from None


_TYPES = {
    "OFTInteger": INTEGER,
    "OFTInteger64": BIGINT,
    "OFTReal": DOUBLE,
    "OFTString": TEXT,
    "OFTDate": DATE,
    "OFTDateTime": TIMESTAMP,
    "OFTTime": TIME,
}


def _as_boolean(column: Column, subtype: str) -> Column:
    is_boolean = str(subtype) == "OFSTBoolean"
    return Column(column.name, BOOLEAN if is_boolean else column.type, column.index, as_text)


def _as_cells(values: list[Any], kind: str) -> list[str | None]:
    if kind == TEXT:
        return [
            None if value is None else value if isinstance(value, str) else _json(value) for value in values
        ]
    return [None if value is None else str(value) for value in values]


def _json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, default=str)


def _as_hex(wkbs: Cells) -> list[str]:
    return [NULL if wkb is None else _stored(wkb).hex() for wkb in wkbs]


def _stored(wkb: bytes) -> bytes:
    try:
        return as_stored(wkb)
    except HasCollection:
        raise Unreadable(codes.COLLECTIONS) from None


def _srid_of(crs: str | None) -> int:
    if not crs:
        return 4326
    match = re.fullmatch(r"EPSG:(\d+)", crs)
    if match:
        return int(match.group(1))
    if "CRS84" in crs or "WGS 84" in crs:
        return 4326
    raise Unreadable(codes.UNKNOWN_PROJECTION, "The file's projection has no EPSG code")


def _check_complete(path: str, broken: int) -> None:
    """Refuse what was cut: GDAL reads large files piece by piece and may not miss the rest."""
    depth, is_object, rest = 0, False, b""
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            if not rest and not is_object and depth == 0:
                block = block.removeprefix(b"\xef\xbb\xbf").lstrip()
                if not block:
                    continue
                if not block.startswith(b"{"):
                    raise Unreadable(broken, "It is no JSON object")
                is_object = True
            bare = _STRING.sub(b"", rest + block)
            quote = bare.find(b'"')
            bare, rest = (bare, b"") if quote < 0 else (bare[:quote], bare[quote:])
            depth += bare.count(b"{") + bare.count(b"[") - bare.count(b"}") - bare.count(b"]")
    if not is_object:
        raise Unreadable(codes.EMPTY_FILE)
    if depth or rest:
        raise Unreadable(broken, "It ends in the middle")


def _first_line(error: Exception) -> str:
    return re.sub(r"'?(/[^\s']*/)+[^\s']*'?", "the file", str(error).partition("\n")[0])[:300]
