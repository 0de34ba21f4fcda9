"""Batches of Arrow as a file that is sent while it is written: Parquet, or a stream of Arrow IPC."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet
import pyproj

from carto_like.server.formats.columnargeometry import Geometries
from carto_like.server.formats.columnarplan import Plan

# Rows and bytes of a row group: large enough to be read quickly, small enough to be kept until it is full.
_GROUP_ROWS = 131_072
_GROUP_BYTES = 24 * 2**20
# A number that some programs use for 3857.
_SAME_SYSTEM = {900913: 3857}

Batch = Any
"""A record batch of Arrow, whose library has no types to check."""


class Sink(io.RawIOBase):
    """A file that hands over what was written to it so far."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:
        """Take bytes."""
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """The bytes since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


class File(Protocol):
    """A file in the making; each call answers with the bytes that are ready to be sent."""

    def add(self, batch: Batch) -> bytes:
        """Append rows."""

    def finish(self) -> bytes:
        """End the file."""


class ParquetFile:
    """A GeoParquet file, a row group at a time.

    Args:
        plan: the columns.
        geometries: what is known of the geometry columns when the file ends.
    """

    def __init__(self, plan: Plan, geometries: Sequence[Geometries]) -> None:
        self._sink = Sink()
        self._plan = plan
        self._geometries = geometries
        self._schema = pa.schema([pa.field(field.name, field.type) for field in plan.fields])
        self._batches: list[Batch] = []
        others = [field.name for field in plan.fields if field.kind != "geometry"]
        self._writer = pyarrow.parquet.ParquetWriter(
            # Least and greatest of WKB say nothing, and hardly any value comes twice.
            *(self._sink, self._schema),
            use_dictionary=others,
            write_statistics=others,
            # With Arrow's own schema in the file, Arrow's readers overlook what is told at the file's end.
            store_schema=False,
        )

    def add(self, batch: Batch) -> bytes:
        """Append rows."""
        self._batches.append(batch)
        rows = sum(each.num_rows for each in self._batches)
        if rows >= _GROUP_ROWS or sum(each.nbytes for each in self._batches) >= _GROUP_BYTES:
            self._write_group()
        return self._sink.take()

    def _write_group(self) -> None:
        table = pa.Table.from_batches(self._batches, self._schema)
        self._batches = []
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))

    def finish(self) -> bytes:
        """End the file."""
        if self._batches:
            self._write_group()
        if self._geometries:
            self._writer.add_key_value_metadata({"geo": json.dumps(self._about())})
        self._writer.close()
        return self._sink.take()

    def _about(self) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        for each in self._geometries:
            told = {"encoding": "WKB", "geometry_types": each.kinds, "crs": _crs_of(each.srid)}
            columns[each.name] = {**told, "bbox": each.box} if each.box is not None else told
        return {"version": "1.1.0", "primary_column": self._plan.primary, "columns": columns}


class ArrowFile:
    """A stream of Arrow IPC, a batch at a time; geometries are ``geoarrow.wkb``.

    Args:
        plan: the columns.
        geometries: what is known of the geometry columns when the first rows come.
    """

    def __init__(self, plan: Plan, geometries: Sequence[Geometries]) -> None:
        self._sink = Sink()
        self._plan = plan
        self._geometries = geometries
        self._writer: Any = None

    def add(self, batch: Batch) -> bytes:
        """Append rows."""
        writer = self._opened()
        writer.write_batch(pa.record_batch(batch.columns, schema=self._schema))
        return self._sink.take()

    def finish(self) -> bytes:
        """End the stream."""
        self._opened().close()
        return self._sink.take()

    def _opened(self) -> Any:
        # The reference system is told first of all, so the first rows must have been looked at.
        if self._writer is None:
            srids = {each.name: each.srid for each in self._geometries}
            fields = [
                pa.field(field.name, field.type, metadata=_geoarrow(srids.get(field.name)))
                for field in self._plan.fields
            ]
            self._schema = pa.schema(fields)
            self._writer = pa.ipc.new_stream(self._sink, self._schema)
        return self._writer


def _geoarrow(srid: int | None) -> dict[str, str] | None:
    if srid is None:
        return None
    crs = _crs_of(srid)
    about = {"crs": crs, "crs_type": "projjson"} if crs is not None else {}
    return {"ARROW:extension:name": "geoarrow.wkb", "ARROW:extension:metadata": json.dumps(about)}


@lru_cache(maxsize=64)
def _crs_of(srid: int) -> dict[str, Any] | None:
    """The reference system in PROJJSON; None for none, and for one that is nobody's but this database's."""
    srid = _SAME_SYSTEM.get(srid, srid)
    for authority in ("EPSG", "ESRI") if srid else ():
        try:
            return dict(pyproj.CRS.from_authority(authority, srid).to_json_dict())
        except pyproj.exceptions.CRSError:
            continue
    return None


FILES: dict[str, type[ParquetFile] | type[ArrowFile]] = {"parquet": ParquetFile, "arrow": ArrowFile}
