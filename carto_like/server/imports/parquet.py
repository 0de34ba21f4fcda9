"""Parquet and GeoParquet, whose metadata say where the geometry is (https://geoparquet.org, 1.0 and 1.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from carto_like.pure.names import column_name
from carto_like.server.imports import codes
from carto_like.server.imports.guessing import BIGINT, INTEGER, TEXT
from carto_like.server.imports.ogr import MOST_COLUMNS, first_line
from carto_like.server.imports.rows import Column, Layout, Unreadable, as_text

_BATCH = 16_384
_DEFAULT_SRID = 4326


class ParquetTable:
    """One file; reading it may raise :class:`Unreadable`."""

    def __init__(self, path: str, *, max_rows: int) -> None:
        import pyarrow.parquet as pq

        self._max_rows = max_rows
        try:
            self._file: Any = pq.ParquetFile(path)
        except Exception as error:
            raise Unreadable(codes.UNKNOWN_TYPE, first_line(error)) from None
        self._geometry, self._srid = _geometry_of(self._file.schema_arrow.metadata or {})
        self._columns: list[Column] = []
        self._numbered = True

    def layout(self) -> Layout:
        """Names and types of the columns."""
        from carto_like.server.imports.arrowcells import type_for

        schema = self._file.schema_arrow
        if len(schema) > MOST_COLUMNS:
            raise Unreadable(codes.TOO_MANY_COLUMNS, f"There are {len(schema)} columns")
        if self._geometry is not None and schema.get_field_index(self._geometry) < 0:
            raise Unreadable(codes.UNKNOWN_TYPE, f"The geometry column '{self._geometry}' is missing")
        names: dict[str, None] = {"the_geom": None, "the_geom_webmercator": None}
        kinds = {field.name: type_for(field.type) for field in schema}
        self._numbered = kinds.get("cartodb_id") not in (INTEGER, BIGINT)
        if self._numbered:
            names["cartodb_id"] = None
        for index, field in enumerate(schema):
            if field.name != self._geometry:
                name = column_name(field.name, names)
                names[name] = None
                self._columns.append(Column(name, kinds[field.name], index, as_text))
        if self._geometry is None:
            return Layout(tuple(self._columns), self._numbered)
        geometry = Column("the_geom", TEXT, -1, as_text)
        kind = "wkb" if self._srid == _DEFAULT_SRID else "hex"
        return Layout((*self._columns, geometry), self._numbered, None, ("the_geom", kind), self._srid)

    def blocks(self, layout: Layout) -> Iterator[tuple[int, bytes]]:
        """Number of rows and their text for COPY, in blocks."""
        import pyarrow as pa

        from carto_like.server.imports.arrowcells import block_of, cells_of, numbers
        from carto_like.server.imports.geometries import geometry_cells

        count = 0
        try:
            for batch in self._file.iter_batches(_BATCH):
                size, count = batch.num_rows, count + batch.num_rows
                if self._max_rows and count > self._max_rows:
                    raise Unreadable(codes.TOO_MANY_ROWS, f"More than {self._max_rows} rows")
                cells = [cells_of(batch.column(column.index)) for column in self._columns]
                if self._numbered:
                    cells.insert(0, numbers(count - size + 1, size))
                if self._geometry is not None:
                    cells.append(geometry_cells(batch.column(self._geometry)))
                yield size, block_of(cells)
        except (pa.ArrowException, OSError) as error:
            raise Unreadable(codes.LOAD_FAILED, first_line(error)) from None


def _geometry_of(metadata: dict[bytes, bytes]) -> tuple[str | None, int]:
    """Name and SRID of the geometry column; None for a file without one."""
    try:
        told = orjson.loads(metadata.get(b"geo", b"{}"))
        name = told.get("primary_column")
        column = told.get("columns", {}).get(name, {})
        encoding, crs = column.get("encoding", "WKB"), column.get("crs", {})
        srid = _srid_of(crs)
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        raise Unreadable(codes.UNKNOWN_TYPE, "Its metadata 'geo' cannot be read") from None
    if name is None:
        return None, _DEFAULT_SRID
    if encoding != "WKB":
        raise Unreadable(codes.UNKNOWN_TYPE, f"Its geometry is in the encoding '{encoding}', not WKB")
    return str(name), srid


def _srid_of(crs: Any) -> int:
    """The SRID of a reference system in PROJJSON; without one it is longitude and latitude."""
    found = crs.get("id") if isinstance(crs, dict) else None
    if not found:
        if crs:
            raise Unreadable(codes.UNKNOWN_PROJECTION, "The file's projection has no EPSG code")
        return _DEFAULT_SRID
    if found.get("authority") == "OGC" and str(found.get("code")) == "CRS84":
        return _DEFAULT_SRID
    if found.get("authority") == "EPSG" and str(found.get("code")).isdigit():
        return int(found["code"])
    raise Unreadable(codes.UNKNOWN_PROJECTION, "The file's projection has no EPSG code")
