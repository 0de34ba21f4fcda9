"""Further geometry columns of a SpatiaLite file, of which GDAL writes one only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing

from carto_like.pure.ewkb import Header
from carto_like.pure.pgtext import quote_identifier

_REGISTER = """
INSERT INTO geometry_columns
    (f_table_name, f_geometry_column, geometry_type, coord_dimension, srid, spatial_index_enabled)
VALUES (?, ?, ?, ?, ?, 0)
"""


def add_columns(
    file: str, table: str, columns: Mapping[str, Header], rows: Iterable[tuple[bytes | None, ...]]
) -> None:
    """Add geometry columns behind those that are there.

    Args:
        file: path of a SpatiaLite file, whose rows are numbered from 1 on by ``ogc_fid``.
        table: name of the table.
        columns: names of the columns, each with the header of its first geometry.
        rows: the geometries of each row, in the order of the rows, in SpatiaLite's own form.
    """
    quoted = quote_identifier(table)
    with closing(sqlite3.connect(file)) as connection, connection:
        for name, header in columns.items():
            connection.execute(f"ALTER TABLE {quoted} ADD COLUMN {quote_identifier(name)} GEOMETRY")
            # Zero stands for geometries of any kind; the thousands say what coordinates they have.
            kind = 1000 * header.has_z + 2000 * header.has_m
            size = 2 + header.has_z + header.has_m
            connection.execute(_REGISTER, (table, name, kind, size, header.srid))
        assignments = ", ".join(f"{quote_identifier(name)} = ?" for name in columns)
        update = f"UPDATE {quoted} SET {assignments} WHERE ogc_fid = ?"
        connection.executemany(update, ((*shapes, number) for number, shapes in enumerate(rows, 1)))
